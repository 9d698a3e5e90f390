"""Prometheus and what speaks its API: finding a server, reaching it through the apiserver, asking it. Read-only."""
