"""Where the system lets a process start no more threads, a command says so and ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
allowed = int(sys.argv.pop(1))
def limited(usual):
    def start(*args, **more):
        if threading.active_count() - 1 > allowed:  # the main one; the one that starts is among them
            raise RuntimeError("can't start new thread")
        return usual(*args, **more)
    return start
for name in ("_start_new_thread", "_start_joinable_thread"):  # the latter since Python 3.13
    if hasattr(threading, name):
        setattr(threading, name, limited(getattr(threading, name)))
from kubectl_vmetrics.__main__ import main
main()
"""
LINE = "error: cannot start a thread: process limit reached\n"


def run(threads: int, *args: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(threads), *args], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("threads", [0, 1, 20, 25])
@pytest.mark.parametrize("args", [("demo",), ("demo", "top", "nodes"), ("demo", "proxy", "--port=0")])
def test_a_demo_does_not_hang(threads: int, args: tuple[str, ...]) -> None:
    assert run(threads, *args) == (1, LINE)


@pytest.mark.parametrize("args", [("demo", "top", "volumes", "-A"), ("demo", "controlplanes", "-A", "--interval=1s")])
def test_calls_at_once_need_one_thread(args: tuple[str, ...]) -> None:
    """The demo takes 26."""
    assert run(26, *args) == (1, LINE)


def test_gather_makes_do_with_fewer() -> None:
    assert run(27, "demo", "top", "volumes", "-A") == (0, "")


def test_a_proxy_does_not_hang() -> None:
    """The demo takes 26, and the proxy one to serve."""
    assert run(26, "demo", "proxy", "--port=0") == (1, LINE)
