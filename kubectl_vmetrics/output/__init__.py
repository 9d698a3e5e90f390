"""Rows to text, and text to a terminal. Knows nothing of Kubernetes."""
