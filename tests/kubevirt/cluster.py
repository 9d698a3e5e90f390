"""A cluster with KubeVirt, scripted: what its objects are, and what its handlers answer one scrape after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubectl_vmetrics.kubevirt import components, recall
from kubectl_vmetrics.metrics import earlier
from kubectl_vmetrics.metrics import sampling as metrics_sampling

RECORDINGS = Path(__file__).parents[1] / "recordings" / "kubevirt"
HANDLER = "/api/v1/namespaces/kubevirt/pods/https:{name}:8443/proxy/metrics"
API = "/apis/kubevirt.io/v1"


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000.0
        self.slept: list[float] = []
        fake = SimpleNamespace(time=lambda: self.now, sleep=self._sleep, monotonic=time.monotonic)
        for module in (components, earlier, metrics_sampling):
            monkeypatch.setattr(module, "time", fake)
        assert not hasattr(recall, "time")

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def recorded(name: str) -> bytes:
    return (RECORDINGS / name).read_bytes()


def pod(name: str, node: str, *, ready: bool = True) -> dict[str, Any]:
    """A component's pod; a virt-handler where its name says nothing else."""
    kind = name.rpartition("-")[0] if name.startswith("virt-") else "virt-handler"
    image = f"quay.io/kubevirt/{kind}:v1.9.0"
    return {
        "metadata": {
            "name": name,
            "namespace": "kubevirt",
            "labels": {"kubevirt.io": kind, "prometheus.kubevirt.io": "true"},
        },
        "spec": {
            "nodeName": node,
            "containers": [{"image": image, "ports": [{"name": "metrics", "containerPort": 8443}]}],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.1",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def machine(namespace: str, name: str, node: str, vcpus: int, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": {"app": name}},
        "spec": {"domain": {"cpu": {"cores": vcpus}}},
        "status": {"phase": "Running", "nodeName": node, **status},
    }


def scrapes(*texts: bytes) -> Callable[[Any], Any]:
    """One text after the other, the last again and again."""
    left = list(texts)

    def answer(_: Any) -> tuple[int, bytes]:
        return 200, left.pop(0) if len(left) > 1 else left[0]

    return answer


def cluster(handlers: dict[tuple[str, str], Any], machines: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Answers by path; `handlers` by (pod, node). Without machines they may not be listed."""
    forbidden = {
        "kind": "Status",
        "code": 403,
        "reason": "Forbidden",
        "message": "virtualmachineinstances is forbidden",
    }

    def listed(namespace: str | None) -> Any:
        if machines is None:
            return lambda _: (403, forbidden)
        return {"items": [m for m in machines if namespace in (None, m["metadata"]["namespace"])]}

    kubevirt = {"metadata": {"name": "kubevirt", "namespace": "kubevirt"}, "status": {"phase": "Deployed"}}
    spaces = {m["metadata"]["namespace"] for m in machines or []} | {"default", "prod", "dev"}
    return {
        f"{API}/kubevirts": {"items": [kubevirt]},
        "/api/v1/namespaces/kubevirt/pods": {"items": [pod(name, node) for name, node in handlers]},
        f"{API}/virtualmachineinstances": listed(None),
        **{f"{API}/namespaces/{space}/virtualmachineinstances": listed(space) for space in spaces},
        **{HANDLER.format(name=name): answer for (name, _), answer in handlers.items()},
    }
