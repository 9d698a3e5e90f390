"""The GPUs of a cluster: how many each node has, what each pod asked for, and what dcgm-exporters report.

A dcgm-exporter is asked through the apiserver's proxy of its pod (https://github.com/NVIDIA/dcgm-exporter). Anybody who
can create a pod can give it the exporter's labels: only pods of a DaemonSet on the host count, and none of a tenant.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import msgspec

from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.core import ObjectMeta
from kubectl_vmetrics.kube.errors import MetricsNotAvailable, StatusError, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all, pods_path

from . import dcgm, requests
from .dcgm import Gpu
from .findings import counted, some
from .samples import Reader
from .text import Checked
from .usage import HostPod

SELECTORS = ("app=nvidia-dcgm-exporter", "app.kubernetes.io/name=dcgm-exporter")
"""Labels of the exporter's pods, as the GPU operator and the exporter's own chart set them."""
PORT = 9400
LIMIT = 10.0
"""Seconds for one exporter, which collects every 15 or 30 s and answers from memory."""
IDLE = 1.0
"""Percent of utilization below which a GPU that is assigned to a pod counts as idle."""
QUOTED = 200
"""Characters of an answer that a message holds at most."""
_TEXT = "text/plain;version=0.0.4"
_SYNCED = "vcluster.loft.sh/managed-by"
_RUNNING = "status.phase!=Succeeded,status.phase!=Failed"
_MANY = 24


class _Owner(msgspec.Struct):
    kind: str = ""
    controller: bool = False


class _Meta(ObjectMeta):
    owners: list[_Owner] = msgspec.field(default_factory=list, name="ownerReferences")


class _Port(msgspec.Struct):
    number: int = msgspec.field(default=0, name="containerPort")
    name: str = ""


class _Get(msgspec.Struct):
    scheme: str = "HTTP"


class _Probe(msgspec.Struct):
    get: _Get | None = msgspec.field(default=None, name="httpGet")


class _Container(msgspec.Struct):
    ports: list[_Port] = []
    liveness: _Probe | None = msgspec.field(default=None, name="livenessProbe")


class _Spec(msgspec.Struct):
    node: str = msgspec.field(default="", name="nodeName")
    containers: list[_Container] = []


class _Status(msgspec.Struct):
    phase: str = ""


class Exporter(msgspec.Struct):
    """A dcgm-exporter's pod."""

    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)

    @property
    def node(self) -> str:
        """The node whose GPUs it reports."""
        return self.spec.node

    @property
    def path(self) -> str:
        """Its metrics, through the apiserver."""
        ports = [(port, container) for container in self.spec.containers for port in container.ports if port.number]
        port, container = next(
            ((port, container) for port, container in ports if port.name == "metrics" or port.number == PORT),
            ports[0] if ports else (_Port(PORT), _Container()),
        )
        probe = container.liveness.get if container.liveness else None
        scheme = "https:" if probe and probe.scheme == "HTTPS" else ""
        name = f"{scheme}{escape(self.metadata.name)}:{port.number}"
        return f"{pods_path(self.metadata.namespace)}/{name}/proxy/metrics"

    def genuine(self, tenants: Collection[str]) -> bool:
        """Whether it is the host's: of a DaemonSet, and neither synced nor in a namespace of tenants."""
        meta = self.metadata
        owned = any(owner.kind == "DaemonSet" and owner.controller for owner in meta.owners)
        return owned and _SYNCED not in meta.labels and meta.namespace not in tenants


class Device(NamedTuple):
    """A GPU or slice, and its node."""

    node: str
    gpu: Gpu

    @property
    def holders(self) -> list[HostPod]:
        """The pods that it is assigned to."""
        return list(dict.fromkeys(HostPod(item.namespace, item.pod) for item in self.gpu.holders))


class Assigned(NamedTuple):
    """What one pod has of GPUs.

    Attributes:
        devices: how many, slices included.
        percent: utilization of all of them together: 150 is one and a half. None if not reported, as used and total.
        used, total: bytes of memory.
        shared: whether the numbers are an equal part of a device that several pods share, thus an estimate.
    """

    devices: int = 0
    percent: float | None = None
    used: int | None = None
    total: int | None = None
    shared: bool = False


class Found(NamedTuple):
    """The GPUs of a cluster.

    Attributes:
        devices: in order of node and index.
        nodes: how many GPUs and slices each node can assign.
        requested: how many each pod asked for; pods without are left out.
        mute: the nodes whose exporter does not report pods.
        warnings: what could not be read.
    """

    devices: list[Device]
    nodes: dict[str, int]
    requested: dict[HostPod, int]
    mute: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()

    def of_pods(self) -> dict[HostPod, Assigned]:
        """What each pod has."""
        parts: dict[HostPod, list[tuple[Gpu, int]]] = {}
        for device in self.devices:
            for holder in device.holders:
                parts.setdefault(holder, []).append((device.gpu, len(device.holders)))
        return {holder: _assigned(shares) for holder, shares in parts.items()}


def is_gpu(resource: str) -> bool:
    """Whether an extended resource is a GPU, or a part of one, of any vendor.

    >>> is_gpu("nvidia.com/mig-1g.10gb"), is_gpu("amd.com/gpu"), is_gpu("nvidia.com/gpu.shared"), is_gpu("x.com/gpus")
    (True, True, True, False)
    """
    vendor, _, name = resource.partition("/")
    return bool(name) and (name in ("gpu", "gpu.shared") or name.startswith("mig-") or vendor == "gpu.intel.com")


def count(amounts: Mapping[str, int]) -> int:
    """The number of GPUs among amounts of resources."""
    return sum(amount for resource, amount in amounts.items() if is_gpu(resource))


def read(client: Client, tenants: Collection[str] = ()) -> Found:
    """Read nodes, exporters and the pods of nodes with GPUs.

    Args:
        client: the host.
        tenants: host namespaces whose pods are never trusted to be exporters.

    Raises:
        MetricsNotAvailable: there are GPUs, and no exporter.
        VmetricsError: no exporter could be read.
        StatusError, ConnectionFailed, BadAnswer: as Client.get, where nodes or pods cannot be listed.
    """
    answers: list[Any] = gather([partial(core.nodes, client), *(partial(_exporters, client, s) for s in SELECTORS)])
    for answer in answers:
        if isinstance(answer, VmetricsError):
            raise answer
    nodes = {node.metadata.name: _allocatable(node) for node in answers[0]}
    having = {name: number for name, number in nodes.items() if number}
    exporters = _genuine([*answers[1], *answers[2]], tenants)
    if not exporters:
        if not having:
            return Found([], {}, {})
        raise MetricsNotAvailable(
            f"GPU metrics not available: {counted(len(having), 'node')} {'has' if len(having) == 1 else 'have'} GPUs, "
            "but no DaemonSet runs dcgm-exporter",
            hint=f"install the GPU operator or dcgm-exporter; its pods are found by {' or '.join(SELECTORS)}",
        )
    asked = sorted({*having, *(item.node for item in exporters)})
    calls: list[Any] = [*(partial(_scrape, client, item) for item in exporters), *_pods(client, asked)]
    answers = gather(calls, limit=_MANY)
    texts, lists = answers[: len(exporters)], answers[len(exporters) :]
    pods: dict[HostPod, core.Pod] = {}
    for listed in lists:
        if isinstance(listed, VmetricsError):
            raise listed
        pods |= {HostPod(pod.metadata.namespace, pod.metadata.name): pod for pod in listed}
    requested = {name: number for name, pod in pods.items() if (number := requests_of(pod))}
    return _joined(exporters, texts, having, pods, requested)


def requests_of(pod: core.Pod) -> int:
    """How many GPUs a pod requests; 0 also if its quantities cannot be read."""
    try:
        return count(requests.of_pod(pod).requests)
    except ValueError:
        return 0


def _joined(
    exporters: list[Exporter],
    texts: list[Any],
    having: dict[str, int],
    pods: Mapping[HostPod, core.Pod],
    requested: dict[HostPod, int],
) -> Found:
    devices: list[Device] = []
    seen: set[tuple[str, str, str]] = set()
    failed: dict[str, list[str]] = {}
    reporting: set[str] = set()
    mute: set[str] = set()
    # Where two exporters run on a node, the one that reports pods is read first, and the other one adds nothing.
    answered = sorted(zip(exporters, texts, strict=True), key=lambda pair: not _reports_pods(pair[1]))
    for exporter, found in answered:
        if isinstance(found, VmetricsError):
            # What the exporter or the apiserver's proxy said, rather than that it said something.
            said = found.body if isinstance(found, StatusError) else ""
            failed.setdefault(said[:QUOTED] or found.message, []).append(exporter.node)
            continue
        reporting.add(exporter.node)
        on_node = [gpu for gpu in found if (exporter.node, gpu.uuid, gpu.instance) not in seen]
        seen |= {(exporter.node, gpu.uuid, gpu.instance) for gpu in on_node}
        users = [pod for pod in requested if pods[pod].spec.node == exporter.node]
        if on_node and users and not any(gpu.holders for gpu in on_node):
            mute.add(exporter.node)
        for gpu in on_node:
            # A pod that is no more may still be named, and so may one that never ran here.
            gpu.holders = [item for item in gpu.holders if _runs(pods, item, exporter.node)]
            devices.append(Device(exporter.node, gpu))
    # Another exporter on the node may have answered.
    failed = {why: sorted(set(where) - reporting) for why, where in failed.items()}
    warnings = [f"the GPUs of {some(where)} could not be read: {why}" for why, where in failed.items() if where]
    if warnings and not devices:
        raise VmetricsError("; ".join(warnings))  # one clear error instead of a warning and an empty table
    bad = {node for where in failed.values() for node in where}
    if lacking := sorted(set(having) - reporting - bad):
        warnings.append(f"no dcgm-exporter runs on {some(lacking)}, so GPUs there are not shown")
    if mute:
        warnings.append(
            f"the dcgm-exporter on {some(sorted(mute))} does not report pods: set DCGM_EXPORTER_KUBERNETES=true and "
            "mount /var/lib/kubelet/pod-resources"
        )
    devices.sort(key=lambda device: device.node)
    return Found(devices, having, requested, frozenset(mute), tuple(warnings))


def _reports_pods(found: list[Gpu] | VmetricsError) -> bool:
    return not isinstance(found, VmetricsError) and any(gpu.holders for gpu in found)


def _runs(pods: Mapping[HostPod, core.Pod], holder: dcgm.Holder, node: str) -> bool:
    pod = pods.get(HostPod(holder.namespace, holder.pod))
    return pod is not None and pod.spec.node == node


def _assigned(shares: list[tuple[Gpu, int]]) -> Assigned:
    def total(values: Iterable[tuple[float | None, int]]) -> float | None:
        known = [value / parts for value, parts in values if value is not None]
        return math.fsum(known) if known else None

    used = total((gpu.used, parts) for gpu, parts in shares)
    whole = total((gpu.total, parts) for gpu, parts in shares)
    return Assigned(
        len(shares),
        total((gpu.percent, parts) for gpu, parts in shares),
        None if used is None else int(used),
        None if whole is None else int(whole),
        any(parts > 1 for _, parts in shares),
    )


def _allocatable(node: core.Node) -> int:
    found = 0
    for resource, quantity in node.status.allocatable.items():
        # Devices are counted in whole numbers (k8s.io/kubelet device manager).
        if is_gpu(resource) and quantity.isascii() and quantity.isdecimal() and len(quantity) < 9:
            found += int(quantity)
    return found


def _exporters(client: Client, selector: str) -> list[Exporter]:
    found: list[Exporter] = list_all(
        client, pods_path(None), decoder(ObjectList[Exporter]), {"labelSelector": selector}
    )
    return found


def _genuine(listed: Iterable[Exporter], tenants: Collection[str]) -> list[Exporter]:
    """Those that count, each once, in order of node."""
    found = {
        (item.metadata.namespace, item.metadata.name): item
        for item in listed
        if item.node and item.status.phase == "Running" and item.genuine(tenants)
    }
    return sorted(found.values(), key=lambda item: (item.node, item.metadata.namespace, item.metadata.name))


def _pods(client: Client, nodes: list[str]) -> list[Any]:
    if len(nodes) > _MANY:
        return [partial(core.pods, client, None, fields=_RUNNING)]
    return [partial(core.pods, client, None, fields=f"spec.nodeName={node},{_RUNNING}") for node in nodes]


def _scrape(client: Client, exporter: Exporter) -> list[Gpu]:
    with client.stream(exporter.path, accept=_TEXT, limit=LIMIT) as stream:
        reader = Reader(dcgm.wanted, dcgm.labels)
        return dcgm.read(reader.read(Checked(stream.chunks, stream.content_type)))
