"""Plugins for k9s: commands of this program on pods, namespaces, nodes, virtual machines and virtual clusters.

k9s replaces $NAME, $NAMESPACE and $CONTEXT in arguments, each of which stays one argument: no shell parses what they
hold. It takes any $WORD for one of its variables, and does not run a plugin with one that it does not know, so the $1
of a shell cannot be used; "$@" can (github.com/derailed/k9s, internal/view/env.go and actions.go).
"""

from __future__ import annotations

from typing import Any, NamedTuple

VERBS = {"usage": "Shift-U", "history": "Shift-H", "explain": "Shift-E"}
"""What a plugin does, and its shortcut: free in these views of k9s, whose own shortcuts sort by columns."""
_POD = ("pod", "$NAME", "-n", "$NAMESPACE")


class Plugin(NamedTuple):
    """One plugin.

    Attributes:
        name: its key in the file.
        verb: a key of VERBS.
        scope: the view of k9s, by the plural name of the resource.
        description: for the menu.
        arguments: of `kubectl vmetrics`.
        refreshes: whether the command draws the screen itself; all else is paged.
    """

    name: str
    verb: str
    scope: str
    description: str
    arguments: tuple[str, ...]
    refreshes: bool = False


PLUGINS = (
    Plugin("pods-usage", "usage", "pods", "Usage, virtual names", ("top", "pods", "-n", "$NAMESPACE", "-w"), True),
    Plugin("pods-explain", "explain", "pods", "Explain metrics", ("explain", *_POD)),
    Plugin(
        "namespaces-usage", "usage", "namespaces", "Usage, virtual", ("top", "namespaces", "-n", "$NAME", "-w"), True
    ),
    Plugin("namespaces-history", "history", "namespaces", "History", ("history", "pods", "-n", "$NAME")),
    Plugin("nodes-usage", "usage", "nodes", "Usage by tenant", ("top", "vclusters", "--node", "$NAME", "-w"), True),
    Plugin("nodes-history", "history", "nodes", "History", ("history", "nodes", "$NAME")),
    Plugin(
        "machines-usage",
        "usage",
        "virtualmachineinstances",
        "Usage",
        ("vmi", "$NAME", "-n", "$NAMESPACE", "-w"),
        True,
    ),
    Plugin(
        "machines-history",
        "history",
        "virtualmachineinstances",
        "History",
        ("history", "vmi", "$NAME", "-n", "$NAMESPACE"),
    ),
    Plugin(
        "vclusters-usage",
        "usage",
        "statefulsets",
        "Usage, virtual cluster",
        ("top", "pods", "--vcluster", "$NAMESPACE/$NAME", "-A", "-w"),
        True,
    ),
    Plugin(
        "vclusters-history",
        "history",
        "statefulsets",
        "History, virtual cluster",
        ("history", "pods", "--vcluster", "$NAMESPACE/$NAME", "-A"),
    ),
)
"""A virtual cluster is shown in k9s as its StatefulSet, which has its name."""

# KUBECONFIG as k9s was started with: its --kubeconfig is not in the environment of plugins, and may be several files.
_ENVIRONMENT = "KUBECONFIG=$KUBECONFIG"
_PAGED = '"$@" 2>&1 | less -RS'


def document(verbs: dict[str, str]) -> dict[str, Any]:
    """The file plugins.yaml.

    Args:
        verbs: the shortcut of each verb; a verb that is not in it is left out.
    """
    return {
        "plugins": {
            f"vmetrics-{item.name}": {
                "shortCut": verbs[item.verb],
                "description": item.description,
                "scopes": [item.scope],
                "command": "env",
                "background": False,
                "args": arguments(item),
            }
            for item in PLUGINS
            if item.verb in verbs
        }
    }


def arguments(item: Plugin) -> list[str]:
    """The arguments of `env` that run a plugin."""
    command = ["kubectl", "vmetrics", *item.arguments, "--context", "$CONTEXT"]
    if item.refreshes:
        return [_ENVIRONMENT, *command]
    return [_ENVIRONMENT, "sh", "-c", _PAGED, "sh", *command]
