"""-w: a table that refreshes, in place on a terminal, appended on a pipe."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

from . import colours, safe
from .terminal import Environment

_ENTER = "\x1b[?1049h\x1b[?25l"  # alternate screen, no cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_END_OF_LINE = "\x1b[K"
_BELOW = "\x1b[J"
# Terminals that know it hold the picture back until it is whole; others ignore it.
_BEGIN, _COMMIT = "\x1b[?2026h", "\x1b[?2026l"


class Frame:
    """One picture: the text to show, and a remark below it, an error for one."""

    def __init__(self, text: str, remark: str = "") -> None:
        self.text = text
        self.remark = remark


def run(environment: Environment, interval: float, frame: Callable[[], Frame], title: str) -> None:
    """Show frames until Ctrl-C.

    Args:
        environment: where to.
        interval: seconds from the start of one frame to the start of the next.
        frame: makes the next one; its failures are its own business.
        title: the first line on a terminal.

    Raises:
        KeyboardInterrupt: how it ends.
    """
    if environment.paints:
        _paint(environment, interval, frame, title)
    else:
        _append(environment, interval, frame)


def _append(environment: Environment, interval: float, frame: Callable[[], Frame]) -> None:
    first = True
    while True:
        started = time.monotonic()
        shown = frame()
        if shown.remark:
            environment.say(shown.remark)
        if shown.text:
            environment.stdout.write(shown.text if first else "\n" + shown.text)
            environment.stdout.flush()
            first = False
        time.sleep(max(0.0, interval - (time.monotonic() - started)))


def _paint(environment: Environment, interval: float, frame: Callable[[], Frame], title: str) -> None:
    out = environment.stdout
    resized = threading.Event()
    shown = Frame("")
    with _on_resize(resized), _screen(environment):
        while True:
            started = time.monotonic()
            shown = frame()
            stamp = time.strftime("%H:%M:%S")
            out.write(picture(shown, f"{title}   {stamp}", *environment.size()))
            out.flush()
            while (left := interval - (time.monotonic() - started)) > 0:
                # A signal does not end Event.wait early in every case; a quarter of a second does.
                if resized.wait(min(left, 0.25)):
                    resized.clear()
                    out.write("\x1b[2J" + picture(shown, f"{title}   {stamp}", *environment.size()))
                    out.flush()


def picture(frame: Frame, title: str, columns: int, lines: int) -> str:
    """A frame cut to the screen, as the characters that draw it over the one before without a flicker."""
    rows = [safe.line(title), "", *frame.text.rstrip("\n").split("\n")]
    remark = [safe.line(frame.remark.replace("\n", " "))] if frame.remark else []
    room = max(1, lines - len(remark))
    if len(rows) > room:
        hidden = len(rows) - room + 1
        rows = [*rows[: room - 1], f"… {hidden} more lines"]
    drawn = "\r\n".join(colours.cut(row, columns).rstrip() + _END_OF_LINE for row in [*rows, *remark])
    return f"{_BEGIN}{_HOME}{drawn}{_BELOW}{_COMMIT}"


@contextlib.contextmanager
def _screen(environment: Environment) -> Iterator[None]:
    environment.stdout.write(_ENTER)
    environment.stdout.flush()
    try:
        yield
    finally:
        environment.stdout.write(_LEAVE)
        environment.stdout.flush()


@contextlib.contextmanager
def _on_resize(event: threading.Event) -> Iterator[None]:
    number = getattr(signal, "SIGWINCH", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, lambda *_: event.set())
    try:
        yield
    finally:
        signal.signal(number, before)
