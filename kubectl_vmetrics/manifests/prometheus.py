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


MOUNTS = "/etc/prometheus"
"""Where the Prometheus Operator mounts what a Prometheus object lists (spec.secrets, spec.configMaps)."""


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
    return _yaml({"scrape_configs": jobs})


def _access(target: Target) -> str:
    """The name of a job: what is reached in the same way can share one."""
    if target.certificate is None:
        return target.kind if target.scheme == "https" else f"{target.kind}-http"
    trusted = "" if target.certificate.ca else "-self-signed"
    return f"{target.kind}-{target.label('cluster').replace('/', '-')}{trusted}"


def _login(target: Target) -> Group:
    if target.scheme != "https":
        return {}
    if target.certificate is None:
        # The pods' certificates name a service or nobody, and a kubelet's is often its own.
        found: Group = {"tls_config": {"insecure_skip_verify": True}}
        return found | ({"authorization": {"credentials_file": TOKEN_FILE}} if target.authorized else {})
    certificate = target.certificate
    tls: Group = {"cert_file": f"{MOUNTS}/{certificate.certificate}", "key_file": f"{MOUNTS}/{certificate.key}"}
    if certificate.ca:
        tls |= {"ca_file": f"{MOUNTS}/{certificate.ca}", "server_name": certificate.name}
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
