"""The Prometheus servers of a cluster: which there are, what each has, and which one is asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubectl_vmetrics.kube.errors import Forbidden, VmetricsError
from kubectl_vmetrics.output.terminal import Environment
from kubectl_vmetrics.prometheus.api import ANSWER, Prometheus
from kubectl_vmetrics.prometheus.login import Login
from kubectl_vmetrics.prometheus.probe import Probe, best, probe, rivals
from kubectl_vmetrics.prometheus.way import by_port_forward, by_service
from kubectl_vmetrics.vcluster import monitoring

if TYPE_CHECKING:
    from kubectl_vmetrics.kube.client import Client
    from kubectl_vmetrics.prometheus.find import Candidate
    from kubectl_vmetrics.prometheus.way import Way

PATIENCE = 60.0
"""Seconds for a query of a probe: servers of object stores take their time for the oldest sample."""
NONE = (
    "no Prometheus was found by the labels of Services: name one with --prometheus URL or --prometheus NAMESPACE/NAME, "
    "or label its Service with vmetrics.io/prometheus=true"
)


def look(client: Client, login: Login, *, forwarded: bool = False) -> list[Probe]:
    """All servers that are found in the cluster, and what each has. Raises Forbidden as finding Services.

    Those in namespaces of tenants are not asked; the reason is their error.
    """
    found = monitoring.judged(client, monitoring.candidates(client))
    asked = seen([_way(client, item, login, forwarded=forwarded) for item in found.usable])
    rest = [
        Probe(Prometheus(_way(client, item, login, forwarded=forwarded)), VmetricsError(reason))
        for item, reason in found.others
    ]
    return [*asked, *rest]


def seen(ways: Sequence[Way]) -> list[Probe]:
    """What the servers at the end of these ways have; all are asked at once."""
    return probe([Prometheus(way, limit=PATIENCE, limits=ANSWER) for way in ways], now=time.time())


def choose(
    client: Client,
    login: Login,
    environment: Environment,
    *,
    told: bool = False,
    forwarded: bool = False,
    matchers: str = "",
) -> Prometheus:
    """The server to ask among those that are found; with several that answer, stderr says which one and why.

    Args:
        client: the cluster.
        login: without credentials: a found server gets none.
        environment: for stderr.
        told: whether the choice is reported in any case.
        forwarded: whether it is reached by a forwarded port.
        matchers: of the series to read.

    Raises:
        VmetricsError: there is none, none answers, or several are equally good.
        Forbidden: Services may not be listed.
    """
    candidates = monitoring.candidates(client)
    if not candidates:
        raise VmetricsError(NONE)
    found, unused, gap, _ = monitoring.judged(client, candidates)
    if not found:
        raise _unusable(unused)
    if gap:
        environment.say(f"Warning: whether {found[0].path} is in a tenant's namespace is not known: {gap}")
    if len(found) == 1 and not told:
        return Prometheus(_way(client, found[0], login, forwarded=forwarded), matchers=matchers)
    ways = [_way(client, item, login, forwarded=forwarded) for item in found]
    probes = seen(ways)
    chosen = best(probes)
    if chosen is None:
        raise _silent(probes)
    check(probes, chosen)
    alive = [item for item in probes if item.error is None]
    if told or len(alive) > 1:
        others = f"; {len(alive) - 1} other{'s' if len(alive) > 2 else ''} answered" if len(alive) > 1 else ""
        rest = f" (see kubectl vmetrics targets prometheus; choose with --prometheus){others}" if others else ""
        environment.say(f"Using {chosen.server.name}: {described(chosen)}{rest}")
    return Prometheus(ways[probes.index(chosen)], matchers=matchers)


def check(found: Sequence[Probe], chosen: Probe) -> None:
    """Raises VmetricsError with all of them if servers in other namespaces are as good as the chosen one."""
    if equal := rivals(found, chosen):
        names = ", ".join(item.server.name for item in (chosen, *equal))
        raise VmetricsError(
            f"several Prometheus servers are equally good ({names}): choose one with --prometheus NAMESPACE/NAME"
        )


def described(item: Probe) -> str:
    """What a server has, in words.

    Returns:
        For instance "Prometheus 2.42.0, cAdvisor (130 pods), kube-state-metrics (130 pods), samples since 2026-11-01".
    """
    words = [f"{item.kind} {item.version}".strip() or "Prometheus"]
    words.append(f"cAdvisor ({item.containers} pods)" if item.containers else "no cAdvisor metrics")
    words.append(f"kube-state-metrics ({item.state} pods)" if item.state else "no kube-state-metrics")
    if item.names or item.recorded:
        words.append("names of virtual clusters")
    if item.oldest is not None:
        words.append(f"samples since {time.strftime('%Y-%m-%d', time.gmtime(item.oldest))}")
    return ", ".join(words)


def _unusable(others: Sequence[tuple[Candidate, str]]) -> VmetricsError:
    """Why none that was found may be used without being named."""
    listed = "; ".join(
        f"{item.path} is {'' if reason == monitoring.TENANTS else 'not used: '}{reason}" for item, reason in others[:3]
    )
    return VmetricsError(f"no Prometheus to use: {listed}")


def _silent(found: Sequence[Probe]) -> VmetricsError:
    """Why none of them can be asked."""
    if refused := [item.error for item in found if isinstance(item.error, Forbidden)]:
        return refused[0]
    reasons = "; ".join(f"{item.server.name}: {item.error.message}" for item in found[:3] if item.error)
    return VmetricsError(f"no Prometheus answers ({reasons}): name one with --prometheus")


def _way(client: Client, candidate: Candidate, login: Login, *, forwarded: bool) -> Way:
    if forwarded:
        return by_port_forward(client, candidate, login)
    return by_service(client, candidate, login.all_headers)
