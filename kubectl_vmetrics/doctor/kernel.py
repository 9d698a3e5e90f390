"""What the nodes' kernels measure, as far as kubelets report it: cgroups and pressure."""

from __future__ import annotations

import re
from functools import partial

import msgspec

from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.metrics import kubelet
from kubectl_vmetrics.metrics.findings import counted, some

from .check import Cause, Outcome, Session, passed, skipped, warned
from .nodes import alike, rest, text

CGROUPS = {
    "v1": Cause(
        "cgroup v1 does not report pressure and reports less about memory; from v1.35, kubelets do not start on it by "
        "default",
        "use an operating system with cgroup v2 (systemd.unified_cgroup_hierarchy=1)",
        "https://kubernetes.io/docs/concepts/architecture/cgroups/",
    )
}


def cgroups(session: Session) -> Outcome:
    """Which cgroup version the nodes use."""
    found = {node: _version(body) for node, body in _metrics(session).items()}
    if not found:
        return skipped("no kubelet answers")
    kinds = alike(session)
    seen = [f"{node}: {f'cgroup v{v}' if v else 'not reported'}{_also(kinds[node])}" for node, v in found.items()]
    old = [name for node, version in found.items() if version == "1" for name in kinds[node]]
    if old:
        run = "runs" if len(old) == 1 else "run"
        return warned(f"{some(old)} {run} on cgroup v1{rest(session)}", "v1", "", seen)
    silent = [name for node, version in found.items() if not version for name in kinds[node]]
    known = sum(len(kinds[node]) for node, version in found.items() if version)
    if not known:
        return skipped(f"kubelets do not report their cgroup version{rest(session)}", seen)
    return passed(f"cgroup v2{f'; not reported by {some(silent)}' if silent else ''}{rest(session)}", seen)


def _version(text: bytes) -> str:
    """The cgroup version that a kubelet's metrics report; "" if they do not, before v1.31."""
    found = re.search(rb"^kubelet_cgroup_version (\d)(?:\.0)?\s*$", text, re.MULTILINE)
    return found[1].decode() if found else ""


PRESSURE = {
    "none": Cause(
        "--pressure shows nothing: the kernel was started without psi=1, or the kubelet is older than v1.34",
        "add psi=1 to the kernel command line; the kernel must be built with CONFIG_PSI",
        "https://kubernetes.io/docs/reference/instrumentation/understand-psi-metrics/",
    )
}


def stalls(session: Session) -> Outcome:
    """Whether kubelets measure pressure."""
    kinds = alike(session)
    # With cgroup v1, the fields exist and are always zero.
    old = [node for node, body in _metrics(session).items() if _version(body) == "1"]
    asked = [node for node in _metrics(session) if node not in old]
    texts = gather([partial(text, session, node, kubelet.SUMMARY) for node in asked], limit=8)
    found = {node: pressure(item) for node, item in zip(asked, texts, strict=True) if isinstance(item, bytes)}
    words = {None: "no pressure", False: "pressure of zero everywhere", True: "pressure"}
    seen = [f"{node}: cgroup v1, which measures no pressure{_also(kinds[node])}" for node in old]
    seen += [f"{node}: {words[told]}{_also(kinds[node])}" for node, told in found.items()]
    without = [name for node, told in found.items() if not told for name in kinds[node]]
    others = rest(session)
    if old:
        names = some([name for node in old for name in kinds[node]])
        others = f"; cgroup v1 on {names} measures none{others}"
    if without:
        verb = "reports" if len(without) == 1 else "report"
        return warned(f"{some(without)} {verb} no pressure (PSI){others}", "none", "", seen)
    if count := sum(len(kinds[node]) for node in found):
        verb = "reports" if count == 1 else "report"
        return passed(f"{counted(count, 'kubelet')} {verb} pressure (PSI){others}", seen)
    if not old and texts and isinstance(texts[0], VmetricsError):
        raise texts[0]
    return skipped(f"cgroup v1 measures no pressure (PSI){rest(session)}" if old else "no kubelet answers", seen)


class _Stalls(msgspec.Struct):
    total: float = 0.0
    avg10: float = 0.0
    avg60: float = 0.0
    avg300: float = 0.0


class _Psi(msgspec.Struct):
    some: _Stalls = msgspec.field(default_factory=_Stalls)
    full: _Stalls = msgspec.field(default_factory=_Stalls)


class _Part(msgspec.Struct):
    psi: _Psi | None = None


class _Measured(msgspec.Struct):
    cpu: _Part = msgspec.field(default_factory=_Part)
    memory: _Part = msgspec.field(default_factory=_Part)
    io: _Part = msgspec.field(default_factory=_Part)


class _Summary(msgspec.Struct):
    node: _Measured = msgspec.field(default_factory=_Measured)
    pods: list[_Measured] = []


def pressure(text: bytes) -> bool | None:
    """Whether a kubelet's stats/summary reports pressure: None if it does not, False if all values are zero.

    From v1.34, all values are zero if the kernel does not measure pressure (k8s.io/kubelet pkg/apis/stats/v1alpha1,
    PSIStats).
    """
    try:
        found = msgspec.json.decode(text, type=_Summary)
    except msgspec.MsgspecError:
        return None
    parts = [part.psi for item in (found.node, *found.pods) for part in (item.cpu, item.memory, item.io) if part.psi]
    if not parts:
        return None
    every = [stalls for part in parts for stalls in (part.some, part.full)]
    return any(stalls != _Stalls() for stalls in every)


def _also(names: list[str]) -> str:
    return f" (and {counted(len(names) - 1, 'node')} like it)" if len(names) > 1 else ""


def _metrics(session: Session) -> dict[str, bytes]:
    """/metrics of one node of each kind, without those that do not answer."""

    def read() -> dict[str, bytes]:
        nodes = list(alike(session))
        texts = gather([partial(text, session, node, "metrics") for node in nodes], limit=8)
        refused = [item for item in texts if isinstance(item, VmetricsError)]
        if refused and len(refused) == len(texts):
            raise refused[0]
        return {node: item for node, item in zip(nodes, texts, strict=True) if isinstance(item, bytes)}

    return session.once("kubelets' metrics", read)
