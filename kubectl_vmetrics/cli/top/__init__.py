"""`top`: what things use, one module for each kind of thing."""

from __future__ import annotations

import click

from kubectl_vmetrics.cli.command import Group


@click.command(
    "top",
    cls=Group,
    help="""Display what pods, nodes, virtual clusters and namespaces use: CPU and memory.

The numbers are those of the metrics API (metrics.k8s.io) of the host cluster, as `kubectl top` prints them; the names
are those that the owner of each virtual cluster knows.""",
    lazy={
        "pods": ("kubectl_vmetrics.cli.top.pods:pods", "What pods use."),
        "nodes": ("kubectl_vmetrics.cli.top.nodes:nodes", "What nodes use, or a virtual cluster's share of them."),
        "vclusters": ("kubectl_vmetrics.cli.top.vclusters:vclusters", "What virtual clusters use."),
        "volumes": ("kubectl_vmetrics.cli.top.volumes:volumes_", "How full volumes are."),
        "namespaces": ("kubectl_vmetrics.cli.top.namespaces:namespaces", "What namespaces use, virtual ones apart."),
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
        "namespace": "namespaces",
        "ns": "namespaces",
    },
    examples=[
        ("All pods of the host, each with its virtual cluster and its name there", "top pods -A"),
        ("The pods of a virtual cluster, as seen from inside", "top pods --vcluster vc1"),
        ("What each virtual cluster uses", "top vclusters"),
    ],
)
def top() -> None:
    """See the help above."""
