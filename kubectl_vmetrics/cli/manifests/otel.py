"""`manifests otel`."""

from __future__ import annotations

from urllib.parse import urlsplit

import click

from kubectl_vmetrics.cli.cluster import flags
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.cli.top.choose import Targets, target_option
from kubectl_vmetrics.kube import duration
from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.output.terminal import Environment

from .write import check, check_name, output_option, write


@click.command(
    "otel",
    cls=Command,
    help="""Print the configuration of an OpenTelemetry collector that adds virtual names to the kubelets' metrics.

It prints a ConfigMap and the rights of the collector's service account, or with --raw the configuration alone. The
collector runs on every node and sets vcluster.name, vcluster.host.namespace, vcluster.virtual.namespace and
vcluster.virtual.pod. It reads only labels and annotations that a syncer writes, and needs no nodes/proxy.

The configuration is checked against the schemas of the collector's components and the grammar of its statements. It has
not been tested with a running collector. Metrics go to --endpoint (OTLP over HTTP), to --remote-write (Prometheus) or,
if neither is given, to the collector's log.""",
    examples=[
        ("All virtual clusters, to an OTLP receiver", "manifests otel --endpoint http://otel-gateway.monitoring:4318"),
        (
            "Only one virtual cluster's metrics, under its own names",
            "manifests otel --vcluster team-a/shop --replace-names --endpoint https://otlp.example",
        ),
        (
            "The configuration alone, to Prometheus",
            "manifests otel --raw --remote-write http://prometheus:9090/api/v1/write",
        ),
    ],
)
@click.option("--endpoint", help="URL of an OTLP receiver (HTTP).")
@click.option("--remote-write", help="URL of a Prometheus remote write receiver.")
@click.option("--vcluster", metavar="HOSTNS/NAME", help="Keep only the metrics of this virtual cluster.")
@click.option(
    "--replace-names",
    is_flag=True,
    help="With --vcluster: replace host names, and drop metrics without a virtual name.",
)
@target_option
@click.option("--volumes", is_flag=True, help="Include volumes; needs get on nodes/pods.")
@click.option("--interval", default="30s", show_default=True, help="Collection interval (minimum 10s).")
@click.option("--kubelet-insecure-tls", is_flag=True, help="Do not verify kubelets' certificates; for tests only.")
@click.option(
    "--serviceaccount",
    default="",
    metavar="NAMESPACE:NAME",
    help="The collector's service account (default: otel-collector in -n).",
)
@click.option("--name", default="", help="Name of the objects (default: vmetrics-otel).")
@click.option("--raw", is_flag=True, help="Print the collector's configuration, without Kubernetes objects.")
@output_option
@click.pass_context
def otel(
    context: click.Context,
    /,
    endpoint: str | None,
    remote_write: str | None,
    vcluster: str | None,
    replace_names: bool,
    targets: Targets,
    volumes: bool,
    interval: str,
    kubelet_insecure_tls: bool,
    serviceaccount: str,
    name: str,
    raw: bool,
    output: str,
) -> int:
    """Check the options, print."""
    from kubectl_vmetrics.manifests import otel as manifest
    from kubectl_vmetrics.vcluster.identity import VClusterRef

    check(output)
    if raw and output != "yaml":
        raise UsageError("--raw prints YAML; -o json is for Kubernetes objects")
    if raw and (name or serviceaccount):
        raise UsageError("--name and --serviceaccount are for Kubernetes objects, which --raw does not print")
    ref = None
    if vcluster is not None:
        parts = vcluster.split("/")
        if len(parts) != 2 or not all(parts):
            raise UsageError(f'--vcluster: "{vcluster}" is not HOSTNS/NAME')
        ref = VClusterRef(check_name("--vcluster", parts[0]), check_name("--vcluster", parts[1]))
    if replace_names and ref is None:
        raise UsageError("--replace-names requires --vcluster: names are unique only within a virtual cluster")
    if ref and any(target != ref for _, target in targets):
        raise UsageError(f"--target-namespace: with --vcluster, only namespaces of {ref.path}")
    try:
        seconds = duration.parse(interval)
    except ValueError:
        raise UsageError(f"--interval: {interval!r} is not a duration (example: 15s, 1m)") from None
    if seconds < 10:
        raise UsageError("--interval must be 10s or more")
    namespace = check_name("-n", flags(context).namespace or "vmetrics")
    space, colon, account = (serviceaccount or f"{namespace}:otel-collector").partition(":")
    if not colon:
        raise UsageError(f"--serviceaccount: {serviceaccount!r} is not NAMESPACE:NAME")
    settings = manifest.Settings(
        namespace,
        check_name("--name", name or manifest.NAME),
        (check_name("--serviceaccount", space), check_name("--serviceaccount", account)),
        f"{seconds:g}s",
        ref,
        replace_names,
        tuple(targets),
        volumes,
        _url("--endpoint", endpoint),
        _url("--remote-write", remote_write),
        kubelet_insecure_tls,
    )
    if raw:
        environment: Environment = context.obj
        environment.stdout.write(manifest.raw(settings))
        return 0
    return write(context.obj, manifest.bundle(settings), output)


def _url(option: str, text: str | None) -> str:
    """A URL that names a server and no password; "" without the option. Raises UsageError."""
    if text is None:
        return ""
    try:
        split = urlsplit(text)
        right = split.scheme in ("http", "https") and bool(split.hostname) and split.port != 0
    except ValueError:
        right = False
    if not right or any(character.isspace() or not character.isprintable() for character in text):
        raise UsageError(f"{option}: not a URL: use http://HOST:PORT or https://HOST")
    if split.username is not None or split.password is not None:
        raise UsageError(f"{option}: a URL with a password would be readable in the ConfigMap: add an auth extension")
    # The collector would put in a variable.
    return text.replace("$", "$$")
