"""All that a report is made of, and by which names it calls things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kubectl_vmetrics.allocation.bill import Bill
from kubectl_vmetrics.controlplane.health import Verdict
from kubectl_vmetrics.history.names import Identity
from kubectl_vmetrics.history.queries import Metric
from kubectl_vmetrics.history.rightsize import Advice
from kubectl_vmetrics.history.window import Window
from kubectl_vmetrics.vcluster.identity import VClusterRef

from .page import COLOURS, Section, Text
from .tally import Group, Tally


class Labels:
    """What rows are called.

    Args:
        known: all virtual clusters of the report.
        public: whether only names that tenants know themselves may be shown: no host namespace, pod or node.
    """

    def __init__(self, known: Iterable[VClusterRef], *, public: bool) -> None:
        self.public = public
        refs = sorted(set(known), key=lambda ref: ref.path)
        count = Counter(ref.name for ref in refs)
        nth: Counter[str] = Counter()
        self._single = len(refs) == 1
        self._names: dict[VClusterRef, str] = {}
        for ref in refs:
            nth[ref.name] += 1
            # Names of virtual clusters are not unique on a host, and what tells them apart is a host namespace.
            several = count[ref.name] > 1
            own = f"{ref.name} ({nth[ref.name]})" if public else ref.path
            self._names[ref] = own if several else ref.name

    def name(self, ref: VClusterRef) -> str:
        """A virtual cluster in a line: unique in the report."""
        return self._names.get(ref, ref.name if self.public else ref.path)

    def vcluster(self, ref: VClusterRef) -> Text:
        """A virtual cluster as a row."""
        return (
            Text(self.name(ref))
            if self.public
            else Text(ref.name, below=f"host namespace {ref.path[: -len(ref.name) - 1]}")
        )

    def group(self, group: Group) -> Text:
        """A row of the report."""
        if group.vcluster is None:
            return Text("The host's own pods")
        return Text(group.namespace) if group.namespace else self.vcluster(group.vcluster)

    def line(self, group: Group) -> str:
        """A row in a sentence, or in the legend of a chart."""
        if group.vcluster is None:
            return "The host's own pods"
        return group.namespace or self.name(group.vcluster)

    def thing(self, identity: Identity, namespace: str, name: str) -> Text | None:
        """A claim, a pod or a machine as a row; None if it has no name that may be shown.

        Args:
            identity: who it is in a virtual cluster, if it is in one.
            namespace: on the host.
            name: on the host.
        """
        if identity.vcluster is not None and identity.name:
            inside = f"{identity.namespace}/{identity.name}" if identity.namespace else identity.name
            return Text(inside, below="" if self._single else self.name(identity.vcluster))
        return None if self.public else Text(f"{namespace}/{name}", below="host")


class Given(NamedTuple):
    """What was gathered.

    Attributes:
        window: from when to when.
        step: seconds of a step.
        tally: of all steps.
        labels: how things are called.
        source: the name of the Prometheus, or words for it.
        way: how virtual names were found.
        bill: None if there is none.
        verdicts: on control planes now; None if nobody asked them.
        advice: of rightsizing; None if nobody looked.
        tenant: the only virtual cluster of the report.
        failures: parts that could not be gathered: their titles, and why.
        warnings: of the source: partial answers.
        now: seconds since the epoch.
    """

    window: Window
    step: float
    tally: Tally
    labels: Labels
    source: str
    way: str
    bill: Bill | None = None
    verdicts: Sequence[Verdict] | None = None
    advice: Sequence[Advice] | None = None
    tenant: VClusterRef | None = None
    failures: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()
    now: float = 0.0

    @property
    def noun(self) -> str:
        """What a row is."""
        return "namespace" if self.tenant else "virtual cluster"


def leading(given: Given) -> dict[Group, str]:
    """The tenants that used most CPU, each with the colour that it has in all charts; in that order."""
    tally = given.tally
    tenants = [group for group in tally.groups() if group.vcluster is not None]
    tenants.sort(key=lambda group: -tally.total(group, Metric.CPU))
    return dict(zip(tenants, COLOURS, strict=False))


class Made(NamedTuple):
    """A section, and what of it belongs into the summary."""

    section: Section
    alerts: Sequence[Text] = ()
