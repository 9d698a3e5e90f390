"""KubeVirt: its components, how Prometheus finds them, and what guests report."""

from __future__ import annotations

import time

from kubectl_vmetrics.kube.errors import Forbidden, MetricsNotAvailable, VmetricsError
from kubectl_vmetrics.kubevirt import components, guests, health, installation, machines, monitoring, series
from kubectl_vmetrics.kubevirt import discovery as kubevirt_discovery
from kubectl_vmetrics.kubevirt.components import Answered, Component
from kubectl_vmetrics.kubevirt.guests import Scrape
from kubectl_vmetrics.kubevirt.installation import Installation
from kubectl_vmetrics.kubevirt.monitoring import Seen
from kubectl_vmetrics.metrics.findings import FAIL, PASS, Finding, counted, some
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Pair, Snapshot

from .check import Absent, Cause, Check, Outcome, Session, failed, passed, skipped, warned

AREA = "kubevirt"


def _installation(session: Session) -> Installation:
    def read() -> Installation:
        try:
            return installation.find(session.client)
        except installation.Unseen as error:
            raise Forbidden(error.message, code=403, hint=error.hint) from None
        except MetricsNotAvailable:
            raise Absent("KubeVirt is not installed") from None

    return session.once("kubevirt", read)


_DEPLOYED = {
    "deploying": Cause(
        "KubeVirt is being deployed, updated or deleted",
        "kubectl get kubevirt -A -o wide, and see the log of virt-operator",
        "kubevirt.io/v1 KubeVirt, status.phase",
    )
}


def _deployed(session: Session) -> Outcome:
    found = _installation(session)
    seen = [
        f"{found.namespace}/{found.name or '?'}: {found.phase or 'phase not known'}, {found.version or 'no version'}"
    ]
    if found.phase not in ("", "Deployed"):
        return failed(f"KubeVirt in {found.namespace} is {found.phase}", "deploying", "", seen)
    return passed(f"KubeVirt {found.version or ''} in {found.namespace}".replace("  ", " "), seen)


_COMPONENTS = {
    "down": Cause(
        "a component does not answer: its pod is not ready, or the control plane cannot reach port 8443 of pods",
        "kubectl vmetrics components",
        "kubevirt/user-guide docs/cluster_admin/component_monitoring.md",
    ),
    "busy": Cause(
        "a virt-handler answers at most three scrapes at a time, and several Prometheus servers or ServiceMonitors "
        "scrape it",
        "kubectl vmetrics manifests kubevirt --check",
        "kubevirt/kubevirt pkg/monitoring/metrics",
    ),
    "lost": Cause(
        "a component cannot reach the apiserver, so its requests get no response",
        "kubectl vmetrics components, twice: LOST increases",
        "kubevirt/user-guide docs/cluster_admin/component_monitoring.md",
    ),
}
APART = 0.7
"""Seconds between two samples of lost requests; a component that cannot reach the apiserver retries all the time."""


def _pods(session: Session) -> list[Component]:
    found = _installation(session)
    return session.once("kubevirt pods", lambda: kubevirt_discovery.find(session.client, found))


def _components(session: Session) -> Outcome:
    found = _installation(session)
    listed = _pods(session)
    absent = [kind for kind in health.EXPECTED if kind not in {item.kind for item in listed}]
    if absent:
        return failed(f"no pods of {', '.join(absent)} serve metrics in {found.namespace}", "down")
    before = health.take(session.client, listed)
    seen = [
        f"{item.name}: {answer.message if isinstance(answer, VmetricsError) else 'answers'}"
        for item, answer in before.items()
    ]
    for item, answer in before.items():
        if isinstance(answer, Forbidden):
            raise answer
        if isinstance(answer, VmetricsError):
            return failed(f"{item.name} does not answer: {answer.message}", _component_cause(answer), "", seen)
    time.sleep(APART)
    rest = [item for item in listed if item.kind != components.HANDLER] or listed
    after = health.take(session.client, rest)
    for item, answer in after.items():
        earlier = before[item]
        if isinstance(answer, Snapshot) and isinstance(earlier, Snapshot):
            lost = health.read(item, Pair(earlier, answer)).process.losing
            if lost:
                text = f"{item.name} has just lost {counted(round(lost), 'request')} to the apiserver"
                return failed(text, "lost", "", [text, *seen])
    return passed(f"all {len(listed)} components answer", seen)


def _component_cause(error: VmetricsError) -> str:
    return "busy" if components.BUSY in getattr(error, "body", "") or components.BUSY in error.message else "down"


def _seen(session: Session) -> Seen:
    found = _installation(session)
    return session.once("monitoring", lambda: monitoring.look(session.client, found))


_MONITORED = {
    "monitoring": Cause(
        "Prometheus does not scrape all of KubeVirt",
        "kubectl vmetrics manifests kubevirt --check",
        "kubevirt/user-guide docs/cluster_admin/monitoring.md",
    )
}


def _monitored(session: Session) -> Outcome:
    seen = _seen(session)
    if seen.monitors is None:
        return skipped("the Prometheus Operator is not installed")
    findings = monitoring.check(seen)
    told = [f"{item.result} {item.check}: {item.found}" for item in findings]
    bad: list[Finding] = [item for item in findings if item.result not in (PASS, "SKIP")]
    worst = next((item for item in bad if item.result == FAIL), bad[0] if bad else None)
    if worst is None:
        return passed("Prometheus finds KubeVirt's components", told)
    return (failed if worst.result == FAIL else warned)(worst.found, "monitoring", worst.remedy, told)


_GUESTS = {
    "balloon": Cause(
        "guests without a balloon driver do not report how much memory they use; vmi shows the memory of the QEMU "
        "process instead, marked with ~",
        "set autoattachMemBalloon: true; in Windows guests, install the balloon driver and its service from virtio-win",
        "kubevirt/kubevirt issue 7633",
    ),
    "schedstats": Cause(
        "the nodes' kernels do not measure how long vCPUs wait for a CPU, so WAIT(%) and STEAL(%) are 0",
        "add schedstats=enable to the kernel command line",
        "kubevirt/kubevirt pull request 10107",
    ),
}


def _read(answer: Answered) -> Scrape:
    return guests.read(Reader(series.wanted).read(answer.chunks), answer.at)


def _guests(session: Session) -> Outcome:
    _installation(session)  # raises Absent: without KubeVirt there are no virtual machines
    if not any(item.status.phase == "Running" for item in machines.find(session.client, None)):
        return skipped("no virtual machine is running")
    handlers = [item for item in _pods(session) if item.kind == components.HANDLER]
    scrapes = list(components.scrape(session.client, handlers, _read))
    known = [guest for scrape in scrapes if not isinstance(scrape, VmetricsError) for guest in scrape.guests.values()]
    for scrape in scrapes:
        if isinstance(scrape, Forbidden) and not known:
            raise scrape
    if not known:
        return skipped("no virt-handler reports a virtual machine")
    seen = [
        f"{'/'.join(guest.key)}: {'no memory' if guest.usable is None and guest.unused is None else 'memory'} reported"
        for guest in known
    ]
    vcpus = [vcpu for guest in known for vcpu in guest.vcpus.values()]
    if vcpus and not any(vcpu.wait or vcpu.delay for vcpu in vcpus):
        return warned(
            f"{counted(len(vcpus), 'vCPU')} {'reports' if len(vcpus) == 1 else 'report'} no time spent waiting",
            "schedstats",
            "",
            seen,
        )
    without = ["/".join(guest.key) for guest in known if guest.usable is None and guest.unused is None]
    if without:
        do = "does" if len(without) == 1 else "do"
        number = f"{len(without)} of {counted(len(known), 'virtual machine')}"
        text = f"{number} {do} not report memory: {some(sorted(without))}"
        return warned(text, "balloon", "", seen)
    return passed(f"{counted(len(known), 'virtual machine')} {'reports' if len(known) == 1 else 'report'} memory", seen)


CHECKS = (
    Check("VM401", AREA, "KubeVirt", _DEPLOYED, _deployed),
    Check("VM402", AREA, "components", _COMPONENTS, _components, ("VM401",)),
    Check("VM403", AREA, "Prometheus", _MONITORED, _monitored, ("VM401",)),
    Check("VM404", AREA, "guests", _GUESTS, _guests, ("VM402",)),
)
