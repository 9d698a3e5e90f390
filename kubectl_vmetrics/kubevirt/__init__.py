"""KubeVirt: usage of virtual machines, its own components, and their scrape targets.

KubeVirt does not guarantee names, labels or units of its metrics (docs/observability/monitoring-guidelines.md), so
every series is optional here, and its meaning depends on its name, not on a version.
"""
