"""Serving the demo cluster on loopback, and the kubeconfig that leads to it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cheroot import server as http
from cheroot import wsgi
from cheroot.server import HTTPServer

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.kube.gather import afford

from .exchange import CONNECTION

NAME = "vmetrics-demo"
THREADS = 24
"""Requests at once; a watch is one for as long as it lasts."""

_GROUPS = b"Impersonate-Group"
"""Comes several times, which no other header of a client does that is looked at."""


class _Gateway(wsgi.Gateway_10):
    """WSGI, and the bare connection for what is no HTTP any more."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        """As WSGI has it, and one more."""
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        environ[CONNECTION] = self._taken
        return environ

    def _taken(self) -> socket.socket:
        request = self.req
        request.sent_headers = request.close_connection = True
        taken: socket.socket = request.conn.socket
        return taken


class _Quiet(wsgi.Server):
    expiration_interval = 0.05  # how long stop() waits for the loop to notice

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Clients that hang up are nothing to talk about."""


@contextlib.contextmanager
def serving(application: Callable[..., Any], port: int = 0) -> Iterator[str]:
    """Serve on loopback while the context lasts; gives the URL.

    Args:
        application: a WSGI application; if it has a `close`, that is called at the end.
        port: 0 for any that is free.

    Raises:
        UsageError: the port is taken.
        NoThread: the system lets this process start too few threads.
    """
    HTTPServer.version = "vmetrics-demo"
    joined: list[bytes] = http.comma_separated_headers  # type: ignore[attr-defined]
    if _GROUPS not in joined:
        joined.append(_GROUPS)
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        raise UsageError(f"port {port} is in use: choose another with --port, or 0 for any free port") from None
    server = _Quiet(
        ("127.0.0.1", port), application, numthreads=THREADS, request_queue_size=128, timeout=60, shutdown_timeout=1
    )
    server.gateway = _Gateway
    afford(THREADS + 2)  # cheroot would wait for ever for those that it could not start
    server.prepare()
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.bind_addr[1]}"
    finally:
        close = getattr(application, "close", None)
        if close:
            close()
        server.stop()


def kubeconfig(url: str) -> str:
    """A kubeconfig for a server, as JSON, which every reader of YAML reads."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": NAME,
            "clusters": [{"name": NAME, "cluster": {"server": url}}],
            "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
            "users": [{"name": NAME, "user": {}}],
        },
        indent=2,
    )


@contextlib.contextmanager
def kubeconfig_file(url: str) -> Iterator[Path]:
    """The kubeconfig in a file that only the user can read, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="vmetrics-demo-") as folder:
        path = Path(folder, "kubeconfig")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(kubeconfig(url) + "\n")
        yield path
