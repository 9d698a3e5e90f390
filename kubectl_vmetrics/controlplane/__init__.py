"""Tenant control planes of Kamaji and of virtual clusters: discovery, client certificates, scrapes and health."""
