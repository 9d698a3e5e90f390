"""Scrape targets as Prometheus reads them: HTTP and file service discovery, and scrape configurations.

https://prometheus.io/docs/prometheus/latest/http_sd/, …/configuration/configuration/#file_sd_config and #scrape_config
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml

from kubectl_vmetrics.metrics.targets import Target

TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token"
CA_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
INTERVAL = 30
"""Seconds between two scrapes: what virt-launcher and the kubelets remember is not much younger."""

Group = dict[str, Any]


class Apiserver(NamedTuple):
    """Through which targets are reached."""

    scheme: str
    address: str
    prefix: str

    @classmethod
    def at(cls, url: str) -> Apiserver:
        """From its URL."""
        split = urlsplit(url)
        host = split.hostname or ""
        host = f"[{host}]" if ":" in host else host
        port = split.port or (80 if split.scheme == "http" else 443)
        return cls(split.scheme, f"{host}:{port}", split.path.rstrip("/"))


def groups(targets: Sequence[Target], apiserver: Apiserver | None = None) -> list[Group]:
    """Target groups, one for each target, since each has labels of its own.

    Args:
        targets: those without an address, or that the apiserver would not be let in to, are left out.
        apiserver: through which they are scraped; None for directly.
    """
    found = []
    for target in targets:
        if apiserver and target.through:
            where, scheme, path = apiserver.address, apiserver.scheme, apiserver.prefix + target.through
        elif not apiserver and target.address:
            where, scheme, path = target.address, target.scheme, target.path
        else:
            continue
        labels = {"__metrics_path__": path, "__scheme__": scheme, "job": target.job, **dict(target.labels)}
        if apiserver:
            labels["instance"] = target.address or target.label("pod") or target.label("node")
        found.append({"targets": [where], "labels": labels})
    return found


def http_sd(found: Sequence[Group]) -> str:
    """The answer of an HTTP service discovery."""
    return json.dumps(found, indent=2) + "\n"


def file_sd(found: Sequence[Group]) -> str:
    """A file of file_sd_configs."""
    return _yaml(list(found))


MOUNTS = "/etc/prometheus/secrets"
"""Where the Prometheus Operator mounts the Secrets that a Prometheus object lists (spec.secrets)."""
_HEAD = """
Client certificates are read from files. For each folder below, make a Secret of its name in the namespace of Prometheus
and mount it there; the Prometheus Operator mounts what spec.secrets of a Prometheus object lists. When certificates are
renewed, make the Secrets again. `manifests kamaji` and `manifests vcluster` need no such copies. In a shell:
  get() { kubectl -n "$1" get secret "$2" -o go-template="{{index .data \\"$3\\" | base64decode}}"; }
"""


def scrape_config(targets: Sequence[Target], apiserver: Apiserver | None = None) -> str:
    """`scrape_configs` with these targets, one job for each kind of access."""
    listed: dict[str, list[Target]] = {}
    for target in targets:
        listed.setdefault(_access(target), []).append(target)
    jobs = []
    for name in sorted(listed):
        found = groups(listed[name], apiserver)
        if not found:
            continue
        job: Group = {
            "job_name": f"vmetrics-{name}",
            "scrape_interval": f"{INTERVAL}s",
            "scrape_timeout": f"{max(target.seconds for target in listed[name])}s",
            "honor_labels": any(target.honor for target in listed[name]),
        }
        if apiserver:
            job |= {"authorization": {"credentials_file": TOKEN_FILE}, "tls_config": {"ca_file": CA_FILE}}
        else:
            job |= _login(listed[name][0])
        jobs.append({**job, "static_configs": found})
    return ("" if apiserver else _mounts(targets)) + _yaml({"scrape_configs": jobs})


def _mounts(targets: Sequence[Target]) -> str:
    """What to mount where, as comments; "" where nothing asks for a certificate."""
    needed = {
        target.certificate.folder: (target.label("cluster"), target.certificate.recipe)
        for target in targets
        if target.certificate and target.address
    }
    if not needed:
        return ""
    lines = _HEAD.strip("\n").split("\n")
    for name, (cluster, recipe) in sorted(needed.items()):
        lines.append(f"{MOUNTS}/{name}, for {cluster}:")
        lines += [f"  {line}" for line in recipe]
        files = " ".join(f"--from-file={file}" for file in ("tls.crt", "tls.key", "ca.crt"))
        lines.append(f"  kubectl -n NAMESPACE create secret generic {name} {files}")
        lines.append("  rm tls.crt tls.key ca.crt")
    return "".join(f"# {_printable(line)}\n" for line in lines)


def _printable(text: str) -> str:
    """One line of a comment, whatever the names in it hold."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _access(target: Target) -> str:
    """The name of a job: what is reached in the same way can share one."""
    if target.certificate is None:
        return target.kind if target.scheme == "https" else f"{target.kind}-http"
    return f"{target.kind}-{target.certificate.folder}{'' if target.certificate.name else '-self-signed'}"


def _login(target: Target) -> Group:
    if target.scheme != "https":
        return {}
    if target.certificate is None:
        # The pods' certificates name a service or nobody, and a kubelet's is often its own.
        found: Group = {"tls_config": {"insecure_skip_verify": True}}
        return found | ({"authorization": {"credentials_file": TOKEN_FILE}} if target.authorized else {})
    certificate = target.certificate
    at = f"{MOUNTS}/{certificate.folder}"
    tls: Group = {"cert_file": f"{at}/tls.crt", "key_file": f"{at}/tls.key"}
    if certificate.name:
        tls |= {"ca_file": f"{at}/ca.crt", "server_name": certificate.name}
    else:
        tls["insecure_skip_verify"] = True
    return {"tls_config": tls}


def _yaml(document: Any) -> str:
    text: str = yaml.safe_dump(document, sort_keys=False, width=4096)
    return text


FORMATS = ("http-sd", "file-sd", "scrape-config")


def render(targets: Sequence[Target], form: str, apiserver: Apiserver | None = None) -> str:
    """In one of FORMATS."""
    if form == "scrape-config":
        return scrape_config(targets, apiserver)
    found = groups(targets, apiserver)
    return http_sd(found) if form == "http-sd" else file_sd(found)
