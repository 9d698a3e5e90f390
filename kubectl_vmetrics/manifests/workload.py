"""The frame of a Deployment that serves HTTPS: what surrounds the containers of whatever runs in the cluster."""

from __future__ import annotations

from typing import Any

from .bundle import Object


def account(meta: Object) -> Object:
    """A ServiceAccount."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}


def service(meta: Object, labels: Object, **port: Any) -> Object:
    """A Service on port 443 of the pods with these labels, and the rest of what its port says."""
    ports = [{"name": "https", "port": 443, **port, "targetPort": "https"}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": labels, "ports": ports}}


def budget(meta: Object, labels: Object, **limit: int) -> Object:
    """A PodDisruptionBudget: minAvailable or maxUnavailable of the pods with these labels."""
    spec = {**limit, "selector": {"matchLabels": labels}}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}


def deployment(meta: Object, labels: Object, replicas: int, pod: Object, **more: Any) -> Object:
    """A Deployment of a pod, and the rest of its spec."""
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        **more,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def probe(path: str, period: int, **more: int) -> Object:
    """A probe of the HTTPS port, every so many seconds; three failures in a row count unless `more` says otherwise."""
    target = {"path": path, "port": "https", "scheme": "HTTPS"}
    return {"httpGet": target, "periodSeconds": period, "failureThreshold": 3, **more}


def confined(**more: Any) -> Object:
    """The security context of a container that needs no rights on its node, and the rest of it."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        **more,
    }
