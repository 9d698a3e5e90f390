"""Kubernetes objects to apply, as plain data: one module for each thing that they set up. Pure; nothing is asked."""
