"""Kubernetes objects to apply, and what Prometheus is told, as plain data: a module for each. Nothing is asked."""
