"""Metrics of virtual clusters and virtual machines, under the names their tenants use."""

__version__ = "0.1.0"
