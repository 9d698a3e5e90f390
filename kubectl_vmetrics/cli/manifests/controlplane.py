"""`manifests kamaji` and `manifests vcluster`: the same for both kinds of control planes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.cli.cluster import client as open_client
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden, NotFound, UsageError

from .write import check, check_labels, check_name, label_option, output_option, show_findings, write

if TYPE_CHECKING:
    from kubectl_vmetrics.controlplane.plane import Plane
    from kubectl_vmetrics.manifests.bundle import Bundle
    from kubectl_vmetrics.manifests.controlplane import Settings
    from kubectl_vmetrics.metrics.monitors import Prometheus


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        output_option,
        click.option("--check", "checking", is_flag=True, help="What is wrong; exit code 1 on FAIL."),
        label_option,
        click.option("--operator-account", default="", help="The Prometheus Operator's, which reads the Secrets."),
        click.option("--prometheus-account", default="", help="Prometheus' service account."),
        click.option("--prometheus-namespace", default="", help="Namespace of both accounts."),
        click.option("--all", "everything", is_flag=True, help="All of the namespace; with -A, of all namespaces."),
        click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces."),
        click.argument("names", nargs=-1),
    ):
        command = option(command)
    return command


@click.command(
    "kamaji",
    cls=Command,
    arguments="[NAME | --all]",
    help="""Print what Prometheus needs to scrape a tenant control plane of Kamaji: a headless Service that leads to
each replica, a ServiceMonitor with the tenant's client certificate and labels `cluster` and `job`, and roles that allow
no more than that.

Where the certificate may not read metrics any more, as those that were renewed since kubeadm 1.35.5 and 1.36.1, the
generator of another one comes with it; --credential asks for that in any case. --check finds the mistakes that such
objects are known to have.""",
    examples=[
        ("Of one tenant", "manifests kamaji acme -n tenants"),
        ("What is wrong with those that are there", "manifests kamaji --all -A --check"),
        ("With a certificate made for it", "manifests kamaji acme -n tenants --credential"),
    ],
)
@_options
@click.option("--credential", is_flag=True, help="Have a certificate made that may read metrics and nothing else.")
@click.pass_context
def kamaji(context: click.Context, /, credential: bool, **given: Any) -> int:
    """Look, print."""
    return _run(context, "kamaji", credential=credential, **given)


@click.command(
    "vcluster",
    cls=Command,
    arguments="[NAME | --all]",
    help="""Print what Prometheus needs to scrape the control plane of a virtual cluster: a headless Service that leads
to each replica, a ServiceMonitor with the virtual cluster's certificate and labels `cluster` and `job`, and roles that
allow no more than that.""",
    examples=[
        ("Of one virtual cluster", "manifests vcluster shop -n team-a"),
        ("What is wrong with those that are there", "manifests vcluster --all -A --check"),
    ],
)
@_options
@click.pass_context
def vcluster(context: click.Context, /, **given: Any) -> int:
    """Look, print."""
    return _run(context, "vcluster", credential=False, **given)


def _run(
    context: click.Context,
    kind: str,
    *,
    credential: bool,
    names: tuple[str, ...],
    all_namespaces: bool,
    everything: bool,
    prometheus_namespace: str,
    prometheus_account: str,
    operator_account: str,
    labels: tuple[str, ...],
    checking: bool,
    output: str,
) -> int:
    from kubectl_vmetrics.manifests.bundle import Bundle

    accounts = {
        "--prometheus-namespace": prometheus_namespace,
        "--prometheus-account": prometheus_account,
        "--operator-account": operator_account,
    }
    for option, value in accounts.items():
        if value:
            check_name(option, value)
    added = check_labels(labels)
    if bool(names) == everything:
        raise UsageError(f"one NAME or more, or --all\nSee '{context.command_path} -h' for help and examples")
    if not checking:
        check(output)
    client = open_client(context)
    planes, known = _chosen(client, kind, names, None if all_namespaces else client.namespace)
    if checking:
        return _check(context, client, planes, known, output)
    prometheuses = _prometheuses(client)
    first = prometheuses[0] if prometheuses else None
    space = prometheus_namespace or (first.metadata.namespace if first else "monitoring")
    account = prometheus_account or (first.spec.account if first else "prometheus-k8s")
    from kubectl_vmetrics.manifests.controlplane import Settings
    from kubectl_vmetrics.metrics.monitors import labels_for

    settings = Settings(
        (space, account), (space, operator_account or "prometheus-operator"), {**labels_for(prometheuses), **added}
    )
    bundles = [_bundle(client, plane, settings, generate=credential) for plane in planes]
    objects = [item for bundle in bundles for item in bundle.objects]
    unique = {(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]): item for item in objects}
    notes = [note for bundle in bundles for note in bundle.notes]
    return write(context.obj, Bundle(list(unique.values()), notes), output)


def _bundle(client: Client, plane: Plane, settings: Settings, *, generate: bool) -> Bundle:
    from kubectl_vmetrics.controlplane import credentials
    from kubectl_vmetrics.controlplane import kamaji as tenants
    from kubectl_vmetrics.controlplane.plane import KAMAJI
    from kubectl_vmetrics.manifests import controlplane as manifest

    if plane.kind == KAMAJI and not generate:
        # Only the kubelets' client has its certificate in a form that Prometheus reads.
        try:
            found = [item.source for item in credentials.candidates(client, plane)]
        except credentials.NoCredential as error:
            found, generate = [], "names no group" in error.message
        generate = generate or (bool(found) and plane.secret(tenants.KUBELET) not in found)
    ca = credentials.authority(client, plane) if plane.kind == KAMAJI else b""
    return manifest.bundle(plane, settings._replace(generate=generate), ca)


def _chosen(
    client: Client, kind: str, names: tuple[str, ...], namespace: str | None
) -> tuple[list[Plane], list[Plane]]:
    """The control planes that are meant, and all that were looked at."""
    from kubectl_vmetrics.cli import planes as finder

    known = [plane for plane in finder.find(client, namespace, [kind])[0] if plane.secrets]
    for name in names:
        if name not in [plane.name for plane in known]:
            raise NotFound(f'control plane "{name}" not found', code=404, reason="NotFound")
    chosen = [plane for plane in known if not names or plane.name in names]
    for plane in chosen:
        if not plane.components and names:
            raise UsageError(f"{plane.path} has no pods, so its ports are not known: {plane.status}")
    return [plane for plane in chosen if plane.components], known


def _prometheuses(client: Client) -> list[Prometheus]:
    from kubectl_vmetrics.metrics import monitors

    try:
        return monitors.prometheuses(client)
    except (NotFound, Forbidden):
        return []


def _check(context: click.Context, client: Client, planes: list[Plane], known: list[Plane], output: str) -> int:
    from kubectl_vmetrics.controlplane import monitoring
    from kubectl_vmetrics.metrics.findings import FAIL, Finding

    try:
        found = [
            finding._replace(found=f"{plane.path}: {finding.found}")
            for plane in planes
            for finding in monitoring.check(monitoring.look(client, plane, known))
        ]
    except NotFound:
        found = [Finding("prometheus-operator", FAIL, "the cluster knows no ServiceMonitors", "install the operator")]
    return show_findings(context, output, found)
