"""What each command needs against what the user has."""

from __future__ import annotations

from typing import NamedTuple

from kubectl_vmetrics.kube import access
from kubectl_vmetrics.kube.access import Right
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.metrics.needs import COMMANDS

from .check import Cause, Check, Outcome, Session, passed, skipped, warned

AREA = "rbac"
GRANT = "kubectl vmetrics manifests rbac --for COMMAND --user YOU | kubectl apply -f -"


class Granted(NamedTuple):
    """A command, and which of its rights are missing.

    Attributes:
        missing: without which it does not work; less: without which it shows less.
    """

    command: str
    missing: list[Right]
    less: list[Right]


def matrix(session: Session) -> list[Granted]:
    """Every command against the user's rights, all asked for at once. Raises what the first review was refused with."""

    def read() -> dict[Right, bool]:
        needed = list(dict.fromkeys(r for need in COMMANDS.values() for r in (*need.rights, *need.optional)))
        answers = access.allowed(session.client, needed)
        found = {}
        for right, answer in zip(needed, answers, strict=True):
            if isinstance(answer, VmetricsError):
                raise answer
            found[right] = answer
        return found

    allowed = session.once("rights", read)
    return [
        Granted(name, [r for r in need.rights if not allowed[r]], [r for r in need.optional if not allowed[r]])
        for name, need in COMMANDS.items()
    ]


_RIGHTS = {
    "missing": Cause(
        "rights are missing for some commands in all namespaces; in one namespace they may be enough",
        GRANT,
        "https://kubernetes.io/docs/reference/access-authn-authz/rbac/",
    )
}
_POWER = {
    "power": Cause(
        "get on nodes/proxy lets its owner run commands in every pod of every node, by the kubelet's exec",
        "give it to operators only; `top`, `vmi` and `components` do without",
        "https://kubernetes.io/docs/concepts/security/rbac-good-practices/",
    )
}


def _rights(session: Session) -> Outcome:
    found = matrix(session)
    without = [item.command for item in found if item.missing]
    seen = [f"{item.command}: {_what(item)}" for item in found]
    if without:
        return warned(f"missing rights for: {', '.join(without)}", "missing", "", seen)
    return passed(f"you may use all of {len(found)} commands", seen)


def _what(item: Granted) -> str:
    """Whether a command works."""
    if not item.missing and not item.less:
        return "works"
    parts = (("needs", item.missing), ("shows less without", item.less))
    return "; ".join(f"{text} {', '.join(right.title for right in rights)}" for text, rights in parts if rights)


def _power(session: Session) -> Outcome:
    if not matrix(session):
        return skipped("no command is known")
    (allowed,) = access.allowed(session.client, [Right("", "nodes/proxy", "get")])
    if isinstance(allowed, VmetricsError):
        raise allowed
    return passed("you may get nodes/proxy, which is a powerful right" if allowed else "you may not get nodes/proxy")


CHECKS = (
    Check("VM601", AREA, "rights for each command", _RIGHTS, _rights),
    Check("VM602", AREA, "nodes/proxy", _POWER, _power),
)
