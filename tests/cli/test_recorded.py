"""What a real kubectl printed for what a real cluster answered, against what we print for the same answers."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.conftest import Cli
from tests.replay import RECORDINGS

HOST = json.loads((RECORDINGS / "kubectl-top" / "host.json").read_text())
VC1 = json.loads((RECORDINGS / "kubectl-top" / "vc1.json").read_text())

OTHER_WORDS = {
    # The names of the program and of its commands are not kubectl's.
    "kubectl top": "help of its own",
    # Any column can be sorted by here.
    "kubectl top pods -A --sort-by=name": "",
    "kubectl top pods --nosuchflag": "error: unknown flag: --nosuchflag\n"
    "See 'kubectl vmetrics top pods --help' for usage.\n",
}


@pytest.mark.parametrize("line", HOST, ids=lambda line: line["command"])
def test_host(line: dict[str, object], on_host: Cli) -> None:
    args = shlex.split(str(line["command"]))[1:]
    if args[1:2] and args[1].startswith("pod"):
        args.append("--host-names")

    result = on_host(*args)

    other = OTHER_WORDS.get(str(line["command"]))
    if other == "":
        assert (result.code, result.stderr) == (0, "")
        assert line["exit"] == 1
    elif other:
        assert (result.code, result.stdout) == (1, "")
        assert result.stderr == other or "Available Commands" in result.stderr
    else:
        assert result.stdout == line["stdout"]
        assert result.stderr == line["stderr"]
        assert result.code == line["exit"]


@pytest.mark.parametrize("line", [line for line in VC1 if "pod" in line["command"]], ids=lambda line: line["command"])
def test_inside_a_virtual_cluster(line: dict[str, object], on_host: Cli) -> None:
    args = shlex.split(str(line["command"]))[1:]

    result = on_host(*args, "--vcluster", "vc1")

    assert result.stdout == line["stdout"]
    assert (result.stderr, result.code) == (line["stderr"], line["exit"])


@pytest.mark.parametrize(
    "command",
    [
        "top pods",
        "top pods -n default --containers",
        "top pods -n empty",
        "top nodes --show-swap",
        "top pods -A -l nothing=here",
    ],
)
def test_without_synced_pods_in_scope_the_table_is_kubectls(command: str, on_host: Cli) -> None:
    recorded = {line["command"]: line for line in HOST}

    result = on_host(*command.split())

    expected = recorded.get(f"kubectl {command}") or recorded["kubectl top pods"]
    if command != "top pods -n default --containers":
        assert result == (expected["exit"], expected["stdout"], expected["stderr"])
    assert "VCLUSTER" not in result.stdout
