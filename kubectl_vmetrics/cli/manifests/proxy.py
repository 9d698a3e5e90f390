"""`manifests proxy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kubectl_vmetrics.cli.cluster import flags
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.cli.top.choose import Targets, target_option
from kubectl_vmetrics.kube.errors import UsageError

from .write import check, check_labels, check_name, output_option, write

if TYPE_CHECKING:
    from kubectl_vmetrics.manifests.certificate import Issuer


@click.command(
    "proxy",
    cls=Command,
    help="""Print a least-privilege Deployment of the proxy to review and apply, with ServiceAccount, roles, Service and
NetworkPolicy.

It has two replicas, non-root, with a read-only root filesystem. Clients present a token over TLS; a comment above the
objects says how to create both Secrets. -n is the namespace (default: vmetrics).

With --vcluster, every virtual cluster's proxy has its own name and token.

With --only-names, the proxy serves names (vcluster_pod_info and others) and no metrics. Prometheus joins them with the
metrics it has (see manifests rules), and the proxy needs no rights on nodes.

For the Prometheus Operator, --monitor servicemonitor prints a ServiceMonitor for names and the proxy itself: use it if
Prometheus already scrapes the kubelets, as in kube-prometheus-stack. --monitor scrapeconfig prints a ScrapeConfig for
the kubelets' metrics as well; beside another kubelet job, sums count twice, except those of manifests rules.""",
    examples=[
        ("All virtual clusters", "manifests proxy -n monitoring"),
        (
            "One virtual cluster, with rights in its namespace only",
            "manifests proxy --vcluster team-a/shop --isolate",
        ),
        (
            "Names only, with a certificate by cert-manager",
            "manifests proxy --only-names --monitor servicemonitor --cert-manager clusterissuer/internal",
        ),
    ],
)
@click.option("--image", default="", help="Image of this plugin (default: that of this release).")
@click.option(
    "--name", default="", help="Name of the objects (default: vmetrics-proxy; with --vcluster, a unique one)."
)
@click.option("--replicas", default=2, show_default=True, help="Number of replicas.")
@click.option("--token-secret", default="", help="Secret with the key token (default: NAME-client-token).")
@click.option("--tls-secret", default="", help="Secret of type kubernetes.io/tls (default: NAME-serving-cert).")
@click.option("--vcluster", metavar="HOSTNS/NAME", help="Serve only this virtual cluster.")
@target_option
@click.option(
    "--isolate",
    is_flag=True,
    help="Exclude metrics of whole nodes from tenants' views; the host's view is not affected.",
)
@click.option(
    "--from-namespace",
    multiple=True,
    help="Namespace whose pods may connect, such as that of Prometheus; can be repeated (default: all).",
)
@click.option("--only-names", is_flag=True, help="Serve names only, without any rights on nodes.")
@click.option(
    "--monitor",
    default="none",
    show_default=True,
    help="What to print for the Prometheus Operator: scrapeconfig, servicemonitor or none.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="KEY=VALUE",
    help="Label for what --monitor prints, by which Prometheus selects it; can be repeated.",
)
@click.option(
    "--cert-manager",
    "issuer",
    metavar="[KIND/]NAME",
    help="Print a Certificate for this cert-manager issuer; KIND is issuer (default) or clusterissuer.",
)
@output_option
@click.pass_context
def proxy(
    context: click.Context,
    /,
    image: str,
    name: str,
    replicas: int,
    token_secret: str,
    tls_secret: str,
    vcluster: str | None,
    targets: Targets,
    isolate: bool,
    from_namespace: tuple[str, ...],
    only_names: bool,
    monitor: str,
    labels: tuple[str, ...],
    issuer: str | None,
    output: str,
) -> int:
    """Check the options, print."""
    from kubectl_vmetrics.manifests import image as images
    from kubectl_vmetrics.manifests import monitor as monitors
    from kubectl_vmetrics.manifests import proxy as manifest
    from kubectl_vmetrics.manifests.proxy_settings import Settings, own_name, secret_names
    from kubectl_vmetrics.vcluster.identity import VClusterRef

    check(output)
    image = image or images.of_release() or ""
    if not image:
        raise UsageError("--image is required: this is a development version, and only releases have an image")
    if any(character.isspace() for character in image):
        raise UsageError(f"--image: {image!r} is not an image")
    if monitor not in monitors.KINDS:
        raise UsageError(f'--monitor: unknown kind "{monitor}"; choose from {", ".join(monitors.KINDS)}')
    if labels and monitor == monitors.NONE:
        raise UsageError("--label requires --monitor scrapeconfig or servicemonitor")
    if isolate and only_names:
        raise UsageError("--only-names and --isolate cannot be used together: names have no metrics of nodes")
    if replicas < 1:
        raise UsageError("--replicas must be 1 or more")
    ref = None
    if vcluster is not None:
        parts = vcluster.split("/")
        if len(parts) != 2 or not all(parts):
            raise UsageError(f'--vcluster: "{vcluster}" is not HOSTNS/NAME; the roles need the host namespace')
        ref = VClusterRef(check_name("--vcluster", parts[0]), check_name("--vcluster", parts[1]))
    name = check_name("--name", name or own_name(ref))
    if ref and any(target != ref for _, target in targets):
        raise UsageError(f"--target-namespace: with --vcluster, only namespaces of {ref.path}")
    token, certificate = secret_names(name)
    settings = Settings(
        image,
        check_name("-n", flags(context).namespace or "vmetrics"),
        name,
        replicas,
        check_name("--token-secret", token_secret or token),
        check_name("--tls-secret", tls_secret or certificate),
        ref,
        isolate,
        tuple(check_name("--from-namespace", namespace) for namespace in from_namespace),
        tuple(targets),
        only_names,
        monitor,
        check_labels(labels),
        _issuer(issuer) if issuer is not None else None,
    )
    return write(context.obj, manifest.bundle(settings), output)


def _issuer(text: str) -> Issuer:
    """A cert-manager issuer as [KIND/]NAME. Raises UsageError."""
    from kubectl_vmetrics.manifests.bundle import is_subdomain
    from kubectl_vmetrics.manifests.certificate import KINDS, Issuer

    kind, slash, name = text.rpartition("/")
    found = KINDS.get(kind.lower() if slash else "issuer")
    if found is None or not is_subdomain(name):
        raise UsageError(f"--cert-manager: {text!r} is not the name of an issuer: use NAME or clusterissuer/NAME")
    return Issuer(name, found)
