"""Colors of shares, and bars beside them: on a terminal they take no room, and numbers stay what they are."""

from __future__ import annotations

import pyte

from kubectl_vmetrics.output import bars, colours, table
from kubectl_vmetrics.output.table import Columns

HEADERS = ["NAME", "CPU(%)", "%MEM/L", "NODE"]
ROWS = [
    ["a", "69.9%", "70%", "n1"],
    ["b", "89%", "90%", "n2"],
    ["c", "130%", "<unknown>", "n3"],
    ["d", "-", "7%", "90%"],
]


def colours_on_a_screen(text: str, lines: int = 8) -> list[list[tuple[str, str]]]:
    """Words of each line with their color, as a terminal emulator shows them."""
    screen = pyte.Screen(100, lines)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    found = []
    for row in range(lines):
        cells = [screen.buffer[row][column] for column in range(100)]
        words: list[tuple[str, str]] = []
        word, colour = "", ""
        for cell in cells:
            if cell.data == " ":
                if word:
                    words.append((word, colour))
                word = ""
            else:
                colour = cell.fg if not word else colour
                assert cell.fg == colour, "the color changes within a word"
                word += cell.data
        if words:
            found.append(words)
    return found


def test_shares_are_colored_by_the_thresholds_of_k9s() -> None:
    plain = "default"
    assert colours_on_a_screen(table.render(ROWS, HEADERS, (), colours.by_threshold(HEADERS))) == [
        [(head, plain) for head in HEADERS],
        [("a", plain), ("69.9%", plain), ("70%", "brown"), ("n1", plain)],
        [("b", plain), ("89%", "brown"), ("90%", "red"), ("n2", plain)],
        [("c", plain), ("130%", "red"), ("<unknown>", plain), ("n3", plain)],
        # A node that is called 90% is no share.
        [("d", plain), ("-", plain), ("7%", plain), ("90%", plain)],
    ]


def test_colors_change_nothing_but_colors() -> None:
    for footer in ([], [["", "____"], ["", "99%"]]):
        painted = table.render(ROWS, HEADERS, footer, colours.by_threshold(HEADERS))
        assert colours.plain(painted) == table.render(ROWS, HEADERS, footer)
    columns = Columns([["69%", "95%"], ["1m", "2m"]], [(["x"], 2)])
    painted = table.render(columns, ["NAME", "CPU(%)", "CPU"], (), {1: colours.share})
    assert painted.splitlines()[2] == "x      \x1b[31m95%\x1b[0m      2m    "
    assert colours.plain(painted) == table.render(columns, ["NAME", "CPU(%)", "CPU"])


def test_a_cut_line_keeps_its_codes_and_no_more_characters() -> None:
    line = "ab\x1b[31mcdef\x1b[0mgh"
    assert colours.cut(line, 4) == "ab\x1b[31mcd\x1b[0m"
    assert colours.cut(line, 7) == "ab\x1b[31mcdef\x1b[0mg"
    assert colours.cut("plain text", 5) == "plain"


def test_bars_stand_beside_shares() -> None:
    headers, rows, footer, added = bars.add(HEADERS, ROWS, [["", "__"], ["", "99%"]])
    assert table.render(rows, headers, footer).splitlines() == [
        "NAME   CPU(%)   CPU-BAR       %MEM/L      MEM/L-BAR   NODE   ",
        "a      69.9%    ███████       70%         ███████     n1     ",
        "b      89%      ████████▉     90%         █████████   n2     ",
        "c      130%     ██████████+   <unknown>               n3     ",
        "d      -                      7%          ▊           90%    ",
        "       __                     ",
        "       99%                    ",
    ]
    assert added == ["CPU-BAR", "MEM/L-BAR"]
