"""Tenants' tokens in monitoring: whether they are exported, stored or passed on. What is found is never shown.

vCluster keeps the service account token of each synced pod in annotations of the host's pod, unless
`sync.toHost.pods.useSecretsForSATokens` is true. Who can read these in a metric can act as the tenant's workload.
"""

from __future__ import annotations

import msgspec

from kubectl_vmetrics.kube.client import escape
from kubectl_vmetrics.kube.errors import Forbidden, NotFound
from kubectl_vmetrics.kube.lists import decoder
from kubectl_vmetrics.metrics.findings import counted, some

from .allowlists import exported
from .check import Absent, Cause, Outcome, Session, failed, passed, skipped
from .collectors import Taken, taken
from .contents import answering
from .workloads import COLLECTORS as IMAGES
from .workloads import STATE_METRICS, Workload, with_images

LABEL = "vcluster_loft_sh_token_"
"""In the name of a label that is made of an annotation with a token, whatever stands before it."""
MAPS = 8
"""The maximum number of ConfigMaps read of one collector."""
_SOURCE = "https://github.com/loft-sh/vcluster, pkg/controllers/resources/pods/translate"
_SECRETS = "set sync.toHost.pods.useSecretsForSATokens: true in each virtual cluster"

FLAGS = {
    "wildcard": Cause(
        "kube-state-metrics exports annotations that hold the service account tokens of tenants' pods",
        "list the annotations that you need by name, as in the first lines of kubectl vmetrics manifests rules --names "
        "kube-state-metrics; then see VM707",
        _SOURCE,
    )
}


def flags(session: Session) -> Outcome:
    """Whether kube-state-metrics may export tokens, by its command line."""
    found = with_images(session, STATE_METRICS)
    if not found:
        raise Absent("no workload runs kube-state-metrics")
    bad, unknown, seen = [], [], []
    for item in found:
        read = [exported(container.words) for container in item.containers(STATE_METRICS)]
        if any(one.leaks for one in read):
            bad.append(item.path)
            seen.append(f"{item.path}: its allowlist matches annotations that hold tokens")
        elif any(one.elsewhere for one in read):
            unknown.append(item.path)
            seen.append(f"{item.path}: not known, its flags are in a file or in environment variables")
        else:
            number = sum(len(one.annotations) for one in read)
            seen.append(f"{item.path}: {counted(number, 'annotation')} of pods, none of which holds tokens")
    if bad:
        return failed(f"{some(bad)} {_exports(bad)} them", "wildcard", "", seen)
    if len(unknown) == len(found):
        return skipped(f"the flags of {some(unknown)} are in a file or in environment variables", seen)
    rest = f"; not known of {some(unknown)}, whose flags are in a file or in environment variables" if unknown else ""
    known = [item.path for item in found if item.path not in unknown]
    return passed(f"{some(known)} {_exports(known)} no annotations that hold tokens{rest}", seen)


def _exports(names: list[str]) -> str:
    return "exports" if len(names) == 1 else "export"


STORED = {
    "labels": Cause(
        "tenants' service account tokens are stored in Prometheus, where everybody who can query it can read them; "
        "each is valid until its pod is deleted, for up to ten years",
        "fix what exports them (VM706, VM708, or a labelmap of annotations in a scrape configuration); delete the "
        f'series, {{__name__=~"kube_.+_annotations"}}, in Prometheus and in what it writes to; {_SECRETS}; '
        "and recreate the tenants' pods, which revokes the old tokens",
        _SOURCE,
    )
}


def stored(session: Session) -> Outcome:
    """Whether a Prometheus has a label whose name says that it holds a token. Names are asked for, and no values."""
    bad, seen = [], []
    for server in answering(session):
        path = server.prometheus.name
        leaked = any(LABEL in name for name in server.prometheus.label_names())
        seen.append(f"{path}: {'has' if leaked else 'has no'} labels that are made of annotations with tokens")
        if leaked:
            bad.append(path)
    if bad:
        return failed(f"{some(bad)} {'has' if len(bad) == 1 else 'have'} labels that hold them", "labels", "", seen)
    return passed("no label is made of an annotation with a token", seen)


COLLECTORS = {
    "tokens": Cause(
        "an OpenTelemetry collector takes all annotations of pods, those with tenants' service account tokens included",
        "name the keys that you need in extract.annotations of k8sattributes, in place of key_regex",
        _SOURCE,
    ),
    "name": Cause(
        "an OpenTelemetry collector takes a pod's name from vcluster.loft.sh/name, which its tenant can write, so one "
        "tenant can report usage under another's name",
        "kubectl vmetrics manifests otel; it takes object-name and object-namespace, and compares object-host-name and "
        "object-host-namespace with the pod's own",
        _SOURCE,
    ),
}


def collectors(session: Session) -> Outcome:
    """What the configurations of collectors take from synced pods, as far as it is in ConfigMaps that they mount."""
    found = with_images(session, IMAGES)
    if not found:
        raise Absent("no workload runs an OpenTelemetry collector")
    read, seen = dict[str, list[Taken]](), []
    refused: Forbidden | None = None
    for item in found:
        try:
            read[item.path] = _configured(session, item)
        except Forbidden as error:
            refused = error
            seen.append(f"{item.path}: {error.message}")
            continue
        known = read[item.path]
        seen.append(f"{item.path}: {_told(known)}")
    for cause, text in (("tokens", "all annotations of pods"), ("name", "vcluster.loft.sh/name")):
        bad = [path for path, known in read.items() if any(getattr(one, cause) for one in known)]
        if bad:
            return failed(f"{some(bad)} {'takes' if len(bad) == 1 else 'take'} {text}", cause, "", seen)
    if refused and not any(read.values()):
        raise refused
    readable = [path for path, known in read.items() if known]
    if not readable:
        return skipped(f"the configuration of {some(list(read))} is in no ConfigMap that its pods mount", seen)
    return passed(f"{some(readable)} {'takes' if len(readable) == 1 else 'take'} nothing that tenants can write", seen)


def _told(known: list[Taken]) -> str:
    if not known:
        return "its configuration is in no ConfigMap that its pods mount"
    parts = ["all annotations"] * any(one.tokens for one in known) + ["the name"] * any(one.name for one in known)
    return f"takes {' and '.join(parts) or 'neither all annotations nor the name'} from pods"


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] = {}


def _configured(session: Session, item: Workload) -> list[Taken]:
    """What each file of the ConfigMaps that a collector mounts takes. Raises Forbidden."""
    found: list[Taken] = []
    for name in item.config_maps[:MAPS]:
        path = f"/api/v1/namespaces/{escape(item.metadata.namespace)}/configmaps/{escape(name)}"
        try:
            known: _ConfigMap = session.client.decode(path, decoder(_ConfigMap))
        except NotFound:
            continue
        found += [taken(text) for text in known.data.values()]
    return found
