"""Health of KubeVirt's components: what their metrics report of each, and problems across all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.metrics import process
from kubectl_vmetrics.metrics.findings import some
from kubectl_vmetrics.metrics.process import Process
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Pair, Snapshot
from kubectl_vmetrics.metrics.text import Broken

from . import components
from .components import Answered, Component
from .installation import Installation

ELECTED = ("virt-controller", "virt-operator")
"""Kinds of which one leads."""
EXPECTED = ("virt-api", "virt-controller", "virt-handler", "virt-operator")
BURST = 0.8
"""Share of failed requests at which KubeVirt's own alerts fire (Virt…RESTErrorsBurst)."""

# Without _status up to v1.0.
_LEADING = re.compile(r"kubevirt_virt_(?:controller|operator)_leading(?:_status)?")
_INFO = "kubevirt_info"


class Health(NamedTuple):
    """One pod of KubeVirt.

    Attributes:
        error: why its metrics could not be read; None where they could.
        version: of KubeVirt, as it reports, or the tag of its image; "" if neither is known.
        leading: whether it is the leader; None if not reported.
        process: what it uses, and its requests to the apiserver.
        broken: the lines of its response that are not metrics.
    """

    component: Component
    error: VmetricsError | None = None
    version: str = ""
    leading: bool | None = None
    process: Process = Process()
    broken: Broken = Broken()

    @property
    def up(self) -> bool:
        """Whether it is ready, and answers."""
        return self.component.ready and self.error is None


class _Scraped(Snapshot):
    """One scrape of a component, and what of it could not be read."""

    def __init__(self, answer: Answered) -> None:
        super().__init__(Reader(_wanted).read(answer.chunks), answer.at)
        self.broken = answer.broken


def take(client: Client, found: Sequence[Component]) -> dict[Component, Snapshot | VmetricsError]:
    """One scrape of each. In a dict as `metrics.sampling` takes it."""
    answers = components.scrape(client, found, _Scraped)
    return dict(zip(found, answers, strict=True))


def read(component: Component, sampled: Pair | VmetricsError) -> Health:
    """The health of a component, from two scrapes."""
    if isinstance(sampled, VmetricsError):
        return Health(component, sampled, _tag(component.image))
    after = sampled.after
    version = after.label(_INFO, "kubeversion") or _tag(component.image)
    broken = after.broken if isinstance(after, _Scraped) else Broken()
    return Health(component, None, version, _leading(component, after), process.read(sampled), broken)


def read_all(sampled: Mapping[Component, Pair | VmetricsError]) -> list[Health]:
    """The same of each."""
    return [read(component, pair) for component, pair in sampled.items()]


def problems(found: Sequence[Health], installation: Installation, seconds: float) -> list[str]:
    """What is wrong, a line each, the worst first.

    Args:
        found: all of its components, or those of one kind.
        installation: for the version that they should have.
        seconds: between the two scrapes.
    """
    kinds = {item.component.kind for item in found}
    told: list[str] = []
    for item in found:
        if item.error:
            told.append(f"{item.component.place} could not be scraped: {components.reason(item.error)}")
        elif not item.component.ready:
            told.append(f"{item.component.place} is not ready")
        if item.broken.lines:
            told.append(components.unread(item.component, item.broken))
    for kind in sorted(kinds & set(ELECTED)):
        told += _election(kind, [item for item in found if item.component.kind == kind])
    for item in found:
        told += _connection(item, seconds)
    versions = Counter(item.version for item in found if item.version)
    expected = installation.version or (versions.most_common(1)[0][0] if versions else "")
    for version in sorted(set(versions) - {expected}):
        names = [item.component.name for item in found if item.version == version]
        told.append(f"{some(names)} {_is(names)} at version {version}, but KubeVirt is at {expected}")
    return told


def missing(found: Sequence[Health], expected: Sequence[str]) -> list[str]:
    """Kinds of which there is no pod at all, a line each."""
    kinds = {item.component.kind for item in found}
    return [f"there is no {kind} pod that serves metrics" for kind in expected if kind not in kinds]


def _election(kind: str, found: Sequence[Health]) -> list[str]:
    leaders = [item.component.name for item in found if item.leading]
    if len(leaders) > 1:
        return [f"{len(leaders)} {kind} pods are leaders: {some(leaders)}"]
    # A pod that does not answer may be the leader.
    if not leaders and all(item.leading is False for item in found):
        return [f"no {kind} pod leads, so its work is not done"]
    return []


def _connection(item: Health, seconds: float) -> list[str]:
    told = []
    if item.process.losing:
        what = f" ({', '.join(item.process.losing_what)})" if item.process.losing_what else ""
        told.append(
            f"{item.component.name} cannot reach the apiserver: {item.process.losing:.0f} requests without a response "
            f"in {seconds:.0f} s{what}"
        )
    elif item.process.failed is not None and item.process.failed >= BURST:
        told.append(f"{item.component.name}: {item.process.failed:.0%} of its requests to the apiserver fail")
    return told


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _leading(component: Component, snapshot: Snapshot) -> bool | None:
    base = f"kubevirt_{component.kind.replace('-', '_')}_leading"
    for name in (f"{base}_status", base):
        value = snapshot.value(name)
        if value is not None:
            return value == 1
    return None


def _tag(image: str) -> str:
    """The tag of an image; "" for one that is named by its digest alone."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2]


def _wanted(name: str) -> bool:
    return name == _INFO or process.wanted(name) or bool(_LEADING.fullmatch(name))
