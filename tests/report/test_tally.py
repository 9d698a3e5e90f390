"""What steps add up to, and for whom."""

from __future__ import annotations

import pytest

from kubectl_vmetrics.history.names import HOST, Identity
from kubectl_vmetrics.history.queries import Metric
from kubectl_vmetrics.history.steps import Container, Step
from kubectl_vmetrics.report.tally import UNNAMED, Group, Pod, Tally
from kubectl_vmetrics.vcluster.identity import VClusterRef
from tests.report.made import ACME, GLOBEX, LAB, Known

LAUNCHER = ("host-a", "virt-launcher-vm-x-shop-x-acme-abcde")
PODS = {
    ("host-a", "p-x-shop-x-acme"): Identity(ACME, "shop", "p"),
    ("host-a", "hashed"): Identity(ACME, None, None),
    ("host-b", "q-x-shop-x-globex"): Identity(GLOBEX, "shop", "q"),
}


def tally(tenant: VClusterRef | None = None) -> Tally:
    def machine(namespace: str, name: str) -> Identity:
        return Identity(ACME, "shop", "vm") if (namespace, name) == ("host-a", "vm-x-shop-x-acme") else HOST

    return Tally(Known([ACME, GLOBEX, LAB], PODS, {}), tenant, machine)


def step(index: int, cpu: dict[tuple[str, str], float], *, present: float = 1.0) -> Step:
    amounts = {Metric.CPU: {Container(*key, "main"): amount for key, amount in cpu.items()}}
    return Step(index * 10.0, index * 10.0 + 10, amounts, {Metric.CPU: present})


def test_rows_of_the_host() -> None:
    found = tally()
    found.add(step(0, {("host-a", "p-x-shop-x-acme"): 5.0, ("kube-system", "dns"): 1.0}))
    found.add(step(1, {}, present=0.0))
    found.add(step(2, {("host-a", "hashed"): 3.0, LAUNCHER: 2.0, ("host-a", "acme-0"): 9.0}))
    found.add(step(3, {("host-b", "q-x-shop-x-globex"): 4.0}))

    # Those without pods are known from elsewhere, and the host's own come last.
    assert found.groups() == [Group(ACME), Group(GLOBEX), Group(LAB), Group(None)]
    means = [found.means(group, Metric.CPU) for group in found.groups()]
    assert means == [[0.5, None, 0.5, 0.0], [0.0, None, 0.0, 0.4], [0.0, None, 0.0, 0.0], [0.1, None, 0.0, 0.0]]
    assert [found.total(group, Metric.CPU) for group in found.groups()] == [10.0, 4.0, 0, 1.0]
    assert {pod: numbers[0] for pod, numbers in found.pods.items()} == {
        Pod(Group(ACME), "shop", "p"): 5.0,
        Pod(Group(None), "kube-system", "dns"): 1.0,
        Pod(Group(ACME), UNNAMED, UNNAMED): 3.0,
        Pod(Group(ACME), "shop", "vm"): 2.0,
        Pod(Group(GLOBEX), "shop", "q"): 4.0,
    }
    assert {ref: list(numbers) for ref, numbers in found.planes.items()} == {ACME: [9.0, 0, 0, 0]}
    assert found.covered(Metric.CPU) == pytest.approx(0.75)


def test_rows_of_a_tenant() -> None:
    found = tally(ACME)
    found.add(step(0, {("host-a", "p-x-shop-x-acme"): 5.0, ("kube-system", "dns"): 1.0, ("host-b", "globex-0"): 1.0}))
    found.add(step(1, {("host-a", "hashed"): 3.0, LAUNCHER: 2.0, ("host-b", "q-x-shop-x-globex"): 4.0}))

    assert found.groups() == [Group(ACME, UNNAMED), Group(ACME, "shop")]
    assert found.means(Group(ACME, "shop"), Metric.CPU) == [0.5, 0.2]
    assert sorted(found.pods) == [
        Pod(Group(ACME, UNNAMED), UNNAMED, UNNAMED),
        Pod(Group(ACME, "shop"), "shop", "p"),
        Pod(Group(ACME, "shop"), "shop", "vm"),
    ]
    assert found.planes == {}


def test_a_machine_in_the_name_of_another_tenant_does_not_count_against_the_pod() -> None:
    """A pod that is proven to be of one virtual cluster stays there."""
    names = Known([ACME, GLOBEX], {LAUNCHER: Identity(GLOBEX, "x", None)}, {})
    found = Tally(names, None, lambda *_: Identity(ACME, "shop", "vm"))
    found.add(step(0, {LAUNCHER: 2.0}))
    assert list(found.pods) == [Pod(Group(GLOBEX), "x", UNNAMED)]


def test_statistics_weigh_a_last_step_that_is_shorter() -> None:
    found = tally()
    found.add(step(0, {("host-a", "p-x-shop-x-acme"): 5.0}))
    found.add(step(1, {}, present=0.0))
    found.add(Step(20.0, 25.0, {Metric.CPU: {Container("host-a", "p-x-shop-x-acme", "main"): 10.0}}, {Metric.CPU: 1.0}))
    values = found.means(Group(ACME), Metric.CPU)
    assert values == [0.5, None, 2.0]
    # 15 core-seconds in 15 seconds that are known.
    assert (found.statistics(values).mean, found.statistics(values[2:], 2).mean) == (1.0, 2.0)
    assert found.statistics([None, None, None]).mean is None
