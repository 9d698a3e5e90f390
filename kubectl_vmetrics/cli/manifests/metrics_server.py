"""`manifests metrics-server`."""

from __future__ import annotations

import click

from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.kube import duration
from kubectl_vmetrics.kube.errors import UsageError

from .write import check, output_option, write

KINDS = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")


@click.command(
    "metrics-server",
    cls=Command,
    help="""Print metrics-server, which serves the Metrics API: Deployment, Service, APIService and roles.

The options are those `doctor` may recommend.""",
    examples=[
        ("As installed by upstream", "manifests metrics-server"),
        (
            "For kubelets with self-signed certificates, in a test",
            "manifests metrics-server --kubelet-insecure-tls",
        ),
        ("For a control plane that cannot reach pods", "manifests metrics-server --host-network"),
    ],
)
@click.option("--image", default="", help="Image (default: upstream's).")
@click.option("--metric-resolution", default="15s", show_default=True, help="Interval between scrapes (minimum 10s).")
@click.option("--kubelet-insecure-tls", is_flag=True, help="Do not verify kubelets' certificates; for tests only.")
@click.option(
    "--kubelet-preferred-address-types",
    "addresses",
    default="",
    help="Types of node addresses to use, in order of preference.",
)
@click.option(
    "--metrics-api",
    default="v1beta1",
    show_default=True,
    help="Versions of metrics.k8s.io to register: v1beta1, v1 or both. v1 needs an image that serves it.",
)
@click.option("--host-network", is_flag=True, help="Use the node's network, on port 4443.")
@click.option("--replicas", default=1, show_default=True, help="Number of replicas.")
@output_option
@click.pass_context
def metrics_server(
    context: click.Context,
    /,
    image: str,
    metric_resolution: str,
    kubelet_insecure_tls: bool,
    addresses: str,
    metrics_api: str,
    host_network: bool,
    replicas: int,
    output: str,
) -> int:
    """Check the options, print."""
    from kubectl_vmetrics.manifests import metrics_server as manifest

    check(output)
    try:
        seconds = duration.parse(metric_resolution)
    except ValueError:
        raise UsageError(f"--metric-resolution: {metric_resolution!r} is not a duration (example: 15s, 1m)") from None
    if seconds < 10:
        raise UsageError("--metric-resolution must be 10s or more")
    for kind in filter(None, addresses.split(",")):
        if kind not in KINDS:
            raise UsageError(
                f'--kubelet-preferred-address-types: unknown type "{kind}"; choose from {", ".join(KINDS)}'
            )
    if metrics_api not in manifest.METRICS_APIS:
        raise UsageError(f"--metrics-api accepts only {', '.join(manifest.METRICS_APIS)}")
    if replicas < 1:
        raise UsageError("--replicas must be 1 or more")
    usual = manifest.Settings()
    settings = manifest.Settings(
        image or usual.image,
        metric_resolution,
        kubelet_insecure_tls,
        addresses or usual.addresses,
        host_network,
        replicas,
        manifest.METRICS_APIS[metrics_api],
    )
    return write(context.obj, manifest.bundle(settings), output)
