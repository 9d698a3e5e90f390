"""The HTTP server that answers with virtual names: an apiserver for metrics, for kubectl, Prometheus and others."""
