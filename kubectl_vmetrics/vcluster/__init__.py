"""Virtual clusters: discovery, names of synced objects on the host, and which pod belongs to which virtual cluster."""
