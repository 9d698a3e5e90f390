"""The cluster of these tests: the demo, and with VMETRICS_E2E=1 that of your KUBECONFIG as well.

    VMETRICS_E2E=1 VMETRICS_E2E_ROLES=1 pytest tests/e2e -n0

Nothing is changed in it, unless VMETRICS_E2E_ROLES=1 allows the tests to create roles and bindings of users that exist
only in them; these are deleted again. KUBECTL names the kubectl to compare with.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from tests.clients.test_kubectl import KUBECTL
from tests.conftest import Result, invoke, write_kubeconfig

USER = "vmetrics-e2e"
SETTLED = 3.0
"""Seconds within which an apiserver acts on a new binding."""
Grant = Callable[[list[dict[str, Any]]], contextlib.AbstractContextManager[None]]


class Cluster:
    """A cluster, and what asks it.

    Attributes:
        name: demo or kubeconfig.
        kubeconfig: its kubeconfig; None for whatever the environment leads to.
    """

    def __init__(self, name: str, kubeconfig: Path | None, grant: Grant, folder: Path) -> None:
        self.name = name
        self.kubeconfig = kubeconfig
        self.grant = grant
        self._folder = folder

    @property
    def environment(self) -> dict[str, str]:
        """Variables for programs."""
        own = {"KUBECACHEDIR": str(self._folder / "cache")}
        return {**os.environ, **own, **({"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {})}

    def run(self, *args: str) -> Result:
        """One of our commands."""
        return invoke(*args, **self.environment)

    def items(self, *args: str) -> list[dict[str, Any]]:
        """The items of a command's JSON, whatever its exit code says of them."""
        result = self.run(*args, "-o", "json")
        assert result.stdout, result.stderr
        found: list[dict[str, Any]] = json.loads(result.stdout)["items"]
        return found

    def kubectl(self, *args: str, given: str = "") -> Result:
        """The same of kubectl."""
        if KUBECTL is None:
            pytest.skip("kubectl is not on the PATH")
        done = subprocess.run(
            [KUBECTL, *args],
            input=given,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session", params=["demo", "kubeconfig"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One, and the other."""
    folder = tmp_path_factory.mktemp("e2e")
    if request.param == "kubeconfig":
        if not os.environ.get("VMETRICS_E2E"):
            pytest.skip("off by default: set VMETRICS_E2E=1 and KUBECONFIG")
        found = Cluster("kubeconfig", None, lambda objects: _applied(found, objects), folder)
        yield found
        return
    application = Apiserver(build(Shape()))

    @contextlib.contextmanager
    def granted(objects: list[dict[str, Any]]) -> Iterator[None]:
        application.grant(objects)
        try:
            yield
        finally:
            application.revoke(objects)

    with server.serving(application) as url:
        yield Cluster("demo", write_kubeconfig(folder, url), granted, folder)


@contextlib.contextmanager
def _applied(cluster: Cluster, objects: list[dict[str, Any]]) -> Iterator[None]:
    if not os.environ.get("VMETRICS_E2E_ROLES"):
        pytest.skip("set VMETRICS_E2E_ROLES=1 to let this create and delete roles")
    text = yaml.safe_dump_all(objects)
    done = cluster.kubectl("apply", "-f", "-", given=text)
    assert done.code == 0, done.stderr
    time.sleep(SETTLED)
    try:
        yield
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "-f", "-", given=text)
