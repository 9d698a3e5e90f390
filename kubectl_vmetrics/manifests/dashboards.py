"""Dashboards for Grafana: tenants, control planes together, one control plane, virtual machines.

The one of tenants reads the series that `manifests rules` records. The others read what Prometheus scrapes with
`manifests kamaji`, `vcluster` and `kubevirt`: a label `cluster` for each control plane, jobs as kube-prometheus names
them. A gauge is never put into rate(), and every query keeps to the chosen clusters.
"""

from __future__ import annotations

from collections.abc import Sequence

from .board_machines import MACHINES
from .board_planes import CONTROL_PLANE, CONTROL_PLANES
from .board_tenants import TENANTS
from .bundle import Object
from .grafana import Dashboard, render, text

SIDECAR_LABEL = "grafana_dashboard"
"""By which the sidecar of Grafana's chart finds dashboards, unless it was told of another label."""

ALL = (TENANTS, CONTROL_PLANES, CONTROL_PLANE, MACHINES)


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
            "data": {f"{item.name}.json": text(render(item))},
        }
        for item in chosen
    ]
