"""Roles as `manifests rbac` prints them, on a real cluster: enough for each command, and each verb of them needed.

These tests create and delete roles and bindings of users that exist only in them, so they are asked for apart:

    VMETRICS_E2E=1 VMETRICS_E2E_ROLES=1 pytest tests/e2e/test_rights.py

Whoever runs them must be allowed to grant and to impersonate (cluster-admin is).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from kubectl_vmetrics.metrics.needs import COMMANDS
from tests.conftest import Result, invoke
from tests.manifests.test_rights import LINES

pytestmark = pytest.mark.skipif(
    not (os.environ.get("VMETRICS_E2E") and os.environ.get("VMETRICS_E2E_ROLES")),
    reason="off by default: set VMETRICS_E2E=1, VMETRICS_E2E_ROLES=1 and KUBECONFIG",
)
PATIENCE = 15.0
"""Seconds within which an apiserver acts on a new binding."""


def ours(*args: str) -> Result:
    return invoke(*args, **os.environ)


def kubectl(*args: str, stdin: str = "") -> str:
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not on the PATH")
    done = subprocess.run([program, *args], input=stdin, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Roles:
    """Roles of one user, as they stand in the cluster."""

    def __init__(self) -> None:
        self.user = f"vmetrics-e2e-{uuid.uuid4().hex[:8]}"
        self._made: set[str] = set()

    def grant(self, command: str, without: tuple[str, str] | None = None) -> None:
        """Give what is printed for a command, perhaps without one verb on one resource."""
        printed = ours("manifests", "rbac", f"--for={command}", f"--user={self.user}", "--complete", "-o", "json")
        assert printed.code == 0, printed.stderr
        objects: list[dict[str, Any]] = json.loads(printed.stdout)["items"]
        for rule in [rule for item in objects for rule in item.get("rules", [])]:
            if without and without[0] in rule["resources"]:
                assert rule["resources"] == [without[0]]
                rule["verbs"].remove(without[1])
        self._made |= {f"{item['kind']}/{item['metadata']['name']}" for item in objects}
        kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        self._settled(objects)

    def _settled(self, objects: list[dict[str, Any]]) -> None:
        """Wait until the apiserver allows what it was told."""
        role = next(item for item in objects if item["kind"] == "ClusterRole")
        rule = role["rules"][0]
        resource = f"{rule['resources'][0]}.{rule['apiGroups'][0]}".rstrip(".")
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            program = shutil.which("kubectl") or "kubectl"
            asked = [program, "auth", "can-i", rule["verbs"][0], resource, "-A", f"--as={self.user}"]
            if subprocess.run(asked, capture_output=True, timeout=60, check=False).returncode == 0:
                return
            time.sleep(0.5)

    def close(self) -> None:
        for name in sorted(self._made):
            kubectl("delete", "--ignore-not-found", name)


@pytest.fixture
def roles() -> Iterator[Roles]:
    found = Roles()
    yield found
    found.close()


def lines(command: str) -> list[str]:
    """Those of a command that name nothing of the demo."""
    made_up = ("shop", "team-a", "worker-1", "POD", "tenants")
    return [line for part in LINES[command] for line in part if not any(name in line.split() for name in made_up)]


@pytest.mark.parametrize("command", [name for name in LINES if lines(name)])
def test_the_role_is_enough(command: str, roles: Roles) -> None:
    roles.grant(command)
    for line in lines(command):
        plain, result = ours(*line.split()), ours(*line.split(), f"--as={roles.user}")
        assert "orbidden" not in result.stderr, (line, result.stderr)
        assert result.code == plain.code, (line, result.stderr, plain.stderr)


@pytest.mark.parametrize("verb", ["get", "create"])
def test_port_forwards_need_both_verbs(verb: str, roles: Roles) -> None:
    """On Kubernetes 1.35 and newer each alone is refused, and the hint names both."""
    if not any(plane["components"] for plane in json.loads(ours("controlplanes", "-A", "-o", "json").stdout)["items"]):
        pytest.skip("no control plane runs")
    version = json.loads(kubectl("version", "-o", "json"))["serverVersion"]
    if int(version["minor"].rstrip("+")) < 35 and verb == "create":
        pytest.skip("before 1.35 a WebSocket takes get alone")
    roles.grant("controlplanes", without=("pods/portforward", verb))
    result = ours("controlplanes", "-A", "--interval=5s", f"--as={roles.user}")
    assert result.code == 1
    assert "grant: get and create on pods/portforward" in result.stderr


def test_the_doctor_reads_the_same_rights(roles: Roles) -> None:
    roles.grant("top pods")
    found = json.loads(ours("doctor", "rbac", "-o", "json", f"--as={roles.user}").stdout)["rights"]
    missing = {item["command"]: item.get("missing", []) for item in found}
    assert set(missing) == set(COMMANDS)
    assert missing["top pods"] == []
    assert missing["controlplanes"] != []
