"""The host's payloads with virtual names: one module for each kind of payload, two views of each.

The tenant's view is what one virtual cluster may see: its own names, and nothing about others. The host's view drops
nothing and adds the virtual names to the host's, so that existing dashboards keep working.
"""
