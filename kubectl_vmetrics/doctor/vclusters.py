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
from kubectl_vmetrics.metrics.findings import counted, some
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
    seen = [f"{item.ref.path}: {item.status}{f', vCluster {item.version}' if item.version else ''}" for item in found]
    broken = [item.ref.path for item in found if item.status == discovery.NOT_READY]
    if broken:
        return failed(f"not ready: {some(broken)}", "not-ready", "", seen)
    asleep = [item.ref.path for item in found if item.status in (discovery.PAUSED, discovery.SCALED_DOWN)]
    if asleep:
        return warned(f"asleep: {some(asleep)}", "paused", "", seen)
    return passed(f"{counted(len(found), 'virtual cluster')} {'runs' if len(found) == 1 else 'run'}", seen)


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
            text = f"{counted(len(hashed), 'pod')} whose names cannot be resolved: {some(hashed)}"
            return warned(text, "hidden", "", hashed)
        return passed("no name is hashed")
    count = len(found)
    if not count:
        return skipped("virtual clusters have no pods on the host")
    counts = Counter(pod.vcluster.path for pod in found if pod.vcluster)
    seen = [f"{path}: {counted(number, 'name')} resolved" for path, number in sorted(counts.items())]
    return passed("the name of 1 pod is resolved" if count == 1 else f"the names of {count} pods are resolved", seen)


def _synced(session: Session) -> Outcome:
    running = [item.ref for item in _vclusters(session) if item.status == discovery.RUNNING]
    if not running:
        return skipped("no virtual cluster runs")
    counts = Counter(pod.vcluster for pod in _origins(session).all(PODS))
    seen = [f"{ref.path}: {counted(counts.get(ref, 0), 'pod')} on the host" for ref in running]
    without = [ref.path for ref in running if not counts.get(ref)]
    if without:
        return warned(f"no pods on the host: {some(without)}", "elsewhere", "", seen)
    whole = sum(counts.values())
    return passed(f"{counted(whole, 'pod')} of virtual clusters {'runs' if whole == 1 else 'run'} on the host", seen)


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
    fake, known, seen = [], 0, []
    for ref in running:
        config = _config(session, ref)
        if config is None:
            seen.append(f"{ref.path}: its configuration may not be read")
            continue
        known += 1
        synced = {key: bool(_at(config, *key.split("."), "enabled")) for key in ("sync.fromHost.nodes", "privateNodes")}
        seen.append(f"{ref.path}: " + ", ".join(f"{key}.enabled is {str(on).lower()}" for key, on in synced.items()))
        if not any(synced.values()):
            fake.append(ref.path)
    if not known:
        if not running:
            return skipped("no virtual cluster runs")
        return skipped("no virtual cluster's configuration may be read", seen, refused=True)
    if fake:
        return warned(f"nodes are made up inside of {some(fake)}", "fake", "", seen)
    return passed(f"{counted(known, 'virtual cluster')} {'has' if known == 1 else 'have'} real nodes", seen)


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
