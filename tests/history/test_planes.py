"""Control planes in a real Prometheus that holds what a recorded one served twice: the same as from the texts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from kubectl_vmetrics.controlplane import figures, health
from kubectl_vmetrics.controlplane.figures import Figures
from kubectl_vmetrics.controlplane.health import NotRecorded
from kubectl_vmetrics.controlplane.plane import (
    APISERVER,
    CONTROLLER_MANAGER,
    KAMAJI,
    SCHEDULER,
    VCLUSTER,
    Component,
    Plane,
)
from kubectl_vmetrics.history import planes
from kubectl_vmetrics.history.moment import Moment, Rhythm
from kubectl_vmetrics.history.names import Names
from kubectl_vmetrics.kube.errors import ConnectionFailed
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Pair, Snapshot
from kubectl_vmetrics.prometheus import way
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.prometheus.login import Login
from tests import prometheus
from tests.manifests.test_agreement import served
from tests.manifests.test_dashboards import RENAMED, lines

pytestmark = prometheus.MISSING

AT = 1_795_536_000
PATH = "tenants/acme"
TEXTS = {name: served(name, leads=True) for name in (APISERVER, CONTROLLER_MANAGER, SCHEDULER)}
PLANE = Plane(KAMAJI, "tenants", "acme", wanted=1, ready=1)


def pair(name: str) -> Pair:
    reader = Reader(figures.wanted)
    before, after = (reader.read([text.encode()]) for text in TEXTS[name])
    return Pair(Snapshot(before, AT - 300.0), Snapshot(after, float(AT)))


def component(name: str) -> Component:
    return Component(name, "acme-0", "10.0.0.1", 6443)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("planes")
    found: dict[str, list[str]] = {}

    def add(text: str, at: int, **labels: str) -> None:
        for family, line in lines(text.splitlines(), at, **labels):
            found.setdefault(family, []).append(line)

    for name, texts in TEXTS.items():
        own = {"job": RENAMED.get(name, name), "pod": "acme-0", "instance": "10.0.0.1:6443", "cluster": PATH}
        for text, at in zip(texts, (AT - 300, AT), strict=True):
            for replica in ("a", "b"):  # of Prometheus, which scrape the same
                add(f"{text}\nup 1\n", at, **own, prometheus_replica=replica)
    down = {"job": "apiserver", "pod": "acme-1", "instance": "10.0.0.2:6443", "cluster": PATH}
    add("up 0\n", AT, **down)
    # The host's own apiserver, and what a tenant serves under another job.
    for more in ({"job": "apiserver", "cluster": "prod"}, {"job": "web-x-default-x-vc1", "cluster": PATH}):
        add(re.sub(r"(?m)^(apiserver_request_total\S+) \S+$", r"\1 99999999", TEXTS[APISERVER][1]), AT, **more)
        add("up 1\n", AT, **more)
    body = "\n".join(
        line for listed in found.values() for line in sorted(listed, key=lambda item: item.rpartition("} ")[0])
    )
    prometheus.blocks(folder, f"{body}\n# EOF\n")
    with prometheus.answering({}, folder, "--storage.tsdb.retention.time=100y") as url:
        yield Prometheus(way.by_url(url, Login()))


@pytest.fixture(scope="module")
def recorded(server: Prometheus) -> planes.Recorded:
    return planes.read(moment(server))


def moment(server: Prometheus, at: float = AT) -> Moment:
    return Moment(server, at, Names(), Rhythm(), past=True)


def rounded(found: Figures) -> object:
    """Sums of floats in another order differ in their last digits."""
    return pytest.approx({key: value for key, value in found._asdict().items() if isinstance(value, float)}, rel=1e-9)


def test_the_same_as_from_the_texts(recorded: planes.Recorded) -> None:
    assert recorded.keys() == {PATH}
    (listed,) = planes.past([PLANE], recorded)
    found = {(item.component.name, item.component.pod): item for item in listed}
    assert found.keys() == {*((name, "acme-0") for name in TEXTS), (APISERVER, "acme-1")}
    for name in TEXTS:
        expected, got = figures.read(component(name), pair(name)), found[name, "acme-0"].figures
        assert {key: value for key, value in got._asdict().items() if isinstance(value, float)} == rounded(expected)
        rest = [key for key, value in expected._asdict().items() if not isinstance(value, float)]
        assert [getattr(got, key) for key in rest] == [getattr(expected, key) for key in rest]
        assert found[name, "acme-0"].seconds == 300
        assert got.process.cores
    assert found[APISERVER, "acme-0"].figures.requests
    assert found[SCHEDULER, "acme-0"].figures.attempts


def test_a_target_that_is_down(recorded: planes.Recorded, server: Prometheus) -> None:
    (listed,) = planes.present([PLANE], recorded, server.name)
    (down,) = [item for item in listed if item.component.pod == "acme-1"]
    assert isinstance(down.error, ConnectionFailed)
    verdict = health.judge(PLANE, listed, None)
    assert (verdict.word, verdict.reasons) == (health.DEGRADED, ["apiserver: no answer", "5 pods cannot be scheduled"])


def test_components_that_are_not_scraped_are_unknown(recorded: planes.Recorded, server: Prometheus) -> None:
    plane = PLANE._replace(
        components=(component(SCHEDULER), component("etcd"), component("konnectivity")._replace(optional=True))
    )
    (listed,) = planes.present([plane], {PATH: {t: p for t, p in recorded[PATH].items() if t.pod == "acme-0"}}, "prom")
    missing = [item for item in listed if isinstance(item.error, NotRecorded)]
    assert [item.component.name for item in missing] == ["etcd"]
    assert health.judge(plane, listed, None).unknown == ["etcd: not in Prometheus"]
    # One that is asleep has nothing to be scraped.
    assert planes.present([plane._replace(asleep=True)], {}, "prom") == [[]]


def test_of_another_time(server: Prometheus) -> None:
    assert planes.read(moment(server, AT + 3600)) == {}
    assert planes.past([PLANE], {}) == []


def test_the_kind_of_one_that_is_gone(recorded: planes.Recorded) -> None:
    (listed,) = planes.past([], recorded)
    assert listed[0].plane == Plane(KAMAJI, "tenants", "acme")
    syncer = planes.Target("team-a/shop", "syncer", "shop-0", "10.0.0.3:8443")
    (listed,) = planes.past([], {"team-a/shop": {syncer: pair(SCHEDULER)}})
    assert (listed[0].plane, listed[0].component) == (
        Plane(VCLUSTER, "team-a", "shop"),
        Component("syncer", "shop-0", "10.0.0.3", 8443),
    )
