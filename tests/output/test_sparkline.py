"""Sparklines."""

from __future__ import annotations

import math

import pytest

from kubectl_vmetrics.output import sparkline

NONE = math.nan


@pytest.mark.parametrize(
    ("points", "width", "text"),
    [
        ([], 24, ""),
        ([0.0], 24, "▁"),
        ([5.0], 24, "█"),
        ([0, 1, 2, 3, 4, 5, 6, 7], 24, "▁▂▃▄▅▆▇█"),
        ([7, NONE, NONE, 7], 24, "█  █"),
        ([NONE, NONE], 24, "  "),
        ([1, 3, 5, 7, NONE, 8], 3, "▃▆█"),
        ([1] * 1000, 10, "██████████"),
        ([0.0] * 99 + [1.0], 4, "▁▁▁█"),
    ],
)
def test_eight_levels_from_0_to_the_largest(points: list[float], width: int, text: str) -> None:
    assert sparkline.render(points, width) == text


def test_ascii() -> None:
    assert sparkline.render([0, 1, 2, 3, 4, 5, 6, NONE, 7], plain=True) == "_.-=+*% #"


@pytest.mark.parametrize(
    ("encoding", "plain"),
    [("utf-8", False), ("UTF-16", False), (None, False), ("ascii", True), ("latin-1", True), ("x", True)],
)
def test_what_a_terminal_can_show(encoding: str | None, plain: bool) -> None:
    assert sparkline.is_plain(encoding) is plain
