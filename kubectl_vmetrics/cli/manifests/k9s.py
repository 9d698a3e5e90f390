"""`manifests k9s`."""

from __future__ import annotations

import re

import click

from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.kube.errors import UsageError

# As tcell names keys: Shift-A, Ctrl-A, F1, or one letter or digit.
_KEY = re.compile(r"(?:(?:Shift|Ctrl|Alt)-[A-Z]|F(?:[1-9]|1[0-2])|[a-z0-9])")


@click.command(
    "k9s",
    cls=Command,
    help="""Print plugins for k9s, which run commands of this plugin on what is selected in k9s.

In the views of pods, namespaces, nodes, virtual machine instances and StatefulSets (those of virtual clusters), Shift-U
shows usage and refreshes until Ctrl-C, Shift-H shows the history, and Shift-E explains the metrics of a pod. Save the
output as plugins.yaml in the configuration directory of k9s (`k9s info` prints it), or add it to the file there.
Requires `kubectl`, `env`, `sh` and `less`.""",
    examples=[
        ("All plugins", "manifests k9s"),
        ("Another shortcut, where one is taken", "manifests k9s --shortcut usage=Shift-V"),
        ("Without the history, which needs Prometheus", "manifests k9s --shortcut history="),
    ],
)
@click.option(
    "--shortcut",
    "shortcuts",
    multiple=True,
    metavar="VERB=KEY",
    help="Shortcut for usage, history or explain; leave KEY empty to omit these plugins. Can be repeated.",
)
@click.option("-o", "--output", default="yaml", show_default=True, help="Output format: yaml or json.")
@click.pass_context
def k9s(context: click.Context, /, shortcuts: tuple[str, ...], output: str) -> int:
    """Check the options, print."""
    import json

    import yaml

    from kubectl_vmetrics.manifests import k9s as manifest

    from .write import check

    check(output)
    verbs = dict(manifest.VERBS)
    for text in shortcuts:
        verb, equals, key = text.partition("=")
        if not equals or verb not in manifest.VERBS:
            raise UsageError(f"--shortcut: {text!r} is not VERB=KEY; verbs are {', '.join(manifest.VERBS)}")
        if key and not _KEY.fullmatch(key):
            raise UsageError(f"--shortcut: {key!r} is not a key of k9s: Shift-U, Ctrl-U, F5, u")
        verbs[verb] = key
    verbs = {verb: key for verb, key in verbs.items() if key}
    if len(set(verbs.values())) < len(verbs):
        raise UsageError("--shortcut: two verbs have the same key")
    if not verbs:
        raise UsageError("--shortcut: no plugin is left to print")
    found = manifest.document(verbs)
    text = json.dumps(found, indent=2) + "\n" if output == "json" else yaml.safe_dump(found, sort_keys=False, width=200)
    context.obj.stdout.write(text)
    return 0
