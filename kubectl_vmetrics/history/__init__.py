"""What was used over time, by virtual names, from Prometheus."""
