"""`manifests kubevirt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kubectl_vmetrics.cli.cluster import client as open_client
from kubectl_vmetrics.cli.cluster import flags
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.kube.errors import UsageError

from .write import check, check_labels, check_name, label_option, output_option, show_findings, write

if TYPE_CHECKING:
    from kubectl_vmetrics.kube.rbac import Account
    from kubectl_vmetrics.kubevirt.monitoring import Seen
    from kubectl_vmetrics.manifests.kubevirt import Settings


@click.command(
    "kubevirt",
    cls=Command,
    help="""Print what Prometheus needs to scrape KubeVirt: ServiceMonitor, Role and RoleBinding.

virt-operator creates equivalent objects itself, but only if it finds the service account of Prometheus when KubeVirt is
installed. --check reports what it expects, what exists, and why Prometheus does not scrape KubeVirt.

Namespaces, account and labels are read from the cluster where you have the rights; if there are several Prometheus
objects, specify the account. With -n (KubeVirt's namespace), no cluster is needed.""",
    examples=[
        ("What is wrong", "manifests kubevirt --check"),
        ("What is missing", "manifests kubevirt"),
        (
            "Without a cluster, for kube-prometheus-stack",
            "manifests kubevirt -n kubevirt --monitor-namespace monitoring "
            "--monitor-account kube-prometheus-stack-prometheus --label release=kube-prometheus-stack",
        ),
    ],
)
@click.option("--monitor-namespace", default="", help="Namespace of the service account of Prometheus.")
@click.option("--monitor-account", default="", help="Service account of Prometheus.")
@click.option("--service-monitor-namespace", default="", help="Namespace of the ServiceMonitor.")
@label_option
@click.option("--check", "checking", is_flag=True, help="Check the objects in the cluster; exit with code 1 on FAIL.")
@output_option
@click.pass_context
def kubevirt(
    context: click.Context,
    /,
    monitor_namespace: str,
    monitor_account: str,
    service_monitor_namespace: str,
    labels: tuple[str, ...],
    checking: bool,
    output: str,
) -> int:
    """Check the options, query, print."""
    from kubectl_vmetrics.kubevirt import installation, monitoring
    from kubectl_vmetrics.manifests import kubevirt as manifest

    given = {
        "monitor_namespace": monitor_namespace,
        "monitor_account": monitor_account,
        "service_monitor_namespace": service_monitor_namespace,
    }
    for option, value in given.items():
        if value:
            check_name(f"--{option.replace('_', '-')}", value)
    added = check_labels(labels)
    namespace = flags(context).namespace
    if checking:
        unwanted = [f"--{option.replace('_', '-')}" for option, value in given.items() if value]
        unwanted += ["--label"] if added else []
        unwanted += ["--namespace"] if namespace else []
        if unwanted:
            raise UsageError(f"--check cannot be combined with {', '.join(unwanted)}: it checks what is in the cluster")
        client = open_client(context)
        return show_findings(context, output, monitoring.check(monitoring.look(client, installation.find(client))))
    check(output)
    if namespace:
        settings = _unseen(manifest.Settings(check_name("-n", namespace), **given, selector={}, labels=added))
        return write(context.obj, manifest.bundle(settings, []), output)
    client = open_client(context)
    seen = monitoring.look(client, installation.find(client))
    settings, notes = _settings(seen, manifest.Settings("", **given, selector={}, labels=added))
    return write(context.obj, manifest.bundle(settings, notes), output)


def _unseen(given: Settings) -> Settings:
    """Defaults for what was not specified."""
    from kubectl_vmetrics.kubevirt.installation import METRICS_LABEL
    from kubectl_vmetrics.kubevirt.monitoring import ACCOUNT

    space = given.monitor_namespace or "monitoring"
    return given._replace(
        monitor_namespace=space,
        monitor_account=given.monitor_account or ACCOUNT,
        service_monitor_namespace=given.service_monitor_namespace or space,
        selector={METRICS_LABEL: "true"},
    )


def _settings(seen: Seen, given: Settings) -> tuple[Settings, list[str]]:
    """Settings with everything that was not specified filled in from the cluster, and notes on what was assumed."""
    from kubectl_vmetrics.kubevirt.installation import METRICS_LABEL
    from kubectl_vmetrics.kubevirt.monitoring import Service
    from kubectl_vmetrics.manifests.kubevirt import NAME
    from kubectl_vmetrics.metrics.monitors import labels_for

    told, notes = seen.installation, []
    known = seen.prometheuses if isinstance(seen.prometheuses, list) else []
    account = _account(seen, given)
    found = given._replace(
        namespace=told.namespace,
        monitor_namespace=account.namespace,
        monitor_account=account.name,
        service_monitor_namespace=given.service_monitor_namespace or told.service_monitor_namespace,
        labels={**labels_for(known, account), **given.labels},
    )
    if isinstance(seen.service, Service) and METRICS_LABEL in seen.service.metadata.labels:
        selector = {METRICS_LABEL: seen.service.metadata.labels[METRICS_LABEL]}
    else:
        selector = {METRICS_LABEL: "true"}
        notes.append("The labels of the Service could not be read; up to KubeVirt v0.46, the value below is empty.")
    monitors = seen.monitors if isinstance(seen.monitors, list) else []
    service = seen.service if isinstance(seen.service, Service) else None
    twice = [i.path for i in monitors if service and i.selects(told.namespace, service.metadata.labels)]
    twice = [path for path in twice if not path.endswith(f"/{NAME}")]
    if twice:
        notes.append(f"{twice[0]} already selects the Service: with the one below, everything is scraped twice.")
    if account not in [item.runs_as for item in known]:
        notes.append("No Prometheus object of this account could be seen; see --label for what it selects.")
    return _unseen(found)._replace(selector=selector), [*notes, ""] if notes else []


def _account(seen: Seen, given: Settings) -> Account:
    """The service account of Prometheus. Raises UsageError if it is ambiguous."""
    from kubectl_vmetrics.kube.rbac import Account
    from kubectl_vmetrics.metrics import accounts
    from kubectl_vmetrics.metrics.accounts import Candidate, Options
    from kubectl_vmetrics.vcluster.naming import MANAGED_BY

    installed = seen.installation
    known = seen.prometheuses if isinstance(seen.prometheuses, list) else []
    found = accounts.of_prometheus(known, MANAGED_BY)
    told = Account(installed.monitor_namespace, installed.monitor_account)
    if all(told) and (not found or told in [item.account for item in found]):
        found = [Candidate(told, f"the KubeVirt object {installed.namespace}/{installed.name}")]
    options = Options(
        "Prometheus", given.monitor_namespace, given.monitor_account, ("--monitor-namespace", "--monitor-account")
    )
    return accounts.choose(options, lambda: found)
