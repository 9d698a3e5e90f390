"""Watching: on a pipe, and on a terminal as a terminal emulator sees it."""

from __future__ import annotations

import io

import pyte
import pytest

from kubectl_vmetrics.output import watch
from kubectl_vmetrics.output.terminal import Environment
from kubectl_vmetrics.output.watch import Frame
from tests.conftest import Terminal


def screen(columns: int, lines: int, *pictures: str) -> list[str]:
    display = pyte.Screen(columns, lines)
    stream = pyte.Stream(display)
    for picture in pictures:
        stream.feed(picture)
    return [line.rstrip() for line in display.display]


def test_a_picture_covers_the_one_before() -> None:
    before = watch.picture(Frame("NAME   CPU\nlong-name   100m\nb   2m\nc   3m\n"), "title", 40, 8)
    after = watch.picture(Frame("NAME   CPU\na   1m\n", "error: gone"), "title", 40, 8)

    assert screen(40, 8, before, after) == ["title", "", "NAME   CPU", "a   1m", "error: gone", "", "", ""]


def test_a_picture_fits_the_screen() -> None:
    text = "".join(f"row {index} {'x' * 100}\n" for index in range(100))

    shown = screen(20, 6, watch.picture(Frame(text, "remark"), "title", 20, 6))

    assert shown == ["title", "", "row 0 xxxxxxxxxxxxxx", "row 1 xxxxxxxxxxxxxx", "… 98 more lines", "remark"]


def test_a_picture_needs_no_clearing_of_the_screen() -> None:
    """Clearing and then writing is what flickers: each line is overwritten, then the rest of it erased."""
    picture = watch.picture(Frame("a\n"), "title", 40, 8)

    assert "\x1b[2J" not in picture
    assert picture.startswith("\x1b[?2026h\x1b[H")


class Stop(KeyboardInterrupt):
    pass


def frames(*items: Frame) -> object:
    rest = iter(items)

    def frame() -> Frame:
        try:
            return next(rest)
        except StopIteration:
            raise Stop from None

    return frame


def test_a_terminal_is_left_as_it_was() -> None:
    out = Terminal()
    environment = Environment(out, Terminal(), {"TERM": "xterm"})

    with pytest.raises(Stop):
        watch.run(environment, 0.01, frames(Frame("a\n"), Frame("b\n")), "title")

    assert out.getvalue().startswith("\x1b[?1049h\x1b[?25l")
    assert out.getvalue().endswith("\x1b[?25h\x1b[?1049l")


@pytest.mark.parametrize("terminal", ["", "dumb"])
def test_a_terminal_that_cannot_paint_is_a_pipe(terminal: str) -> None:
    out = Terminal()

    with pytest.raises(Stop):
        watch.run(
            Environment(out, io.StringIO(), {"TERM": terminal}), 0.01, frames(Frame("a\n"), Frame("b\n")), "title"
        )

    assert out.getvalue() == "a\n\nb\n"


def test_on_a_pipe_tables_follow_each_other_and_remarks_go_to_stderr() -> None:
    out, err = io.StringIO(), io.StringIO()

    with pytest.raises(Stop):
        watch.run(
            Environment(out, err, {}), 0.01, frames(Frame("a\n"), Frame("", "error: gone"), Frame("b\n")), "title"
        )

    assert (out.getvalue(), err.getvalue()) == ("a\n\nb\n", "error: gone\n")
