"""Health of control planes: each component with its figures, and a verdict for the whole. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kubectl_vmetrics.kube.errors import Forbidden, NotFound, Unauthorized, VmetricsError
from kubectl_vmetrics.metrics.findings import counted, is_
from kubectl_vmetrics.metrics.snapshot import Pair

from . import credentials, figures
from .credentials import Credential, NoCredential
from .figures import Figures
from .plane import APISERVER, CONTROLLER_MANAGER, KAMAJI, SCHEDULER, Component, Plane
from .scrape import Instance

NEEDED = (APISERVER, CONTROLLER_MANAGER, SCHEDULER)
"""Components that always have metrics of their own."""
HEALTHY, DEGRADED, UNKNOWN = "Healthy", "Degraded", "Unknown"
FAILING = 0.05
"""The share of 5xx responses above which a control plane is degraded."""
SLOW = 1.0
"""The 99th percentile of request durations, in seconds, above which it is degraded, as in kubernetes-mixin."""
STORAGE_SLOW = 0.5
"""The same for requests to etcd, in seconds."""
MOST = 5
"""The maximum number of servers listed for a component."""


class NotRecorded(VmetricsError):
    """A Prometheus does not scrape the component, so nothing is known about its health."""


class Health(NamedTuple):
    """One component of one replica.

    Attributes:
        error: why it could not be scraped; None if it was.
        seconds: the time between the two scrapes.
    """

    plane: Plane
    component: Component
    figures: Figures = Figures()
    error: VmetricsError | None = None
    seconds: float = 0.0

    @property
    def up(self) -> bool:
        """Whether it answered."""
        return self.error is None


class Verdict(NamedTuple):
    """A control plane as a whole.

    Attributes:
        reasons: why it is degraded, the worst first; empty if no problem is known.
        unknown: components whose health is not known, because they could not be scraped, and why.
        details: the errors in full, and what to do.
        notes: webhooks and extension API servers that do not work; they are not part of the control plane.
    """

    plane: Plane
    components: list[Health]
    reasons: list[str]
    unknown: list[str]
    details: list[str]
    notes: list[str]
    credential: Credential | None = None

    @property
    def word(self) -> str:
        """Healthy, Degraded, Unknown, or the status if it is not meant to run."""
        if self.plane.asleep:
            return self.plane.status
        return DEGRADED if self.reasons else UNKNOWN if self.unknown else HEALTHY

    @property
    def because(self) -> list[str]:
        """Why it is not healthy, or why its health is unknown."""
        return [*self.reasons, *self.unknown]


def read(planes: Iterable[Plane], sampled: Mapping[Instance, Pair | VmetricsError]) -> list[list[Health]]:
    """The components of each control plane, in the order of the planes."""
    found: dict[tuple[str, str, str], list[Health]] = {}
    by_key = {plane.key: plane for plane in planes}
    for (key, component), pair in sampled.items():
        plane = by_key.get(key)
        if plane is None:
            continue
        if isinstance(pair, VmetricsError):
            health = Health(plane, component, error=pair)
        else:
            health = Health(plane, component, figures.read(component, pair), seconds=pair.seconds)
        found.setdefault(key, []).append(health)
    return [found.get(plane.key, []) for plane in by_key.values()]


def judge(plane: Plane, components: list[Health], credential: Credential | None, now: float | None = None) -> Verdict:
    """The problems of a control plane, and what is not known about it.

    Args:
        plane: the control plane.
        components: see `read`.
        credential: the certificate used to scrape it.
        now: seconds since 1970.
    """
    if plane.asleep:
        return Verdict(plane, components, [], [], [], [])
    reasons, unknown, details = _unreachable(plane, components)
    if plane.wanted > plane.ready:
        reasons.append(f"{plane.ready} of {counted(plane.wanted, 'replica')} {is_(plane.wanted)} ready")
    reasons += _elections(components)
    reasons += [reason for item in components for reason in _troubles(item)]
    versions = sorted({item.figures.version for item in components if item.component.name == APISERVER} - {""})
    if len(versions) > 1:
        reasons.append(f"replicas of different versions: {', '.join(versions)}")
    left = credential.expires - (time.time() if now is None else now) if credential else None
    if credential and left is not None and left < credentials.SOON:
        days = int(left // 86_400)
        ends = "has expired" if days < 0 else f"expires in {counted(days, 'day')}" if days else "expires within a day"
        reasons.append(f"the certificate in {credential.source} {ends}")
        if plane.kind == KAMAJI:
            secret = credential.source.partition("/")[0]
            rotate = "certs.kamaji.clastix.io/rotate="
            details.append(f"renew it: kubectl -n {plane.namespace} annotate secret {secret} {rotate}")
    notes = [note for item in components for note in _notes(item)]
    reasons, unknown, details, notes = (list(dict.fromkeys(texts)) for texts in (reasons, unknown, details, notes))
    return Verdict(plane, components, reasons, unknown, details, notes, credential)


def _unreachable(plane: Plane, components: Sequence[Health]) -> tuple[list[str], list[str], list[str]]:
    """Components that did not answer, those that could not be scraped, grouped by cause, and the details.

    A component that you are not allowed to scrape may be healthy.
    """
    wrong: dict[str, list[str]] = {}
    hidden: dict[str, list[str]] = {}
    details: list[str] = []
    for item in components:
        if item.error is not None:
            causes = hidden if isinstance(item.error, (NoCredential, NotRecorded, Forbidden, Unauthorized)) else wrong
            causes.setdefault(why(item.error), []).append(item.component.name)
            if isinstance(item.error, NotRecorded):
                continue  # the cause says it all
            fix = remedy(plane, item.error)
            details.append(item.error.message + (f" -> {fix}" if fix else ""))
        elif item.component.name in NEEDED and item.figures == Figures():
            hidden.setdefault("no known metrics in the response", []).append(item.component.name)
    reasons, unknown = (
        [f"{', '.join(dict.fromkeys(names))}: {cause}" for cause, names in causes.items()] for causes in (wrong, hidden)
    )
    if not components:
        reasons.append("it has no pods")
    return reasons, unknown, details


def why(error: VmetricsError) -> str:
    """The error in a few words."""
    message = error.message.lower()
    if isinstance(error, NotRecorded):
        return "not in Prometheus"
    if isinstance(error, NoCredential):
        return "no usable client certificate"
    if isinstance(error, Forbidden):
        return next(
            (f"no right to {what}" for what in ("pods/portforward", "pods/proxy") if what in message), "access denied"
        )
    if isinstance(error, Unauthorized):
        return "access denied"
    if isinstance(error, NotFound):
        return "not found"
    if "refused" in message:
        return "connection refused"
    if "time" in message:
        return "timed out"
    return "untrusted certificate" if "x509" in message or "tls" in message else "no answer"


def remedy(plane: Plane, error: VmetricsError) -> str:
    """What to do about it; "" if there is nothing to suggest."""
    if isinstance(error, Forbidden) and "pods/portforward" in error.message:
        return f"grant: get and create on pods/portforward in {plane.namespace}"
    if isinstance(error, Forbidden) and "pods/proxy" in error.message:
        return f"grant: get on pods/proxy in {plane.namespace}"
    if isinstance(error, (Forbidden, Unauthorized)):
        return credentials.remedy(plane)
    if isinstance(error, NoCredential):
        return error.hint or ""
    return "its certificates may be rotating; try again in a minute" if "x509" in error.message else ""


def _elections(components: Sequence[Health]) -> list[str]:
    told = []
    for name in (CONTROLLER_MANAGER, SCHEDULER):
        here = [item for item in components if item.component.name == name and item.up]
        leaders = sum(1 for item in here if item.figures.leading)
        if leaders > 1:
            told.append(f"{name} has {leaders} leaders")
        elif here and not leaders and all(item.figures.leading is False for item in here):
            told.append(f"{name} has no leader")
    return told


def _troubles(item: Health) -> list[str]:
    found, name = item.figures, item.component.name
    told = []
    if name == APISERVER:
        if found.failed is not None and found.failed > FAILING:
            told.append(f"{found.failed:.0%} of requests fail")
        if found.p99 is not None and found.p99 > SLOW:
            told.append(f"99th percentile of requests is {found.p99:.1f} s")
        if found.etcd_p99 is not None and found.etcd_p99 > STORAGE_SLOW:
            told.append(f"99th percentile of storage requests is {found.etcd_p99:.1f} s")
    if found.losing:
        server = "itself" if name == APISERVER else f"the apiserver{' at ' if found.unreached else ''}"
        where = "" if name == APISERVER else ", ".join(found.unreached[:MOST])
        told.append(f"{name} cannot reach {server}{where}")
    # A scheduler that is not the leader may still report numbers from when it was.
    if found.leading is not False and (waiting := found.pending.get("unschedulable")):
        told.append(f"{counted(round(waiting), 'pod')} cannot be scheduled")
    if found.attempts.get("error"):
        told.append("scheduling attempts fail with errors")
    return told


def _notes(item: Health) -> list[str]:
    """Servers outside the control plane that do not answer it; they belong to the tenant."""
    name, pairs = item.component.name, item.figures.unanswered
    what = "the webhook or extension API server " if name == APISERVER else ""
    grown = [one for one in pairs if one.grown]
    told = [
        f"{name} gets no response from {what}{one.host}: {counted(round(count), 'request')} in {item.seconds:.0f} s"
        for one in grown[:MOST]
        if (count := one.grown)
    ]
    rest = len(grown) - MOST
    return [*told, f"{name} gets no response from {counted(rest, 'more host')}"] if rest > 0 else told
