"""What tests share: servers on loopback, and commands run in this process."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest

from kubectl_vmetrics.cli.main import run
from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.output.terminal import Environment
from tests.replay import Replay

# Servers of tests are on loopback, where Python's own clients, other than kubectl, would go through a proxy as well.
for _name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[_name]

# How long one case takes says nothing on a machine that does something else besides.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


class Result(NamedTuple):
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


Cli = Callable[..., Result]


def invoke(*args: str, kubeconfig: Path | str | None = None, terminal: bool = False, **variables: str) -> Result:
    """Run one command line in this process; `variables` are all the environment there is."""
    kind = Terminal if terminal else io.StringIO
    out, err = kind(), kind()
    found = {**({"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}), "VMETRICS_TRACEBACK": "1", **variables}
    code = run(list(args), Environment(out, err, found))
    return Result(code, out.getvalue(), err.getvalue())


def write_kubeconfig(folder: Path, url: str, **user: Any) -> Path:
    """A kubeconfig for one server."""
    config = json.loads(server.kubeconfig(url))
    config["users"][0]["user"] = user
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


@pytest.fixture(scope="session")
def host_url() -> Iterator[tuple[Replay, str]]:
    replay = Replay("host")
    with server.serving(replay) as url:
        yield replay, url


@pytest.fixture
def host(host_url: tuple[Replay, str]) -> Iterator[Replay]:
    """The recorded host; what a test overrides is gone afterwards."""
    replay, _ = host_url
    replay.seen.clear()
    yield replay
    replay.override.clear()


@pytest.fixture
def on_host(host: Replay, host_url: tuple[Replay, str], tmp_path: Path) -> Cli:
    """Run a command against the recorded host."""
    path = write_kubeconfig(tmp_path, host_url[1])
    return lambda *args, **more: invoke(*args, kubeconfig=path, **more)


@pytest.fixture(scope="session")
def demo_url() -> Iterator[str]:
    """A demo cluster whose clock stands still."""
    with server.serving(Apiserver(build(Shape()), clock=lambda: 1_700_000_000.0)) as url:
        yield url


@pytest.fixture
def on_demo(demo_url: str, tmp_path: Path) -> Cli:
    """Run a command against the demo cluster."""
    path = write_kubeconfig(tmp_path, demo_url)
    return lambda *args, **more: invoke(*args, kubeconfig=path, **more)


@pytest.fixture
def on_private_demo(tmp_path: Path) -> Iterator[Cli]:
    """Run a command against a demo with a virtual cluster that has private nodes, as `demo` has."""
    with server.serving(Apiserver(build(Shape(private=1)))) as url:
        path = write_kubeconfig(tmp_path, url)
        yield lambda *args, **more: invoke(*args, kubeconfig=path, **more)


@pytest.fixture(scope="session")
def live_demo_url() -> Iterator[str]:
    """A demo cluster whose clock is that of this machine: its history goes up to now."""
    with server.serving(Apiserver(build(Shape()))) as url:
        yield url


@pytest.fixture
def on_live_demo(live_demo_url: str, tmp_path: Path) -> Cli:
    """Run a command against that one."""
    path = write_kubeconfig(tmp_path, live_demo_url)
    return lambda *args, **more: invoke(*args, kubeconfig=path, **more)


@pytest.fixture
def client_of() -> Callable[[str], Client]:
    """A client for a URL."""
    return lambda url: Client(Connection(server=url))


class Scripted:
    """A WSGI application that answers paths with JSON: {path: body} or {path: callable(environ) -> (status, body)}."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.seen: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.seen.append((path, environ.get("QUERY_STRING", ""), environ))
        found = self.answers.get(path)
        status, body, headers = 200, found, []
        if callable(found):
            status, body, *rest = found(environ)
            headers = rest[0] if rest else []
        elif found is None:
            status, body = 404, b"404 page not found\n"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "text/plain" if isinstance(body, bytes) else "application/json"
        start_response(f"{status} Status", [("Content-Type", kind), ("Content-Length", str(len(data))), *headers])
        return [data]


@pytest.fixture
def scripted() -> Iterator[Callable[[dict[str, Any]], tuple[Scripted, str]]]:
    """Serve scripted answers: (the application, its URL)."""
    import contextlib

    with contextlib.ExitStack() as stack:

        def serve(answers: dict[str, Any]) -> tuple[Scripted, str]:
            application = Scripted(answers)
            return application, stack.enter_context(server.serving(application))

        yield serve


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """-v and `proxy` direct the log of the whole process; the next test begins without that."""
    logger = logging.getLogger("kubectl_vmetrics")
    before = (logger.handlers[:], logger.propagate, logger.level)
    yield
    logger.handlers[:], logger.propagate = before[:2]
    logger.setLevel(before[2])
