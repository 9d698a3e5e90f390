"""Virtual clusters: whether they run, whether their pods' names resolve, and whether they have pods on the host."""

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
from kubectl_vmetrics.metrics.findings import counted, is_, some
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope
from kubectl_vmetrics.vcluster import discovery, naming, origins, private_nodes
from kubectl_vmetrics.vcluster.discovery import VCluster
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import PODS, Origins

from .check import Cause, Check, Outcome, Session, failed, passed, skipped, warned

AREA = "vcluster"


def _vclusters(session: Session) -> list[VCluster]:
    return session.once("vclusters", lambda: discovery.find(session.client, None))


_RUNNING = {
    "paused": Cause(
        "a virtual cluster that is paused or scaled down has no pods, so it has no metrics",
        "vcluster resume NAME -n NAMESPACE",
        "https://www.vcluster.com/docs/vcluster/manage/sleep-wake",
    ),
    "not-ready": Cause(
        "the control plane is not ready; its pods keep running and still have metrics",
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
    return passed(f"{counted(len(found), 'virtual cluster')} {is_(len(found))} running", seen)


_NAMES = {
    "hidden": Cause(
        "names that were too long are hashed, and you are not allowed to read the annotations that hold the virtual "
        "name",
        "kubectl vmetrics manifests rbac --for 'top pods' --user YOU",
        "loft-sh/vcluster pkg/util/translate",
    )
}

_EMPTY = {
    "elsewhere": Cause(
        "its pods run on private nodes, whose metrics the host does not have, or it has none",
        "kubectl vmetrics top vclusters --private-nodes",
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
            names = "name" if len(hashed) == 1 else "names"
            text = f"the {names} of {counted(len(hashed), 'pod')} cannot be resolved: {some(hashed)}"
            return warned(text, "hidden", "", hashed)
        return passed("no name is hashed")
    count = len(found)
    if not count:
        return skipped("no virtual cluster has pods on the host")
    counts = Counter(pod.vcluster.path for pod in found if pod.vcluster)
    seen = [f"{path}: {counted(number, 'name')} resolved" for path, number in sorted(counts.items())]
    return passed("the name of 1 pod is resolved" if count == 1 else f"the names of {count} pods are resolved", seen)


def _synced(session: Session) -> Outcome:
    running = [item.ref for item in _vclusters(session) if item.status == discovery.RUNNING]
    if not running:
        return skipped("no virtual cluster is running")
    counts = Counter(pod.vcluster for pod in _origins(session).all(PODS))
    seen = [f"{ref.path}: {counted(counts.get(ref, 0), 'pod')} on the host" for ref in running]
    own = private_nodes.find(session.client, _vclusters(session), {ref for ref in running if counts.get(ref)})
    seen += [f"{ref.path}: private nodes" for ref in sorted(own)]
    without = [ref.path for ref in running if not counts.get(ref) and ref not in own]
    if without:
        return warned(f"no pods on the host: {some(without)}", "elsewhere", "", seen)
    whole = sum(counts.values())
    return passed(f"{counted(whole, 'pod')} of virtual clusters {'runs' if whole == 1 else 'run'} on the host", seen)


_FAKE = {
    "fake": Cause(
        "host nodes are not synced, so the tenant sees pseudo nodes, whose capacity and percentages have no meaning",
        "set sync.fromHost.nodes.enabled: true in the virtual cluster's values; `top nodes --vcluster` shows host "
        "nodes",
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
            seen.append(f"{ref.path}: you are not allowed to read its configuration")
            continue
        known += 1
        synced = {key: bool(_at(config, *key.split("."), "enabled")) for key in ("sync.fromHost.nodes", "privateNodes")}
        seen.append(f"{ref.path}: " + ", ".join(f"{key}.enabled is {str(on).lower()}" for key, on in synced.items()))
        if not any(synced.values()):
            fake.append(ref.path)
    if not known:
        if not running:
            return skipped("no virtual cluster is running")
        return skipped("you are not allowed to read the configuration of any virtual cluster", seen, refused=True)
    if fake:
        return warned(f"nodes are not synced: {some(fake)}", "fake", "", seen)
    return passed(
        f"{counted(known, 'virtual cluster')} {'has' if known == 1 else 'have'} synced or private nodes", seen
    )


def _config(session: Session, ref: VClusterRef) -> Any:
    """The values of a virtual cluster, which its chart stores in a Secret; None if they cannot be read."""
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
    Check("VM304", AREA, "synced nodes", _FAKE, _nodes),
)
