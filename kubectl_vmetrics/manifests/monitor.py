"""What the Prometheus Operator needs to scrape the proxy: a ScrapeConfig and a ServiceMonitor.

https://prometheus-operator.dev/docs/api-reference/api/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .bundle import Object
from .prometheus import INTERVAL

ENDPOINTS = ("metrics", "metrics/cadvisor", "metrics/probes")
"""What kubelets serve, and the proxy's /sd lists unless told otherwise."""
NAMES = "names"

SCRAPE_CONFIG = "scrapeconfig"
SERVICE_MONITOR = "servicemonitor"
NONE = "none"
KINDS = (SCRAPE_CONFIG, SERVICE_MONITOR, NONE)

TIMEOUT = 20
"""Seconds: kubelets of busy nodes are slow, and Prometheus gives up after 10 by default."""


class Secret(NamedTuple):
    """A key of a Secret in the proxy's namespace."""

    name: str
    key: str


class Access(NamedTuple):
    """How Prometheus is let in.

    Attributes:
        host: of the proxy's Service, as the certificate names it.
        token: which the proxy's clients present.
        authority: certificates that Prometheus trusts.
    """

    host: str
    token: Secret
    authority: Secret

    @property
    def fields(self) -> Object:
        """Of whatever makes requests."""
        return {
            "authorization": {"type": "Bearer", "credentials": {"name": self.token.name, "key": self.token.key}},
            "tlsConfig": {
                "ca": {"secret": {"name": self.authority.name, "key": self.authority.key}},
                # Also where a pod is scraped at its own address.
                "serverName": self.host,
            },
        }


def scrape_config(meta: Object, access: Access, endpoints: Sequence[str]) -> Object:
    """What the proxy lists at /sd, by HTTP service discovery.

    Args:
        meta: of the object, with the labels by which Prometheus selects it.
        access: to the proxy.
        endpoints: as /sd takes them.
    """
    return {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "ScrapeConfig",
        "metadata": meta,
        "spec": {
            "httpSDConfigs": [{"url": f"https://{access.host}/sd?endpoints={','.join(endpoints)}", **access.fields}],
            **access.fields,
            "scheme": "HTTPS",
            # `namespace` and `pod` are those of what is measured, not of the proxy.
            "honorLabels": True,
            "scrapeInterval": f"{INTERVAL}s",
            "scrapeTimeout": f"{TIMEOUT}s",
        },
    }


def service_monitor(meta: Object, selector: Object, access: Access, *, names: bool) -> Object:
    """Metrics of the proxy itself, from each of its pods: one Service for all would mix up their counters.

    Args:
        meta: of the object, with the labels by which Prometheus selects it.
        selector: labels of the proxy's Service.
        access: to the proxy.
        names: whether to scrape the names too.
    """
    paths = [("/metrics/names", "vmetrics-names")] if names else []
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": meta,
        "spec": {
            "selector": {"matchLabels": selector},
            "endpoints": [
                {
                    "port": "https",
                    "scheme": "https",
                    "path": path,
                    "interval": f"{INTERVAL}s",
                    "honorLabels": True,
                    **access.fields,
                    # As /sd names the jobs.
                    "relabelings": [{"action": "replace", "targetLabel": "job", "replacement": job}],
                }
                for path, job in [*paths, ("/metrics", "vmetrics-proxy")]
            ],
        },
    }
