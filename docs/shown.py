"""What command lines print on the demo cluster, the same at any time and on any machine.

Time stands still there, but where a command waits between two samples; ports, dates and the cluster's address are made
the same ones.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import pkgutil
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import kubectl_vmetrics
from kubectl_vmetrics.cli.demo import asks_history
from kubectl_vmetrics.cli.main import run
from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.output.terminal import Environment

US = "kubectl vmetrics "
ADDRESS = "127.0.0.1:6443"
"""What is shown for where the cluster listens."""
_REAL = ("kube", "demo", "proxy")
"""Packages in which time is that of the machine: they wait for sockets."""


class Clock:
    """Time that passes only while a command sleeps, from the same moment on: what a month costs depends on the date."""

    def __init__(self) -> None:
        self.now = 1_795_176_000.0  # 2026-11-20 12:00 UTC
        self.past: Callable[[], None] = lambda: None

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass, at once."""
        self.now += seconds


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


class Page:
    """The commands of one page, run one after the other in a folder of their own.

    Args:
        clock: the time of the cluster.
        url: where the cluster listens.
        folder: the working directory.
    """

    def __init__(self, clock: Clock, url: str, folder: Path) -> None:
        self._clock = clock
        self._url = url
        self._folder = folder
        self._out: type[io.StringIO] = io.StringIO
        self._background: list[tuple[subprocess.Popen[str], int, str]] = []

    def run(self, line: str, *, terminal: bool = False) -> str:
        """What one command line prints, stdout and stderr as they come; on a terminal, stdout alone, with colours."""
        self._out = Terminal if terminal else io.StringIO
        if line.endswith("&"):
            return self._start(line[:-1].strip())
        if line.startswith("kubectl top "):
            line = f"{line.replace('kubectl', US.strip(), 1)} --host-names"  # the same to the byte; tests/clients
        if line.startswith(US):
            ours, *filters = re.split(r" (?=\| )", line)
            found = self._ours(shlex.split(ours.removeprefix(US)))
            for text in filters:
                found = self._shell(text.removeprefix("| "), found)
        else:
            found = self._shell(line)
        return _same(found).replace(str(self._folder), "/home/you")

    def _ours(self, words: list[str]) -> str:
        out = self._out()
        err = out if self._out is io.StringIO else io.StringIO()
        if asks_history(words) or words[:1] == ["explain"]:
            self._clock.past()  # so that no query has to wait for it
        cache = tempfile.mkdtemp(prefix="vmetrics-cache-")
        with server.kubeconfig_file(self._url) as path, _inside(self._folder):
            variables = {"KUBECONFIG": str(path), "KUBECACHEDIR": cache, "HOME": str(self._folder), "TERM": "xterm"}
            run(words, Environment(out, err, variables))
        shutil.rmtree(cache)
        found = out.getvalue().replace(self._url.removeprefix("http://"), ADDRESS)
        return re.sub(r"127\.0\.0\.1:\d{5}", ADDRESS, found) if words[:1] == ["demo"] else found

    def _shell(self, line: str, given: str = "") -> str:
        for _, port, shown in self._background:
            line = line.replace(f":{shown}", f":{port}")
        done = subprocess.run(
            ["bash", "-c", line],
            input=given,
            cwd=self._folder,
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        return self._named(done.stdout)

    def _named(self, text: str) -> str:
        for _, port, shown in self._background:
            text = text.replace(f":{port}", f":{shown}")
        return text

    def _start(self, line: str) -> str:
        """`proxy` in a process of its own, until the page ends; what it prints first."""
        shown = re.search(r"--port (\d+)", line)
        if not line.startswith(US) or not shown:
            raise ValueError(f"only the proxy runs in the background, with --port: {line}")
        words = shlex.split(line.removeprefix(US))
        words[words.index("--port") + 1] = "0"
        config = self._folder / "kubeconfig"
        config.write_bytes(server.kubeconfig(self._url).encode())
        process = subprocess.Popen(
            [sys.executable, "-m", "kubectl_vmetrics", *words],
            env={**os.environ, "KUBECONFIG": str(config)},
            stdout=subprocess.PIPE,
            text=True,
        )
        printed = ""
        for text in process.stdout or ():
            printed += text
            if "Ctrl-C" in text:
                break
        port = re.search(r":(\d+)", printed)
        self._background.append((process, int(port[1]) if port else 0, shown[1]))
        return self._named(printed)

    def close(self) -> None:
        """End what runs in the background."""
        for process, *_ in self._background:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    # contextlib.chdir is of Python 3.11.
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _same(text: str) -> str:
    """Dates and moments made the same ones."""
    text = re.sub(r"\b20\d\d-\d\d-\d\d\b(?!T)", "2027-01-01", text)
    text = re.sub(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "2026-01-01T12:00:00Z", text)
    text = re.sub(r"(?m) 1\d{9}\.\d{3}$", " 1767268800.000", text)
    return re.sub(r"(?m) 1\d{12}$", " 1767268800000", text)


def modules() -> list[str]:
    """All modules, imported."""
    found = pkgutil.walk_packages(kubectl_vmetrics.__path__, "kubectl_vmetrics.")
    return [item.name for item in found if not item.name.endswith("__main__")]


@contextlib.contextmanager
def cluster() -> Iterator[tuple[Clock, str]]:
    """A cluster whose clock stands still, for all pages."""
    clock = Clock()
    fake = SimpleNamespace(
        time=clock.time, monotonic=clock.time, sleep=clock.sleep, gmtime=time.gmtime, strftime=time.strftime
    )
    with contextlib.ExitStack() as stack:
        for name in modules():
            module = importlib.import_module(name)
            if name.split(".")[1] not in _REAL and getattr(module, "time", None) is time:
                stack.enter_context(mock.patch.object(module, "time", fake))
        # `demo` makes a cluster of its own, with the machine's clock unless told otherwise.
        stack.enter_context(mock.patch.object(Apiserver.__init__, "__defaults__", (clock.time,)))
        apiserver = Apiserver(build(Shape(gpu_nodes=2, private=1)), clock=clock.time)
        clock.past = apiserver.world.past
        yield clock, stack.enter_context(server.serving(apiserver))


@contextlib.contextmanager
def page(clock: Clock, url: str) -> Iterator[Page]:
    """A page's folder, and what runs in it."""
    began, folder = clock.now, Path(tempfile.mkdtemp(prefix="vmetrics-page-"))
    (folder / ".krew" / "bin").mkdir(parents=True)
    made = Page(clock, url, folder)
    try:
        yield made
    finally:
        made.close()
        clock.now = began  # no page depends on those before it
        shutil.rmtree(folder)
