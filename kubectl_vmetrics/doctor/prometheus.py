"""Prometheus on the host: which servers there are, what they scrape, and whether series can get virtual names."""

from __future__ import annotations

from kubectl_vmetrics.kube.errors import Forbidden, VmetricsError
from kubectl_vmetrics.metrics.findings import counted, some
from kubectl_vmetrics.prometheus.api import Closed
from kubectl_vmetrics.vcluster import discovery

from . import leaks
from .allowlists import ANNOTATIONS, LABELS, exported
from .check import Absent, Cause, Check, Outcome, Session, failed, passed, skipped, warned
from .contents import MOST, NAMES, OWNERS, Contents, Server, candidates, contents, judged, servers, told
from .nodes import nodes, ready
from .workloads import STATE_METRICS, with_images

AREA = "prometheus"
_DOCS = "https://prometheus.io/docs/prometheus/latest/"


_FOUND = {
    "down": Cause(
        "the apiserver cannot reach its Service, or its pods are not ready",
        "kubectl get endpointslices -A -l kubernetes.io/service-name=NAME, and see the log of its pods",
        _DOCS + "management_api/",
    )
}


def _found(session: Session) -> Outcome:
    found = servers(session)
    alive = [item for item in found.values() if isinstance(item, Server)]
    closed = [path for path, item in found.items() if isinstance(item, Closed)]
    down = {
        path: item
        for path, item in found.items()
        if isinstance(item, VmetricsError) and not isinstance(item, (Closed, Forbidden))
    }
    seen = [_described(path, item) for path, item in found.items()]
    if left := candidates(session)[MOST:]:
        seen.append(f"not asked: {some([item.path for item in left])}")
    seen += [f"not asked: {item.path}, {reason}" for item, reason in judged(session).others[:MOST]]
    if down:
        first = next(iter(down))
        text = f"{some(list(down))} {'does' if len(down) == 1 else 'do'} not answer: {down[first].message}"
        return failed(text, "down", "", seen, partial=bool(alive))
    rest = f"; {some(closed)} {_requires(closed)} credentials, which the apiserver does not pass on" if closed else ""
    if refused := [path for path, item in found.items() if isinstance(item, Forbidden)]:
        rest += f"; you may not reach {some(refused)}"
    if not alive:
        return skipped(rest.removeprefix("; "), seen)
    return passed(f"{some([item.title for item in alive])} {'answers' if len(alive) == 1 else 'answer'}{rest}", seen)


def _requires(names: list[str]) -> str:
    return "requires" if len(names) == 1 else "require"


def _described(path: str, item: Server | VmetricsError) -> str:
    if isinstance(item, VmetricsError):
        return f"{path}: {item.message}"
    keeps = f", keeps samples for {item.retention}" if item.retention else ""
    return f"{item.title}: {counted(item.targets, 'target')}{keeps}"


_KUBELETS = {
    "missing": Cause(
        "no Prometheus scrapes the kubelets' container metrics, so it has nothing to give virtual names to",
        "scrape /metrics/cadvisor of the kubelets: with kube-prometheus-stack, set kubelet.enabled=true; or scrape "
        "the proxy, see kubectl vmetrics help prometheus",
        "https://kubernetes.io/docs/concepts/cluster-administration/system-metrics/",
    ),
    "some": Cause(
        "some kubelets are not scraped, so sums are too low",
        "see the targets of the job in Prometheus, at /targets",
        _DOCS + "configuration/configuration/#scrape_config",
    ),
}


def _kubelets(session: Session) -> Outcome:
    found = contents(session)
    seen = [line for item in found for line in told(item)]
    most = max((source.kubelets for item in found for source in item.sources), default=0)
    if not most:
        return warned("no Prometheus has container_cpu_usage_seconds_total of pods", "missing", "", seen)
    try:
        expected = sum(ready(node) for node in nodes(session))
    except Forbidden:
        expected = 0
    if most < expected:
        return warned(f"container metrics of {most} of {counted(expected, 'kubelet')}", "some", "", seen)
    return passed(f"container metrics of {counted(most, 'kubelet')}", seen)


_STATE = {
    "missing": Cause(
        "no Prometheus has series of kube-state-metrics, so it has no requests, limits and quotas",
        "install kube-state-metrics, and scrape it",
        "https://github.com/kubernetes/kube-state-metrics",
    )
}


def _state(session: Session) -> Outcome:
    found = contents(session)
    seen = [f"{item.server.prometheus.name}: {counted(item.state, 'pod')}" for item in found]
    try:
        seen += _flags(session)
    except Forbidden as error:
        seen.append(f"flags are not known: {error.message}")
    most = max(item.state for item in found)
    if not most:
        return warned("no Prometheus has kube_pod_info", "missing", "", seen)
    return passed(f"kube-state-metrics reports {counted(most, 'pod')}", seen)


def _flags(session: Session) -> list[str]:
    """What each kube-state-metrics exports of pods' labels and annotations, in numbers."""
    lines = []
    for item in with_images(session, STATE_METRICS):
        for container in item.containers(STATE_METRICS):
            found = exported(container.words)
            listed = {LABELS: found.labels, ANNOTATIONS: found.annotations}
            parts = [f"{flag} names {counted(len(keys), 'key')} of pods" for flag, keys in listed.items() if keys]
            parts += ["flags from a file or from environment variables"] if found.elsewhere else []
            lines.append(f"{item.path}: {', '.join(parts) or 'no allowlist for pods'}")
    return lines


_NAMES = {
    "none": Cause(
        "no series with container metrics in the same Prometheus says which virtual cluster a pod belongs to",
        "kubectl vmetrics manifests proxy --only-names --monitor servicemonitor, then kubectl vmetrics manifests rules",
        "https://github.com/loft-sh/vcluster, pkg/util/translate",
    ),
    "owners": Cause(
        "only the owners of pods are known, so sums by virtual cluster work, and the virtual names of pods are missing",
        "kubectl vmetrics manifests proxy --only-names --monitor servicemonitor, then kubectl vmetrics manifests rules",
        "https://github.com/loft-sh/vcluster, pkg/controllers/resources/pods",
    ),
}


def _names(session: Session) -> Outcome:
    if not session.once("vclusters", lambda: discovery.find(session.client, None)):
        return skipped("there are no virtual clusters")
    found = [item for item in contents(session) if item.sources]
    if not found:
        raise Absent("no Prometheus has container metrics")
    seen = [f"{item.server.prometheus.name}: {name}, {item.names[name]} series" for item in found for name in NAMES]
    best = max(found, key=lambda item: len(_usable(item)))
    usable = _usable(best)
    if usable in ([], [OWNERS]) and any(item.views and not item.plain for item in found):
        return passed("container metrics are those of views of virtual clusters, with virtual names", seen)
    if not usable:
        return warned("container metrics cannot be joined with virtual names", "none", "", seen)
    if usable == [OWNERS]:
        return warned("container metrics can be joined with owners only (pod-owner)", "owners", "", seen)
    return passed(f"container metrics can be joined with virtual names ({', '.join(usable)})", seen)


def _usable(found: Contents) -> list[str]:
    return [name for name in NAMES if found.names[name]]


_DOUBLE = {
    "kubelets": Cause(
        "several jobs or endpoints report the same containers, so a sum that does not select one of them counts twice",
        "scrape each kubelet's /metrics/cadvisor in one job only; or use recorded series, which select one",
        _DOCS + "configuration/configuration/#relabel_config",
    ),
    "views": Cause(
        "the views of tenants are scraped beside the host, so their containers are counted twice",
        "let this Prometheus discover the proxy's /sd only, and a tenant's own Prometheus that tenant's view",
        "kubectl vmetrics help prometheus",
    ),
    "state": Cause(
        'several instances of kube-state-metrics report the same pods, so joins fail with "many-to-many matching"',
        "keep one of them, or let its replicas share the pods: --shard and --total-shards",
        "https://github.com/kubernetes/kube-state-metrics#horizontal-sharding",
    ),
}


def _double(session: Session) -> Outcome:
    found = contents(session)
    seen = []
    bad: list[tuple[str, str]] = []
    for item in found:
        path = item.server.prometheus.name
        jobs = " and ".join(source.title for source in item.sources[:3])
        jobs += ", with and without virtual names" if len(item.sources) == 1 else ""
        seen.append(f"{path}: {counted(item.twice, 'pod')} from several jobs or endpoints")
        seen.append(f"{path}: the views of {counted(item.views, 'virtual cluster')}")
        seen.append(f"{path}: {counted(item.state_twice, 'pod')} from several instances of kube-state-metrics")
        if item.views and item.plain:
            bad.append(("views", f"{path} scrapes the host and {counted(item.views, 'view')} of virtual clusters"))
        if item.state_twice:
            number = counted(item.state_twice, "pod")
            bad.append(("state", f"{path} has {number} from several instances of kube-state-metrics"))
        if item.twice:
            bad.append(("kubelets", f"{path} has {counted(item.twice, 'pod')} from {jobs}"))
    if bad:
        return warned("; ".join(text for _, text in bad), bad[0][0], "", seen)
    if not any(item.sources or item.state for item in found):
        return skipped("no Prometheus has metrics of containers or pods", seen)
    return passed("no container is scraped twice", seen)


CHECKS = (
    Check("VM701", AREA, "Prometheus servers", _FOUND, _found),
    Check("VM702", AREA, "kubelets in Prometheus", _KUBELETS, _kubelets, ("VM701",)),
    Check("VM703", AREA, "kube-state-metrics", _STATE, _state, ("VM701",)),
    Check("VM704", AREA, "virtual names in Prometheus", _NAMES, _names, ("VM702",)),
    Check("VM705", AREA, "double scraping", _DOUBLE, _double, ("VM701",)),
    Check("VM706", AREA, "tenants' tokens in kube-state-metrics", leaks.FLAGS, leaks.flags),
    Check("VM707", AREA, "tenants' tokens in Prometheus", leaks.STORED, leaks.stored, ("VM701",)),
    Check("VM708", AREA, "OpenTelemetry collectors", leaks.COLLECTORS, leaks.collectors),
)
"""All that concern Prometheus."""
