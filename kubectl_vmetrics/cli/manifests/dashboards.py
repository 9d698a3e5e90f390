"""`manifests dashboards`."""

from __future__ import annotations

import click

from kubectl_vmetrics.cli.cluster import flags
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.kube.errors import UsageError

from .write import check, check_labels, check_name, output_option, write


@click.command(
    "dashboards",
    cls=Command,
    arguments="[NAME…]",
    help="""Print Grafana dashboards: tenants, control planes, one control plane, virtual machines.

They are ConfigMaps for the sidecar of Grafana's Helm chart; --raw prints one as JSON for import. vmetrics-tenants reads
the series that `manifests rules` records, whatever its --names; the others read what Prometheus scrapes with `manifests
kamaji`, `vcluster` and `kubevirt`. Each has a variable `cluster`.""",
    examples=[
        ("All dashboards, for a sidecar in the namespace monitoring", "manifests dashboards -n monitoring"),
        ("Tenants and their quotas, for a sidecar", "manifests dashboards vmetrics-tenants"),
        ("One dashboard, for manual import", "manifests dashboards vmetrics-machines --raw"),
        ("For a sidecar with a different label", "manifests dashboards --label dashboards=team-a"),
    ],
)
@click.argument("names", nargs=-1)
@click.option("--raw", is_flag=True, help="Print the JSON of one dashboard, for manual import.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Label the sidecar looks for.")
@click.option("--folder", default="", help="Grafana folder, if the sidecar supports the annotation grafana_folder.")
@output_option
@click.pass_context
def dashboards(
    context: click.Context, /, names: tuple[str, ...], raw: bool, labels: tuple[str, ...], folder: str, output: str
) -> int:
    """Check the options, print."""
    from kubectl_vmetrics.manifests import dashboards as manifest
    from kubectl_vmetrics.manifests.bundle import Bundle
    from kubectl_vmetrics.manifests.grafana import render, text

    known = {item.name: item for item in manifest.ALL}
    for name in names:
        if name not in known:
            raise UsageError(f'unknown dashboard "{name}"; choose from {", ".join(known)}')
    chosen = [known[name] for name in dict.fromkeys(names)] or list(manifest.ALL)
    if raw:
        if len(chosen) != 1:
            raise UsageError(f"--raw prints one dashboard: {', '.join(known)}")
        if labels or folder:
            raise UsageError("--raw prints JSON for import, without --label and --folder")
        context.obj.stdout.write(text(render(chosen[0])))
        return 0
    check(output)
    found = check_labels(labels) or {manifest.SIDECAR_LABEL: "1"}
    namespace = check_name("-n", flags(context).namespace or "monitoring")
    return write(context.obj, Bundle(manifest.config_maps(chosen, namespace, found, folder), []), output)
