"""Metrics of virtual clusters and virtual machines, under the names that their owners know."""

__version__ = "0.1.0"
