"""A real Prometheus with the demo's history: it starts with the first query, and ends with the demo.

Its data are in a temporary folder, which only the user can read, and it listens on loopback.
"""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

from kubectl_vmetrics.kube.errors import VmetricsError

from . import history
from .exchange import Reply
from .remote_write import HEADERS, Encoder
from .world import World

PROGRAM = "prometheus"
MISSING = (
    "the history of the demo requires Prometheus, and there is no prometheus on the PATH: install it "
    "(Debian, Ubuntu: apt install prometheus; macOS: brew install prometheus; https://prometheus.io/download)"
)
_PATIENCE = 30.0
# The folder goes, and Prometheus ends, when the pipe closes: however the demo ends, also by SIGKILL.
_KEEPER = 'folder=$1; shift; "$@" >"$folder/log" 2>&1 & read -r _; kill -9 $!; wait $!; rm -rf "$folder"'
_FLAGS = (
    "--web.enable-remote-write-receiver",
    # All of it is one block, the one in memory: series may come one after the other.
    "--storage.tsdb.min-block-duration=400d",
    "--storage.tsdb.max-block-duration=400d",
    "--storage.tsdb.retention.time=100y",
    # What is older than a day is 5 min apart. What ended has staleness markers, so nothing stays for longer.
    "--query.lookback-delta=6m",
)


class Unavailable(VmetricsError):
    """There is no history. The message says why."""


def find() -> str:
    """Where the program is. Raises Unavailable if it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None or shutil.which("sh") is None:
        raise Unavailable(MISSING)
    return program


class Engine:
    """The Prometheus. Safe to use from several threads.

    Args:
        world: whose history.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._last: float | None = None

    def start(self) -> None:
        """Start it if it does not run, and give it all samples up to now. Raises Unavailable."""
        with self._lock:
            self._start()
            self._feed()

    def ask(self, name: str, params: Mapping[str, str]) -> Reply:
        """What it answers.

        Args:
            name: of the endpoint, below /api/v1/.
            params: of the query; a query without a time is one of now, which the demo's clock tells.

        Raises:
            Unavailable: it cannot be started.
        """
        self.start()
        now = {"time": f"{self._world.clock():.3f}"} if name == "query" else {}
        body = urlencode({**now, **params}).encode()
        method = "GET" if name.startswith("label/") else "POST"
        path = f"/api/v1/{name}" + (f"?{body.decode()}" if method == "GET" else "")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            return self._request(method, path, None if method == "GET" else body, headers)
        except (OSError, http.client.HTTPException):
            raise Unavailable("the Prometheus of the demo does not answer") from None

    def close(self) -> None:
        """End it, if it runs."""
        with self._lock:
            keeper, self._keeper = self._keeper, None
            if keeper and keeper.stdin:
                keeper.stdin.close()
                keeper.wait(_PATIENCE)

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), answer.headers.get("Content-Type", "application/json"))

    def _start(self) -> None:
        if self._keeper:
            return
        program = find()
        folder = tempfile.mkdtemp(prefix="vmetrics-demo-history-")  # 0700
        config = Path(folder, "prometheus.yml")
        config.write_text("{}\n", encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        command = [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self._port}",
            *_FLAGS,
        ]
        self._last = None
        self._keeper = subprocess.Popen(  # noqa: S603 - no shell sees the names
            ["/bin/sh", "-c", _KEEPER, "sh", folder, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the demo, which then closes the pipe
        )
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._request("GET", "/-/ready").status == 200:
                    return
            time.sleep(0.05)
        keeper, self._keeper = self._keeper, None
        if keeper.stdin:
            keeper.stdin.close()
        raise Unavailable(f"the Prometheus of the demo did not start: {program}")

    def _feed(self) -> None:
        """Give it what it has not got yet."""
        world = self._world
        until = world.metrics().until
        if self._last is not None and until <= self._last:
            return
        moments = history.begin(world) if self._last is None else history.after(self._last, until)
        encoder = Encoder([int((world.started + moment) * 1000) for moment in moments])
        with ThreadPoolExecutor(1) as sender:
            sent: Future[None] | None = None
            for message in encoder.messages(history.series(world, moments)):
                if sent:
                    sent.result()
                sent = sender.submit(self._send, message)
            if sent:
                sent.result()
        self._last = until

    def _send(self, message: bytes) -> None:
        answer = self._request("POST", "/api/v1/write", message, HEADERS)
        if answer.status >= 300:
            raise Unavailable("the Prometheus of the demo does not accept its history")
