"""The rights each command needs, compared with those the user has."""

from __future__ import annotations

from typing import NamedTuple

from kubectl_vmetrics.kube import access
from kubectl_vmetrics.kube.access import Right
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.metrics.needs import CLUSTER_WIDE, COMMANDS

from .check import Cause, Check, Outcome, Session, passed, skipped, warned

AREA = "rbac"
GRANT = "kubectl vmetrics manifests rbac --for COMMAND --user YOU | kubectl apply -f -"


class Granted(NamedTuple):
    """A command and its missing rights.

    Attributes:
        missing: rights without which it does not work.
        less: rights without which it shows less.
    """

    command: str
    missing: list[Right]
    less: list[Right]


def matrix(session: Session) -> list[Granted]:
    """Every command with its missing rights in the session's namespace, or in all, reviewed concurrently.

    Raises the error of the first failed review.
    """

    def read() -> dict[Right, bool]:
        needed = list(dict.fromkeys(r for need in COMMANDS.values() for r in (*need.rights, *need.optional)))
        answers = access.allowed(session.client, [_within(right, session.namespace) for right in needed])
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


def _within(right: Right, namespace: str) -> Right:
    """The right in one namespace, unless its objects are in none."""
    return right if (right.group, right.resource) in CLUSTER_WIDE else right._replace(namespace=namespace)


_RBAC = "https://kubernetes.io/docs/reference/access-authn-authz/rbac/"
_RIGHTS = {
    "missing": Cause(
        "you do not have the rights for these commands in all namespaces; you may have them in one namespace",
        f"kubectl vmetrics doctor rbac -n NAMESPACE; or ask for them: {GRANT}",
        _RBAC,
    ),
    "in-namespace": Cause(
        "you do not have the rights for these commands in this namespace, or on objects that are in no namespace",
        GRANT.replace(" --user", " -n NAMESPACE --user"),
        _RBAC,
    ),
}
_POWER = {
    "power": Cause(
        "get on nodes/proxy lets its holder run commands in every pod of every node, through the kubelet's exec",
        "give it to operators only; `top`, `vmi` and `components` do not need it",
        "https://kubernetes.io/docs/concepts/security/rbac-good-practices/",
    )
}


def _rights(session: Session) -> Outcome:
    found = matrix(session)
    without = [item.command for item in found if item.missing]
    seen = [f"{item.command}: {_what(item)}" for item in found]
    where = f" in {session.namespace}" if session.namespace else ""
    if without:
        cause = "in-namespace" if where else "missing"
        return warned(f"missing rights{where} for: {', '.join(without)}", cause, "", seen)
    return passed(f"you have the rights for all {len(found)} commands{where}", seen)


def _what(item: Granted) -> str:
    """Whether a command works."""
    if not item.missing and not item.less:
        return "works"
    parts = (("needs", item.missing), ("shows less without", item.less))
    return "; ".join(f"{text} {', '.join(right.title for right in rights)}" for text, rights in parts if rights)


def _power(session: Session) -> Outcome:
    if not matrix(session):
        return skipped("there are no commands")
    (allowed,) = access.allowed(session.client, [Right("", "nodes/proxy", "get")])
    if isinstance(allowed, VmetricsError):
        raise allowed
    return passed(
        "you have get on nodes/proxy, which is a powerful right" if allowed else "you do not have get on nodes/proxy"
    )


CHECKS = (
    Check("VM601", AREA, "rights for each command", _RIGHTS, _rights),
    Check("VM602", AREA, "nodes/proxy", _POWER, _power),
)
