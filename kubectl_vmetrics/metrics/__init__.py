"""Numbers as Kubernetes writes them, and the interfaces that serve them."""
