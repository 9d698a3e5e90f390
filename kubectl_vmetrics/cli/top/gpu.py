"""--gpu of `top pods`. Imported only where it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.metrics import gpus
from kubectl_vmetrics.metrics.gpus import Assigned, Found
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.output.formats import View
from kubectl_vmetrics.vcluster import homes, identity
from kubectl_vmetrics.views import gpus as view
from kubectl_vmetrics.views.columns import Column

from .choose import Targets


class Gpus(NamedTuple):
    """What pods have of GPUs.

    Attributes:
        warnings: why something is not known.
    """

    requested: Mapping[HostPod, int]
    assigned: Mapping[HostPod, Assigned]
    warnings: tuple[str, ...] = ()

    @property
    def columns(self) -> list[Column]:
        """For view.Options.extra."""
        return view.of_pods(self.requested, self.assigned)

    def documented(self, shown: View) -> View:
        """The same view, whose document has GPUs as well."""

        def document() -> Any:
            found = shown.document()
            for item in found["items"]:
                host = item.get("host") or item["metadata"]
                key = HostPod(host["namespace"], host["name"])
                if part := view.of_pod(self.requested.get(key, 0), self.assigned.get(key)):
                    item["gpu"] = part
            return found

        return shown._replace(document=document)


def read(client: Client, targets: Targets) -> Gpus:
    """The GPUs of all pods; what cannot be read is a warning."""
    try:
        known = homes.read(client, targets=targets)
        synced = known.proven(identity.read_synced_namespaces(client))
        tenants = {item.ref.host_namespace for item in known.clusters} | set(synced) | {space for space, _ in targets}
        found: Found = gpus.read(client, tenants)
    except VmetricsError as error:
        return Gpus({}, {}, (f"usage of GPUs is not known: {error.message}",))
    return Gpus(found.requested, found.of_pods(), found.warnings)
