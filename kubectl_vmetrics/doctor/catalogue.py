"""All checks, and their descriptions, which need no cluster."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from . import kamaji, kubelets, kubevirt, metrics_api, prometheus, rights, vclusters
from .check import Check

_AREAS = (metrics_api, kubelets, vclusters, kubevirt, kamaji, rights, prometheus)
CHECKS: tuple[Check, ...] = tuple(check for area in _AREAS for check in area.CHECKS)


def of(areas: Sequence[str]) -> list[Check]:
    """The checks of these areas, or all checks if there are none."""
    return [check for check in CHECKS if not areas or check.area in areas]


def needed(ids: Collection[str]) -> list[Check]:
    """These checks and all that they depend on, in the order of CHECKS."""
    found = set(ids)
    for check in reversed(CHECKS):  # a check comes after those it depends on
        if check.id in found:
            found |= set(check.needs)
    return [check for check in CHECKS if check.id in found]


def explain(check: Check) -> str:
    """A check in detail: what it checks, and every cause it can report."""
    lines = [f"{check.id}  {check.area}: {check.title}", ""]
    if check.needs:
        lines += [
            f"Skipped if {' or '.join(check.needs)} fails, unless it is run with --only.",
            "",
        ]
    for cause in check.causes.values():
        lines += [f"- {cause.text}", f"  -> {cause.remedy}"]
        if cause.reference:
            lines.append(f"  see {cause.reference}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def table() -> str:
    """A Markdown table of all checks, for the documentation."""
    rows = ["| identifier | about | looks at | finds |", "| --- | --- | --- | --- |"]
    for check in CHECKS:
        causes = "; ".join(cause.text for cause in check.causes.values())
        escaped = causes.replace("|", "\\|")
        rows.append(f"| {check.id} | {check.area} | {check.title} | {escaped} |")
    return "\n".join(rows) + "\n"
