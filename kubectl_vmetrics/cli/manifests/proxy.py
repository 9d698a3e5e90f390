"""`manifests proxy`."""

from __future__ import annotations

import click

from kubectl_vmetrics.cli.cluster import flags
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.cli.top.choose import Targets, target_option
from kubectl_vmetrics.kube.errors import UsageError

from .write import check, check_name, output_option, write


@click.command(
    "proxy",
    cls=Command,
    help="""Print a least-privilege Deployment of the proxy to review and apply, with ServiceAccount, roles, Service and
NetworkPolicy.

It has two replicas, non-root, with a read-only root filesystem. Clients present a token over TLS; a comment above the
objects says how to create both Secrets. -n is the namespace (default: vmetrics).

With --vcluster, every virtual cluster's proxy has its own name and token.""",
    examples=[
        ("All virtual clusters", "manifests proxy --image registry.example/vmetrics:1.0 -n monitoring"),
        (
            "One virtual cluster, with rights in its namespace only",
            "manifests proxy --image registry.example/vmetrics:1.0 --vcluster team-a/vc1 --isolate",
        ),
    ],
)
@click.option("--image", default="", help="Image of this plugin; see the Dockerfile in the sources.")
@click.option(
    "--name", default="", help="Name of the objects (default: vmetrics-proxy; with --vcluster, a unique one)."
)
@click.option("--replicas", default=2, show_default=True, help="Number of replicas.")
@click.option("--token-secret", default="", help="Secret with the key token (default: NAME-token).")
@click.option("--tls-secret", default="", help="Secret of type kubernetes.io/tls (default: NAME-tls).")
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
    output: str,
) -> int:
    """Check the options, print."""
    from kubectl_vmetrics.kube import names
    from kubectl_vmetrics.manifests import proxy as manifest
    from kubectl_vmetrics.vcluster.identity import VClusterRef

    check(output)
    if not image or any(character.isspace() for character in image):
        raise UsageError("--image is required: the image of this plugin")
    if replicas < 1:
        raise UsageError("--replicas must be 1 or more")
    ref = None
    if vcluster is not None:
        parts = vcluster.split("/")
        if len(parts) != 2 or not all(parts):
            raise UsageError(f'--vcluster: "{vcluster}" is not HOSTNS/NAME; the roles need the host namespace')
        ref = VClusterRef(check_name("--vcluster", parts[0]), check_name("--vcluster", parts[1]))
    name = check_name("--name", name or manifest.own_name(ref))
    if ref and any(target != ref for _, target in targets):
        raise UsageError(f"--target-namespace: with --vcluster, only namespaces of {ref.path}")
    settings = manifest.Settings(
        image,
        check_name("-n", flags(context).namespace or "vmetrics"),
        name,
        replicas,
        check_name("--token-secret", token_secret or names.fitted(f"{name}-token")),
        check_name("--tls-secret", tls_secret or names.fitted(f"{name}-tls")),
        ref,
        isolate,
        tuple(check_name("--from-namespace", namespace) for namespace in from_namespace),
        tuple(targets),
    )
    return write(context.obj, manifest.bundle(settings), output)
