"""Recording rules and alerts for Prometheus: what virtual clusters use, request and may use, by the tenants' names."""
