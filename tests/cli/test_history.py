"""`history`: options, notes about what is missing, and what happens without a Prometheus."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_vmetrics.cli.main import run
from kubectl_vmetrics.output.terminal import Environment
from tests.conftest import Cli, Result, invoke, write_kubeconfig
from tests.history.test_steps import HOUR, START, samples
from tests.prometheus import MISSING, blocks
from tests.truth import evaluated

NOW = f"2023-11-14T{22}:13:20Z"
"""START."""
END = "2023-11-14T23:13:20Z"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["deployments"], "history: 'deployments' is not one of vclusters, namespaces, pods, nodes, vmi, volumes"),
        (["pods", "a", "b"], "history KIND [NAME]\nSee 'kubectl vmetrics history -h' for help and examples"),
        (["--since", "soon"], "--since: 'soon' is not a time (examples: 7d, 36h, 1h30m, "),
        (["--since", "1h", "--until", "2h"], "--since: '1h' is not before '2h'"),
        (["--step", "1x"], "--step: '1x' is not a duration (example: 7d, 36h, 1h30m)"),
        (["--since", "1y", "--step", "15s"], "--step: '15s' makes more than 500000 steps"),
        (
            ["--metric", "heat"],
            "--metric: vclusters have no metric 'heat': use cpu, memory, network, disk, gpu, requests, ",
        ),
        (["nodes", "--metric", "gpu"], "--metric: nodes have no metric 'gpu': use cpu, memory, allocatable"),
        (["--sort-by", "network"], "--sort-by accepts only cpu or memory"),
        (["--metric", "network", "--sort-by", "cpu"], "--sort-by accepts only net-rx or net-tx"),
        (["nodes", "--vcluster", "shop"], "history nodes cannot be used with --vcluster: nodes belong to the host"),
        (["--points"], "--points requires -o json, yaml or csv"),
        (["--chart", "-o", "json"], "--chart cannot be used with --output or --watch"),
        (["--top", "0"], "invalid argument"),
        (["--vcluster", ""], "--vcluster: the value is empty; leave the option out to see everything"),
    ],
)
def test_wrong_usage_is_an_error(words: list[str], message: str) -> None:
    """Before anything is asked."""
    result = invoke("history", *words, "--prometheus=http://127.0.0.1:1", "--server=http://127.0.0.1:1")
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.removeprefix("error: ").startswith(message) or message in result.stderr


def test_without_plotext_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotext", None)
    result = invoke("history", "--chart", "--prometheus=http://127.0.0.1:1", "--server=http://127.0.0.1:1")
    assert result == (1, "", "error: --chart requires plotext: pip install 'kubectl-vmetrics[chart]'\n")


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, "http://127.0.0.1:1")
    result = invoke("history", "--prometheus=http://127.0.0.1:1/prefix", kubeconfig=config)
    assert (result.code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)
    assert "127.0.0.1:1" in result.stderr


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with an hour of made-up pods of the host, and half an hour before and after it."""
    folder = tmp_path_factory.mktemp("history")
    blocks(folder, samples())
    with evaluated.recorded(folder) as found:
        yield found


def ran(url: str, tmp_path: Path, *words: str, start: int = START, end: int = START + HOUR) -> Result:
    config = write_kubeconfig(tmp_path, "http://127.0.0.1:1")
    return invoke("history", *words, f"--prometheus={url}", f"--since={clock(start)},{clock(end)}", kubeconfig=config)


def clock(at: int) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


UNNAMED = "Warning: names of the live cluster are not available: "


def notes(result: Result) -> list[str]:
    """Without that there are no names: the cluster does not answer."""
    assert result.code == 0, result.stderr
    return [line for line in result.stderr.splitlines() if not line.startswith(UNNAMED)]


@MISSING
def test_the_whole_table(url: str, tmp_path: Path) -> None:
    result = ran(url, tmp_path, "pods", "-n", "ns", "--step", "5m", "--metric", "cpu", "--sort-by", "cpu")
    # One came at 20 minutes and one went at 40; the node of one is new; one was reset, and one was gone for five minutes.
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        "NAMESPACE   VCLUSTER   VNAMESPACE   NAME     METRIC   MIN    MEAN   P95    MAX    NOW    TOTAL         TREND",
        "ns          <none>     <none>       born     cpu      200m   200m   200m   200m   200m   0.13 core-h       █████ ██",
        "ns          <none>     <none>       gone     cpu      100m   100m   100m   100m   -      0.07 core-h   ████████",
        "ns          <none>     <none>       old      cpu      100m   100m   100m   100m   100m   0.05 core-h         ███ ██",
        "ns          <none>     <none>       steady   cpu      100m   100m   100m   100m   100m   0.10 core-h   █████████ ██",
        "ns          <none>     <none>       reset    cpu      90m    100m   100m   100m   100m   0.10 core-h   ███▇█████ ██",
        "ns          <none>     <none>       again    cpu      0m     91m    100m   100m   100m   0.09 core-h   █████▁███ ██",
    ]
    assert notes(result) == ["Warning: only 91% of the time range has data of cpu"]


@MISSING
def test_before_there_were_samples(url: str, tmp_path: Path) -> None:
    """A range that begins before the samples says what is covered; one without any says that there are none."""
    early = ran(
        url,
        tmp_path,
        "nodes",
        "--step",
        "15m",
        "--metric",
        "allocatable",
        start=START - 10 * HOUR,
        end=START - 5 * HOUR,
    )
    assert notes(early) == [
        f"Warning: {url} has no such data from 2023-11-14T12:13Z to 2023-11-14T17:13Z",
        "No resources found",
    ]
    half = ran(url, tmp_path, "pods", "-A", "--step", "15m", start=START - HOUR, end=START + 1800)
    assert notes(half) == [f"Warning: {url} has data from 2023-11-14T21:43Z on: 60m of 90m are covered"]


@MISSING
def test_a_name_that_is_not_there(url: str, tmp_path: Path) -> None:
    result = ran(url, tmp_path, "pods", "nobody", "-A")
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.endswith(f'error: pods "nobody" not found from {NOW[:16]}Z to {END[:16]}Z\n')
    found = ran(url, tmp_path, "pods", "steady", "-A", "-o", "name")
    assert found.stdout == "pod/ns/steady\n"
    assert ran(url, tmp_path, "pods", "steady", "-n", "other").code == 1


@MISSING
def test_top(url: str, tmp_path: Path) -> None:
    """The first rows of those that are sorted, and of names without --sort-by."""
    assert ran(url, tmp_path, "pods", "-A", "--top", "1", "--sort-by", "cpu", "-o", "name").stdout == "pod/ns/born\n"
    assert ran(url, tmp_path, "pods", "-A", "--top", "2", "-o", "name").stdout == "pod/ns/again\npod/ns/born\n"


@MISSING
def test_ascii_where_the_terminal_has_no_unicode(url: str, tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, "http://127.0.0.1:1")
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    words = ["history", "pods", "steady", "-n", "ns", "--step", "5m", "--metric=memory", f"--prometheus={url}"]
    environment = Environment(out, io.StringIO(), {"KUBECONFIG": str(config)})
    assert run([*words, f"--since={clock(START)},{clock(START + HOUR)}"], environment) == 0
    out.seek(0)
    lines = [line.rstrip() for line in out.read().splitlines()]
    assert lines[1].endswith("100Mi   100Mi   100Mi   100Mi   100Mi   0.10 GiB-h   ######### ##")


@MISSING
def test_a_chart(url: str, tmp_path: Path) -> None:
    pytest.importorskip("plotext", reason="plotext is not installed: pip install 'kubectl-vmetrics[chart]'")
    result = ran(url, tmp_path, "pods", "-A", "--chart", "--metric", "cpu", "--step", "5m", "--top", "1")
    assert result.code == 0
    assert "cpu (cores)" in result.stdout
    assert "ns/born" in result.stdout
    assert "ns/gone" not in result.stdout
    assert "\x1b" not in result.stdout


@MISSING
def test_virtual_machines_have_their_names_inside(on_live_demo: Cli) -> None:
    """And memory, with a balloon driver in the guest or without one."""
    words = ("history", "vmi", "--since=3h", "-o", "json")
    outside = json.loads(on_live_demo(*words, "-A").stdout)["items"]
    assert [(item.get("vcluster"), item["namespace"], item["name"]) for item in outside] == [
        (None, "dev", "appliance"),
        (None, "dev", "windows"),
        (None, "prod", "db-0"),
        (None, "prod", "web"),
        ({"name": "shop", "hostNamespace": "team-a"}, "batch", "build"),
    ]
    assert all(item["memory"]["mean"] > 100 << 20 for item in outside)
    inside = json.loads(on_live_demo(*words, "--vcluster=shop").stdout)["items"]
    assert [(item["namespace"], item["name"], "host" in item) for item in inside] == [("batch", "build", False)]
