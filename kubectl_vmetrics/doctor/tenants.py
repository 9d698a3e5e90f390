"""Virtual clusters, virtual machines and tenant control planes: what is between them and their metrics."""

from __future__ import annotations

import time
from collections import Counter

from kubectl_vmetrics.controlplane import credentials, kamaji
from kubectl_vmetrics.controlplane.credentials import NoCredential
from kubectl_vmetrics.controlplane.plane import Plane
from kubectl_vmetrics.kube.errors import Forbidden, MetricsNotAvailable, VmetricsError
from kubectl_vmetrics.kubevirt import components, guests, health, installation, machines, monitoring, series
from kubectl_vmetrics.kubevirt import discovery as kubevirt_discovery
from kubectl_vmetrics.kubevirt.components import Answered, Component
from kubectl_vmetrics.kubevirt.guests import Scrape
from kubectl_vmetrics.kubevirt.installation import Installation
from kubectl_vmetrics.kubevirt.monitoring import Seen
from kubectl_vmetrics.metrics import metrics_api
from kubectl_vmetrics.metrics.findings import FAIL, PASS, Finding
from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Pair, Snapshot
from kubectl_vmetrics.vcluster import discovery, naming, origins
from kubectl_vmetrics.vcluster.discovery import VCluster
from kubectl_vmetrics.vcluster.origins import PODS, Origins

from .check import Cause, Check, Outcome, Session, failed, passed, skipped, warned

VCLUSTER, KUBEVIRT, KAMAJI = "vcluster", "kubevirt", "kamaji"

# ---------------------------------------------------------------------------------------------------- virtual clusters


def _vclusters(session: Session) -> list[VCluster]:
    return session.once("vclusters", lambda: discovery.find(session.client, None))


_RUNNING = {
    "paused": Cause(
        "a virtual cluster that is paused or scaled down has no pods, and so no metrics",
        "vcluster resume NAME -n NAMESPACE",
        "https://www.vcluster.com/docs/vcluster/manage/sleep-wake",
    ),
    "not-ready": Cause(
        "its control plane is not ready: pods that run stay, and are still measured",
        "kubectl -n NAMESPACE describe statefulset NAME",
    ),
}


def _running(session: Session) -> Outcome:
    found = _vclusters(session)
    if not found:
        return skipped("there are no virtual clusters")
    broken = [item.ref.path for item in found if item.status == discovery.NOT_READY]
    if broken:
        return failed(f"not ready: {', '.join(broken)}", "not-ready")
    asleep = [item.ref.path for item in found if item.status in (discovery.PAUSED, discovery.SCALED_DOWN)]
    if asleep:
        return warned(f"asleep: {', '.join(asleep)}", "paused")
    return passed(f"{len(found)} virtual clusters run")


_NAMES = {
    "hidden": Cause(
        "names that grew too long were hashed, and the annotations that hold the virtual name may not be read",
        "kubectl vmetrics manifests rbac --for 'top pods' --user YOU",
        "loft-sh/vcluster pkg/util/translate",
    )
}

_EMPTY = {
    "elsewhere": Cause(
        "none of its pods is on the host: with private nodes they run elsewhere, and the host measures none of them",
        "ask inside of it: kubectl top pods there, with a metrics-server of its own",
        "https://www.vcluster.com/docs/vcluster/deploy/worker-nodes/private-nodes",
    )
}


def _origins(session: Session) -> Origins:
    return session.once("origins", lambda: origins.read(session.client))


def _names(session: Session) -> Outcome:
    if not _vclusters(session):
        return skipped("there are no virtual clusters")
    try:
        found = _origins(session).all(PODS)
    except Forbidden:
        homes = {item.ref.host_namespace for item in _vclusters(session)}
        listed = metrics_api.pods(session.client, Scope(None), PodMetrics)[0]
        hashed = [
            pod.metadata.name
            for pod in listed
            if pod.metadata.namespace in homes and naming.may_be_hashed(pod.metadata.name)
        ]
        if hashed:
            return warned(f"{len(hashed)} pods whose names cannot be resolved: {', '.join(hashed[:3])}", "hidden")
        return passed("no name is hashed")
    return passed(f"the names of {len(found)} pods are resolved")


def _synced(session: Session) -> Outcome:
    running = [item.ref for item in _vclusters(session) if item.status == discovery.RUNNING]
    if not running:
        return skipped("no virtual cluster runs")
    counted = Counter(pod.vcluster for pod in _origins(session).all(PODS))
    without = [ref.path for ref in running if not counted.get(ref)]
    if without:
        return warned(f"no pods on the host: {', '.join(without)}", "elsewhere")
    return passed(f"{sum(counted.values())} pods of virtual clusters run on the host")


# ------------------------------------------------------------------------------------------------------------ KubeVirt


def _installation(session: Session) -> Installation | None:
    def read() -> Installation | None:
        try:
            return installation.find(session.client)
        except MetricsNotAvailable:
            return None

    return session.once("kubevirt", read)


NONE = "KubeVirt is not installed"
_DEPLOYED = {
    "deploying": Cause(
        "KubeVirt is being deployed, updated or deleted",
        "kubectl get kubevirt -A -o wide; the log of virt-operator",
        "kubevirt.io/v1 KubeVirt, status.phase",
    )
}


def _deployed(session: Session) -> Outcome:
    found = _installation(session)
    if found is None:
        return skipped(NONE)
    if found.phase not in ("", "Deployed"):
        return failed(f"KubeVirt in {found.namespace} is {found.phase}", "deploying")
    return passed(f"KubeVirt {found.version or ''} in {found.namespace}".replace("  ", " "))


_COMPONENTS = {
    "down": Cause(
        "a component does not answer: its pod is not ready, or port 8443 is closed between control plane and pods",
        "kubectl vmetrics components",
        "kubevirt/user-guide docs/cluster_admin/component_monitoring.md",
    ),
    "busy": Cause(
        "a virt-handler answers no more than three scrapes at once: several Prometheus, or two ServiceMonitors, ask it",
        "kubectl vmetrics manifests kubevirt --check",
        "kubevirt/kubevirt pkg/monitoring/metrics",
    ),
    "lost": Cause(
        "a component cannot reach the apiserver: its requests have no answer",
        "kubectl vmetrics components, twice: does LOST grow?",
        "kubevirt/user-guide docs/cluster_admin/component_monitoring.md",
    ),
}
APART = 0.7
"""Seconds between two looks at lost requests: a component that cannot reach the apiserver tries many times a second."""


def _pods(session: Session) -> list[Component]:
    found = _installation(session)
    return session.once("kubevirt pods", lambda: kubevirt_discovery.find(session.client, found) if found else [])


def _components(session: Session) -> Outcome:
    found = _installation(session)
    if found is None:
        return skipped(NONE)
    listed = _pods(session)
    absent = [kind for kind in health.EXPECTED if kind not in {item.kind for item in listed}]
    if absent:
        return failed(f"no pods of {', '.join(absent)} serve metrics in {found.namespace}", "down")
    before = health.take(session.client, listed)
    for item, answer in before.items():
        if isinstance(answer, VmetricsError):
            return failed(f"{item.name} does not answer: {answer.message}", _component_cause(answer))
    time.sleep(APART)
    rest = [item for item in listed if item.kind != components.HANDLER] or listed
    after = health.take(session.client, rest)
    for item, answer in after.items():
        earlier = before[item]
        if isinstance(answer, Snapshot) and isinstance(earlier, Snapshot):
            lost = health.read(item, Pair(earlier, answer)).process.losing
            if lost:
                return failed(f"{item.name} lost {lost:.0f} requests to the apiserver just now", "lost")
    return passed(f"all {len(listed)} components answer")


def _component_cause(error: VmetricsError) -> str:
    return "busy" if components.BUSY in getattr(error, "body", "") or components.BUSY in error.message else "down"


def _seen(session: Session) -> Seen | None:
    found = _installation(session)
    return session.once("monitoring", lambda: monitoring.look(session.client, found) if found else None)


_MONITORED = {
    "monitoring": Cause(
        "something is missing between Prometheus and KubeVirt",
        "kubectl vmetrics manifests kubevirt --check",
        "kubevirt/user-guide docs/cluster_admin/monitoring.md",
    )
}


def _monitored(session: Session) -> Outcome:
    seen = _seen(session)
    if seen is None:
        return skipped(NONE)
    if seen.monitors is None:
        return skipped("the Prometheus Operator is not installed")
    bad: list[Finding] = [item for item in monitoring.check(seen) if item.result not in (PASS, "SKIP")]
    worst = next((item for item in bad if item.result == FAIL), bad[0] if bad else None)
    if worst is None:
        return passed("Prometheus finds KubeVirt's components")
    return (failed if worst.result == FAIL else warned)(worst.found, "monitoring", worst.remedy)


_GUESTS = {
    "balloon": Cause(
        "guests without a balloon driver do not tell how much memory their programs use; the process' memory is shown, "
        "marked with ~",
        "install virtio-win's balloon driver and its service in Windows guests; autoattachMemBalloon: true",
        "kubevirt/kubevirt issue 7633",
    ),
    "schedstats": Cause(
        "the nodes' kernels do not measure how long vCPUs wait for their turn, so WAIT(%) and STEAL(%) are 0",
        "schedstats=enable on the kernel's command line",
        "kubevirt/kubevirt pull request 10107",
    ),
}


def _read(answer: Answered) -> Scrape:
    return guests.read(Reader(series.wanted).read([answer.body]), answer.at)


def _guests(session: Session) -> Outcome:
    if _installation(session) is None:
        return skipped(NONE)
    if not any(item.status.phase == "Running" for item in machines.find(session.client, None)):
        return skipped("no virtual machine runs")
    handlers = [item for item in _pods(session) if item.kind == components.HANDLER]
    known = [
        guest
        for scrape in components.scrape(session.client, handlers, _read)
        if not isinstance(scrape, VmetricsError)
        for guest in scrape.guests.values()
    ]
    vcpus = [vcpu for guest in known for vcpu in guest.vcpus.values()]
    if vcpus and not any(vcpu.wait or vcpu.delay for vcpu in vcpus):
        return warned(f"none of {len(vcpus)} vCPUs has ever waited", "schedstats")
    without = ["/".join(guest.key) for guest in known if guest.usable is None and guest.unused is None]
    if without:
        some = ", ".join(sorted(without)[:3])
        return warned(f"{len(without)} of {len(known)} machines tell nothing of their memory: {some}", "balloon")
    return passed(f"{len(known)} machines tell of their memory")


# -------------------------------------------------------------------------------------------------------------- Kamaji


def _tenants(session: Session) -> list[Plane] | None:
    def read() -> list[Plane] | None:
        api = kamaji.served(session.client)
        return None if api is None else kamaji.find(session.client, None, api)

    return session.once("tenants", read)


NO_KAMAJI = "Kamaji is not installed"
_TENANTS = {
    "not-ready": Cause(
        "a tenant's control plane has no replica that is ready",
        "kubectl -n NAMESPACE describe tenantcontrolplane NAME",
        "https://kamaji.clastix.io",
    )
}


def _ready(session: Session) -> Outcome:
    found = _tenants(session)
    if found is None:
        return skipped(NO_KAMAJI)
    bad = [plane.path for plane in found if not plane.asleep and plane.ready < plane.wanted]
    if bad:
        return failed(f"replicas that are not ready: {', '.join(bad[:3])}", "not-ready")
    asleep = sum(plane.asleep for plane in found)
    return passed(f"{len(found)} tenant control planes" + (f", of which {asleep} sleep" if asleep else ""))


_LOGIN = {
    "group": Cause(
        "the certificate that guides name for scraping has lost its group, and is answered 403: since kubeadm 1.35.5 "
        "and 1.36.1 it has none, from its next renewal on",
        "kubectl vmetrics manifests kamaji NAME -n NAMESPACE --credential",
        "clastix/kamaji issue 1171",
    ),
    "none": Cause(
        "there is nothing to log in with at a control plane",
        "kubectl vmetrics controlplanes -A: what is said of each Secret",
    ),
    "ends": Cause(
        "a certificate ends soon, and was not renewed; Kamaji does so a day before",
        "kubectl -n NAMESPACE annotate secret SECRET certs.kamaji.clastix.io/rotate=",
    ),
}


def _login(session: Session) -> Outcome:
    found = _tenants(session)
    if found is None:
        return skipped(NO_KAMAJI)
    lost: list[str] = []
    none: list[str] = []
    ending: list[str] = []
    for plane in found:
        if plane.asleep:
            continue
        try:
            credential = next(credentials.candidates(session.client, plane))
        except NoCredential as error:
            if "may not be read" in error.message and "names no group" not in error.message:
                raise Forbidden(error.message, code=403) from None
            (lost if "names no group" in error.message else none).append(plane.path)
            continue
        if credential.expires - time.time() < credentials.SOON:
            ending.append(plane.path)
    for names, cause in ((lost, "group"), (none, "none")):
        if names:
            remedy = ""
            if cause == "group":
                namespace, _, name = names[0].partition("/")
                remedy = f"kubectl vmetrics manifests kamaji {name} -n {namespace} --credential"
            return failed(f"no certificate may read the metrics of {', '.join(names[:3])}", cause, remedy)
    if ending:
        return warned(f"certificates end within a week: {', '.join(ending[:3])}", "ends")
    return passed(f"{len(found)} tenant control planes let their metrics be read")


_STORES = {
    "not-ready": Cause(
        "a datastore is not ready: every tenant on it is affected",
        "kubectl get datastore NAME -o yaml: its conditions",
        "clastix/kamaji api/v1alpha1 DataStore",
    )
}


def _stores(session: Session) -> Outcome:
    api = kamaji.served(session.client)
    if api is None:
        return skipped(NO_KAMAJI)
    found = [plane for plane in kamaji.operator(session.client, api) if plane.status]
    bad = [plane.name for plane in found if plane.status == "NotReady"]
    if bad:
        return failed(f"not ready: {', '.join(bad)}", "not-ready")
    return passed(f"{len(found)} datastores are ready")


CHECKS = (
    Check("VM301", VCLUSTER, "virtual clusters", _RUNNING, _running),
    Check("VM302", VCLUSTER, "names", _NAMES, _names),
    Check("VM303", VCLUSTER, "pods on the host", _EMPTY, _synced),
    Check("VM401", KUBEVIRT, "KubeVirt", _DEPLOYED, _deployed),
    Check("VM402", KUBEVIRT, "components", _COMPONENTS, _components, ("VM401",)),
    Check("VM403", KUBEVIRT, "Prometheus", _MONITORED, _monitored, ("VM401",)),
    Check("VM404", KUBEVIRT, "guests", _GUESTS, _guests, ("VM402",)),
    Check("VM501", KAMAJI, "tenants", _TENANTS, _ready),
    Check("VM502", KAMAJI, "certificates", _LOGIN, _login),
    Check("VM503", KAMAJI, "datastores", _STORES, _stores),
)
