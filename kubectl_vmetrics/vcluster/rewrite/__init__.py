"""The host's payloads with virtual names: one module for each kind of payload, two views of each.

The tenant's view is what one virtual cluster may see: its own names, nothing of others. The host's view drops nothing
and adds the virtual names beside the host's, so that host dashboards go on working.
"""
