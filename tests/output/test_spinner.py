"""The spinner: for a person who waits, gone before anything else is written, and never over a progress bar."""

from __future__ import annotations

import time

import pyte

from kubectl_vmetrics.output import transient
from kubectl_vmetrics.output.progress import Progress
from kubectl_vmetrics.output.spinner import Spinner
from kubectl_vmetrics.output.terminal import Environment
from tests.conftest import Terminal


def environment(term: str = "xterm") -> tuple[Environment, Terminal]:
    stderr = Terminal()
    return Environment(Terminal(), stderr, {"TERM": term}), stderr


def wait(stderr: Terminal, text: str) -> None:
    end = time.monotonic() + 20
    while text not in stderr.getvalue():
        assert time.monotonic() < end, stderr.getvalue()
        time.sleep(0.01)


def screen(text: str) -> list[str]:
    display = pyte.Screen(60, 5)
    pyte.Stream(display).feed(text.replace("\n", "\r\n"))
    return [line.rstrip() for line in display.display if line.strip()]


def test_it_is_drawn_and_gone() -> None:
    shown, stderr = environment()
    with Spinner(shown, patience=0):
        wait(stderr, "waiting for the server: 0s")
    assert screen(stderr.getvalue()) == []


def test_who_is_quick_sees_nothing() -> None:
    shown, stderr = environment()
    with Spinner(shown, patience=60):
        pass
    assert stderr.getvalue() == ""


def test_nothing_on_a_pipe_or_a_dumb_terminal() -> None:
    shown, stderr = environment("dumb")
    with Spinner(shown, patience=0):
        time.sleep(0.3)
    assert stderr.getvalue() == ""


def test_a_message_takes_its_line() -> None:
    shown, stderr = environment()
    with Spinner(shown, patience=0):
        wait(stderr, "waiting")
        shown.say("Warning: a node did not respond")
        assert screen(stderr.getvalue())[0] == "Warning: a node did not respond"
    assert screen(stderr.getvalue()) == ["Warning: a node did not respond"]


def test_it_gives_way_to_a_progress_bar_and_to_a_plugin_that_asks_for_a_password() -> None:
    shown, stderr = environment()
    asking = [False]
    with Spinner(shown, lambda: asking[0], patience=0):
        progress = Progress(shown, "nodes")
        progress(1, 10)
        at = len(stderr.getvalue())
        time.sleep(0.35)
        assert "waiting" not in stderr.getvalue()[at:]
        progress(10, 10)
        wait(stderr, "waiting")
        asking[0] = True
        time.sleep(0.15)
        at = len(stderr.getvalue())
        time.sleep(0.35)
        assert stderr.getvalue()[at:] == ""
        asking[0] = False
    assert screen(stderr.getvalue()) == []


def test_what_nobody_drew_is_not_cleared() -> None:
    _, stderr = environment()
    transient.clear(stderr)
    assert stderr.getvalue() == ""
