"""A real Prometheus is let in by a ScrapeConfig, written out as the Prometheus Operator does, and takes what it finds."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.transport import Connection
from kubectl_vmetrics.proxy import server
from kubectl_vmetrics.proxy.application import Proxy
from kubectl_vmetrics.proxy.files import Token
from kubectl_vmetrics.proxy.views import Views
from tests.conftest import invoke
from tests.prometheus import MISSING, answering, query
from tests.proxy.test_proxy import LOCAL

HOST = "vmetrics-proxy.vmetrics.svc"
TOKEN = "a-token-for-the-clients-of-the-proxy"


def written(spec: dict[str, Any], keys: dict[str, Path], url: str) -> dict[str, Any]:
    """A ScrapeConfig as a scrape configuration, with files for keys of Secrets and no DNS (pkg/prometheus/promcfg.go)."""
    access = {
        "authorization": {
            "type": spec["authorization"]["type"],
            "credentials_file": str(keys[spec["authorization"]["credentials"]["key"]]),
        },
        "tls_config": {
            "ca_file": str(keys[spec["tlsConfig"]["ca"]["secret"]["key"]]),
            "server_name": spec["tlsConfig"]["serverName"],
        },
    }
    return {
        "job_name": "scrapeConfig/vmetrics/vmetrics-proxy",
        "http_sd_configs": [
            {"url": item["url"].replace(f"https://{HOST}", url), "refresh_interval": "1s", **access}
            for item in spec["httpSDConfigs"]
        ],
        **access,
        "scheme": spec["scheme"].lower(),
        "honor_labels": spec["honorLabels"],
        "scrape_interval": "2s",
        "scrape_timeout": "2s",
    }


@MISSING
@pytest.mark.parametrize("args", [[], ["--cert-manager=internal"]], ids=["its own certificate", "the issuer's"])
def test_prometheus_is_let_in_and_scrapes_nodes_and_names(args: list[str], tmp_path: Path) -> None:
    result = invoke("manifests", "proxy", "--monitor=scrapeconfig", *args)
    spec = next(item for item in yaml.safe_load_all(result.stdout) if item["kind"] == "ScrapeConfig")["spec"]
    authority = trustme.CA()
    issued = authority.issue_cert(HOST)
    # Keys of the two Secrets.
    keys = {name: tmp_path / name for name in ("token", "tls.crt", "tls.key", "ca.crt")}
    keys["token"].write_text(TOKEN)
    issued.cert_chain_pems[0].write_to_path(keys["tls.crt"])
    issued.private_key_pem.write_to_path(keys["tls.key"])
    authority.cert_pem.write_to_path(keys["ca.crt"])
    tls = (str(keys["tls.crt"]), str(keys["tls.key"]))

    with demo_server.serving(Apiserver(build(Shape(pods=14, vclusters=1)))) as host:
        views = Views(Client(Connection(server=host)), None)
        proxy = Proxy(views, accept_hosts=LOCAL, token=Token(str(keys["token"])))
        with contextlib.closing(views), server.serving(proxy, "127.0.0.1", 0, tls) as url:
            config = {"scrape_configs": [written(spec, keys, url)]}
            with answering(config, tmp_path) as prometheus:
                # Three nodes with three endpoints each, and the names.
                query(prometheus, "count(up == 1) == 10")
                names = query(prometheus, 'vcluster_pod_info{job="vmetrics-names"}')
                used = query(prometheus, 'container_memory_working_set_bytes{vcluster_name="shop", container!=""}')
                jobs = query(prometheus, "count by (job) (up)")

    # The labels are those of what is measured, not of the proxy.
    assert {item["metric"]["namespace"] for item in names} == {"team-a"}
    assert {item["metric"]["namespace"] for item in used} == {"team-a"}
    assert not any(label.startswith("exported_") for item in (*names, *used) for label in item["metric"])
    assert {item["metric"]["job"] for item in jobs} == {"kubelet", "vmetrics-names"}
