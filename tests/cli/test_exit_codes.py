"""Exit codes of one-shot commands: 1 where rows or numbers could not be read; what was read is printed all the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.exchange import Refusal, Reply, Request
from kubectl_vmetrics.metrics import sampling
from tests.conftest import Result, invoke, write_kubeconfig

DEAD = Refusal(503, "ServiceUnavailable", "error trying to reach service: dial tcp: connection refused")
HIDDEN = Refusal(403, "Forbidden", "it is forbidden")


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Apiserver, str]]:
    apiserver = Apiserver(build(Shape(pods=30, vclusters=1, tenants=1)))
    with server.serving(apiserver) as url:
        yield apiserver, url


@pytest.fixture
def run(
    served: tuple[Apiserver, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    real = sampling.time
    hurried = SimpleNamespace(sleep=lambda _: real.sleep(0.05), time=real.time, monotonic=real.monotonic)
    monkeypatch.setattr(sampling, "time", hurried)
    path = write_kubeconfig(tmp_path, served[1])

    def command(line: str, broken: str = "", refusal: Refusal = DEAD) -> Result:
        def change(request: Request, answer: Callable[[Request], Reply]) -> Reply:
            if re.search(broken, request.path):
                raise refusal
            return answer(request)

        served[0].change = change if broken else None
        return invoke(*line.split(), f"--cache-dir={tmp_path}", kubeconfig=path)

    yield command
    served[0].change = None


NODE, HANDLER = "/nodes/worker-2/proxy/", "/pods/https:virt-handler-ea0cc[^/]*/proxy/"
CASES = {
    "a dead kubelet: volumes": ("top volumes -A", NODE, DEAD, "worker-2"),
    "a dead kubelet: volumes inside": ("top volumes --vcluster shop", NODE, DEAD, "worker-2"),
    "a dead kubelet: pods": ("top pods -A --source=kubelet", NODE, DEAD, "worker-2"),
    "a dead kubelet: pods inside": ("top pods --vcluster shop --source=kubelet", NODE, DEAD, "worker-2"),
    "a dead kubelet: pressure": ("top pods -A --pressure", NODE, DEAD, "worker-2"),
    "a dead kubelet: nodes": ("top nodes --source=kubelet", NODE, DEAD, "worker-2"),
    "a dead kubelet: shares": ("top nodes --vcluster shop --source=kubelet", NODE, DEAD, "worker-2"),
    "a dead virt-handler: vmi": ("vmi -A --interval=5s", HANDLER, DEAD, "virt-handler-ea0cc"),
    "a dead virt-handler: components": ("components --interval=1s", HANDLER, DEAD, "virt-handler-ea0cc"),
    "a dead operator": ("controlplanes -A --interval=1s", "/pods/http:kamaji-", DEAD, "operator"),
    "a dead operator, in short": ("controlplanes -A --interval=1s --summary", "/pods/http:kamaji-", DEAD, "refused"),
    "datastores": ("controlplanes -A --interval=1s", "/datastores", HIDDEN, "datastores"),
    "virtual clusters": ("controlplanes -A --interval=1s", "/statefulsets", HIDDEN, "virtual clusters"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_could_not_be_read_is_exit_code_1_and_the_rest_is_printed(case: str, run: Callable[..., Result]) -> None:
    line, broken, refusal, named = CASES[case]
    whole = run(line)
    assert whole.code == 0, whole.stderr

    result = run(line, broken, refusal)
    assert result.code == 1
    assert named in result.stderr
    assert len(result.stdout.splitlines()) > 1
    columns = result.stdout.splitlines()[0].split()
    assert [name for name in columns if name != "PROBLEM"] == whole.stdout.splitlines()[0].split()


def test_with_fail_on_problems_the_verdict_alone_decides(run: Callable[..., Result]) -> None:
    assert run("controlplanes -A --interval=1s --fail-on-problems").code == 0
    assert run("components --interval=1s --fail-on-problems", HANDLER).code == 1


def test_the_doctor_without_rights(run: Callable[..., Result]) -> None:
    assert run("doctor kubelets").code == 0
    refused = run("doctor kubelets", "/api/v1/nodes", HIDDEN)
    assert refused.code == 1
    assert "FAIL" not in refused.stdout
    assert "not allowed: it is forbidden" in refused.stdout
    assert run("doctor kubelets --fail-on=never", "/api/v1/nodes", HIDDEN).code == 0
    assert run("doctor kubelets -o json", "/api/v1/nodes", HIDDEN).code == 1
