"""`manifests`: objects to apply, one module for each thing that they set up."""

from __future__ import annotations

import click

from kubectl_vmetrics.cli.command import Group


@click.command(
    "manifests",
    cls=Group,
    help="""Print Kubernetes objects, to be looked at and applied.

Nothing is changed in the cluster: the objects go to stdout.""",
    lazy={
        "proxy": ("kubectl_vmetrics.cli.manifests.proxy:proxy", "The proxy as a Deployment, with the least rights."),
        "kubevirt": (
            "kubectl_vmetrics.cli.manifests.kubevirt:kubevirt",
            "What Prometheus needs to scrape KubeVirt, and why it does not.",
        ),
        "kamaji": (
            "kubectl_vmetrics.cli.manifests.controlplane:kamaji",
            "What Prometheus needs to scrape tenant control planes of Kamaji.",
        ),
        "vcluster": (
            "kubectl_vmetrics.cli.manifests.controlplane:vcluster",
            "What Prometheus needs to scrape control planes of virtual clusters.",
        ),
        "dashboards": (
            "kubectl_vmetrics.cli.manifests.dashboards:dashboards",
            "Dashboards for Grafana: tenants, control planes, virtual machines, virtual clusters.",
        ),
        "rbac": ("kubectl_vmetrics.cli.manifests.grants:rbac", "The least rights that commands need."),
        "metrics-server": (
            "kubectl_vmetrics.cli.manifests.metrics_server:metrics_server",
            "metrics-server, with the options that a cluster may need.",
        ),
    },
    examples=[
        ("Look, then apply", "manifests proxy --image registry.example/vmetrics:1.0"),
    ],
)
def manifests() -> None:
    """See the help above."""
