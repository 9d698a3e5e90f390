"""Values of options and arguments, for completion.

Fixed sets come from the modules that check them; names in a cluster come from `lookup`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from .lookup import Candidates, Lookup

FILES = (
    "kubeconfig",
    "cache_dir",
    "certificate_authority",
    "client_certificate",
    "client_key",
    "file",
    "prices_file",
    "folder",
    "token_file",
    "tls_cert_file",
    "tls_private_key_file",
    "prometheus_token_file",
    "prometheus_password_file",
    "prometheus_certificate_authority",
    "prometheus_client_certificate",
    "prometheus_client_key",
)
"""Parameters that are files or folders, which are the shell's business; `folder` of `completion` alone."""

_DURATIONS = ("5s", "15s", "30s", "1m")
_PERIODS = ("1h", "24h", "7d", "30d", "today", "yesterday", "week", "lastweek", "month", "lastmonth")
_TABLES = ("wide", "json", "yaml", "csv", "name", "jsonpath=", "custom-columns=", "github", "html")
_KAMAJI = "/apis/kamaji.clastix.io/v1alpha1/{}tenantcontrolplanes"
_VMIS = "/apis/kubevirt.io/v1/{}virtualmachineinstances"


def is_file(path: Sequence[str], name: str) -> bool:
    """Whether an option is a file."""
    return name in FILES and (name != "folder" or path[-1:] == ["completion"])


def of_option(path: Sequence[str], name: str, last: str, ask: Lookup, given: Mapping[str, str]) -> Candidates:
    """Candidates for the value of an option.

    Args:
        path: the command.
        name: of the parameter.
        last: the value so far; in a list, only the last item is completed.
        ask: looks up names in the cluster.
        given: the options so far, by parameter name.
    """
    fixed = _fixed(path, name, given)
    if fixed is not None:
        return [item if isinstance(item, tuple) else (item, "") for item in fixed]
    if name == "addresses":
        from .manifests.metrics_server import KINDS

        before = last.rpartition(",")[0].split(",") if "," in last else []
        return [(",".join([*before, kind]), "") for kind in KINDS if kind not in before]
    asked: dict[str, Callable[[], Candidates]] = {
        "context": lambda: ask.named("contexts"),
        "cluster": lambda: ask.named("clusters"),
        "user": lambda: ask.named("users") if path[:1] != ["manifests"] else [],
        "namespace": ask.namespaces,
        "vcluster": ask.vclusters,
        "prometheus": ask.prometheus,
        "node": lambda: ask.objects("/api/v1/nodes", spaces=False),
        "serviceaccount": lambda: [(f"{space}:{account}", "") for account, space in ask.accounts(None)],
    }
    if name.endswith("_namespace"):
        return ask.objects("/api/v1/namespaces", spaces=False)
    if name.endswith("_account"):
        return ask.accounts(given.get(f"{name.removesuffix('_account')}_namespace"))
    return asked[name]() if name in asked else []


def _sources(command: str) -> Iterable[str]:
    known = {
        "targets": ("pods", "endpointslices", "endpoints"),
        "top vclusters": ("metrics-api", "prometheus"),
        "top namespaces": ("metrics-api", "prometheus"),
        "top volumes": ("kubelet", "prometheus"),
        "vmi": ("virt-handler", "prometheus"),
        "controlplanes": ("components", "prometheus"),
    }
    return known.get(command, ("metrics-api", "kubelet", "auto", "prometheus"))


def _fixed(path: Sequence[str], name: str, given: Mapping[str, str]) -> Iterable[str | tuple[str, str]] | None:
    """The values of an option with a fixed set; None for any other option."""
    top, command = path[0] if path else "", " ".join(path)
    if name == "output":
        return _formats(top)
    if name == "sort_by":
        return _sorts(command, given)
    if name == "source":
        return _sources("targets" if top == "targets" else command)
    if name == "at":
        return ("15m", "1h", "1d", "yesterday", "today", "month")
    if name in ("since", "until"):
        return _PERIODS
    if name == "step" and top == "history":
        return ("15s", "1m", "5m", "1h", "1d")
    if name == "top":
        return ("5", "10", "20")
    if name == "metrics":
        from kubectl_vmetrics.history.fields import METRICS

        return METRICS
    if name == "endpoints":
        from kubectl_vmetrics.metrics.kubelet import ONCE, TEXTS

        return [*TEXTS, ",".join(ONCE)]
    if name == "broken":
        from kubectl_vmetrics.demo.breakage import BREAKS

        return [("list", "Print them all."), *((key, item.text) for key, item in BREAKS.items())]
    if name == "commands":
        from kubectl_vmetrics.metrics.needs import COMMANDS

        return list(COMMANDS)
    if name == "monitor":
        from kubectl_vmetrics.manifests.monitor import KINDS

        return KINDS
    if name == "only":
        return _parts() if top == "manifests" else _checks()
    if command == "manifests rules" and name in ("names", "cadvisor", "kubelet", "state", "dcgm", "kubevirt"):
        return _of_rules(name)
    if name == "folder" and top == "manifests":
        return None
    if top in ("bill", "report") and name in ("by", "share"):
        from .bill import BY, SHARES

        return BY if name == "by" else SHARES
    plain: dict[str, Sequence[str | tuple[str, str]]] = {
        "kind": ("kamaji", "vcluster"),
        "metrics_api": ("v1beta1", "v1", "both"),
        "fail_on": ("fail", "warning", "never"),
        "interval": _DURATIONS,
        "since": ("month", "lastmonth", "week", "today", "yesterday", "24h", "7d", "30d"),
        "until": ("month", "week", "today", "yesterday", "1h", "24h"),
        "step": ("1m", "5m", "1h", "1d"),
        "sampled": ("1m", "10m", "1h"),
        "owner_label": ("loft.sh/user", "loft.sh/project"),
        "cpu_percentile": ("90", "95", "99", "100"),
        "memory_headroom": ("10%", "15%", "30%"),
        "min_cpu": ("10m", "50m", "100m"),
        "min_memory": ("16Mi", "64Mi", "128Mi"),
        "color": ("auto", "always", "never"),
        "shortcuts": ("usage=", "history=", "explain="),
        "metric_resolution": ("10s", *_DURATIONS[1:]),
        "request_timeout": ("10s", "30s", "1m", "0"),
        "field_selector": ("metadata.name=", "metadata.namespace="),
        "address": ("127.0.0.1", "localhost", "::1", "0.0.0.0"),  # noqa: S104
        "prometheus_header": ("Authorization:@", "X-Scope-OrgID:"),
        "prometheus_tenant": ("anonymous",),
        "prometheus_match": ("cluster=",),
        "prometheus_job": ("kubelet=", "cadvisor=", "kube-state-metrics=", "names="),
        "prometheus_username": ("admin",),
        "prometheus_exec": ("gcloud auth print-access-token", "oc whoami --show-token"),
        "prometheus_tls_server_name": ("prometheus-k8s.monitoring.svc",),
        "prometheus_sigv4_region": ("us-east-1", "eu-west-1"),
        "verbosity": (("6", "Requests."), ("7", "Their headers."), ("8", "The answers' headers.")),
    }
    return plain.get(name)


def _parts() -> Sequence[str]:
    from kubectl_vmetrics.manifests.rules.render import PARTS

    return PARTS


def _of_rules(name: str) -> Sequence[str]:
    from kubectl_vmetrics.manifests.rules.names import WAYS
    from kubectl_vmetrics.manifests.rules.sources import Sources

    return list(WAYS) if name == "names" else [getattr(Sources(), name)]


def _formats(top: str) -> Sequence[str]:
    if top == "manifests":
        return ("yaml", "json")
    if top == "bill":
        return ("focus", *_TABLES)
    if top == "targets":
        from kubectl_vmetrics.manifests.prometheus import FORMATS

        return ("table", *_TABLES[:7], *FORMATS)
    return ("table", *_TABLES) if top == "doctor" else _TABLES


def _sorts(command: str, given: Mapping[str, str]) -> Iterable[str]:
    """The columns that a table has with the flags so far."""
    wide, inside = given.get("output", "") in ("wide", "csv", "json", "yaml"), "vcluster" in given
    everywhere = "all_namespaces" in given
    if command == "vmi":
        from kubectl_vmetrics.views import vmi

        return vmi.SORTS
    if command == "top gpus":
        from kubectl_vmetrics.views import gpus

        return gpus.SORTS
    if command == "top volumes":
        from kubectl_vmetrics.views import volumes

        return volumes.sorts(namespaces=everywhere, inside=inside)
    network, io = "network" in given, "io" in given
    if command in ("top vclusters", "top namespaces"):
        from kubectl_vmetrics.views import groups

        options = groups.Options(wide=wide, gpus=True, network=network, io=io)
        return groups.sorts(options, vclusters=command == "top vclusters", inside=inside)
    if command == "top nodes":
        from kubectl_vmetrics.views import nodes

        return nodes.sorts(nodes.Options(swap="show_swap" in given, wide=wide), inside=inside)
    if command == "top pods":
        from kubectl_vmetrics.views import names, pods

        found = pods.Options(
            names=names.Names.VIRTUAL if inside else names.Names.HOST,
            namespaces=everywhere,
            containers="containers" in given,
            swap="show_swap" in given,
            pressure="pressure" in given,
            wide=wide,
            network=network,
            io=io,
        )
        return pods.sorts(found)
    return ("cpu", "memory")


def _checks() -> Candidates:
    from kubectl_vmetrics.doctor.catalogue import CHECKS

    return [(check.id, f"{check.area}: {check.title}") for check in CHECKS]


def of_arguments(path: Sequence[str], ask: Lookup, given: Mapping[str, str], before: Sequence[str] = ()) -> Candidates:
    """Candidates for the arguments of a command.

    Args:
        path: the command.
        ask: looks up names in the cluster.
        given: the options so far, by parameter name.
        before: the arguments so far.
    """
    kubevirt = ("virt-api", "virt-controller", "virt-handler", "virt-operator")
    known: dict[str, Callable[[], Candidates]] = {
        "top pods": ask.pods,
        "explain": lambda: ask.pods() if before else [("pod", "")],
        "top nodes": lambda: ask.objects("/api/v1/nodes", spaces=False),
        "top vclusters": ask.vclusters_by_name,
        "manifests vcluster": lambda: ask.vclusters_by_name() if "namespace" in given else ask.vclusters(),
        "vmi": lambda: ask.objects(_VMIS),
        "controlplanes": lambda: [*_or_none(lambda: ask.objects(_KAMAJI)), *ask.vclusters_by_name(here=True)],
        "manifests kamaji": lambda: ask.paths(_KAMAJI),
        "manifests dashboards": _dashboards,
        "components": lambda: [(kind, "") for kind in kubevirt],
        "targets": lambda: [(kind, "") for kind in ("kubevirt", "kubelet", "controlplanes", "all", "prometheus")],
        "doctor": _areas_and_checks,
        "raw": lambda: _paths(ask),
        "history": lambda: [(kind, "") for kind in ("vclusters", "namespaces", "pods", "nodes", "vmi", "volumes")],
        "completion": lambda: [(shell, "") for shell in ("bash", "zsh", "fish", "powershell", "kubectl")],
    }
    read = known.get(" ".join(path))
    return read() if read else []


def _or_none(read: Callable[[], Candidates]) -> Candidates:
    """The result, or nothing if it fails, so that one kind that is not installed does not hide the other."""
    try:
        return read()
    except Exception:
        return []


def _dashboards() -> Candidates:
    from kubectl_vmetrics.manifests.dashboards import ALL

    return [(item.name, item.title) for item in ALL]


def _areas_and_checks() -> Candidates:
    from kubectl_vmetrics.doctor.check import AREAS

    return [*((area, "") for area in AREAS), *_checks()]


def _paths(ask: Lookup) -> Candidates:
    metrics = f"/apis/metrics.k8s.io/{ask.metrics_version()}"
    endpoints = ("stats/summary", "metrics", "metrics/cadvisor", "metrics/resource", "metrics/probes")
    nodes = [name for name, _ in _or_none(lambda: ask.objects("/api/v1/nodes", spaces=False))]
    kubelets = [f"/api/v1/nodes/{node}/proxy/{endpoint}" for node in nodes for endpoint in endpoints]
    return [(path, "") for path in (f"{metrics}/pods", f"{metrics}/nodes", *kubelets)]
