"""Tables as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from . import charts
from .element import Content, Markup, element, joined
from .numbers import NONE, percent
from .page import Cell, Column, Level, Number, Share, Table, Text


def table(shown: Table, key: str) -> Markup:
    """A table in a box of its own, which scrolls on a narrow screen.

    Args:
        shown: what to show.
        key: an address that no other table of the page has.
    """
    if not shown.rows:
        return joined(element("h3", shown.caption), element("p", shown.empty, class_="empty"))
    head = element("tr", *(_header(column) for column in shown.columns))
    body = [element("tr", *_cells(row, shown.columns)) for row in shown.rows]
    foot = [element("tr", *_cells(row, shown.columns)) for row in shown.totals]
    made = element(
        "table",
        element("caption", shown.caption, id=f"{key}-caption"),
        element("thead", head),
        element("tbody", *body),
        element("tfoot", *foot) if foot else None,
        id=key,
        class_="sortable",
    )
    return element("div", made, class_="box", role="region", tabindex="0", aria_labelledby=f"{key}-caption")


def _header(column: Column) -> Markup:
    return element("th", column.title, scope="col", class_="n" if column.numeric else None)


def _cells(row: Sequence[Cell], columns: Sequence[Column]) -> list[Markup]:
    first, *rest = row
    return [
        _cell("th", first, columns[0].numeric, scope="row"),
        *(_cell("td", cell, column.numeric) for cell, column in zip(rest, columns[1:], strict=True)),
    ]


def _cell(name: str, cell: Cell, numeric: bool, scope: str | None = None) -> Markup:
    align = "n" if numeric else None
    if isinstance(cell, Text):
        below = element("span", cell.below, class_="below") if cell.below else None
        return element(name, marked(cell.text, cell.level), below, scope=scope, class_=align)
    if isinstance(cell, Number):
        value = None if cell.value is None else f"{cell.value:.10g}"
        return element(name, marked(cell.text, cell.level), scope=scope, class_=align, data_v=value)
    if isinstance(cell, Share):
        if cell.value is None:
            return element(name, NONE, scope=scope, class_=align)
        value = f"{cell.value:.6g}"
        said = element("span", marked(percent(cell.value), cell.level), class_="pc")
        return element(name, charts.share(cell.value), said, scope=scope, class_=align, data_v=value)
    return element(name, charts.sparkline(cell), scope=scope)


def marked(text: str, level: Level) -> Content:
    """A text, marked; colour is never all that marks it, since the word itself says it."""
    return text if level is Level.PLAIN else element("strong", text, class_=level.value)
