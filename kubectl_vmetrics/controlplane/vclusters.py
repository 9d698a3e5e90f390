"""The control planes of virtual clusters: their apiserver, and the processes beside it that it proxies requests to.

/metrics is the apiserver's; since v0.24 the controller-manager and the scheduler have paths of their own, which were
swapped in v0.35, when etcd and kine were added; v0.37 added the syncer (loft-sh/vcluster pkg/server/filters).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.vcluster import discovery

from . import pods
from .plane import (
    APISERVER,
    CONTROLLER_MANAGER,
    ETCD,
    KINE,
    SCHEDULER,
    SYNCER,
    VCLUSTER,
    Component,
    Plane,
)
from .pods import Pod

PORT = 8443
CERTIFICATE = "certificate"
_RELEASE = re.compile(r"v?\d+\.\d+\.\d+(-(alpha|beta|rc)\.?\d+)?")


def find(client: Client, namespace: str | None, warn: Callable[[str], object] = lambda _: None) -> list[Plane]:
    """The control planes of the virtual clusters of one host namespace, or of all. Raises as Client.get.

    Args:
        client: the host.
        namespace: None for all.
        warn: called with what could not be listed.
    """
    known = discovery.find(client, namespace, warn)
    if not known:
        return []
    found: dict[tuple[str, str], list[Pod]] = {}
    for pod in pods.find(client, namespace, "app=vcluster"):
        found.setdefault((pod.metadata.namespace, pod.metadata.labels.get("release", "")), []).append(pod)
    planes = []
    for item in known:
        replicas = found.get((item.ref.host_namespace, item.ref.name), [])
        asleep = item.status in (discovery.PAUSED, discovery.SCALED_DOWN)
        planes.append(
            Plane(
                VCLUSTER,
                item.ref.host_namespace,
                item.ref.name,
                item.version,
                item.status,
                asleep,
                0 if asleep else max(len(replicas), 1),
                len(replicas) if item.status == discovery.RUNNING else 0,
                () if asleep else tuple(part for pod in replicas for part in _components(pod, item.version)),
                ((CERTIFICATE, f"vc-{item.ref.name}"),),
            )
        )
    return planes


def _components(pod: Pod, tag: str) -> list[Component]:

    def at(name: str, path: str, fallback: str = "", *, optional: bool = True) -> Component:
        return Component(
            name,
            pod.metadata.name,
            pod.status.ip,
            PORT,
            path,
            verified=True,
            optional=optional,
            fallback=fallback,
        )

    apiserver = at(APISERVER, "/metrics", optional=False)
    if _is_old(tag):
        return [apiserver]
    beside = [at(name, f"/metrics/{name}", f"/{name}/metrics") for name in (CONTROLLER_MANAGER, SCHEDULER)]
    return [apiserver, *beside, at(SYNCER, "/metrics/syncer"), at(ETCD, "/metrics/etcd"), at(KINE, "/metrics/kine")]


def _is_old(tag: str) -> bool:
    """Whether the image is a release without paths for components; for other images, the paths are tried.

    Images built from source have tags such as 0.0.1, latest, a commit hash or a branch.
    """
    return bool(_RELEASE.fullmatch(tag)) and (0, 0) < pods.version(tag)[:2] < (0, 24)
