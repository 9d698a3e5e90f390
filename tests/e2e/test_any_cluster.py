"""Against the cluster of your KUBECONFIG, read-only: VMETRICS_E2E=1 pytest tests/e2e

Numbers change between two looks, so names and layout are compared, not values.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from tests.conftest import Result, invoke

pytestmark = pytest.mark.skipif(
    not os.environ.get("VMETRICS_E2E"), reason="off by default: set VMETRICS_E2E=1 and KUBECONFIG"
)


def ours(*args: str) -> Result:
    return invoke(*args, **os.environ)


def kubectl(*args: str) -> Result:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on the PATH")
    done = subprocess.run([program, *args], capture_output=True, text=True, timeout=120, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def names(table: str, columns: int) -> list[list[str]]:
    return [line.split()[:columns] for line in table.splitlines()]


@pytest.mark.parametrize(("line", "columns"), [("top pods -A", 2), ("top pods -A --containers", 3), ("top nodes", 1)])
def test_the_hosts_own_table(line: str, columns: int) -> None:
    args = line.split()
    theirs = kubectl(*args)
    found = ours(*args, *(["--host-names"] if "pods" in args else []))

    assert (found.code, found.stderr) == (theirs.code, theirs.stderr)
    assert names(found.stdout, columns) == names(theirs.stdout, columns)


def test_every_virtual_cluster_from_inside() -> None:
    for item in json.loads(ours("top", "vclusters", "-o", "json").stdout)["items"][:-1]:
        path = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        inside = ours("top", "pods", "--vcluster", path, "--no-headers")
        assert inside.code == 0, inside.stderr
        assert len(inside.stdout.splitlines()) == item["pods"]
        assert "*" not in inside.stdout


def test_control_planes_answer_through_port_forwards() -> None:
    """Of virtual clusters that run: their apiserver, with the certificate of their own Secret."""
    found = ours("controlplanes", "-A", "--kind=vcluster", "--interval=5s", "-o", "json")
    assert found.code == 0, found.stderr
    for item in json.loads(found.stdout)["items"]:
        if item["status"] != "Running":
            continue
        apiservers = [part for part in item["components"] if part["name"] == "apiserver"]
        assert apiservers
        for part in apiservers:
            assert part["up"], part
            assert part["version"].startswith("v1.")
            assert part["memoryBytes"] > 1 << 20


def test_the_doctor_gives_an_answer() -> None:
    found = ours("doctor", "-o", "json")
    assert found.stderr == ""
    assert {item["result"] for item in json.loads(found.stdout)["items"]} <= {"PASS", "WARN", "FAIL", "SKIP"}
