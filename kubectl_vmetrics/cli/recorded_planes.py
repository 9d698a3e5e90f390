"""`controlplanes` with --source prometheus: what a Prometheus recorded of them, now or at --at.

Imported only where it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

import click

from kubectl_vmetrics.controlplane import health
from kubectl_vmetrics.controlplane.health import Verdict
from kubectl_vmetrics.controlplane.plane import Plane
from kubectl_vmetrics.history import planes
from kubectl_vmetrics.history.moment import Moment

from .top.recorded import Recorded

Find = Callable[[], tuple[list[Plane], list[str]]]
"""The control planes of the live cluster that are asked for, and what could not be listed."""


class Past:
    """The control planes of a moment, to be asked for repeatedly with --watch."""

    def __init__(self, context: click.Context) -> None:
        self._asked = Recorded(context)
        self.client = self._asked.client

    def verdicts(self, find: Find, namespace: str | None, *, wide: bool) -> tuple[list[Verdict], list[str]]:
        """The verdicts and warnings.

        Args:
            find: finds them in the live cluster; for a moment in the past, it only says of what kind they are.
            namespace: the only one; None for all.
            wide: whether the columns of -o wide are shown.

        Raises:
            VmetricsError: as Recorded.moment and history.planes.read.
        """
        moment = self._asked.moment(names=False)
        recorded = planes.read(moment)
        live, warnings = find()
        who = moment.server.name
        if moment.past:
            here = {path: item for path, item in recorded.items() if namespace in (None, path.partition("/")[0])}
            found = planes.past(live, here)
            listed = [(items[0].plane, items) for items in found if items]
            warnings.append("replicas and certificates of that time are not known, so verdicts leave them out")
        else:
            listed = list(zip(live, planes.present(live, recorded, who), strict=True))
            if wide:
                warnings.append(f"CERT-ENDS is empty: {who} has no certificates")
        warnings += self._unscraped(moment, recorded)
        return [health.judge(plane, items, None) for plane, items in listed], warnings

    @staticmethod
    def _unscraped(moment: Moment, recorded: planes.Recorded) -> list[str]:
        notes = sorted(moment.server.warnings)
        if not recorded:
            notes.append(
                f"{moment.server.name} scrapes no tenant control plane with the label cluster=NAMESPACE/NAME: see "
                "kubectl vmetrics help manifests kamaji and manifests vcluster"
            )
        return notes
