"""Servers that do not stop: what a kubelet, a virt-handler or a tenant's control plane may answer to take one down."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

Attack = Callable[[], "tuple[dict[str, str], Iterable[bytes]]"]
"""Headers and body of an answer."""

ENDLESS = 1 << 16
MEASURE = """
import atexit, re, resource
from kubectl_vmetrics.__main__ import main

@atexit.register
def report():
    with open({report!r}, "w") as file:
        try:  # ru_maxrss begins with that of the process that started this one
            peak = int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
        except OSError:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        file.write(str(peak << 10))

main()
"""


@cache
def gzipped(line: bytes, size: int) -> bytes:
    """So many bytes, made of one line again and again, in gzip: a thousandth of them."""
    packer = zlib.compressobj(6, wbits=31)
    block = line * (max(1, (1 << 20) // len(line)))
    parts = [packer.compress(block) for _ in range(size // len(block))]
    return b"".join([*parts, packer.flush()])


def bomb(line: bytes = b"\0", size: int = 1 << 29) -> Attack:
    """Half a gigabyte in half a megabyte: more than is read of any text."""
    return lambda: (
        {"Content-Encoding": "gzip", "Content-Length": str(len(gzipped(line, size)))},
        [gzipped(line, size)],
    )


def endless(line: bytes = b"a 1\n") -> Attack:
    """The same again and again, for as long as somebody reads."""
    block = line * max(1, ENDLESS // len(line))
    return lambda: ({}, itertools.repeat(block))


def large(line: bytes, size: int) -> Attack:
    """So many bytes."""
    block = line * max(1, ENDLESS // len(line))
    return lambda: ({}, itertools.repeat(block, size // len(block)))


class Hostile:
    """An application in which some paths are answered by attacks.

    Attributes:
        attacks: by a pattern of paths; each answers whoever asks.
        asked: how often each path was asked for.
    """

    def __init__(self, application: Any) -> None:
        self.application = application
        self.attacks: dict[str, Attack] = {}
        self.status = "200 OK"
        self.asked: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.asked.append(path)
        attack = next((item for pattern, item in self.attacks.items() if re.fullmatch(pattern, path)), None)
        if attack is None:
            found: Iterable[bytes] = self.application(environ, start_response)
            return found
        headers, body = attack()
        start_response(self.status, [("Content-Type", "text/plain; version=0.0.4"), *headers.items()])
        return iter(body)

    def close(self) -> None:
        self.application.close()


class Measured:
    """What a command in a process of its own left behind.

    Attributes:
        peak: the most memory that it took, in bytes.
    """

    def __init__(self, done: subprocess.CompletedProcess[str], peak: int) -> None:
        self.code, self.stdout, self.stderr, self.peak = done.returncode, done.stdout, done.stderr, peak


def measured(folder: Path, kubeconfig: Path, *args: str, timeout: float = 120.0) -> Measured:
    """Run a command line in a process of its own."""
    report = folder / "peak"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VMETRICS")}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE.format(report=str(report)), *args],
        env={**environment, "KUBECONFIG": str(kubeconfig), "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Measured(done, int(report.read_text()))


def document(text: str) -> Any:
    """What `-o json` printed; bare NaN and Infinity are no JSON."""

    def refuse(word: str) -> Any:
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)
