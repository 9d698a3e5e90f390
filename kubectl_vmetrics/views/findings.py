"""The table of checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubectl_vmetrics.metrics.findings import Finding
from kubectl_vmetrics.output.formats import View

from . import cells


def view(found: Sequence[Finding]) -> View:
    """One row for each check."""

    def document() -> dict[str, Any]:
        items = [
            cells.told({"check": f.check, "result": f.result, "found": f.found, "remedy": f.remedy or None})
            for f in found
        ]
        return {"kind": "FindingList", "apiVersion": "vmetrics/v1", "metadata": {}, "items": items}

    rows = [[item.result, item.check, item.found, item.remedy] for item in found]
    return View(["RESULT", "CHECK", "FOUND", "REMEDY"], rows, document, lambda: [f"check/{f.check}" for f in found])
