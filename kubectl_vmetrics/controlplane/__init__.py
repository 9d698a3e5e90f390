"""Control planes of tenants: those of Kamaji and of virtual clusters; who they are, how to log in, and how they are."""
