"""What a report says, before it is HTML: facts, sections, tables and charts. Texts may come from a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class Level(Enum):
    """How much a text asks for attention; the value is the class in the style."""

    PLAIN = ""
    GOOD = "good"
    WARNING = "warn"
    BAD = "bad"


class Text(NamedTuple):
    """A cell of words.

    Attributes:
        text: what is shown.
        level: whether it is marked.
        below: a second, smaller line.
    """

    text: str
    level: Level = Level.PLAIN
    below: str = ""


class Number(NamedTuple):
    """A cell that is sorted by a number.

    Attributes:
        value: what is sorted by; None where there is none.
        text: what is shown.
        level: whether it is marked.
    """

    value: float | None
    text: str
    level: Level = Level.PLAIN


class Share(NamedTuple):
    """A share, as a percentage with a bar.

    Attributes:
        value: 1 is the whole; None where there is none. May exceed 1.
        level: whether it is marked.
    """

    value: float | None
    level: Level = Level.PLAIN


class Line(NamedTuple):
    """A sparkline.

    Attributes:
        values: in order of time, None where there is no data.
        text: what it shows, for those who do not see it.
    """

    values: Sequence[float | None]
    text: str


Cell = Text | Number | Share | Line


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        title: with the unit, where there is one.
        numeric: whether numbers are aligned at the right.
    """

    title: str
    numeric: bool = False


class Table(NamedTuple):
    """A table; the first cell of a row names it.

    Attributes:
        caption: what the table is.
        columns: as many as each row has cells.
        rows: can be sorted and filtered by the reader.
        totals: rows that stay at the end.
        empty: the text without rows.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    totals: Sequence[Sequence[Cell]] = ()
    empty: str = "Nothing to show."


COLOURS = ("s0", "s1", "s2", "s3", "s4", "s5", "s6")
"""Colours of tenants, as classes in the style; those without one of their own are OTHERS together."""
OTHERS, HOST, FREE = "rest", "s7", "free"
"""Colours of the other tenants, of the host's own pods, and of what nobody uses."""


class Layer(NamedTuple):
    """One layer of a stack: a name, an amount for each step (None: no data), its colour, and the mean of all steps."""

    name: str
    values: Sequence[float | None]
    colour: str = OTHERS
    mean: float | None = None


class Stack(NamedTuple):
    """Amounts over time, one upon the other.

    Attributes:
        title: what is shown.
        unit: of the numbers: "cores", "GiB".
        times: the start of each step, seconds since the epoch.
        layers: the lowest first.
        whole: a line above all: the capacity, in the same unit; None for none.
    """

    title: str
    unit: str
    times: Sequence[float]
    layers: Sequence[Layer]
    whole: float | None = None


class Part(NamedTuple):
    """A part of a whole: its name, its amount, the amount as text, and its colour."""

    name: str
    value: float
    text: str
    colour: str = OTHERS


class Whole(NamedTuple):
    """One bar divided into parts.

    Attributes:
        title: what is divided.
        parts: none negative; they fill the bar.
    """

    title: str
    parts: Sequence[Part]


class Items(NamedTuple):
    """A list of sentences.

    Attributes:
        items: each with how much attention it asks for.
        empty: the text without items.
    """

    items: Sequence[Text]
    empty: str = ""


Block = Table | Stack | Whole | Items


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        key: its address in the page; of this program.
        title: of the section.
        about: what it shows and from what, in a sentence or two.
        blocks: in order.
    """

    key: str
    title: str
    about: str
    blocks: Sequence[Block]


class Fact(NamedTuple):
    """One number of the summary: what it is, the number, and a remark."""

    label: str
    text: str
    note: str = ""


class Page(NamedTuple):
    """A report.

    Attributes:
        title: of the page.
        lines: pairs such as ("Period", "2026-11-01 00:00 to … UTC").
        facts: the summary's numbers.
        sections: in order; the first is the summary.
    """

    title: str
    lines: Sequence[tuple[str, str]]
    facts: Sequence[Fact]
    sections: Sequence[Section]
