"""Virtual clusters: how they name what they put on the host, which there are, and whose pod is whose."""
