"""Dashboards for Grafana: tenants together, one control plane, virtual machines, virtual clusters.

They are for what `manifests kamaji`, `manifests vcluster`, `manifests kubevirt` and `proxy` lead Prometheus to: a label
`cluster` for each control plane, jobs as kube-prometheus names them, vcluster_* labels on the host's series. A gauge is
never put into rate(), and every query keeps to the chosen clusters.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from .board_machines import MACHINES
from .board_planes import CONTROL_PLANE, TENANTS
from .board_vclusters import VCLUSTERS
from .bundle import Object
from .grafana import Dashboard, render

SIDECAR_LABEL = "grafana_dashboard"
"""By which the sidecar of Grafana's chart finds dashboards, unless it was told of another label."""

ALL = (TENANTS, CONTROL_PLANE, MACHINES, VCLUSTERS)


def config_maps(chosen: Sequence[Dashboard], namespace: str, labels: dict[str, str], folder: str = "") -> list[Object]:
    """Dashboards as ConfigMaps for the sidecar of Grafana's chart.

    Args:
        chosen: which.
        namespace: where the sidecar looks.
        labels: by which it finds them.
        folder: of Grafana, where the sidecar was told of the annotation; "" for its default.
    """
    annotations = {"annotations": {"grafana_folder": folder}} if folder else {}
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": item.name, "namespace": namespace, "labels": labels, **annotations},
            "data": {f"{item.name}.json": json.dumps(render(item), indent=1)},
        }
        for item in chosen
    ]
