"""The output formats of -o: one view of rows, printed as a table, as documents or for other tools."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import safe, table
from .table import Row

TABLES = ("", "wide")
PIPED = ("github", "jira", "pipe")
"""Formats of tabulate in which a bar ends a cell, unless a backslash stands before it."""
JSONPATH, COLUMNS = "jsonpath=", "custom-columns="
"""What formats begin with that say themselves what to print of an object."""
OWN = ("csv", COLUMNS.rstrip("="), "json", JSONPATH.rstrip("="), "name", "wide", "yaml")
"""Formats of this module; every format of tabulate is one, too."""


class View(NamedTuple):
    """What a command has to show.

    Attributes:
        headers: one for each column.
        rows: cells as text, as many as there are headers.
        footer: lines below the rows of the default table, of any length.
        document: the same as a Kubernetes-shaped object, made only where a format asks for it.
        names: TYPE/NAME of each object that the rows are about, for -o name.
        records: for csv and tabulate's formats, a cell for each header and the sums at the end; None where that is
            what `rows` are.
        spare: headers of columns that a narrow screen may do without, the least important first; None for a table
            that is printed as kubectl prints it, however wide.
        plain: names and values for csv, with units in the names, the sums last; None where `records` are all there is.
    """

    headers: Sequence[str]
    rows: Sequence[Row]
    document: Callable[[], Any]
    names: Callable[[], list[str]]
    footer: Sequence[Row] = ()
    records: Callable[[], Sequence[Row]] | None = None
    spare: Sequence[str] | None = ()
    plain: Callable[[], tuple[Sequence[str], Sequence[Sequence[Any]]]] | None = None


def is_document(form: str) -> bool:
    """Whether a format prints objects, or parts of them, rather than rows."""
    return form in ("json", "yaml") or form.startswith((JSONPATH, COLUMNS))


def check(form: str) -> None:
    """Raises ValueError, with the formats that there are, for one that is not, and for a template that is none."""
    if form == JSONPATH.rstrip("=") or form.startswith(JSONPATH):
        from .jsonpath import Template

        Template(form.removeprefix(JSONPATH.rstrip("=")).removeprefix("="))
        return
    if form == COLUMNS.rstrip("=") or form.startswith(COLUMNS):
        from .custom import Columns

        Columns(form.removeprefix(COLUMNS.rstrip("=")).removeprefix("="))
        return
    if form in TABLES or form in OWN:
        return
    if form not in known():
        raise ValueError(
            f'unable to match a printer suitable for the output format "{form}", allowed formats are: '
            + ",".join(known())
        )


def known() -> list[str]:
    """All formats of -o: those of this module, and tabulate's."""
    import tabulate

    return [*OWN, *tabulate.tabulate_formats]


def render(view: View, form: str, *, headers: bool = True, coloured: bool = False) -> str:
    """A view as text in a format that `check` has passed.

    Args:
        view: what to show.
        form: the format.
        headers: whether they are printed.
        coloured: whether shares of a table are colored by thresholds.

    Raises:
        ValueError: a path of the format does not fit the document.
    """
    if is_document(form):
        return _objects(view.document(), form, headers=headers)
    if form == "name":
        return "".join(f"{safe.line(name)}\n" for name in view.names())
    if form in TABLES:
        paint = None
        if coloured:
            from . import colours

            paint = colours.by_threshold(view.headers)
        return table.render(view.rows, view.headers if headers else (), view.footer, paint)
    if form == "csv" and view.plain:
        fields, values = view.plain()
        return _csv([*([fields] if headers else []), *([_plain(value) for value in row] for row in values)])
    rows = view.records() if view.records else view.rows
    cells = [[safe.line(cell) for cell in row] for row in rows]
    if form == "csv":
        plain = [[_unformulated(cell) for cell in row] for row in cells]
        return _csv([list(view.headers), *plain] if headers else plain)
    import tabulate

    if form in PIPED:
        cells = [[cell.replace("|", r"\|") for cell in row] for row in cells]
    return tabulate.tabulate(cells, list(view.headers) if headers else (), tablefmt=form, disable_numparse=True) + "\n"


def _objects(document: Any, form: str, *, headers: bool) -> str:
    if form == "json":
        return _json(document)
    if form == "yaml":
        return _yaml(document)
    if form.startswith(JSONPATH):
        from .jsonpath import Template

        return Template(form.removeprefix(JSONPATH)).render(document)
    from .custom import Columns

    items = document.get("items", [document])
    return Columns(form.removeprefix(COLUMNS)).render(items, headers=headers) if items else ""


def _csv(rows: Sequence[Sequence[str]]) -> str:
    import csv
    import io

    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _plain(value: Any) -> str:
    """A value of csv: nothing for what is not known."""
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, (bool, int, float)):
        from .jsonpath import scalar

        return scalar(value, nothing="")
    return _unformulated(safe.line(str(value)))


# What begins like this is a formula to a spreadsheet, in whichever width (OWASP, "CSV Injection").
_FORMULA = re.compile(r"[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"-(?:[0-9][0-9.,]*\s?[A-Za-z%]*(?:/s)?)?")


def _unformulated(cell: str) -> str:
    """A cell that a spreadsheet shows and does not compute; a negative number stays one, and "-" for nothing."""
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def _json(document: Any) -> str:
    import json

    try:
        text = json.dumps(document, indent=4, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(document), indent=4, ensure_ascii=False, allow_nan=False)
    return safe.ascii_json(text) + "\n"


def _finite(document: Any) -> Any:
    """The same without NaN and Infinity, of which JSON knows nothing: what is no number is null."""
    if isinstance(document, dict):
        return {key: _finite(value) for key, value in document.items()}
    if isinstance(document, (list, tuple)):
        return [_finite(value) for value in document]
    return None if isinstance(document, float) and not math.isfinite(document) else document


def _yaml(document: Any) -> str:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(
        _finite(document), Dumper=dumper, sort_keys=False, allow_unicode=False, default_flow_style=False
    )
    return text
