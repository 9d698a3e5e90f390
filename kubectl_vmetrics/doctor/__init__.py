"""Why are metrics missing? Ordered checks; each has a stable ID and reports a finding, its cause and a remedy.

Read-only: access reviews are POST requests, but the apiserver does not store them.
"""
