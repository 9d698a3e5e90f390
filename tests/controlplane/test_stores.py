"""Datastores: where their endpoints lead, and the etcds that are pods of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubectl_vmetrics.controlplane import stores
from kubectl_vmetrics.controlplane.stores import Host
from kubectl_vmetrics.kube.client import Client
from tests.conftest import Scripted
from tests.doctor.test_kamaji import API, SERVICE, SLICES, refused, slices, store

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("kamaji-etcd.ks.svc:2379", ("kamaji-etcd.ks.svc", "ks", "kamaji-etcd", "")),
        ("kamaji-etcd.ks.svc", ("kamaji-etcd.ks.svc", "ks", "kamaji-etcd", "")),
        ("Kamaji-etcd.ks.svc.cluster.local.:2379", ("kamaji-etcd.ks.svc.cluster.local", "ks", "kamaji-etcd", "")),
        ("etcd-0.etcd.ks.svc:2379", ("etcd-0.etcd.ks.svc", "ks", "etcd", "etcd-0")),
        ("etcd-0.etcd.ks.svc.cluster.local:2379", ("etcd-0.etcd.ks.svc.cluster.local", "ks", "etcd", "etcd-0")),
        ("db.example.com:5432", None),
        ("db.prod.example.com:5432", None),
        ("10.0.0.1:2379", None),
        ("[fd00::1]:2379", None),
        ("localhost:2379", None),
        ("", None),
        (":2379", None),
        ("..svc:2379", None),
        ("a,b.ks.svc:2379", None),
        ("a/../b.ks.svc:2379", None),
        ("-a.ks.svc:2379", None),
        (f"{'a' * 64}.ks.svc:2379", None),
    ],
)
def test_where_an_endpoint_leads(endpoint: str, expected: tuple[str, str, str, str] | None) -> None:
    assert stores.inside(endpoint) == (Host(*expected) if expected else None)


def external() -> dict[str, Any]:
    meta = {"name": "x", "namespace": "kamaji-system"}
    return {SLICES: {"items": [{"metadata": meta, "endpoints": [{"addresses": ["192.0.2.1"]}]}]}}


POD = "etcd-0.etcd.kamaji-system.svc.cluster.local:2379"


@pytest.mark.parametrize(
    ("item", "answers", "expected"),
    [
        # By Service: all pods behind it, those that are not ready too.
        (
            store("a", "etcd", SERVICE, ready=True),
            slices(True, False),
            ("Ready", 2, 1, [("etcd-0", "10.0.0.0"), ("etcd-1", "10.0.0.1")]),
        ),
        # By pod, and by both: each pod once.
        (store("a", "etcd", POD, ready=True), {}, ("Ready", 1, 1, [("etcd-0", POD[:-5])])),
        (
            store("a", "etcd", POD, SERVICE, SERVICE, ready=True),
            slices(True, True),
            ("Ready", 2, 2, [("etcd-0", POD[:-5]), ("etcd-1", "10.0.0.1")]),
        ),
        (store("a", "etcd", POD), {}, ("", 1, 1, [("etcd-0", POD[:-5])])),
        # Kamaji cannot use it, whatever its pods are.
        (
            store("a", "etcd", SERVICE, ready=False),
            slices(True),
            ("NotReady", 1, 0, [("etcd-0", "10.0.0.0")]),
        ),
        (store("a", "etcd", SERVICE, ready=True), slices(), ("Ready", 0, 0, [])),
        # Elsewhere, or no etcd: nothing to ask.
        (store("a", "etcd", SERVICE, ready=True), external(), None),
        (store("a", "etcd", "db.example.com:2379", ready=True), {}, None),
        (store("a", "etcd", ready=True), {}, None),
        (store("a", "PostgreSQL", SERVICE, ready=True), slices(True), None),
    ],
)
def test_the_etcds_of_datastores(
    item: dict[str, Any],
    answers: dict[str, Any],
    expected: tuple[str, int, int, list[tuple[str, str]]] | None,
    scripted: Serve,
    client_of: Callable[[str], Client],
) -> None:
    _, url = scripted({f"{API}/datastores": {"items": [item]}, **answers})
    warnings: list[str] = []
    found = stores.planes(client_of(url), API, warnings.append)

    assert [
        (plane.status, plane.wanted, plane.ready, [(part.pod, part.address) for part in plane.components])
        for plane in found
    ] == ([expected] if expected else [])
    assert all(
        (part.name, part.port, part.scheme, part.authorized) == ("etcd", 2381, "http", False)
        for plane in found
        for part in plane.components
    )
    assert warnings == []


@pytest.mark.parametrize(
    ("answers", "warnings"),
    [
        ({f"{API}/datastores": refused}, ["cannot list the etcd of datastores: secrets is forbidden: "]),
        ({}, []),
        (
            {f"{API}/datastores": {"items": [store("a", "etcd", SERVICE)]}, SLICES: refused},
            ["cannot list the etcd of datastore a: secrets is forbidden: "],
        ),
    ],
)
def test_what_may_not_be_read_is_a_warning(
    answers: dict[str, Any], warnings: list[str], scripted: Serve, client_of: Callable[[str], Client]
) -> None:
    told: list[str] = []

    assert stores.planes(client_of(scripted(answers)[1]), API, told.append) == []
    assert len(told) == len(warnings)
    assert all(text.startswith(start) for text, start in zip(told, warnings, strict=True))
