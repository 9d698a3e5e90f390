"""`top`: resource usage, one module per kind of object."""

from __future__ import annotations

import click

from kubectl_vmetrics.cli.command import Group


@click.command(
    "top",
    cls=Group,
    help="""Display resource (CPU/memory) usage of pods, nodes, virtual clusters, namespaces, volumes and GPUs.

The numbers come from the Metrics API (metrics.k8s.io) of the host cluster, as in `kubectl top`; the names are those the
tenants use.""",
    lazy={
        "pods": ("kubectl_vmetrics.cli.top.pods:pods", "Display resource usage of pods."),
        "nodes": (
            "kubectl_vmetrics.cli.top.nodes:nodes",
            "Display resource usage of nodes, or one virtual cluster's share.",
        ),
        "vclusters": ("kubectl_vmetrics.cli.top.vclusters:vclusters", "Display resource usage of virtual clusters."),
        "volumes": ("kubectl_vmetrics.cli.top.volumes:volumes_", "Display usage of volumes."),
        "gpus": ("kubectl_vmetrics.cli.top.gpus:gpus_", "Display usage of GPUs, and the pods that have them."),
        "namespaces": (
            "kubectl_vmetrics.cli.top.namespaces:namespaces",
            "Display resource usage of namespaces, virtual and host.",
        ),
    },
    aliases={
        "pod": "pods",
        "po": "pods",
        "node": "nodes",
        "no": "nodes",
        "vcluster": "vclusters",
        "vc": "vclusters",
        "volume": "volumes",
        "pvc": "volumes",
        "gpu": "gpus",
        "namespace": "namespaces",
        "ns": "namespaces",
    },
    examples=[
        ("All pods on the host, each with its virtual cluster and its name there", "top pods -A"),
        ("The pods of a virtual cluster, as seen from inside it", "top pods --vcluster shop"),
        ("Resource usage of each virtual cluster", "top vclusters"),
    ],
)
def top() -> None:
    """See the help text above."""
