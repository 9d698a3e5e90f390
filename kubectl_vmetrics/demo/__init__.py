"""The demo cluster: a small read-only apiserver with nodes, tenants and evolving numbers; also a load generator."""
