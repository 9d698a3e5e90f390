"""`controlplanes` on the demo's tenants, whose apiserver speaks the port-forward's protocol, and on everything else."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kubectl_vmetrics.cli import planes as finder
from kubectl_vmetrics.controlplane import scrape
from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.certificates import Authority
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.controlplanes import ControlPlanes
from kubectl_vmetrics.demo.exchange import Refusal, Reply, Request
from kubectl_vmetrics.demo.forward import Listener
from kubectl_vmetrics.kube import gather
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import ConnectionFailed, Forbidden, NotFound, StatusError
from kubectl_vmetrics.kube.forward import Identity, Peer, forward
from kubectl_vmetrics.metrics import sampling
from tests.conftest import Result, invoke, write_kubeconfig

TENANT = "/apis/kamaji.clastix.io/v1alpha1/namespaces/tenants/tenantcontrolplanes/"


class Host(Apiserver):
    """The demo, with answers that are others, and the secrets that it gave away."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(build(shape))
        self.override: dict[str, Callable[[Reply | None], Reply]] = {}
        self.secrets: list[bytes] = []
        self.answers: dict[int, Listener] | None = None
        self.planes = next(part for part in self.parts if isinstance(part, ControlPlanes))

    def _listeners(self, namespace: str, pod: str) -> Mapping[int, Listener]:
        return super()._listeners(namespace, pod) if self.answers is None else self.answers

    def answer(self, request: Request) -> Reply:
        change = self.override.get(request.path)
        reply = super().answer(request)
        if "/secrets/" in request.path:
            self.secrets += [base64.b64decode(value) for value in json.loads(reply.body)["data"].values()]
        return change(reply) if change else reply


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits."""
    fake = SimpleNamespace(time=time.time, monotonic=time.monotonic, sleep=lambda _: None)
    monkeypatch.setattr(sampling, "time", fake)


@contextlib.contextmanager
def serving(shape: Shape) -> Iterator[tuple[Host, str]]:
    host = Host(shape)
    with server.serving(host) as url:
        yield host, url


@pytest.fixture
def host(now: None) -> Iterator[tuple[Host, str]]:
    with serving(Shape(pods=12, vclusters=1, machines=0)) as found:
        yield found


@pytest.fixture
def run(host: tuple[Host, str], tmp_path: Path) -> Callable[..., Result]:
    path = write_kubeconfig(tmp_path, host[1])
    return lambda *args, **more: invoke("controlplanes", *args, kubeconfig=path, **more)


def planes(result: Result) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in json.loads(result.stdout)["items"]}


def edited(change: Callable[[dict[str, Any]], None]) -> Callable[[Reply | None], Reply]:
    """An answer whose first item is changed."""

    def edit(reply: Reply | None) -> Reply:
        assert reply is not None
        body = json.loads(reply.body)
        change(body["items"][0] if "items" in body else body)
        return reply._replace(body=json.dumps(body).encode())

    return edit


def test_all_of_them(run: Callable[..., Result]) -> None:
    found = planes(run("-A", "-o", "json"))

    assert list(found) == ["default", "kamaji", "acme", "globex", "shop"]
    acme = found["acme"]
    assert [(c["name"], c["instance"][-5:]) for c in acme["components"]] == [
        (name, pod) for pod in ("87c14", "8a0a2") for name in ("apiserver", "controller-manager", "scheduler")
    ]
    assert [c.get("leader") for c in acme["components"]] == [None, True, True, None, False, False]
    assert all(component["up"] for component in acme["components"])
    assert acme["verdict"] == "Healthy"
    assert found["kamaji"]["components"][0]["tenants"] == {"Ready": 2}
    assert {c["name"] for c in found["shop"]["components"]} == {"apiserver", "controller-manager", "syncer"}


def test_the_numbers_are_those_of_the_listeners(
    host: tuple[Host, str], run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rates of what was served: two texts, and the time between them."""
    texts = [
        b'apiserver_request_total{verb="GET",code="200"} 100\napiserver_request_total{verb="GET",code="500"} 0\n'
        b'apiserver_request_total{verb="WATCH",code="200"} 0\nprocess_cpu_seconds_total 5\n',
        b'apiserver_request_total{verb="GET",code="200"} 190\napiserver_request_total{verb="GET",code="500"} 10\n'
        b'apiserver_request_total{verb="WATCH",code="200"} 9000\nprocess_cpu_seconds_total 6\n',
    ]
    authority = Authority("x")
    host[0].override["/api/v1/namespaces/team-a/secrets/vc-shop"] = lambda reply: _vc_secret(authority)
    asked: list[float] = []

    def respond(path: str, user: Any) -> tuple[int, bytes, str]:
        if path != "/metrics":
            return 404, b"", "text/plain"
        asked.append(time.time())
        return 200, texts[min(len(asked), 2) - 1], "text/plain"

    host[0].answers = {8443: Listener(authority.server("kubernetes.default"), respond)}
    monkeypatch.setattr(sampling.time, "sleep", time.sleep)
    component = planes(run("shop", "-n", "team-a", "-o", "json", "--interval=1s"))["shop"]["components"][0]

    seconds = asked[1] - asked[0]
    assert component["requestsPerSecond"] * seconds == pytest.approx(100, rel=0.2)
    assert component["errorShare"] == pytest.approx(0.1)
    assert component["cpuCores"] * seconds == pytest.approx(1, rel=0.2)


def _vc_secret(authority: Authority) -> Reply:
    pair = authority.client("admin", "system:masters")
    data = {
        "certificate-authority": authority.pem,
        "client-certificate": pair.certificate,
        "client-key": pair.key,
    }
    return Reply(200, json.dumps({"data": {k: base64.b64encode(v).decode() for k, v in data.items()}}).encode())


def test_a_tenant_that_lets_nobody_in_is_one_row_and_the_rest_is_intact(run: Callable[..., Result]) -> None:
    result = run("-n", "tenants")

    rows = [line.split() for line in result.stdout.splitlines()]
    assert [row[2] for row in rows[1:]] == ["acme"] * 6 + ["globex"]
    assert rows[-1][3:6] == ["<none>", "<none>", "no"]
    assert result.stdout.splitlines()[-1].rstrip().endswith("no usable client certificate")
    assert result.code == 1
    assert "has no group, so it may not read /metrics" in result.stderr
    assert "kubectl vmetrics manifests kamaji globex -n tenants --credential" in result.stderr


def test_the_verdict(run: Callable[..., Result]) -> None:
    result = run("-n", "tenants", "--summary", "--fail-on-problems", "--fail-on-unknown")

    rows = result.stdout.splitlines()
    assert rows[1].rstrip().endswith("Healthy")
    assert rows[2].rstrip().endswith("Unknown: apiserver, controller-manager, scheduler: no usable client certificate")
    assert result.code == 1
    found = planes(run("-n", "tenants", "-o", "json"))["globex"]
    assert (found["verdict"], found["reasons"]) == (
        "Unknown",
        ["apiserver, controller-manager, scheduler: no usable client certificate"],
    )


@pytest.mark.parametrize(
    ("ready", "flags", "code"),
    [
        # acme is Healthy or Degraded by its replicas; globex is Unknown.
        (2, ["acme"], 0),
        (2, ["acme", "--fail-on-problems", "--fail-on-unknown"], 0),
        (2, ["globex", "--fail-on-problems"], 0),
        (2, ["globex", "--fail-on-unknown"], 1),
        (2, ["--fail-on-problems"], 0),
        (2, ["--fail-on-unknown"], 1),
        (1, ["acme"], 0),
        (1, ["acme", "--fail-on-problems"], 1),
        (1, ["acme", "--fail-on-unknown"], 0),
        (1, ["--fail-on-problems"], 1),
        (1, ["--fail-on-problems", "--summary", "-o", "json"], 1),
    ],
)
def test_exit_codes(
    ready: int, flags: list[str], code: int, host: tuple[Host, str], run: Callable[..., Result]
) -> None:
    host[0].override[TENANT.rstrip("/")] = edited(
        lambda item: item["status"]["kubernetesResources"]["deployment"].update(readyReplicas=ready)
    )
    assert run("-n", "tenants", *flags).code == code


def test_who_sleeps_is_no_problem(host: tuple[Host, str], run: Callable[..., Result]) -> None:
    def sleep(item: dict[str, Any]) -> None:
        item["spec"]["controlPlane"]["deployment"]["replicas"] = 0
        item["status"]["kubernetesResources"] = {"version": {"version": "v1.35.7", "status": "Sleeping"}}

    host[0].override[TENANT.rstrip("/")] = edited(sleep)
    host[0].override["/api/v1/namespaces/tenants/pods"] = lambda reply: Reply(200, b'{"items":[]}')
    host[0].override["/apis/apps/v1/namespaces/team-a/statefulsets"] = edited(
        lambda item: item["spec"].update(replicas=0)
    )
    result = run("acme", "-n", "tenants", "--fail-on-problems")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1].split()[3:7] == ["<none>", "<none>", "sleeping", "v1.35.7"]

    result = run("shop", "-n", "team-a", "--summary", "--fail-on-problems")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1].split()[-1] == "ScaledDown"


def test_without_pods_and_unready(host: tuple[Host, str], run: Callable[..., Result]) -> None:
    host[0].override["/api/v1/namespaces/tenants/pods"] = lambda reply: Reply(200, b'{"items":[]}')
    host[0].override[TENANT.rstrip("/")] = edited(
        lambda item: item["status"]["kubernetesResources"]["deployment"].update(readyReplicas=1)
    )
    found = planes(run("acme", "-n", "tenants", "-o", "json"))["acme"]

    assert found["reasons"] == ["it has no pods", "1 of 2 replicas are ready"]


def test_no_right_to_forward(host: tuple[Host, str], run: Callable[..., Result]) -> None:
    message = 'pods "acme-822b33ad-87c14" is forbidden: User "x" cannot create resource "pods/portforward"'

    def refuse(environ: Any, namespace: str, pod: str) -> Any:
        raise Refusal(403, "Forbidden", message)

    host[0]._forward = refuse  # type: ignore[method-assign]
    result = run("-n", "tenants")

    assert [line.split()[2] for line in result.stdout.splitlines()[1:]] == ["acme", "globex"]
    assert result.stdout.splitlines()[1].rstrip().endswith("no right to pods/portforward")
    assert "-> grant: get and create on pods/portforward in tenants" in result.stderr


def test_the_administrators_certificate_where_the_first_is_not_let_in(
    host: tuple[Host, str], run: Callable[..., Result]
) -> None:
    """A binding that is gone: the certificate names a group, and the apiserver says no to it all the same."""
    from kubectl_vmetrics.demo.controlplanes import NAMESPACE

    own = host[0].planes._certificates[NAMESPACE, "acme"]
    own._groups = ("kubeadm:strangers",)
    result = run("acme", "-n", "tenants")
    assert (
        'is not authorized: forbidden: User "kube-apiserver-kubelet-client" cannot get path "/metrics"' in result.stderr
    )
    assert "Secret acme-admin-kubeconfig does not exist" in result.stderr


def test_a_component_that_is_down_is_one_row(host: tuple[Host, str], run: Callable[..., Result]) -> None:
    planes_of = host[0].planes
    own = planes_of._of_tenant(planes_of.tenants[0], 0)
    host[0].answers = {port: listener for port, listener in own.items() if port != 10259}
    result = run("acme", "-n", "tenants", "-o", "json")
    found = planes(result)["acme"]["components"]

    assert [(c["name"], c["up"]) for c in found[:3]] == [
        ("apiserver", True),
        ("controller-manager", True),
        ("scheduler", False),
    ]
    assert found[2]["error"] == "nothing is listening on the port: connection refused"


def test_a_server_with_another_certificate_gets_nothing(host: tuple[Host, str], run: Callable[..., Result]) -> None:
    seen: list[Any] = []
    stranger = Authority("kubernetes").server("acme.tenants.svc")
    host[0].answers = {6443: Listener(stranger, lambda path, user: seen.append(user) or (200, b"", ""))}  # type: ignore[func-returns-value]
    result = run("acme", "-n", "tenants", "-o", "json")

    error = planes(result)["acme"]["components"][0]["error"]
    assert error == "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    assert seen == []


def test_no_secret_is_shown_at_any_verbosity(
    host: tuple[Host, str], run: Callable[..., Result], tmp_path: Path
) -> None:
    shown = ""
    for args in (["-A"], ["-A", "-o", "json"], ["-A", "-o", "wide"], ["-A", "--summary"]):
        result = run(*args, "-v=9", f"--cache-dir={tmp_path}/cache")
        shown += result.stdout + result.stderr

    keys = [secret for secret in host[0].secrets if b"PRIVATE KEY" in secret]
    assert len(keys) >= 3
    for secret in host[0].secrets:
        body = [line for line in secret.decode().splitlines() if "-----" not in line]
        for text in (secret.decode(), *body, base64.b64encode(secret).decode()):
            assert text not in shown
    assert not (tmp_path / "cache").exists()
    assert "GET" in shown
    assert "/portforward 101 in" in shown


def test_a_tenants_secret_is_read_again(
    host: tuple[Host, str], client_of: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within KEPT seconds the credential of before is used; then what the Secret holds, or does not hold any more."""
    monkeypatch.setattr(scrape, "time", SimpleNamespace(time=time.time, monotonic=lambda: now))
    now = 0.0
    client = client_of(host[1])
    plane = next(item for item in finder.find(client, "team-a")[0] if item.name == "shop")
    scraper = scrape.Scraper(client, lambda name: True)

    def taken() -> list[str]:
        found = scraper.take([plane])
        return sorted({type(item).__name__ for item in found.values()})

    assert taken() == ["Snapshot"]
    secrets = len(host[0].secrets)
    assert taken() == ["Snapshot"]
    assert len(host[0].secrets) == secrets
    now = scrape.KEPT + 1
    assert taken() == ["Snapshot"]
    assert len(host[0].secrets) > secrets
    host[0].override["/api/v1/namespaces/team-a/secrets/vc-shop"] = lambda _: Reply(404, b"{}")
    assert taken() == ["Snapshot"]
    now = 2 * (scrape.KEPT + 1)
    assert taken() == ["NoCredential"]


def test_a_hundred_tenants(now: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine some are slow; that slow ones are given up is held elsewhere.
    monkeypatch.setattr(gather, "SLOW", 1000.0)
    with serving(Shape(pods=3, vclusters=0, machines=0, tenants=100)) as (_, url):
        result = invoke("controlplanes", "-A", "--summary", "-o", "json", kubeconfig=write_kubeconfig(tmp_path, url))

    found = planes(result)
    assert len(found) == 102
    assert sum(component["up"] for item in found.values() for component in item["components"]) == 2 + 6 + 98 * 3


def test_names_of_control_planes_in_several_namespaces_are_unique(run: Callable[..., Result]) -> None:
    names = "kamaji/kamaji-system/default kamaji/kamaji-system/kamaji kamaji/tenants/acme kamaji/tenants/globex"
    expected = [*names.split(), "vcluster/team-a/shop"]

    for more in ([], ["--summary"]):
        assert run("-A", "-o", "name", *more).stdout.split() == expected


def test_nothing_at_all(run: Callable[..., Result], host: tuple[Host, str]) -> None:
    assert run("-n", "default").stderr == "No control planes found in default namespace.\n"
    assert run("nope", "-n", "tenants").stderr == (
        'Error from server (NotFound): control plane "nope" not found in tenants namespace; -A searches all namespaces\n'
    )
    assert run("nope", "-A").stderr == 'Error from server (NotFound): control plane "nope" not found\n'
    host[0].override["/apis/kamaji.clastix.io"] = lambda _: Reply(404, b"404 page not found\n", "text/plain")
    assert run("-A", "--kind=kamaji").stderr.startswith("error: Kamaji is not installed")
    assert list(planes(run("-A", "-o", "json"))) == ["shop"]


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["--kind=k3s"], "error: --kind accepts only kamaji, vcluster\n"),
        (["--interval=100ms"], "error: --interval must be 1s or more: rates need samples at least 1s apart\n"),
        (["--summmary"], "error: unknown flag: --summmary\n"),
    ],
)
def test_bad_input(args: list[str], stderr: str, run: Callable[..., Result]) -> None:
    result = run(*args)
    assert result.code == 1
    assert result.stderr.startswith(stderr)


# ------------------------------------------------------------------------------------------------------- port-forward


@pytest.fixture
def client(host: tuple[Host, str], client_of: Callable[[str], Client]) -> Client:
    return client_of(host[1])


def plain(respond: Any) -> dict[int, Listener]:
    return {8080: Listener(None, respond)}


def test_a_forward_carries_large_answers_one_after_the_other(host: tuple[Host, str], client: Client) -> None:
    text = b"x 1.000000000\n" * 300_000
    host[0].answers = plain(lambda path, user: (200, text if path == "/large" else b"small", "text/plain"))
    with forward(client, "any", "pod", [8080], 20) as ways:
        connection = ways.open(8080, None)
        assert connection.get("/large", accept="text/plain").body == text
        assert connection.get("/", accept="text/plain").body == b"small"
    assert_no_threads_stay()


def test_several_ports_at_once(host: tuple[Host, str], client: Client) -> None:
    host[0].answers = {
        port: Listener(None, lambda path, user, port=port: (200, str(port).encode(), "")) for port in (1, 2, 3)
    }
    with forward(client, "any", "pod", [1, 2, 3], 20) as ways:
        assert [ways.open(port, None).get("/", accept="*/*").body for port in (3, 1, 2)] == [b"3", b"1", b"2"]


def test_client_certificates_go_through(host: tuple[Host, str], client: Client) -> None:
    authority = Authority("a")
    pair = authority.client("me", "group-a", "group-b")
    host[0].answers = {8443: Listener(authority.server("localhost"), lambda path, user: (200, repr(user).encode(), ""))}
    with forward(client, "any", "pod", [8443], 20) as ways:
        answer = ways.open(8443, Peer(Identity(*pair), authority.pem)).get("/", accept="*/*")

    assert answer.body == b"User(name='me', groups=('group-a', 'group-b'))"


def test_headers_hold_one_line_each(host: tuple[Host, str]) -> None:
    from kubectl_vmetrics.kube.errors import ConfigError
    from kubectl_vmetrics.kube.kubeconfig import Connection

    client = Client(Connection(server=host[1], impersonate=(("Impersonate-User", "a\r\nX-Evil: b"),)))
    with pytest.raises(ConfigError, match="line break"), forward(client, "any", "pod", [1], 5):
        pass


def test_refusals(host: tuple[Host, str], client: Client) -> None:
    with pytest.raises(NotFound, match='pods "pod" not found'), forward(client, "any", "pod", [1], 20):
        pass
    host[0].answers = plain(
        lambda path, user: (403, b'{"message":"no","code":403,"reason":"Forbidden"}', "application/json")
    )
    with forward(client, "any", "pod", [8080, 9999], 20) as ways:
        with pytest.raises(Forbidden, match="no"):
            ways.open(8080, None).get("/", accept="*/*")
        with pytest.raises(ConnectionFailed, match="nothing is listening"):
            ways.open(9999, None).get("/", accept="*/*")


def test_silence_ends_in_time(host: tuple[Host, str], client: Client) -> None:
    done = threading.Event()

    def hang(path: str, user: Any) -> Any:
        done.wait(30)
        return 200, b"", ""

    host[0].answers = plain(hang)
    started = time.monotonic()
    with (
        pytest.raises(ConnectionFailed, match=r"Client\.Timeout exceeded"),
        forward(client, "any", "pod", [8080], 0.5) as ways,
    ):
        ways.open(8080, None).get("/", accept="*/*")
    assert time.monotonic() - started < 5
    done.set()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"\x00\x01\x02 not http at all\r\n\r\n",
    ],
)
def test_servers_that_do_not_speak_it(answer: bytes, client_of: Callable[[str], Client]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        client = client_of(f"http://127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises((ConnectionFailed, StatusError)), forward(client, "any", "pod", [1], 5):
            pass


def test_frames_that_break_the_protocol_are_one_error(host: tuple[Host, str], client: Client, capsys: Any) -> None:
    """A channel that there is not, or a first frame of the wrong length: nothing is printed but our own words."""
    from kubectl_vmetrics.demo import forward as demo_forward

    real = demo_forward.struct
    fake = SimpleNamespace(pack=lambda form, port: b"\x00\x00\x00\x00")
    demo_forward.struct = fake  # type: ignore[assignment]
    try:
        host[0].answers = plain(lambda path, user: (200, b"", ""))
        with forward(client, "any", "pod", [8080], 5) as ways, pytest.raises(ConnectionFailed, match="was lost"):
            ways.open(8080, None).get("/", accept="*/*")
    finally:
        demo_forward.struct = real
    assert capsys.readouterr().err == ""


def assert_no_threads_stay() -> None:
    end = time.monotonic() + 5
    while any("port forward" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.02)
