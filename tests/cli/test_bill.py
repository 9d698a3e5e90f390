"""`bill`: wrong input, samples without a Prometheus, and what a terminal shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubectl_vmetrics.allocation import price_file, sampled, samples
from kubectl_vmetrics.metrics import sampling
from tests.conftest import Cli, invoke

SEE = "\nSee 'kubectl vmetrics bill --help' for usage.\n"


class Clock:
    """Time that passes only where a command waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000.0
        self.waits: list[float] = []
        self.wake: Callable[[float], object] = lambda _: None
        fake = SimpleNamespace(time=self.time, monotonic=self.time, sleep=self.sleep)
        for module in (sampled, samples, sampling):
            monkeypatch.setattr(module, "time", fake)

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.wake(self.now)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--by=team"], "error: --by accepts only vcluster, namespace, workload, vm, owner\n"),
        (["--share=all"], "error: --share accepts only none, even, by-usage\n"),
        (["--vcluster="], "error: --vcluster: the value is empty; leave the option out to see everything\n"),
        (["--vcluster=shop", "--by=owner"], "error: --by owner cannot be used with --vcluster\n"),
        (["-o", "focus"], "error: -o focus needs --prices: FOCUS is about costs\n"),
        (["--prices="], 'error: the path "" does not exist\n'),
        (["--prices=missing.yaml"], 'error: the path "missing.yaml" does not exist\n'),
        (["--prices=."], "error: --prices .: Is a directory\n"),
        (["--prices=bad.yaml"], "error: --prices bad.yaml: cpuCoreHour: -1 is not a price from 0 to 1000000000\n"),
        (["--prices=binary.yaml"], "error: --prices binary.yaml: not text in UTF-8\n"),
        (["--since=soon"], "error: --since, --until, --step: 'soon' is not a time (examples: "),
        (
            ["--since=2h", "--step=1ms"],
            "error: --since, --until, --step: '1ms' is not a duration (example: 7d, 36h, 1h30m)\n",
        ),
        (
            ["--since=30d", "--step=1m"],
            "error: --since, --until, --step: '1m' makes more than 10000 steps: use a longer step or a shorter window\n",
        ),
        (
            ["--for=1h", "--since=1h"],
            "error: --for samples the cluster now: --since, --until, --step and --prometheus do not apply\n",
        ),
        (["--for=1h", "--prometheus=http://x"], "error: --for samples the cluster now: "),
        (["--for=10s"], "error: --for: 10s is not from 30s to 24h\n"),
        (["--for=soon"], "error: --for: 'soon' is not a duration (example: 7d, 36h, 1h30m)\n"),
        (["--for=1m", "--vcluster=nowhere"], 'error: virtual cluster "nowhere" not found; choose from team-a/shop, '),
    ],
)
def test_wrong_input_is_one_line(
    words: list[str], message: str, on_demo: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text("{currency: EUR, cpuCoreHour: -1}")
    Path("binary.yaml").write_bytes(b"\xff\xfe")

    result = on_demo("bill", *words)

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


def test_show_prices_needs_no_cluster() -> None:
    result = invoke("bill", "--show-prices", kubeconfig="/nonexistent")

    assert (result.code, result.stdout, result.stderr) == (0, price_file.EXAMPLE, "")


def test_samples_are_what_top_shows_for_as_long(on_demo: Cli, clock: Clock) -> None:
    """The demo's clock stands still: for ten minutes, everything uses what `top vclusters` prints."""
    top = json.loads(on_demo("top", "vclusters", "-o", "json").stdout)["items"]
    result = on_demo("bill", "--for=10m", "-o", "json")

    assert (result.code, result.stderr) == (0, "")
    document = json.loads(result.stdout)
    (data,) = document["data"]
    assert sum(clock.waits) == pytest.approx(600)
    assert (document["stepSeconds"], document["source"]) == (15, "samples of the metrics API")
    for item in top:
        if item["kind"] != "VirtualClusterUsage":
            continue
        found = data[f"{item['metadata']['namespace']}/{item['metadata']['name']}"]
        usage, plane = item["usage"], item["controlPlane"]["usage"]
        cores = (int(usage["cpu"].rstrip("n")) + int(plane["cpu"].rstrip("n"))) / 1e9
        assert found["cpuCoreHoursUsed"] == pytest.approx(cores / 6, rel=1e-6)
        mebibytes = (int(usage["memory"].removesuffix("Ki")) + int(plane["memory"].removesuffix("Ki"))) / 1024
        assert found["ramByteHoursUsed"] == pytest.approx(mebibytes * 2**20 / 6, rel=1e-6)
        assert found["controlPlaneHours"] == pytest.approx(1 / 6)
        assert found["minutes"] == pytest.approx(10)
    assert sum(item["cpuCoreHours"] for item in data.values()) == pytest.approx(document["whole"]["cpuCoreHours"])
    nodes = json.loads(on_demo("top", "nodes", "-o", "json").stdout)["items"]
    assert document["whole"]["cpuCoreHours"] == pytest.approx(16 * len(nodes) / 6)
    assert document["estimated"] == [
        "everything, from 40 samples, 15s apart: what starts and ends between two is not seen, and a window as short as "
        "this says little about a month"
    ]
    assert "volumes and network are not sampled" in document["notes"]


def test_ctrl_c_bills_what_was_seen(on_demo: Cli, clock: Clock) -> None:
    def stop(now: float) -> None:
        if now >= 1_700_000_060:
            raise KeyboardInterrupt

    clock.wake = stop
    result = on_demo("bill", "--for=10m", "-o", "json")

    assert result.code == 0
    document = json.loads(result.stdout)
    assert document["window"] == {"start": "2023-11-14T22:13:20Z", "end": "2023-11-14T22:14:20Z"}
    assert document["data"][0]["team-a/shop"]["minutes"] == pytest.approx(1)


def test_a_sample_that_fails_is_unmeasured(on_demo: Cli, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    from kubectl_vmetrics.kube.errors import ConnectionFailed

    whole = samples.Sampler._take

    def take(sampler: Any) -> Any:
        if 1_700_000_014 < clock.now < 1_700_000_031:
            raise ConnectionFailed("the connection was lost")
        return whole(sampler)

    monkeypatch.setattr(samples.Sampler, "_take", take)
    result = on_demo("bill", "--for=1m", "-o", "json")

    document = json.loads(result.stdout)
    data = document["data"][0]
    assert result.code == 0
    assert document["coverage"] == {
        "cpu": 0.5,
        "memory": 0.5,
        "requests": 0.5,
        "network": 0.0,
        "volumes": 0.0,
        "allocatable": 0.5,
    }
    assert data["unmeasured"]["cpuCoreHours"] == pytest.approx(document["whole"]["cpuCoreHours"] / 2)
    assert data["team-a/shop"]["minutes"] == pytest.approx(0.5)
    assert "some samples could not be taken: the connection was lost" in document["notes"]


def test_where_nothing_can_be_sampled_the_reason_is_one_line(scripted: Any, tmp_path: Path) -> None:
    from tests.conftest import write_kubeconfig

    _, url = scripted({})
    result = invoke("bill", "--for=1m", kubeconfig=write_kubeconfig(tmp_path, url))

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") <= 2


def test_a_user_who_sees_one_namespace(on_demo: Cli, clock: Clock) -> None:
    """The pods of all namespaces are needed: anything less would be billed as idle."""
    result = on_demo("bill", "--for=1m", "--as=alice")

    assert (result.code, result.stdout) == (1, "")
    assert "pods.metrics.k8s.io is forbidden" in result.stderr


def test_below_a_table_is_what_it_rests_on_and_beside_rows_for_programs_as_well(on_demo: Cli, clock: Clock) -> None:
    table = on_demo("bill", "--for=1m", "--by=vm")
    rows = on_demo("bill", "--for=1m", "-o", "csv")

    assert table.stderr == ""
    assert table.stdout.splitlines()[0].split() == (
        [
            "VCLUSTER",
            "NAMESPACE",
            "VM",
            "CPU-USED",
            "CPU-REQ",
            "CPU(core-h)",
            "MEM-USED",
            "MEM-REQ",
            "MEMORY(GiB-h)",
            "VM(h)",
        ]
    )
    below = table.stdout.partition("\n\n")[2].splitlines()
    assert [line.partition(":")[0] for line in below] == ["Window", "Source", "Coverage", "Estimated", "Note"]
    assert below[2] == "Coverage: cpu 100%, memory 100%, requests 100%, network 0%, volumes 0%, allocatable 100%"
    assert rows.stdout.startswith("Date,Namespace,")
    assert [line.partition(":")[0] for line in rows.stderr.splitlines()] == [line.partition(":")[0] for line in below]


def test_progress_is_for_people(on_demo: Cli, clock: Clock) -> None:
    watched = on_demo("bill", "--for=1m", terminal=True, TERM="xterm")

    assert "/60 seconds" in watched.stderr
    assert watched.code == 0
