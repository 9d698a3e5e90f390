"""What pods and claims of a moment held, whose they were, and the quotas: the columns of -o wide."""

from __future__ import annotations

import math

from kubectl_vmetrics.kube import core
from kubectl_vmetrics.kube.core import ObjectMeta
from kubectl_vmetrics.metrics.metrics_api import Owner, PodMeta, PodMetrics, Scope
from kubectl_vmetrics.metrics.usage import NOTHING
from kubectl_vmetrics.vcluster import holdings
from kubectl_vmetrics.vcluster.groups import Details, OwnedClaim
from kubectl_vmetrics.vcluster.holdings import Claimed, Quota
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.pods import Found, Pod

from . import reserved
from .moment import NO_LABELS, Moment, matchers_of
from .names import Key

_CLAIM = "persistentvolumeclaim"


def read(
    moment: Moment, scope: Scope, found: Found[PodMetrics], *, only: VClusterRef | None = None, everything: bool = True
) -> Details:
    """The details of pods that were found, and of those without metrics.

    Args:
        moment: to ask.
        scope: of the pods, in host terms.
        found: those with metrics.
        only: the one virtual cluster whose pods and claims count; None for all.
        everything: False to leave out claims and quotas.
    """
    facts = holdings.of_pods(reserved.read(moment, scope).values())
    known = {pod.host for pod in found.pods}
    others = []
    for host in facts:
        if host not in known:
            pod = Pod(PodMetrics(PodMeta(host.name, host.namespace, NO_LABELS)), NOTHING, Owner())
            moment.name(pod)
            if only is None or pod.vcluster == only:
                others.append(pod)
    if not everything:
        return Details(facts, others)
    return Details(facts, others, _claims(moment, scope, only), _quotas(moment, scope))


def _claims(moment: Moment, scope: Scope, only: VClusterRef | None) -> list[OwnedClaim] | None:
    state, within = moment.jobs.state, matchers_of(scope)
    requested = _by_claim(moment, f"kube_{_CLAIM}_resource_requests_storage_bytes{{{state}{within}}}")
    if not requested:
        return None
    used = _by_claim(moment, f"kubelet_volume_stats_used_bytes{{{moment.jobs.kubelet}{within}}}")
    found = []
    for key, size in sorted(requested.items()):
        owner = moment.names.of_claim(*key)
        if only is None or owner.vcluster == only:
            found.append(OwnedClaim(Claimed(*key, {}, size, used.get(key)), owner.vcluster, owner.namespace))
    return found


def _by_claim(moment: Moment, chosen: str) -> dict[Key, int]:
    return {
        (sample.labels.get("namespace", ""), sample.labels.get(_CLAIM, "")): int(sample.number)
        for sample in moment.query(f"max by (namespace, {_CLAIM}) ({chosen})")
        if math.isfinite(sample.number)
    }


def _quotas(moment: Moment, scope: Scope) -> dict[str, dict[str, Quota]]:
    chosen = f"kube_resourcequota{{{moment.jobs.state}{matchers_of(scope)}}}"
    listed: dict[Key, core.Quota] = {}
    for sample in moment.query(f"max by (namespace, resourcequota, resource, type) ({chosen})"):
        labels, number = sample.labels, sample.number
        key = labels.get("namespace", ""), labels.get("resourcequota", "")
        quota = listed.setdefault(key, core.Quota(ObjectMeta(key[1], key[0])))
        if math.isfinite(number):
            resource = labels.get("resource", "")
            has = quota.status.hard if labels.get("type") == "hard" else quota.status.used
            has[resource] = reserved.quantity("cpu" if resource.endswith("cpu") else resource, number)
    return holdings.tightest(listed.values())
