"""One pod explained: whose it is and why, and what each source of metrics reports about it."""
