"""`manifests`: objects to apply, one module per subject."""

from __future__ import annotations

import click

from kubectl_vmetrics.cli.command import Group


@click.command(
    "manifests",
    cls=Group,
    help="""Print Kubernetes manifests to review and apply.

Nothing is changed in the cluster: the objects go to stdout.""",
    lazy={
        "proxy": ("kubectl_vmetrics.cli.manifests.proxy:proxy", "Print a least-privilege Deployment of the proxy."),
        "kubevirt": (
            "kubectl_vmetrics.cli.manifests.kubevirt:kubevirt",
            "Print what Prometheus needs to scrape KubeVirt, or check it.",
        ),
        "kamaji": (
            "kubectl_vmetrics.cli.manifests.controlplane:kamaji",
            "Print what Prometheus needs to scrape Kamaji tenant control planes.",
        ),
        "vcluster": (
            "kubectl_vmetrics.cli.manifests.controlplane:vcluster",
            "Print what Prometheus needs to scrape vCluster control planes.",
        ),
        "dashboards": (
            "kubectl_vmetrics.cli.manifests.dashboards:dashboards",
            "Print Grafana dashboards.",
        ),
        "rules": (
            "kubectl_vmetrics.cli.manifests.rules:rules",
            "Print recording rules and alerts for Prometheus.",
        ),
        "otel": (
            "kubectl_vmetrics.cli.manifests.otel:otel",
            "Print an OpenTelemetry collector configuration that adds virtual names.",
        ),
        "rbac": ("kubectl_vmetrics.cli.manifests.grants:rbac", "Print least-privilege roles for commands."),
        "metrics-server": (
            "kubectl_vmetrics.cli.manifests.metrics_server:metrics_server",
            "Print metrics-server, with the options your cluster may need.",
        ),
        "k9s": ("kubectl_vmetrics.cli.manifests.k9s:k9s", "Print plugins for k9s that run commands of this plugin."),
    },
    examples=[
        ("Review, then apply", "manifests proxy -n monitoring"),
    ],
)
def manifests() -> None:
    """See the help text above."""
