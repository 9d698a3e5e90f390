"""`proxy --only-names`: a process with the rights that it needs and no others."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from tests import rights
from tests.conftest import invoke, write_kubeconfig
from tests.proxy.test_proxy import get, serve

FOLLOWED = ("pods", "persistentvolumeclaims")


class Granted(rights.Rights):
    """Rights without roles."""

    def __init__(self, *rules: tuple[str | None, str, str, str]) -> None:
        super().__init__([])
        self.allowed = set(rules)


def followed(namespace: str | None, *resources: str) -> list[tuple[str | None, str, str, str]]:
    return [(namespace, "", resource, verb) for resource in resources for verb in ("list", "watch")]


def listed(namespace: str | None) -> list[tuple[str | None, str, str, str]]:
    return [(namespace, "apps", kind, "list") for kind in ("deployments", "statefulsets")]


ALL = (*followed(None, *FOLLOWED, "namespaces"), *listed(None))
ONE = (*followed("team-a", *FOLLOWED), *followed(None, "namespaces"), *listed("team-a"))


@contextlib.contextmanager
def process(granted: rights.Rights, folder: Path, *args: str) -> Iterator[tuple[rights.Guard, str, str]]:
    """The command; gives what it asked, its URL, and what it printed."""
    guard = rights.Guard(Apiserver(build(Shape())), granted)
    with server.serving(guard) as host:
        variables = {**os.environ, "KUBECONFIG": str(write_kubeconfig(folder, host))}
        command = [sys.executable, "-m", "kubectl_vmetrics", "proxy", "--only-names", "--port=0", *args]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables, text=True
        ) as running:
            assert running.stdout
            assert running.stderr
            lines = [running.stdout.readline() for _ in range(3)]
            found = re.search(r"http://\S+", lines[0])
            assert found, lines[0] + running.stderr.read()
            try:
                yield guard, found[0], "".join(lines)
            finally:
                running.send_signal(signal.SIGTERM)
                assert running.wait(20) == 0
                assert running.stderr.read() == ""


def counted(text: bytes) -> dict[str, int]:
    families = re.findall(r"(?m)^(\w+)\{", text.decode())
    return {name: families.count(name) for name in families}


def test_its_rights_are_enough_and_all_of_them_are_used(tmp_path: Path) -> None:
    printed_rules = yaml.safe_load_all(invoke("manifests", "rbac", "--for=proxy --only-names", "--user=alice").stdout)
    granted = rights.Rights(list(printed_rules))
    assert granted.allowed == set(ALL)
    with process(granted, tmp_path) as (guard, url, printed):
        status, text = get(f"{url}/metrics/names")
        assert (status, counted(text)) == (
            200,
            {"vcluster_pod_info": 31, "vcluster_persistentvolumeclaim_info": 3, "vcluster_info": 3},
        )
        for path in ("/metrics", "/sd", "/readyz"):
            assert get(f"{url}{path}")[0] == 200, path
        assert get(f"{url}/api/v1/nodes/worker-1/proxy/metrics")[0] == 404
        assert guard.refused == []
    assert granted.allowed - granted.used == set()
    assert printed == (
        f"Serving names of the host and its virtual clusters at {url}\n  curl {url}/metrics/names\n"
        "Press Ctrl-C to stop.\n"
    )


def test_for_one_virtual_cluster_those_of_its_namespace_are_enough(tmp_path: Path) -> None:
    granted = Granted(*ONE)
    with process(granted, tmp_path, "--vcluster=team-a/shop") as (guard, url, printed):
        status, text = get(f"{url}/metrics/names")
        assert (status, counted(text)) == (
            200,
            {"vcluster_pod_info": 11, "vcluster_persistentvolumeclaim_info": 1, "vcluster_info": 1},
        )
        assert set(re.findall(r'vcluster_name="(.*?)",vcluster_host_namespace="(.*?)"', text.decode())) == {
            ("shop", "team-a")
        }
        assert guard.refused == []
    assert granted.allowed - granted.used == set()
    assert printed.startswith(f"Serving names of virtual cluster team-a/shop at {url}\n")


@pytest.mark.parametrize("missing", ["persistentvolumeclaims", "namespaces", "deployments", "statefulsets"])
def test_without_one_right_the_names_of_pods_are_there_all_the_same(missing: str) -> None:
    guard = rights.Guard(Apiserver(build(Shape())), Granted(*(rule for rule in ALL if rule[2] != missing)))
    with server.serving(guard) as host, serve(None, host, only_names=True) as url:
        status, text = get(f"{url}/metrics/names")

    assert (status, counted(text)["vcluster_pod_info"]) == (200, 31)
    assert counted(text).get("vcluster_persistentvolumeclaim_info", 0) == (0 if missing == FOLLOWED[1] else 3)
    # Without the right to list them it is the pods that show which virtual clusters there are.
    assert counted(text)["vcluster_info"] == 3
    assert {item.resource for item in guard.refused} == {missing}


def test_without_pods_there_is_nothing_to_serve() -> None:
    guard = rights.Guard(Apiserver(build(Shape())), Granted(*(rule for rule in ALL if rule[2] != "pods")))
    with server.serving(guard) as host, serve(None, host, only_names=True) as url:
        status, body = get(f"{url}/metrics/names")
        assert get(f"{url}/readyz")[0] == 503

    assert (status, b'"message":"the host refused the request"' in body) == (502, True)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--isolate"], "--isolate has no effect with --only-names, which serves no metrics of nodes: use one of them"),
        (["--isolate", "--vcluster=shop"], "--isolate has no effect with --only-names, which serves no metrics of nodes: use one of them"),
        (["--port=-1"], "--port: -1 is not a port: use 0 to 65535"),
        (["--address=0.0.0.0"], "listening on 0.0.0.0 requires --token-file, --tls-cert-file and --tls-private-key-file"),
    ],
)  # fmt: skip
def test_what_makes_no_sense(args: list[str], message: str) -> None:
    assert invoke("proxy", "--only-names", *args) == (1, "", f"error: {message}\n")


def test_a_virtual_cluster_that_there_is_not(tmp_path: Path) -> None:
    with server.serving(Apiserver(build(Shape()))) as host:
        found: Any = invoke("proxy", "--only-names", "--vcluster=x", kubeconfig=write_kubeconfig(tmp_path, host))

    assert (found.code, found.stdout, found.stderr) == (
        1,
        "",
        'error: virtual cluster "x" not found; choose from team-a/shop, team-b/dev, team-c/dev\n',
    )
