"""Kamaji's datastores."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from kubectl_vmetrics.controlplane import stores
from kubectl_vmetrics.controlplane.stores import Store
from kubectl_vmetrics.kube.errors import NotFound, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.metrics.findings import counted, is_, some

from .check import Cause, Outcome, Session, failed, passed, skipped
from .tenants import api

READY = {
    "not-ready": Cause(
        "this affects every tenant on it",
        "kubectl get datastore NAME -o yaml, and see its conditions",
        "clastix/kamaji api/v1alpha1 DataStore",
    ),
    "no-endpoints": Cause(
        "this affects every tenant on it; its Service has no ready pods",
        "kubectl -n NAMESPACE get endpointslices,pods",
        "clastix/kamaji api/v1alpha1 DataStore",
    ),
}


def ready(session: Session) -> Outcome:
    """Whether Kamaji can use each datastore, and whether the pods behind it are ready."""
    try:
        found = stores.find(session.client, api(session))
    except NotFound:
        return skipped("this version of Kamaji has no datastores")
    if not found:
        return skipped("there are no datastores")
    pods = dict(zip(found, gather([partial(_pods, session, store) for store in found], limit=8), strict=True))
    return _judged({store: None if isinstance(item, VmetricsError) else item for store, item in pods.items()})


def _pods(session: Session, store: Store) -> tuple[int, int] | None:
    """The number of ready pods behind a datastore's Services, and of all; None for a datastore outside the cluster."""
    if not store.hosts:
        return None
    members = stores.members(session.client, store)
    return sum(item.ready for item in members), len(members)


def _judged(found: Mapping[Store, tuple[int, int] | None]) -> Outcome:
    """Pure. Takes each datastore with the number of ready pods behind it and of all; None if that is not known."""
    seen = [_seen(store, pods) for store, pods in found.items()]
    bad = [store for store in found if store.ready is False]
    if bad:
        names = some([f"{store.name}{f' ({store.reason})' if store.reason else ''}" for store in bad])
        number = f"{len(bad)} of {counted(len(found), 'datastore')} {is_(len(bad))} not ready"
        return failed(f"{number}: {names}", "not-ready", "", seen)
    empty = [store for store, pods in found.items() if pods and not pods[0]]
    if empty:
        names = some([store.name for store in empty])
        remedy = f"kubectl -n {empty[0].hosts[0].namespace} get endpointslices,pods"
        return failed(f"no pod is ready behind {names}", "no-endpoints", remedy, seen)
    silent = [store.name for store in found if store.ready is None]
    if len(silent) == len(found):
        return skipped(f"{some(silent)}: the status does not report whether it is ready", seen)
    count = len(found) - len(silent)
    rest = f"; not reported by {some(silent)}" if silent else ""
    return passed(f"{counted(count, 'datastore')} {is_(count)} ready{rest}", seen)


def _seen(store: Store, pods: tuple[int, int] | None) -> str:
    state = "readiness not reported" if store.ready is None else "ready" if store.ready else "not ready"
    why = f" ({store.reason})" if store.reason else ""
    where = f", {pods[0]} of {counted(pods[1], 'pod')} ready behind it" if pods else ""
    return f"{store.name}: {store.driver or 'no driver'}, {state}{why}{where}"
