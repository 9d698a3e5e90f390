"""Why there are no metrics of pods: what `kubectl top` checks when a list is empty.

k8s.io/kubectl/pkg/cmd/top/top_pod.go, verifyEmptyMetrics and checkPodAge.
"""

from __future__ import annotations

import datetime

from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.duration import render
from kubectl_vmetrics.kube.errors import Forbidden, MetricsNotAvailable
from kubectl_vmetrics.kube.lists import ObjectList, decoder, pods_path

from .metrics_api import Scope

EXPECTED_WITHIN = 120.0
"""Seconds after its creation in which a pod may be without metrics."""


def explain(client: Client, scope: Scope, now: datetime.datetime) -> None:
    """Return if there are no pods, so that no metrics are missing.

    Raises:
        MetricsNotAvailable: there are pods; the message says whether they are old enough to have metrics.
        StatusError, ConnectionFailed, BadAnswer: as Client.get.
    """
    try:
        found = _some(client, scope.namespace, scope)
    except Forbidden:
        if scope.namespace:
            raise
        found = _some(client, client.namespace, scope)
    for pod in found:
        age = _age(pod, now)
        if age > EXPECTED_WITHIN:
            where = f"{pod.metadata.namespace}/{pod.metadata.name}"
            raise MetricsNotAvailable(
                f"Metrics not available for pod {where}, age: {render(age)}",
                hint="metrics-server has just started or cannot scrape kubelets: check its log",
            )
    if found:
        raise MetricsNotAvailable("metrics not available yet", hint="new pods have metrics within two minutes")


def _some(client: Client, namespace: str | None, scope: Scope) -> list[core.Pod]:
    # A few pods are enough to decide.
    params = {"labelSelector": scope.labels, "fieldSelector": scope.fields, "limit": 100}
    found = client.decode(pods_path(namespace), decoder(ObjectList[core.Pod]), params)
    return [pod for pod in found.items or [] if pod.status.phase not in ("Succeeded", "Failed")]


def _age(pod: core.Pod, now: datetime.datetime) -> float:
    try:
        created = datetime.datetime.fromisoformat((pod.metadata.created or "").replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    return (now - created).total_seconds()
