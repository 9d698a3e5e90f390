"""`manifests rbac`."""

from __future__ import annotations

import click

from kubectl_vmetrics.cli.cluster import flags
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.kube.errors import UsageError

from .write import check, check_name, output_option, write


@click.command(
    "rbac",
    cls=Command,
    help="""Print least-privilege roles for commands, as a ClusterRole and its binding.

With -n, rights are limited to one namespace where possible; without it, they cover all namespaces. Each user, group or
service account gets its own objects. --complete adds the rights that commands can do without: with them they show more,
such as virtual names that were hashed.""",
    examples=[
        ("For a tenant, in the tenant's namespace", "manifests rbac --for 'top pods' --group acme -n team-a"),
        ("For an operator", "manifests rbac --for raw --for controlplanes --user alice --complete"),
        (
            "For a service account, in one namespace",
            "manifests rbac --for vmi --serviceaccount monitoring:exporter -n prod",
        ),
    ],
)
@click.option("--for", "commands", multiple=True, help="Command, such as 'top pods'; can be repeated (default: all).")
@click.option("--user", default="", help="User to grant the rights to.")
@click.option("--group", default="", help="Group to grant the rights to.")
@click.option("--serviceaccount", default="", metavar="NAMESPACE:NAME", help="Service account to grant the rights to.")
@click.option("--name", default="", help="Name of the objects (default: one per user, group or service account).")
@click.option("--complete", is_flag=True, help="Include rights that commands can do without, but show less.")
@output_option
@click.pass_context
def rbac(
    context: click.Context,
    /,
    commands: tuple[str, ...],
    user: str,
    group: str,
    serviceaccount: str,
    name: str,
    complete: bool,
    output: str,
) -> int:
    """Check the options, print."""
    from kubectl_vmetrics.manifests import grants
    from kubectl_vmetrics.manifests import rbac as roles
    from kubectl_vmetrics.metrics.needs import COMMANDS

    check(output)
    for command in commands:
        if command not in COMMANDS:
            raise UsageError(f'--for: unknown command "{command}"; choose from {", ".join(COMMANDS)}')
    given = [text for text in (user, group, serviceaccount) if text]
    if not given:
        raise UsageError("specify who gets the rights with --user, --group or --serviceaccount")
    if len(given) > 1:
        raise UsageError("only one of --user, --group and --serviceaccount can be provided")
    if serviceaccount:
        space, colon, account = serviceaccount.partition(":")
        if not colon:
            raise UsageError(f"--serviceaccount: {serviceaccount!r} is not NAMESPACE:NAME")
        subject = roles.service_account(check_name("--serviceaccount", account), check_name("--serviceaccount", space))
    else:
        subject = {"kind": "User" if user else "Group", "name": user or group, "apiGroup": roles.API_GROUP}
    namespace = flags(context).namespace or ""
    if namespace:
        check_name("-n", namespace)
    chosen = list(dict.fromkeys(commands)) or list(COMMANDS)
    name = check_name("--name", name) if name else grants.own_name(subject)
    made = grants.bundle(chosen, name, subject, namespace=namespace, complete=complete)
    return write(context.obj, made, output)
