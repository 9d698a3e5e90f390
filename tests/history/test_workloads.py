"""Workloads by owners and by names, and what a hostile annotation can do: nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from kubectl_vmetrics.demo import past, server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.history import names as history_names
from kubectl_vmetrics.history import workloads
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.history.workloads import Workload, by_name, owned, referenced
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.prometheus import find, login, way
from kubectl_vmetrics.prometheus.api import Prometheus
from tests.prometheus import MISSING

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def encoded(number: int) -> str:
    """SafeEncodeString of k8s.io/apimachinery/pkg/util/rand, of a decimal number."""
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(number))


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        # Names of the recording: a real controller-manager made them.
        ("frontend-555bff6788-c52js", Workload("Deployment", "frontend")),
        ("db-0", Workload("StatefulSet", "db")),
        ("db-117", Workload("StatefulSet", "db")),
        ("my-app-v2-6d5f9c7b8d-x7k2p", Workload("Deployment", "my-app-v2")),
        ("backup-29471040-lp9dz", Workload("CronJob", "backup")),
        ("backup-29471040-3-lp9dz", Workload("CronJob", "backup")),
        ("indexed-3-lp9dz", Workload("Job", "indexed")),
        ("kube-proxy-x7k2p", Workload("", "kube-proxy")),
        ("plain", Workload("Pod", "plain")),
        ("burner", Workload("Pod", "burner")),
        ("a-x-b", Workload("Pod", "a-x-b")),
        # No hash: it has letters that none has.
        ("api-production-x7k2p", Workload("", "api-production")),
        # A hash of digits only is not the minute of a CronJob.
        ("app-9876549876-x7k2p", Workload("Deployment", "app")),
        ("0", Workload("Pod", "0")),
        ("-0", Workload("Pod", "-0")),
        ("", Workload("Pod", "")),
    ],
)
def test_by_name(pod: str, expected: Workload) -> None:
    assert by_name(pod) == expected


def test_hashes_of_replica_sets_are_recognized() -> None:
    """As the controller makes them: an FNV sum of 32 bits, in other letters."""
    for index in range(3000):
        number = int.from_bytes(hashlib.sha256(str(index).encode()).digest()[:4], "big")
        name = f"web-{encoded(number)}"
        if number >= 10_000_000:  # 99.8 % of all
            assert owned("ReplicaSet", name) == Workload("Deployment", "web")
            assert by_name(f"{name}-x7k2p") == Workload("Deployment", "web")


@pytest.mark.parametrize("length", range(40, 59))
def test_names_that_were_cut_off(length: int) -> None:
    """generateName keeps 58 characters of the ReplicaSet's name (k8s.io/apiserver pkg/storage/names)."""
    deployment = ("x" * length + "-y")[-length:] if length < 47 else "a" * (length - 2) + "-y"
    base = f"{deployment}-6d5f9c7b8d-"[:58]
    found = by_name(f"{base}x7k2p")
    if len(f"{deployment}-6") <= 58:
        assert found == Workload("Deployment", deployment)
    assert len(found.name) <= 63


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("ReplicaSet", "cart-6d5f9c7b8d", Workload("Deployment", "cart")),
        ("ReplicaSet", "bare", Workload("ReplicaSet", "bare")),
        ("Job", "backup-29471040", Workload("CronJob", "backup")),
        ("Job", "migrate-2", Workload("Job", "migrate-2")),
        ("StatefulSet", "db", Workload("StatefulSet", "db")),
        ("Rollout", "web", Workload("Rollout", "web")),
    ],
)
def test_owned(kind: str, name: str, expected: Workload) -> None:
    assert owned(kind, name) == expected


def reference(**more: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart-1", "uid": "u", "controller": True, **more}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (json.dumps([reference()]), ("ReplicaSet", "cart-1")),
        (json.dumps([reference(controller=False, name="other"), reference()]), ("ReplicaSet", "cart-1")),
        (json.dumps([reference(controller=False)]), ("ReplicaSet", "cart-1")),
        ("[]", None),
        ("", None),
        ("null", None),
        ("{", None),
        ('{"kind":"ReplicaSet","name":"x"}', None),
        (json.dumps([reference(name="\x1b[31mred")]), None),
        (json.dumps([reference(name="../x")]), None),
        (json.dumps([reference(kind="Replica Set")]), None),
        (json.dumps([reference(kind=7)]), None),
        (json.dumps([reference(name="x" * 5000)]), None),
        (json.dumps([reference()] * 200), None),
        ("[" * 4000, None),
        ("[" * 10_000_000, None),
    ],
)
def test_the_annotation_of_a_host_pod(annotation: str, expected: tuple[str, str] | None) -> None:
    assert referenced(annotation) == expected


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[Apiserver, Client, Prometheus]]:
    apiserver = Apiserver(build(Shape(tenants=0)))
    with server.serving(apiserver) as url:
        client = Client(login.connection(url, login.Login()))
        place = find.named(client, "monitoring", "prometheus-k8s")
        yield apiserver, client, Prometheus(way.by_service(client, place, {}))


@MISSING
@pytest.mark.parametrize("live", [True, False])
def test_workloads_of_the_demo(demo: tuple[Apiserver, Client, Prometheus], live: bool) -> None:
    """All pods of a week by their owners: with the annotations of live pods, and by names and kube_pod_owner alone."""
    apiserver, client, prometheus = demo
    now = apiserver.clock()
    window = Window(now - 7 * 86_400, now)
    names = history_names.read(prometheus, window, client)
    found = workloads.read(prometheus, window, names, client if live else None)

    seen = set()
    for life in past.lives(apiserver.world):
        if (life.end or 0.0) > -6.9 * 86_400:
            pod = life.pod
            seen.add(pod.owner[0])
            assert found.of(pod.namespace, pod.name) == owned(*pod.owner), pod
    assert seen == {"ReplicaSet", "StatefulSet", "DaemonSet", "Job", "VirtualMachineInstance"}


def test_the_kind_of_a_pod_that_is_gone_is_that_of_its_successor() -> None:
    """A DaemonSet's pod of the past has a name that says no kind; another pod's owner does."""
    names = history_names.Names()
    known = {("kube-system", "node-agent-2-x7k2p"): ("DaemonSet", "node-agent-2")}
    found = workloads.Workloads(names, known)

    assert found.of("kube-system", "node-agent-2-bbbbb") == Workload("DaemonSet", "node-agent-2")
    assert found.of("other", "node-agent-2-bbbbb") == Workload("Job", "node-agent")
    assert found.of("other", "proxy-bbbbb") == Workload("", "proxy")
