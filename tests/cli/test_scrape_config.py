"""`targets controlplanes -o scrape-config`: certificates that are let in, by files that its comments say how to make."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from kubectl_vmetrics.controlplane import targets
from kubectl_vmetrics.controlplane.plane import APISERVER, KAMAJI, VCLUSTER, Component, Plane
from kubectl_vmetrics.controlplane.targets import Source
from kubectl_vmetrics.demo import forward, server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.controlplanes import ControlPlanes
from kubectl_vmetrics.demo.exchange import Refusal, Reply, Request
from kubectl_vmetrics.demo.forward import Listener
from kubectl_vmetrics.manifests import prometheus
from tests.conftest import invoke, write_kubeconfig
from tests.prometheus import MISSING, checked, query, running

NO_KUBECTL = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH")
SECRETS = "/api/v1/namespaces/tenants/secrets"


class Host(Apiserver):
    """The demo; globex, whose certificate names no group, has the Secret of its administrator."""

    def __init__(self, *, administrator: bool = True) -> None:
        super().__init__(build(Shape(pods=20)))
        self._administrator = administrator
        self.change = self._with_administrator
        self.planes = next(part for part in self.parts if isinstance(part, ControlPlanes))

    def _with_administrator(self, request: Request, answer: Callable[[Request], Reply]) -> Reply:
        if request.path != f"{SECRETS}/globex-admin-kubeconfig" or not self._administrator:
            return answer(request)
        own = self.planes._certificates["tenants", "globex"].authority.client("admin", "system:masters")
        user = {
            "client-certificate-data": base64.b64encode(own.certificate).decode(),
            "client-key-data": base64.b64encode(own.key).decode(),
        }
        config = {
            "clusters": [{"name": "globex", "cluster": {"server": "https://globex:6443"}}],
            "users": [{"name": "admin", "user": user}],
        }
        data = {"admin.conf": base64.b64encode(yaml.safe_dump(config).encode()).decode()}
        return Reply(
            200, json.dumps({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}, "data": data}).encode()
        )


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[Host, Path]]:
    found = Host()
    with server.serving(found) as url:
        yield found, write_kubeconfig(tmp_path, url)


def made(text: str, folder: Path, kubeconfig: Path) -> None:
    """Follow the comments, for each folder, with the real kubectl; what it would create is written as it is mounted."""
    lines = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]
    define = next(line.strip() for line in lines if line.startswith("  get()"))
    recipes: dict[str, list[str]] = {}
    for line in lines:
        if found := re.fullmatch(rf"{prometheus.MOUNTS}/(\S+), for \S+:", line):
            recipes[found[1]] = [define]
        elif recipes and line.startswith("  "):
            command = line.strip().replace("-n NAMESPACE create", "create --dry-run=client -o json")
            recipes[list(recipes)[-1]].append(command)
    for name, recipe in recipes.items():
        work = folder / "work"
        work.mkdir(exist_ok=True)
        script = "set -e -o pipefail\n" + "\n".join(recipe)
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=work,
            env={"HOME": str(folder.parent), "KUBECONFIG": str(kubeconfig), "PATH": "/usr/bin:/bin:/usr/local/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert list(work.iterdir()) == []  # no key is left behind
        secret = json.loads(done.stdout)
        assert secret["metadata"]["name"] == name
        (folder / name).mkdir()
        for key, value in secret["data"].items():
            (folder / name / key).write_bytes(base64.b64decode(value))


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[str]:
    """What listens in a pod, on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening_socket:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    stream, _ = listening_socket.accept()
                    threading.Thread(target=forward._listen, args=(stream, listener), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listening_socket.getsockname()[1]}"
        with contextlib.suppress(OSError):
            listening_socket.shutdown(socket.SHUT_RDWR)


@MISSING
@NO_KUBECTL
def test_a_real_prometheus_is_let_in_by_every_control_plane(host: tuple[Host, Path], tmp_path: Path) -> None:
    """Two virtual clusters of one name, a tenant with two replicas, and one whose kubelet's certificate lost its group."""
    demo, kubeconfig = host
    result = invoke("targets", "controlplanes", "-o", "scrape-config", kubeconfig=kubeconfig)
    assert (result.code, result.stderr) == (0, "")
    mounts = tmp_path / "mounts"
    mounts.mkdir()
    made(result.stdout, mounts, kubeconfig)

    config = yaml.safe_load(result.stdout.replace(prometheus.MOUNTS, str(mounts)))
    with contextlib.ExitStack() as stack:
        jobs = [job for job in config["scrape_configs"] if "tls_config" in job]
        for job in jobs:
            job |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
            for group in job["static_configs"]:
                labels = group["labels"]
                listeners = demo.planes.listeners(labels["namespace"], labels["pod"])
                assert listeners is not None
                port = int(group["targets"][0].rpartition(":")[2])
                group["targets"] = [stack.enter_context(listening(listeners[port]))]
        checked({"scrape_configs": config["scrape_configs"]}, tmp_path)
        url = stack.enter_context(running({"scrape_configs": jobs}, tmp_path))
        count = sum(len(job["static_configs"]) for job in jobs)
        query(url, f"count(up == 1) == {count}")
        by_cluster = query(url, 'sum by (cluster) (up{job="apiserver"})')
    assert {item["metric"]["cluster"]: item["value"][1] for item in by_cluster} == {
        "tenants/acme": "2",
        "tenants/globex": "1",
        "team-a/shop": "1",
        "team-b/dev": "1",
        "team-c/dev": "1",
    }


def test_each_control_plane_has_its_own_files(host: tuple[Host, Path]) -> None:
    text = invoke("targets", "-o", "scrape-config", kubeconfig=host[1]).stdout
    files: dict[str, set[str]] = {}
    for job in yaml.safe_load(text)["scrape_configs"]:
        if "cert_file" in job.get("tls_config", {}):
            clusters = {(g["labels"]["kind"], g["labels"]["cluster"]) for g in job["static_configs"]}
            assert len(clusters) == 1
            files.setdefault(job["tls_config"]["cert_file"], set()).update(map(str, clusters))
    assert len(files) == 5
    assert all(len(clusters) == 1 for clusters in files.values())


def test_a_tenant_that_lets_nobody_in_is_named(tmp_path: Path) -> None:
    with server.serving(Host(administrator=False)) as url:
        result = invoke("targets", "controlplanes", "-o", "scrape-config", kubeconfig=write_kubeconfig(tmp_path, url))
    assert result.code == 0
    assert (
        "#   # no usable client certificate: Secret globex-api-server-kubelet-client-certificate: the certificate of "
        '"kube-apiserver-kubelet-client" has no group, so it may not read /metrics; Secret globex-admin-kubeconfig does '
        "not exist; create one: kubectl vmetrics manifests kamaji globex -n tenants --credential"
    ) in result.stdout


@pytest.mark.parametrize(
    "args", [["-o", "http-sd"], ["-o", "file-sd"], ["-o", "scrape-config", "--through-apiserver"], []]
)
def test_secrets_are_read_only_where_they_are_needed(args: list[str], tmp_path: Path) -> None:
    demo = Host()
    asked: list[str] = []
    real = demo.answer

    def watched(request: Request, _: Callable[[Request], Reply]) -> Reply:
        asked.append(request.path)
        if "/secrets" in request.path:
            raise Refusal(403, "Forbidden", "secrets is forbidden")
        return real(request)

    demo.change = watched
    with server.serving(demo) as url:
        path = write_kubeconfig(tmp_path, url)
        result = invoke("targets", "controlplanes", *args, kubeconfig=path)
        assert (result.code, result.stderr) == (0, "")
        assert not [path for path in asked if "/secrets" in path]
        assert "get()" not in result.stdout
        # Without the right, the file says so, and names no certificate that nobody looked at.
        text = invoke("targets", "controlplanes", "-o", "scrape-config", kubeconfig=path).stdout
    assert text.count("# no usable client certificate: ") == 5
    assert "you are not allowed to read Secret" in text


def test_comments_hold_whatever_names_hold() -> None:
    """Nothing in a name ends a comment, or a word of a command."""
    part = Component(APISERVER, "p", "10.0.0.1", 6443, verified=True)
    evil = "x\nscrape_configs: []\u2028\x85 #"
    planes = [
        Plane(KAMAJI, "a;b", "$(id)", components=(part,), secrets=(("ca", "c'a"), ("kubelet", evil), ("admin", "adm"))),
        Plane(VCLUSTER, "n", evil, components=(part,)),
    ]
    known = {planes[0].key: Source(evil), planes[1].key: Source(why=f"as {evil} said")}
    text = prometheus.scrape_config(targets.find(planes, known))
    comments = text[: text.index("\nscrape_configs:\n") + 1]
    assert all(line.startswith("# ") for line in re.split("[\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", comments) if line)
    assert len(yaml.safe_load(text)["scrape_configs"]) == 2
    assert "get 'a;b' '" in comments
