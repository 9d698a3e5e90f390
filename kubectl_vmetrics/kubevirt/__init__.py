"""KubeVirt: what virtual machines use, its own components, and where both are scraped.

KubeVirt keeps no promise about names, labels or units of its metrics (docs/observability/monitoring-guidelines.md), so
every series is optional here, and what it means is looked up by its name, not by a version.
"""
