"""`manifests kamaji` and `manifests vcluster`: the same for both kinds of control planes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.cli.cluster import client as open_client
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden, NotFound, UsageError, VmetricsError

from .write import check, check_labels, check_name, label_option, output_option, show_findings, write

if TYPE_CHECKING:
    from kubectl_vmetrics.controlplane.plane import Plane
    from kubectl_vmetrics.kube.rbac import Account
    from kubectl_vmetrics.manifests.bundle import Bundle
    from kubectl_vmetrics.manifests.controlplane import Settings

TITLES = {"kamaji": "Kamaji", "vcluster": "vCluster"}
"""The kinds of control planes, as messages write them."""


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        output_option,
        click.option(
            "--check", "checking", is_flag=True, help="Check the objects in the cluster; exit with code 1 on FAIL."
        ),
        label_option,
        click.option(
            "--operator-account",
            default="",
            help="Service account of the Prometheus Operator, which reads the Secrets.",
        ),
        click.option(
            "--operator-namespace", default="", help="Namespace of --operator-account (default: that of Prometheus)."
        ),
        click.option("--prometheus-account", default="", help="Service account of Prometheus."),
        click.option("--prometheus-namespace", default="", help="Namespace of the service account of Prometheus."),
        click.option(
            "--all", "everything", is_flag=True, help="All control planes in the namespace; with -A, in all namespaces."
        ),
        click.option("-A", "--all-namespaces", is_flag=True, help="Search all namespaces."),
        click.argument("names", nargs=-1),
    ):
        command = option(command)
    return command


@click.command(
    "kamaji",
    cls=Command,
    arguments="[[NAMESPACE/]NAME | --all]",
    help="""Print what Prometheus needs to scrape a Kamaji tenant control plane: a headless Service that selects each
replica, a ServiceMonitor with the tenant's client certificate and labels `cluster` and `job`, and least-privilege
roles.

The roles are granted to the service accounts of the Prometheus object and of the Prometheus Operator's Deployment; if
there are several, specify which.

If the tenant's certificate is no longer allowed to read metrics (those renewed by kubeadm 1.35.5, 1.36.1 or newer are
not), objects that create another one are included; --credential always includes them. --check finds common mistakes in
existing objects.""",
    examples=[
        ("One tenant", "manifests kamaji acme -n tenants"),
        ("Check the existing objects", "manifests kamaji --all -A --check"),
        ("With a certificate of its own", "manifests kamaji acme -n tenants --credential"),
        (
            "If there are several Prometheus objects",
            "manifests kamaji acme -n tenants --prometheus-namespace monitoring --prometheus-account prometheus-k8s",
        ),
    ],
)
@_options
@click.option(
    "--credential", is_flag=True, help="Also print objects that create a certificate for reading metrics only."
)
@click.pass_context
def kamaji(context: click.Context, /, credential: bool, **given: Any) -> int:
    """Look, print."""
    return _run(context, "kamaji", credential=credential, **given)


@click.command(
    "vcluster",
    cls=Command,
    arguments="[[NAMESPACE/]NAME | --all]",
    help="""Print what Prometheus needs to scrape the control plane of a virtual cluster: a headless Service that
selects each replica, a ServiceMonitor with the virtual cluster's client certificate and labels `cluster` and `job`, and
least-privilege roles.

The roles are granted to the service accounts of the Prometheus object and of the Prometheus Operator's Deployment; if
there are several, specify which.""",
    examples=[
        ("One virtual cluster", "manifests vcluster shop -n team-a"),
        ("Check the existing objects", "manifests vcluster --all -A --check"),
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
    operator_namespace: str,
    operator_account: str,
    labels: tuple[str, ...],
    checking: bool,
    output: str,
) -> int:
    from kubectl_vmetrics.manifests.bundle import Bundle

    given = {
        "--prometheus-namespace": prometheus_namespace,
        "--prometheus-account": prometheus_account,
        "--operator-namespace": operator_namespace,
        "--operator-account": operator_account,
    }
    for option, value in given.items():
        if value:
            check_name(option, value)
    added = check_labels(labels)
    if bool(names) == everything:
        raise UsageError(f"specify one or more NAMEs, or --all\nSee '{context.command_path} -h' for help and examples")
    if not checking:
        check(output)
    client = open_client(context)
    namespace = None if all_namespaces else client.namespace
    known, warnings = _known(client, kind, {_parts(name)[0] or namespace for name in names} or {namespace})
    planes = _chosen(known, names, namespace)
    for warning in warnings if everything else ():
        context.obj.say(f"Warning: {warning}")
    if not planes:
        where = f" in {namespace} namespace; -A searches all namespaces" if namespace else ""
        raise VmetricsError(f"no {TITLES[kind]} control planes found{where}")
    partial = 1 if everything and warnings else 0
    if checking:
        return _check(context, client, planes, known, output) or partial
    running = [plane for plane in planes if plane.components]
    for plane in [plane for plane in planes if not plane.components]:
        without = f"{plane.path} has no pods, so its ports are not known: {plane.status}"
        if names or not running:
            raise UsageError(without)
        context.obj.say(f"Warning: {without}")
    settings = _settings(client, given, {plane.namespace for plane in known})
    settings = settings._replace(labels={**settings.labels, **added})
    bundles = [_bundle(client, plane, settings, generate=credential) for plane in running]
    objects = [item for bundle in bundles for item in bundle.objects]
    unique = {(item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]): item for item in objects}
    notes = [note for bundle in bundles for note in bundle.notes]
    return write(context.obj, Bundle(list(unique.values()), notes), output) or partial


def _settings(client: Client, given: dict[str, str], tenants: set[str]) -> Settings:
    """The subjects of the roles, and the labels that Prometheus selects ServiceMonitors by."""
    from kubectl_vmetrics.manifests.controlplane import Settings
    from kubectl_vmetrics.metrics import accounts, monitors
    from kubectl_vmetrics.metrics.accounts import Options
    from kubectl_vmetrics.vcluster.naming import MANAGED_BY

    def options(what: str, namespace: str, account: str) -> Options:
        return Options(what, given[namespace], given[account], (namespace, account))

    prometheus = accounts.choose(
        options("Prometheus", "--prometheus-namespace", "--prometheus-account"),
        lambda: accounts.of_prometheus(monitors.prometheuses(client), MANAGED_BY),
        tenants,
    )
    if given["--operator-account"] and not given["--operator-namespace"]:
        given = {**given, "--operator-namespace": prometheus.namespace}
    operator = accounts.choose(
        options("the Prometheus Operator", "--operator-namespace", "--operator-account"),
        lambda: accounts.of_operator(client),
        tenants,
    )
    return Settings(prometheus, operator, _selecting(client, prometheus))


def _bundle(client: Client, plane: Plane, settings: Settings, *, generate: bool) -> Bundle:
    from kubectl_vmetrics.controlplane import credentials
    from kubectl_vmetrics.controlplane.plane import KAMAJI
    from kubectl_vmetrics.manifests import controlplane as manifest

    if plane.kind == KAMAJI and not generate:
        # Only the kubelets' client has its certificate in a form that Prometheus reads.
        try:
            credentials.of_kubelet(client, plane)
        except credentials.NoCredential:
            generate = True
        except Forbidden:
            pass  # unknown; `--check` reports it to users with the right to read it
    ca = credentials.authority(client, plane) if plane.kind == KAMAJI else b""
    return manifest.bundle(plane, settings._replace(generate=generate), ca)


def _parts(name: str) -> tuple[str, str]:
    """A control plane as [NAMESPACE/]NAME. Raises UsageError."""
    space, slash, short = name.rpartition("/")
    if not short or (slash and not space) or "/" in space:
        raise UsageError(f'"{name}" is not [NAMESPACE/]NAME')
    return space, short


def _known(client: Client, kind: str, namespaces: set[str | None]) -> tuple[list[Plane], list[str]]:
    """The control planes of some namespaces (of all, if None is among them), and what could not be read."""
    from kubectl_vmetrics.cli import planes as finder

    found: list[Plane] = []
    warnings: list[str] = []
    for namespace in [None] if None in namespaces else sorted(filter(None, namespaces)):
        planes, unread = finder.find(client, namespace, [kind])
        found += [plane for plane in planes if plane.secrets]
        warnings += unread
    return found, warnings


def _chosen(known: list[Plane], names: tuple[str, ...], namespace: str | None) -> list[Plane]:
    """The control planes with these names, each once, in this order; all of them if there are no names."""
    if not names:
        return known
    chosen: dict[tuple[str, str, str], Plane] = {}
    for name in names:
        space, short = _parts(name)
        matching = [plane for plane in known if plane.name == short and (space or namespace) in (None, plane.namespace)]
        if not matching:
            where = f" in {namespace} namespace; -A searches all namespaces" if namespace and not space else ""
            raise NotFound(f'control plane "{name}" not found{where}', code=404, reason="NotFound")
        chosen |= {plane.key: plane for plane in matching}
    return list(chosen.values())


def _selecting(client: Client, account: Account) -> dict[str, str]:
    """The labels that Prometheus selects ServiceMonitors by; empty if they cannot be read."""
    from kubectl_vmetrics.metrics import monitors

    try:
        return monitors.labels_for(monitors.prometheuses(client), account)
    except (NotFound, Forbidden):
        return {}


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
        found = [
            Finding(
                "prometheus-operator", FAIL, "the cluster has no ServiceMonitor CRD", "install the Prometheus Operator"
            )
        ]
    return show_findings(context, output, found)
