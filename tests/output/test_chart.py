"""Charts on a terminal."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("plotext", reason="plotext is not installed: pip install 'kubectl-vmetrics[chart]'")

from kubectl_vmetrics.output import chart
from kubectl_vmetrics.output.chart import Line

TIMES = [1_700_000_000.0 + 60 * index for index in range(20)]
RISING = [index / 10 for index in range(20)]
GONE = [0.5 if index < 5 else math.nan for index in range(20)]


def test_lines_with_their_names_and_a_scale() -> None:
    lines = [Line("team-a/shop", RISING), Line("team-b/dev", GONE)]
    text = chart.render("cpu (cores)", TIMES, lines, width=70, colored=False)
    rows = text.splitlines()
    assert rows[0].strip() == "cpu (cores)"
    assert all(len(row) <= 70 for row in rows)
    assert "team-a/shop" in text
    assert "team-b/dev" in text
    assert [row[:5].strip(" ┤│") for row in rows if "┤" in row] == [
        "1.90",
        "1.58",
        "1.27",
        "0.95",
        "0.63",
        "0.32",
        "0.00",
    ]
    # Without colors, each line has a letter.
    assert "aa team-a/shop" in text
    assert "bb team-b/dev" in text
    assert "\x1b" not in text
    assert "\x1b[" in chart.render("cpu (cores)", TIMES, lines, width=70, colored=True)


def test_nothing_to_draw_is_an_empty_chart() -> None:
    text = chart.render("cpu (cores)", TIMES, [Line("team-a/shop", [math.nan] * 20)], width=60, colored=False)
    assert "cpu (cores)" in text
