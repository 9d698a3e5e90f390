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
    help="""Print what runs the proxy in the host cluster: ServiceAccount, roles, Deployment, Service and NetworkPolicy.

Two replicas, as no user of the node, with a root file system that cannot be written, and the least rights. Clients
present a token over TLS; how to make both Secrets is said above the objects. -n says where (vmetrics by default).

Each virtual cluster's proxy has a name of its own, and its own token.""",
    examples=[
        ("For all virtual clusters", "manifests proxy --image registry.example/vmetrics:1.0 -n monitoring"),
        (
            "For one, with the rights of its namespace",
            "manifests proxy --image registry.example/vmetrics:1.0 --vcluster team-a/vc1 --isolate",
        ),
    ],
)
@click.option("--image", default="", help="Image that runs this plugin; see Dockerfile in the sources.")
@click.option("--name", default="", help="Name of the objects; vmetrics-proxy, or with --vcluster one that is its own.")
@click.option("--replicas", default=2, show_default=True, help="How many.")
@click.option("--token-secret", default="", help="Secret with the key token; NAME-token by default.")
@click.option("--tls-secret", default="", help="Secret of type kubernetes.io/tls; NAME-tls by default.")
@click.option("--vcluster", metavar="HOSTNS/NAME", help="Serve this virtual cluster only.")
@target_option
@click.option(
    "--isolate",
    is_flag=True,
    help="Leave out of tenants' views what is about nodes as a whole; the host's stays as it is.",
)
@click.option(
    "--from-namespace",
    multiple=True,
    help="Namespace whose pods may connect, such as Prometheus'; may be given more than once. All by default.",
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
        raise UsageError("--image says which image runs this plugin")
    if replicas < 1:
        raise UsageError("--replicas: at least 1")
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
