"""What to know before the proxy is applied: the Secrets to create, and how Prometheus gets at it."""

from __future__ import annotations

from collections.abc import Sequence

from . import certificate, image, monitor
from .proxy_settings import Settings


def notes(settings: Settings, ports: Sequence[int]) -> list[str]:
    """Comments above the objects.

    Args:
        settings: of the proxy.
        ports: of apiservers, which the NetworkPolicy allows.
    """
    return [
        *_danger(settings),
        "",
        *_image(settings),
        *_secrets(settings),
        "",
        *_scraped(settings),
        "",
        "The NetworkPolicy lets pods of "
        + (", ".join(settings.clients) if settings.clients else "every namespace (see --from-namespace)")
        + " connect, and the proxy the apiserver",
        f"(on port {', '.join(map(str, ports))}) and the DNS of kube-system.",
        "Pods that use the network of their node (hostNetwork) are not matched by namespaces.",
        "",
    ]


def _danger(settings: Settings) -> list[str]:
    if settings.only_names:
        whose = f"{settings.vcluster.path}'s" if settings.vcluster else "all tenants'"
        return [
            "The proxy serves names and no metrics, and needs no rights on nodes. Anyone with its token can read the",
            f"names of {whose} pods, claims and namespaces.",
        ]
    return [
        "The proxy reads nodes/proxy: anyone with its token can read all metrics it serves, and anyone who takes",
        f"over its service account can run commands in pods. Keep others out of namespace {settings.namespace}.",
    ]


def _image(settings: Settings) -> list[str]:
    if not settings.image.startswith(f"{image.REPOSITORY}:"):
        return []
    return [
        "The image is pushed when this version is released. Before that, build one from the sources (see the",
        "Dockerfile) and name it with --image.",
        "",
    ]


def _secrets(settings: Settings) -> list[str]:
    create = f"kubectl -n {settings.namespace} create secret"
    namespace = f"  kubectl create namespace {settings.namespace}"
    token = f"  {create} generic {settings.token_secret} --from-literal=token=$(openssl rand -hex 32)"
    if settings.issuer:
        return [
            "It needs a Secret with the token that its clients present. Create it, and the namespace if it does not",
            "exist, before you apply the objects:",
            namespace,
            token,
            f"cert-manager creates and renews {settings.tls_secret}. The proxy reloads it without a restart.",
        ]
    return [
        "It needs two Secrets: the token that its clients present, and a certificate. Create them, and the namespace",
        "if it does not exist, before you apply the objects; with --cert-manager, cert-manager creates the second:",
        namespace,
        token,
        "  openssl req -x509 -newkey rsa:2048 -nodes -days 365 -keyout tls.key -out tls.crt \\",
        f"    -subj /CN=vmetrics-proxy -addext subjectAltName=DNS:{settings.host}",
        f"  {create} tls {settings.tls_secret} --cert=tls.crt --key=tls.key",
    ]


def _scraped(settings: Settings) -> list[str]:
    if settings.monitor == monitor.NONE:
        return [
            f"Prometheus finds {'the names' if settings.only_names else 'everything that it serves'} with:",
            "  honor_labels: true",
            "  http_sd_configs:",
            f"  - url: https://{settings.host}/sd",
            # Without its type, Prometheus v2.42 would send the token alone to what lists targets.
            "    authorization: {type: Bearer, credentials_file: …}",
            "    tls_config: {ca_file: …}",
            "and scrapes it with the same authorization, tls_config and `scheme: https`. For the Prometheus Operator,",
            "--monitor prints the objects.",
        ]
    kinds = ["ServiceMonitor"]
    if settings.monitor == monitor.SCRAPE_CONFIG:
        kinds.insert(0, "ScrapeConfig")
    selectors = " and ".join(f"{kind[0].lower()}{kind[1:]}Selector" for kind in kinds)
    whose = "its" if len(kinds) == 1 else "their"
    found = [
        f"The Prometheus Operator uses the {' and the '.join(kinds)} if {whose} labels match",
        f"{selectors} of the Prometheus object (see --label), and",
        "the namespace is selected too. overrideHonorLabels must be false, as it is by default.",
    ]
    if settings.monitor == monitor.SERVICE_MONITOR:
        found.append("Only names are scraped, for a Prometheus that scrapes the kubelets itself.")
    elif not settings.only_names:
        found += [
            "If Prometheus already scrapes the kubelets, as in kube-prometheus-stack, sums count twice, except those",
            "of manifests rules: turn that job off, or use --monitor servicemonitor.",
        ]
    if settings.issuer:
        found += [
            f"Prometheus trusts {certificate.AUTHORITY} of {settings.tls_secret}. An ACME issuer writes no such key:",
            "then remove `ca` from tlsConfig.",
        ]
    else:
        found.append(f"Prometheus trusts the certificate in {settings.tls_secret} itself.")
    return found
