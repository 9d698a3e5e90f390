"""-o custom-columns=HEADER:PATH,…: a table of what JSONPath expressions find in each item, as kubectl prints it.

Upstream: k8s.io/kubectl/pkg/cmd/get/customcolumn.go.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from . import safe
from .jsonpath import Path, scalar
from .paths import Bad
from .table import MIN_WIDTH, PADDING, Row
from .units import NONE

_MOST = 1000
"""Columns."""


class _Column(NamedTuple):
    header: str
    path: Path | None


class Columns:
    """A specification. Raises Bad, a ValueError, if it cannot be parsed.

    Args:
        text: HEADER:PATH, separated by commas.
    """

    def __init__(self, text: str) -> None:
        if not text:
            raise Bad("custom-columns format specified but no custom columns given")
        parts = text.split(",")
        if len(parts) > _MOST:
            raise Bad(f"there can be {_MOST:,} custom columns at most")
        self._columns = [_column(part) for part in parts]

    def render(self, items: list[Any], *, headers: bool) -> str:
        """The table of these objects. Raises Bad where a path does not fit one of them."""
        rows: list[Row] = [[column.header for column in self._columns]] if headers else []
        rows += [[_cell(column.path, item) for column in self._columns] for item in items]
        # The last cell of a line is no cell to Go's tabwriter, as no tab ends it: it has no padding.
        widths = [max(MIN_WIDTH, max(map(len, cells)) + PADDING) for cells in zip(*rows, strict=True)]
        return "".join(
            "".join(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)) + row[-1] + "\n"
            for row in rows
        )


def _column(text: str) -> _Column:
    header, colon, path = text.partition(":")
    if not colon:
        raise Bad(f"unexpected custom-columns spec: {text}, expected <header>:<json-path-expr>")
    return _Column(safe.line(header), Path(path) if path else None)


def _cell(path: Path | None, item: Any) -> str:
    found = path.find(item) if path else []
    return ",".join(map(_text, found)) if found else NONE


def _text(value: Any) -> str:
    """A value as Go's fmt.Sprint prints it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{safe.line(key)}:{_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_text, value))}]"
    return scalar(value, nothing="<nil>")
