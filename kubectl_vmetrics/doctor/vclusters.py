"""Virtual clusters: whether they run, whose names can be told, and whether the host has anything of them."""

from __future__ import annotations

import base64
from collections import Counter
from typing import Any

import msgspec
import yaml

from kubectl_vmetrics.kube.client import escape
from kubectl_vmetrics.kube.errors import Forbidden, NotFound
from kubectl_vmetrics.kube.lists import decoder
from kubectl_vmetrics.metrics import metrics_api
from kubectl_vmetrics.metrics.findings import some
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope
from kubectl_vmetrics.vcluster import discovery, naming, origins
from kubectl_vmetrics.vcluster.discovery import VCluster
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import PODS, Origins

from .check import Cause, Check, Outcome, Session, failed, passed, skipped, warned

AREA = "vcluster"


def _vclusters(session: Session) -> list[VCluster]:
    return session.once("vclusters", lambda: discovery.find(session.client, None))


_RUNNING = {
    "paused": Cause(
        "a virtual cluster that is paused or scaled down has no pods, and so no metrics",
        "vcluster resume NAME -n NAMESPACE",
        "https://www.vcluster.com/docs/vcluster/manage/sleep-wake",
    ),
    "not-ready": Cause(
        "its control plane is not ready: pods that run stay, and are still measured",
        "kubectl -n NAMESPACE describe statefulset NAME",
    ),
}


def _running(session: Session) -> Outcome:
    found = _vclusters(session)
    if not found:
        return skipped("there are no virtual clusters")
    broken = [item.ref.path for item in found if item.status == discovery.NOT_READY]
    if broken:
        return failed(f"not ready: {', '.join(broken)}", "not-ready")
    asleep = [item.ref.path for item in found if item.status in (discovery.PAUSED, discovery.SCALED_DOWN)]
    if asleep:
        return warned(f"asleep: {', '.join(asleep)}", "paused")
    return passed(f"{len(found)} virtual clusters run")


_NAMES = {
    "hidden": Cause(
        "names that grew too long were hashed, and the annotations that hold the virtual name may not be read",
        "kubectl vmetrics manifests rbac --for 'top pods' --user YOU",
        "loft-sh/vcluster pkg/util/translate",
    )
}

_EMPTY = {
    "elsewhere": Cause(
        "none of its pods is on the host: with private nodes they run elsewhere, and the host measures none of them",
        "ask inside of it: kubectl top pods there, with a metrics-server of its own",
        "https://www.vcluster.com/docs/vcluster/deploy/worker-nodes/private-nodes",
    )
}


def _origins(session: Session) -> Origins:
    return session.once("origins", lambda: origins.read(session.client))


def _names(session: Session) -> Outcome:
    if not _vclusters(session):
        return skipped("there are no virtual clusters")
    try:
        found = _origins(session).all(PODS)
    except Forbidden:
        homes = {item.ref.host_namespace for item in _vclusters(session)}
        listed = metrics_api.pods(session.client, Scope(None), PodMetrics)[0]
        hashed = [
            pod.metadata.name
            for pod in listed
            if pod.metadata.namespace in homes and naming.may_be_hashed(pod.metadata.name)
        ]
        if hashed:
            return warned(f"{len(hashed)} pods whose names cannot be resolved: {some(hashed)}", "hidden")
        return passed("no name is hashed")
    return passed(f"the names of {len(found)} pods are resolved")


def _synced(session: Session) -> Outcome:
    running = [item.ref for item in _vclusters(session) if item.status == discovery.RUNNING]
    if not running:
        return skipped("no virtual cluster runs")
    counted = Counter(pod.vcluster for pod in _origins(session).all(PODS))
    without = [ref.path for ref in running if not counted.get(ref)]
    if without:
        return warned(f"no pods on the host: {', '.join(without)}", "elsewhere")
    return passed(f"{sum(counted.values())} pods of virtual clusters run on the host")


_FAKE = {
    "fake": Cause(
        "nodes are not synced, so those inside are made up: their capacity, and shares of it, mean nothing there",
        "sync.fromHost.nodes.enabled: true in the virtual cluster's values; `top nodes --vcluster` shows the host's",
        "https://www.vcluster.com/docs/vcluster/configure/vcluster-yaml/sync/from-host/nodes",
    )
}


class _Secret(msgspec.Struct):
    data: dict[str, str] = {}


def _nodes(session: Session) -> Outcome:
    running = [item.ref for item in _vclusters(session) if item.status == discovery.RUNNING]
    fake, known = [], 0
    for ref in running:
        config = _config(session, ref)
        if config is None:
            continue
        known += 1
        if not _at(config, "sync", "fromHost", "nodes", "enabled") and not _at(config, "privateNodes", "enabled"):
            fake.append(ref.path)
    if not known:
        return skipped("no virtual cluster's configuration may be read" if running else "no virtual cluster runs")
    if fake:
        return warned(f"nodes are made up inside of {some(fake)}", "fake")
    return passed(f"{known} virtual clusters have real nodes")


def _config(session: Session, ref: VClusterRef) -> Any:
    """The values of a virtual cluster, which its chart keeps in a Secret; None where they may not be read."""
    path = f"/api/v1/namespaces/{escape(ref.host_namespace)}/secrets/{escape(f'vc-config-{ref.name}')}"
    try:
        text = base64.b64decode(session.client.decode(path, decoder(_Secret)).data.get("config.yaml", ""))
        return yaml.safe_load(text) or {}
    except (Forbidden, NotFound, ValueError, yaml.YAMLError):
        return None


def _at(found: Any, *keys: str) -> Any:
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


CHECKS = (
    Check("VM301", AREA, "virtual clusters", _RUNNING, _running),
    Check("VM302", AREA, "names", _NAMES, _names),
    Check("VM303", AREA, "pods on the host", _EMPTY, _synced),
    Check("VM304", AREA, "nodes inside", _FAKE, _nodes),
)
