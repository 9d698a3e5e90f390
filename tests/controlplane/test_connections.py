"""Whom a component's requests do not reach: the apiserver that it depends on, or somebody else."""

from __future__ import annotations

import pytest

from kubectl_vmetrics.controlplane import connections
from kubectl_vmetrics.controlplane.connections import Connections
from kubectl_vmetrics.controlplane.plane import APISERVER, OPERATOR, SCHEDULER, Component
from kubectl_vmetrics.metrics import process
from kubectl_vmetrics.metrics.process import Unanswered
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Pair, Snapshot

Lost = dict[str, float]


def read(name: str, before: Lost | None, after: Lost, address: str = "10.244.1.5", port: int = 6443) -> Connections:
    reader = Reader(process.wanted)

    def scrape(lost: Lost, at: float) -> Snapshot:
        series = 'rest_client_requests_total{{code="{}",host="{}"}} {}\n'
        text = series.format(200, "any", 1) + "".join(series.format("<error>", *item) for item in lost.items())
        return Snapshot(reader.read([text.encode()]), at)

    earlier = None if before is None else scrape(before, 1000.0)
    return connections.read(Component(name, "acme-0", address, port), Pair(earlier, scrape(after, 1015.0)))


def test_a_process_that_counts_no_requests_tells_nothing() -> None:
    silent = Snapshot([], 1000.0)

    assert connections.read(Component(SCHEDULER, "acme-0", "", 0), Pair(silent, silent)) == Connections()


def test_nothing_lost_is_told_as_nothing() -> None:
    assert read(SCHEDULER, {}, {}) == Connections(0, 0)
    assert read(SCHEDULER, None, {}) == Connections(0, None)


def test_servers_that_did_not_answer_come_by_growth_then_by_number_then_by_name() -> None:
    before = {"a.x.svc": 90.0, "b.x.svc": 4.0, "c.x.svc": 20.0, "d.x.svc": 30.0, "e.x.svc": 20.0}
    after = {**before, "b.x.svc": 5.0, "f.x.svc": 3.0}

    assert read(APISERVER, before, after).others == (
        Unanswered("f.x.svc", 3, 3),
        Unanswered("b.x.svc", 5, 1),
        Unanswered("a.x.svc", 90, 0),
        Unanswered("d.x.svc", 30, 0),
        Unanswered("c.x.svc", 20, 0),
        Unanswered("e.x.svc", 20, 0),
    )
    assert read(APISERVER, None, {"a.x.svc": 1.0, "b.x.svc": 2.0}).others == (
        Unanswered("b.x.svc", 2, None),
        Unanswered("a.x.svc", 1, None),
    )


def test_what_is_no_host_is_told_as_one_and_not_repeated() -> None:
    found = read(APISERVER, {"a b": 1.0}, {"a b": 3.0, "c|d": 5.0, "e.x.svc": 1.0})

    assert found.others == (Unanswered("(not a host name)", 8, 7), Unanswered("e.x.svc", 1, 1))
    # Of an apiserver that cannot be named the loss still counts.
    assert read(SCHEDULER, {}, {"a b": 3.0, "10.96.0.1:443": 2.0}) == Connections(5, 5, ("10.96.0.1:443",))


@pytest.mark.parametrize(
    ("host", "address", "own"),
    [
        ("[fd00::a]:6443", "FD00::A", True),
        ("[FD00::A]:6443", "fd00::a", True),
        ("[fd00::b]:6443", "fd00::a", False),
        ("[::1]:6443", "", True),
        ("LOCALHOST:6443", "", True),
        ("127.9.9.9:6443", "", True),
        ("10.244.1.5:6443", "", False),
        (":6443", "", False),
    ],
)
def test_an_apiserver_asks_itself_at_a_loopback_address_or_its_own(host: str, address: str, own: bool) -> None:
    found = read(APISERVER, {}, {host: 2.0}, address)

    assert (found.lost, bool(found.others)) == ((2, False) if own else (0, True))


@pytest.mark.parametrize(("port", "own"), [(443, "localhost"), (9443, "localhost:9443"), (6443, None)])
def test_of_several_nearby_the_one_at_its_port_is_the_apiserver(port: int, own: str | None) -> None:
    """A webhook may run beside it. A host without a port is asked at that of HTTPS."""
    found = read(APISERVER, {}, {"localhost": 1.0, "localhost:9443": 1.0}, port=port)

    assert found.hosts == ((own,) if own else ("localhost", "localhost:9443"))


@pytest.mark.parametrize(
    ("host", "tenant"),
    [
        ("globex.tenants.svc:6443", True),
        ("globex.tenants.svc", True),
        ("globex.tenants.SVC.cluster.local:6443", True),
        ("kubernetes.default.svc", False),
        ("Kubernetes.Default.svc:443", False),
        ("kubernetes.tenants.svc:443", True),
        ("globex.tenants:6443", False),
        ("svc:443", False),
        ("10.96.0.1:443", False),
    ],
)
def test_kamaji_asks_its_tenants_by_their_services(host: str, tenant: bool) -> None:
    found = read(OPERATOR, {}, {host: 2.0})

    assert (found.lost, found.others) == ((0, (Unanswered(host, 2, 2),)) if tenant else (2, ()))
