"""Requests and limits of pods."""

from __future__ import annotations

import msgspec
import pytest

from kubectl_vmetrics.kube.core import Pod
from kubectl_vmetrics.metrics.requests import Reserved, of_container, of_pod
from tests.metrics.reserved import CASES, Case, ask, first, has, main

MILLI, MEBI = 1_000_000, 1 << 20


def pod(case: Case) -> Pod:
    return msgspec.convert({"metadata": {"name": "p"}, "spec": case.spec, "status": case.status}, Pod)


def amounts(cpu: int | None, memory: int | None) -> dict[str, int]:
    cpus = {} if cpu is None else {"cpu": cpu * MILLI}
    return cpus if memory is None else {**cpus, "memory": memory * MEBI}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_requests_and_limits_of_a_pod(case: Case) -> None:
    expected = Reserved(amounts(*case.requests), amounts(*case.limits), frozenset(case.unlimited))
    assert of_pod(pod(case)) == expected


def test_a_limit_that_not_all_containers_have_limits_nothing() -> None:
    reserved = of_pod(pod(Case("", {"containers": main(ask(1, 1, (2, 2)), ask(1, 1, (None, 2)))}, (None, None))))
    assert (reserved.limit("cpu"), reserved.limit("memory"), reserved.limit("nvidia.com/gpu")) == (None, 4 * MEBI, None)


def test_devices_are_counted_and_never_at_the_level_of_the_pod() -> None:
    gpus = {"requests": {"nvidia.com/gpu": "2"}, "limits": {"nvidia.com/gpu": "2"}}
    whole = {"requests": {"nvidia.com/gpu": "9", "hugepages-2Mi": "4Mi"}}
    reserved = of_pod(pod(Case("", {"containers": main(gpus, gpus), "resources": whole}, (None, None))))
    assert reserved == Reserved({"nvidia.com/gpu": 4, "hugepages-2Mi": 4 * MEBI}, {"nvidia.com/gpu": 4})


def test_resources_of_the_whole_pod_are_resized_too() -> None:
    status = {"resources": ask(300, 200, (400, 300)), "allocatedResources": {"cpu": "350m"}}
    spec = {"containers": main(ask(10, 10)), "resources": ask(100, 250, (900, 250))}
    assert of_pod(pod(Case("", spec, (None, None), status=status))) == Reserved(amounts(350, 250), amounts(900, 300))


def test_one_container_or_sidecar() -> None:
    spec = {"containers": main(ask(1, 2, (3, 4))), "initContainers": [first(ask(5, 6, (7, 8)), sidecar=True)]}
    status = {"containerStatuses": [has(ask(9, 2, (9, 4)), {})]}
    case = pod(Case("", spec, (None, None), status=status))
    assert of_container(case, "c0") == Reserved(amounts(9, 2), amounts(9, 4))
    assert of_container(case, "i") == Reserved(amounts(5, 6), amounts(7, 8))
    assert of_container(case, "gone") == Reserved({}, {})


def test_a_quantity_that_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        of_pod(pod(Case("", {"containers": main({"requests": {"cpu": "lots"}})}, (None, None))))
