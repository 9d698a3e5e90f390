"""The doctor's findings as text, table or document, and the matrix of rights."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from kubectl_vmetrics.doctor.check import Result
from kubectl_vmetrics.doctor.rights import Granted
from kubectl_vmetrics.metrics.findings import FAIL, PASS, SKIP, WARN
from kubectl_vmetrics.output import report, safe, table
from kubectl_vmetrics.output.formats import View

from . import cells

MOST = 20
"""The maximum number of evidence lines shown per check, and…"""
WIDEST = 200
"""…their maximum length in characters, because their content comes from the cluster."""


def text(
    results: Sequence[Result],
    granted: Sequence[Granted] = (),
    asked: Collection[str] = (),
    *,
    coloured: bool = False,
) -> str:
    """Findings as text, grouped by area, with a summary line.

    Args:
        results: the findings.
        granted: the matrix of rights, if it is shown.
        asked: the IDs of the checks whose evidence is shown.
        coloured: whether to print colors, for a terminal.
    """
    found: list[str] = []
    area = ""
    for item in results:
        if item.check.area != area:
            area = item.check.area
            found.append(f"{'' if not found else chr(10)}{area}\n")
        outcome, cause = item.outcome, item.cause
        wrong = outcome.result in (FAIL, WARN)
        said = f"{outcome.found}{f': {cause.text}' if wrong and cause else ''}"
        title = f"{item.check.id} {item.check.title}"
        line = (outcome.result, title, said, item.remedy if wrong else "")
        found.append(report.render([line], coloured=coloured))
        if item.check.id in asked:
            found += [f"      | {safe.line(line)}\n" for line in evidence(item)]
    if granted:
        found.append("\n" + table.render([_row(item) for item in granted], ["COMMAND", "WORKS", "MISSING"]))
    counts = ", ".join(f"{_count(results, kind)} {kind}" for kind in (PASS, WARN, FAIL, SKIP) if _count(results, kind))
    return "".join(found) + f"\n{counts}\n"


def evidence(item: Result) -> list[str]:
    """A check's evidence, truncated to MOST lines of WIDEST characters."""
    lines = [cells.short(line, WIDEST) for line in item.outcome.evidence]
    return lines if len(lines) <= MOST else [*lines[: MOST - 1], f"and {len(lines) - MOST + 1} more"]


def _count(results: Sequence[Result], kind: str) -> int:
    return sum(item.outcome.result == kind for item in results)


def _row(item: Granted) -> list[str]:
    works = "no" if item.missing else "partly" if item.less else "yes"
    return [item.command, works, ", ".join(right.title for right in (*item.missing, *item.less)) or "-"]


def view(results: Sequence[Result], granted: Sequence[Granted] = (), asked: Collection[str] = ()) -> View:
    """The findings for other programs."""

    def document() -> dict[str, Any]:
        found: dict[str, Any] = {
            "kind": "DoctorReport",
            "apiVersion": "vmetrics/v1",
            "metadata": {},
            "items": [_item(item, told=item.check.id in asked) for item in results],
        }
        if granted:
            found["rights"] = [
                {
                    "command": item.command,
                    "missing": [right.title for right in item.missing],
                    "less": [right.title for right in item.less],
                }
                for item in granted
            ]
        return found

    rows = [[i.outcome.result, i.check.id, i.check.area, i.check.title, i.outcome.found, i.remedy] for i in results]
    headers = ["RESULT", "ID", "AREA", "CHECK", "FOUND", "REMEDY"]
    return View(headers, rows, document, lambda: [f"check/{item.check.id}" for item in results])


def _item(item: Result, *, told: bool) -> dict[str, Any]:
    outcome, cause = item.outcome, item.cause
    return cells.told(
        {
            "id": item.check.id,
            "area": item.check.area,
            "title": item.check.title,
            "result": outcome.result,
            "found": outcome.found,
            "cause": cause.text if cause else None,
            "remedy": item.remedy or None,
            "reference": (cause.reference or None) if cause else None,
            "evidence": evidence(item) if told else None,
        }
    )
