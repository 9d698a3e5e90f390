"""Virtual clusters with private nodes: their nodes are their own, and none of their pods exists on the host.

privateNodes.enabled, since v0.26 (https://www.vcluster.com/docs/vcluster/deploy/worker-nodes/private-nodes). The chart
then takes a larger Kubernetes image, with a tag that ends in -full; since it can also leave the binaries of nodes out
(privateNodes.importNodeBinaries), the values in the Secret vc-config-NAME are the only other sign on the host.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.gather import gather

from . import settings
from .discovery import RUNNING, VCluster
from .identity import VClusterRef

_SETTING = ("privateNodes", "enabled")


def find(client: Client, known: Iterable[VCluster], populated: Collection[VClusterRef]) -> set[VClusterRef]:
    """Those that have private nodes.

    Args:
        client: the host.
        known: the virtual clusters.
        populated: those with pods on the host, which thus have none. Without a right to read the values of the others,
            they are taken to have none, too.
    """
    found = {item.ref for item in known if item.private}
    doubtful = [
        item.ref for item in known if item.ref not in found and item.ref not in populated and item.status == RUNNING
    ]
    answers = gather([partial(settings.read, client, ref, _SETTING) for ref in doubtful])
    return found | {ref for ref, answer in zip(doubtful, answers, strict=True) if answer == "true"}
