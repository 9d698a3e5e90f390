"""The real kubectl: against the demo cluster it must work, and print what we print.

KUBECTL names the program to use; by default the newest that is found.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from tests.conftest import Result, invoke, write_kubeconfig
from tests.installed import SCRIPT


def find_kubectl() -> str | None:
    if named := os.environ.get("KUBECTL"):
        return named
    found = shutil.which("kubectl")
    if not found:
        return None
    beside = sorted(
        Path(found).resolve().parent.glob("kubectl.1.*"), key=lambda path: int(path.name.rpartition(".")[2])
    )
    return str(beside[-1]) if beside else found


KUBECTL = find_kubectl()
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH")


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A demo cluster of 2,000 pods, so that many use the same, and paging is needed."""
    application = Apiserver(
        build(Shape(nodes=70, pods=2000, vclusters=5, seed=7, machines=0, tenants=0)), clock=lambda: 1_700_000_000.0
    )
    with server.serving(application) as url:
        yield write_kubeconfig(tmp_path_factory.mktemp("kubectl"), url)


def kubectl(kubeconfig: Path | str, *args: str) -> Result:
    home = str(Path(kubeconfig).parent)
    environment = {"KUBECONFIG": str(kubeconfig), "HOME": home, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [str(KUBECTL), *args], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    "line",
    [
        "top pods -A",
        "top pods -A --sort-by=cpu",
        "top pods -A --sort-by=memory",
        "top pods -A --containers --sort-by=memory",
        "top pods -A --containers --no-headers --sum",
        "top pods -A --no-headers --sum",
        "top pods -n team-a --sum",
        "top pod -n team-a -l app=cart --containers",
        "top po -n team-a --selector=app=cart --sort-by cpu",
        "top pods -n=kube-system --no-headers=true --containers=false",
        "top pods -A -l app in (cart,frontend),pod-template-hash",
        "top pods -A --field-selector=metadata.namespace=team-b",
        "top pods -A --field-selector=status.phase=Running",
        "top pods -n team-a shop-0",
        "top pods -n team-a shop-0 --containers",
        "top pods -n team-a nope",
        "top pods -n team-a shop-0 -l app=vcluster",
        "top pods -n nope",
        "top pods -A -l app=nope",
        "top pods -A nope",
        "top nodes",
        "top nodes --sort-by=cpu",
        "top nodes --sort-by=memory --show-capacity --no-headers",
        "top nodes -l kubernetes.io/hostname=worker-7",
        "top nodes -l a=b",
        "top node worker-3",
        "top node nope",
        "top no worker-3 -l a=b",
        "top pods -l a=b=c",
        "top pods --field-selector foo",
        "top nodes --context=nope",
        "top nodes --cluster=nope",
        "top nodes --user=nope",
        "top pods --request-timeout=soon",
        "top pods --kubeconfig=/nope",
        "top pods -s http://127.0.0.1:1",
        "top pods -s ftp://127.0.0.1:1",
    ],
)
def test_same_words_same_answer(line: str, kubeconfig: Path) -> None:
    args = [
        part.replace("~", " ") for part in re.sub(r"in \((.*?)\)", r"in~(\1)", line.replace("app in", "app~in")).split()
    ]
    ours = [*args, "--host-names"] if args[1].startswith("po") else args

    assert invoke(*ours, kubeconfig=kubeconfig) == kubectl(kubeconfig, *args)


@pytest.mark.parametrize(
    "content",
    [
        "a: [b\n- c",
        "apiVersion: v1\nkind: Config\ncurrent-context: x\n",
        "apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\ncontexts: [{name: x, context: {cluster: a}}]\ncurrent-context: x\n",
        "apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: 'https://127.0.0.1:1', certificate-authority: nope}}]\ncontexts: [{name: x, context: {cluster: a}}]\ncurrent-context: x\n",
    ],
    ids=["not YAML", "no such context", "refused", "no such file"],
)
def test_same_kubeconfig_same_error(content: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)

    theirs = kubectl(path, "top", "nodes")
    ours = invoke("top", "nodes", kubeconfig=path)

    def essence(text: str) -> str:
        # Before "for the cluster" kubectl leaves the cluster's name out or not, and counts yaml's lines from 0 or 1.
        return re.sub(r"line \d+", "line N", re.sub(r" for \w* due", " due", text))

    assert (ours.code, ours.stdout) == (theirs.code, theirs.stdout)
    if "yaml" in theirs.stderr:
        assert ours.stderr.partition("yaml: ")[0] == theirs.stderr.partition("yaml: ")[0]
    else:
        assert essence(ours.stderr) == essence(theirs.stderr)


def test_get_pods_pages_through_all(kubeconfig: Path) -> None:
    result = kubectl(kubeconfig, "get", "pods", "-A")

    lines = result.stdout.splitlines()
    assert lines[0].split() == ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert len(lines) == 2003  # with metrics-server and the Prometheus Operator
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("get nodes", "NAME STATUS ROLES AGE VERSION"),
        ("get ns", "NAME AGE"),
        ("get sts -A", "NAMESPACE NAME AGE"),
        ("get pods -n team-a -o wide", "NAME READY STATUS RESTARTS AGE IP NODE"),
        ("get --raw /version", '{"major":"1","minor":"36","gitVersion":"v1.36.2","platform":"linux/amd64"}'),
        ("get pods -n team-a shop-0 -o jsonpath={.spec.nodeName}", "worker-"),
        ("get podmetrics -n team-a shop-0 -o name", "podmetrics.metrics.k8s.io/shop-0"),
        ("api-resources --namespaced=false -o name", "namespaces"),
        ("version -o json", "{"),
    ],
)
def test_get(line: str, first: str, kubeconfig: Path) -> None:
    result = kubectl(kubeconfig, *line.split())

    assert result.code == 0, result.stderr
    assert " ".join(result.stdout.splitlines()[0].split()).startswith(first)


def test_the_demo_is_read_only(kubeconfig: Path) -> None:
    result = kubectl(kubeconfig, "delete", "ns", "team-a", "--wait=false")

    assert result.code == 1
    assert "MethodNotAllowed" in result.stderr


@pytest.mark.skipif(SCRIPT is None, reason="kubectl-vmetrics is not installed here")
def test_as_a_plugin(tmp_path: Path, kubeconfig: Path) -> None:
    """kubectl finds `kubectl-vmetrics` on the PATH and hands it everything that follows."""
    plugin = tmp_path / "kubectl-vmetrics"
    plugin.symlink_to(str(SCRIPT))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)}
    line = [str(KUBECTL), "vmetrics", "top", "--kubeconfig", str(kubeconfig), "nodes", "--no-headers"]

    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == invoke("top", "nodes", "--no-headers", kubeconfig=kubeconfig).stdout
