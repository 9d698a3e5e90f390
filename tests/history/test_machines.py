"""Virtual machines in a real Prometheus that holds what virt-handler served twice: the same as from the texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kubectl_vmetrics.history import machines
from kubectl_vmetrics.history.moment import Moment, Rhythm
from kubectl_vmetrics.history.names import Names
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.kubevirt import guests, series
from kubectl_vmetrics.kubevirt.guests import Guest, Key
from kubectl_vmetrics.kubevirt.rates import between
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.prometheus import way
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.prometheus.login import Login
from kubectl_vmetrics.vcluster.discovery import VCluster
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import Synced
from tests import prometheus
from tests.manifests.test_dashboards import lines

pytestmark = prometheus.MISSING

RECORDED = Path(__file__).parents[1] / "recordings" / "kubevirt"
AT = 1_795_536_000
EARLIER = AT - 300
JOB = {"job": "kubevirt-prometheus-metrics", "instance": "10.244.9.1:8443"}


def text(name: str) -> str:
    return (RECORDED / f"{name}.prom").read_text()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("machines")
    found: dict[str, dict[str, None]] = {}

    def add(name: str, at: int, **labels: str) -> None:
        # Samples with a time of their own are of migrations; Prometheus would keep that time.
        plain = [" ".join(line.split(" ")[:-1]) if line.count("} ") and line.split("} ")[1].count(" ") else line
                 for line in text(name).splitlines()]  # fmt: skip
        for family, line in lines(plain, at, **labels):
            found.setdefault(family, {}).setdefault(line, None)

    for name, at in (("kv-handler-t0", EARLIER), ("kv-handler-t15", AT)):
        add(name, at, **JOB)
        add(name, at, **{**JOB, "job": "kubevirt-of-another"})  # a second job that scrapes the same
    for name, at in (("kv-handler-t15", EARLIER), ("kv-handler-t0", AT)):
        add(name, at, **{**JOB, "job": "kubevirt-x-default-x-vc1"})  # a tenant's, with other numbers: it proves nothing
    add("kv-controller", AT, **{**JOB, "instance": "10.244.9.6:8443"})
    body = "\n".join(line for listed in found.values() for line in _once(listed))
    prometheus.blocks(folder, f"{body}\n# EOF\n")
    with prometheus.answering({}, folder, "--storage.tsdb.retention.time=100y") as found_url:
        yield found_url


def _once(listed: dict[str, None]) -> list[str]:
    """The first sample of each series and time."""
    found: dict[tuple[str, str], str] = {}
    for line in listed:
        found.setdefault((line.rpartition("} ")[0], line.rpartition(" ")[2]), line)
    return sorted(found.values(), key=lambda line: line.rpartition("} ")[0])


@pytest.fixture
def server(url: str) -> Prometheus:
    return Prometheus(way.by_url(url, Login()))


def at(server: Prometheus, time: float = AT) -> Moment:
    return Moment(server, time, Names(), Rhythm(), past=True)


def scraped(name: str, moment: float) -> dict[Key, Guest]:
    samples = Reader(series.wanted).read([text(name).encode()])
    return guests.read(samples, moment).guests


def comparable(guest: Guest) -> dict[str, object]:
    """Without migrations, of which several samples with times of their own may be in one scrape."""
    found: dict[str, object] = msgspec.to_builtins(guest)
    found.pop("migration", None)
    return found


def test_the_same_as_from_the_texts(server: Prometheus) -> None:
    before, after = scraped("kv-handler-t0", EARLIER), scraped("kv-handler-t15", AT)
    found = machines.read(at(server))

    assert len(after) == 5
    assert {key: comparable(guest) for key, guest in found.guests.items()} == {
        key: comparable(guest) for key, guest in after.items()
    }
    expected = {key: made for key in after if key in before and (made := between(before[key], after[key]))}
    assert found.rates == expected
    assert expected


def test_one_namespace(server: Prometheus) -> None:
    whole = machines.read(at(server))
    namespace = next(iter(whole.guests))[0]
    found = machines.read(at(server), namespace)
    assert found.guests == {key: guest for key, guest in whole.guests.items() if key[0] == namespace}
    assert machines.read(at(server), "elsewhere") == machines.Recorded({}, {}, {})


def test_what_virt_controller_reports(server: Prometheus) -> None:
    found = machines.read(at(server)).machines
    lines_ = [line for line in text("kv-controller").splitlines() if line.startswith("kubevirt_vmi_info{")]
    assert len(found) == len(lines_) > 0
    for key, machine in found.items():
        (line,) = [line for line in lines_ if f'name="{key[1]}"' in line and f'namespace="{key[0]}"' in line]
        assert f'phase="{machine.state.lower()}"' in line
        assert f'node="{machine.status.node}"' in line


def test_a_machine_that_is_no_longer_reported_is_gone(server: Prometheus) -> None:
    assert machines.read(at(server, AT + 115)).guests.keys() == machines.read(at(server)).guests.keys()
    # Prometheus itself shows the last sample for five minutes.
    assert machines.read(at(server, AT + 200)).guests == {}


def test_labels_of_a_time(server: Prometheus) -> None:
    found = machines.labels(server, EARLIER, AT + 3000)
    after = scraped("kv-handler-t15", AT)
    assert found == {key: guest.labels for key, guest in after.items()}


def test_virtual_names_are_proven_by_where_the_virtual_cluster_runs() -> None:
    names = Names()
    names.clusters = [VCluster(VClusterRef("team-a", "shop"), "", "")]
    own = {"vcluster_loft_sh_managed_by": "shop", "vcluster_loft_sh_namespace": "batch"}
    keys = {
        ("team-a", "build-x-batch-x-shop"): own,
        ("team-b", "build-x-batch-x-shop"): own,  # the same labels where no such virtual cluster runs
        ("team-a", "plain"): {},
        ("team-a", "build-x-other-x-shop"): own,  # a name that the labels do not explain
    }
    assert machines.virtual(keys, names) == {
        ("team-a", "build-x-batch-x-shop"): Synced(VClusterRef("team-a", "shop"), "batch", "build")
    }


def test_whose_the_machines_of_a_time_were(server: Prometheus) -> None:
    names = Names()
    found = machines.identities(server, Window(EARLIER, AT), names)
    assert found == {}
    labelled = {key: labels for key, labels in machines.labels(server, EARLIER, AT).items() if labels}
    assert labelled
    (key, own) = next(iter(labelled.items()))
    given = {**own, "vcluster_loft_sh_managed_by": "shop", "vcluster_loft_sh_namespace": "batch"}
    names.clusters = [VCluster(VClusterRef(key[0], "shop"))]
    machine = (key[0], "m-x-batch-x-shop")
    assert machines.virtual({machine: given}, names)[machine] == Synced(VClusterRef(key[0], "shop"), "batch", "m")
