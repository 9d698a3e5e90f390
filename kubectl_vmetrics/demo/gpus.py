"""The demo cluster's GPUs: nodes that have some, pods that use them or do not, and an exporter on each node.

The exporter's text has the shape of dcgm-exporter's template (internal/pkg/rendermetrics/render_metrics.go): families
in order of their field IDs, and labels in the order that it writes them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import partial

from kubectl_vmetrics.kube.discovery import ApiResource
from kubectl_vmetrics.vcluster import naming

from .cluster import Cluster, Container, DemoGpu, DemoNode, DemoPod, DemoSlice, Origin
from .exchange import Key, Reply, Request, missing
from .machines import same_uid
from .objects import Object
from .usage import PERIOD
from .world import World

NAMESPACE, DAEMON_SET, PORT = "gpu-operator", "nvidia-dcgm-exporter", 9400
WHOLE = "nvidia.com/gpu"
TAINT = {"key": WHOLE, "value": "present", "effect": "NoSchedule"}
DRIVER = "580.95.05"
_PATH = re.compile(rf"/api/v1/namespaces/{NAMESPACE}/pods/([^/:]+):{PORT}/proxy/metrics/?")
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_IMAGE = "nvcr.io/nvidia/k8s/dcgm-exporter:4.4.1-4.6.0-ubuntu22.04"
_MINUTES = 30_000
_SLICES = (
    DemoSlice("3g.40gb", 1, 40_448),
    DemoSlice("2g.20gb", 3, 20_096),
    DemoSlice("1g.10gb", 9, 9856),
    DemoSlice("1g.10gb", 10, 9856),
)
_USERS = (
    # Which virtual cluster (None: the host itself), namespace, name, node, resource, how many, percent, MiB of GPU
    (0, "ml", "trainer-0", 0, WHOLE, 2, 93.0, 72_640),
    (0, "ml", "notebook-0", 0, WHOLE, 1, 0.0, 1_214),
    (1, "serving", "chat-0", 1, "nvidia.com/mig-3g.40gb", 1, 41.0, 33_110),
    (2, "default", "scoring-0", 1, "nvidia.com/mig-2g.20gb", 1, 64.0, 15_872),
    (None, "ml-platform", "embedder-0", 1, "nvidia.com/mig-1g.10gb", 1, 18.0, 6_390),
)


def furnished(cluster: Cluster) -> Cluster:
    """The same with its nodes that have GPUs, and pods that asked for some."""
    if not cluster.gpu_nodes:
        return cluster
    nodes = [_node(index) for index in range(cluster.gpu_nodes)]
    pods = [*cluster.pods, *_pods(cluster, [node.name for node in nodes])]
    pods.sort(key=lambda pod: (pod.namespace, pod.name))
    spaces = sorted({*cluster.namespaces, NAMESPACE, *(pod.namespace for pod in pods)})
    return cluster._replace(nodes=[*cluster.nodes, *nodes], pods=pods, namespaces=spaces)


def _node(index: int) -> DemoNode:
    name = f"gpu-{index + 1}"
    sliced = index == 1
    model, memory = ("NVIDIA H100 80GB HBM3", 81_559) if sliced else ("NVIDIA A100-SXM4-80GB", 81_920)
    gpus = tuple(
        DemoGpu(at, model, f"GPU-{same_uid(f'{name}/{at}')}", memory, _SLICES if sliced else ())
        for at in range(1 if sliced else 4)
    )
    return DemoNode(name, 64, 512, f"10.0.200.{index + 1}", gpus)


def _pods(cluster: Cluster, nodes: list[str]) -> Iterator[DemoPod]:
    for node in nodes:
        proxy = Container("kube-proxy", "registry.k8s.io/kube-proxy:v1.36.2", 4, 28)
        yield _daemon("kube-system", f"kube-proxy-{same_uid(node)[:5]}", node, {"k8s-app": "kube-proxy"}, proxy)
        exporter = Container(DAEMON_SET, _IMAGE, 9, 210)
        yield _daemon(NAMESPACE, f"{DAEMON_SET}-{same_uid(node)[:5]}", node, {"app": DAEMON_SET}, exporter)
    for of, namespace, name, at, resource, count, _, _ in _USERS:
        if at >= len(nodes) or (of is not None and (of >= len(cluster.vclusters) or cluster.vclusters[of].paused)):
            continue
        app = name.rpartition("-")[0]
        main = Container("main", f"registry.example/{app}:2.0.1", 1800, 6144, gpus=(resource, count))
        labels = {"app": app, "apps.kubernetes.io/pod-index": "0"}
        uid, phase = same_uid(f"{namespace}/{name}"), sum(map(ord, name)) % 628 / 100
        if of is None:
            owner = ("StatefulSet", app)
            yield DemoPod(namespace, name, uid, nodes[at], labels, (main,), owner, None, phase, 4_000)
            continue
        vcluster = cluster.vclusters[of]
        origin = Origin(vcluster.name, namespace, name, same_uid(f"{vcluster.namespace}/{vcluster.name}/{name}"))
        labels |= {
            naming.MANAGED_BY: vcluster.name,
            naming.NAMESPACE: namespace,
            naming.namespace_label_key(vcluster.name, "kubernetes.io/metadata.name"): namespace,
        }
        host = naming.host_name(name, namespace, vcluster.name)
        yield DemoPod(
            vcluster.namespace, host, uid, nodes[at], labels, (main,), ("StatefulSet", app), origin, phase, 4_000
        )


def _daemon(namespace: str, name: str, node: str, labels: dict[str, str], container: Container) -> DemoPod:
    owner, phase = ("DaemonSet", container.name), sum(map(ord, name)) % 628 / 100
    return DemoPod(namespace, name, same_uid(name), node, labels, (container,), owner, None, phase, _MINUTES)


def sign_up(world: World) -> None:
    """Answer for the exporters."""
    nodes = {node.name: node for node in world.cluster.nodes if node.gpus}
    if not nodes:
        return
    key = Key(NAMESPACE, DAEMON_SET, {"app": DAEMON_SET}, {}, partial(_daemon_set, world, len(nodes)))
    world.add(ApiResource("apps", "v1", "daemonsets", "DaemonSet", True, ("ds",)), [key])

    def route(request: Request) -> Reply | None:
        found = _PATH.fullmatch(request.path)
        if not found:
            return None
        pod = next((item for item in world.pods_in(NAMESPACE) if item.name == found[1]), None)
        if pod is None or pod.owner[1] != DAEMON_SET:
            raise missing("pods", found[1])
        text = exposition(nodes[pod.node], world.pods_on(pod.node), world.seconds())
        return Reply(200, text.encode(), _TEXT)

    world.routes.append(route)


def assigned(node: DemoNode, pods: list[DemoPod]) -> dict[tuple[int, int], DemoPod]:
    """Which pod has which device and slice (0 for a whole device): in order, as a device plugin may hand them out."""
    free: dict[str, list[tuple[int, int]]] = {}
    for gpu in node.gpus:
        if not gpu.slices:
            free.setdefault(WHOLE, []).append((gpu.number, 0))
        for part in gpu.slices:
            free.setdefault(f"nvidia.com/mig-{part.profile}", []).append((gpu.number, part.instance))
    found = {}
    for pod in pods:
        for container in pod.containers:
            resource, count = container.gpus
            for _ in range(min(count, len(free.get(resource, ())))):
                found[free[resource].pop(0)] = pod
    return found


def exposition(node: DemoNode, pods: list[DemoPod], seconds: float) -> str:
    """What the exporter of a node reports, so many seconds after the start of the demo."""
    rows = [
        (",".join(f'{key}="{value}"' for key, value in labels.items()), values)
        for labels, values in devices(node, assigned(node, pods), seconds)
    ]
    lines: list[str] = []
    for index, (name, text) in enumerate(FAMILIES):
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        lines += [f"{name}{{{labels}}} {values[index]}" for labels, values in rows if values[index]]
    return "\n".join(lines) + "\n"


FAMILIES = (
    ("DCGM_FI_DEV_GPU_TEMP", "GPU temperature (in C)."),
    ("DCGM_FI_DEV_POWER_USAGE", "Power draw (in W)."),
    ("DCGM_FI_DEV_GPU_UTIL", "GPU utilization (in %)."),
    ("DCGM_FI_DEV_FB_FREE", "Framebuffer memory free (in MiB)."),
    ("DCGM_FI_DEV_FB_USED", "Framebuffer memory used (in MiB)."),
    ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "Ratio of time the graphics engine is active."),
)


def devices(
    node: DemoNode, users: dict[tuple[int, int], DemoPod], seconds: float
) -> Iterator[tuple[dict[str, str], tuple[str, ...]]]:
    """Labels of each device or slice of a node, and a value for each of FAMILIES; "" where it has none."""
    for gpu in node.gpus:
        parts = gpu.slices or (DemoSlice("", 0, gpu.mebibytes),)
        loads = [_load(users.get((gpu.number, part.instance)), seconds) for part in parts]
        busy = sum(percent * part.mebibytes for part, (percent, _) in zip(parts, loads, strict=True)) / sum(
            part.mebibytes for part in parts
        )
        for part, (percent, used) in zip(parts, loads, strict=True):
            pod = users.get((gpu.number, part.instance))
            labels = {
                "gpu": str(gpu.number),
                "UUID": gpu.uuid,
                "pci_bus_id": f"00000000:{7 + 8 * gpu.number:02X}:00.0",
                "device": f"nvidia{gpu.number}",
                "modelName": gpu.model,
                **({"GPU_I_PROFILE": part.profile, "GPU_I_ID": str(part.instance)} if part.profile else {}),
                "Hostname": node.name,
                "DCGM_FI_DRIVER_VERSION": DRIVER,
                **({"container": "main", "namespace": pod.namespace, "pod": pod.name} if pod else {}),
            }
            values = (
                f"{34 + busy * 0.4:.0f}",
                f"{62 + busy * 3.3:.6f}",
                "" if part.profile else f"{percent:.0f}",
                str(part.mebibytes - used),
                str(used),
                f"{percent / 100:.6f}",
            )
            yield labels, values


def _load(pod: DemoPod | None, seconds: float) -> tuple[float, int]:
    """Percent and MiB that a pod uses of each of its devices at a moment."""
    if pod is None:
        return 0.0, 4
    name = pod.origin.name if pod.origin else pod.name
    percent, used = next((item[6], item[7]) for item in _USERS if item[2] == name)
    swing = 1 + 0.06 * math.sin(pod.phase + 2 * math.pi / PERIOD * seconds)
    return min(100.0, percent * swing), used


def _daemon_set(world: World, count: int) -> Object:
    meta = {"name": DAEMON_SET, "namespace": NAMESPACE, "labels": {"app": DAEMON_SET}, "resourceVersion": "1000"}
    meta["creationTimestamp"] = world.objects.stamp(_MINUTES)
    selector = {"matchLabels": {"app": DAEMON_SET}}
    status = {"desiredNumberScheduled": count, "numberReady": count}
    kind = {"kind": "DaemonSet", "apiVersion": "apps/v1", "metadata": meta}
    return {**kind, "spec": {"selector": selector}, "status": status}
