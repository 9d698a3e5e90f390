"""Which service accounts the roles of a control plane are bound to, and whether they are the right ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from kubectl_vmetrics.kube import rbac
from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.core import ObjectMeta
from kubectl_vmetrics.kube.errors import Forbidden, NotFound
from kubectl_vmetrics.kube.lists import decoder
from kubectl_vmetrics.kube.rbac import Account, Binding, Rule
from kubectl_vmetrics.metrics import accounts
from kubectl_vmetrics.metrics.findings import FAIL, SKIP, Finding

from . import names
from .plane import Plane

T = TypeVar("T")


class Bound(NamedTuple):
    """The subject of a RoleBinding that `manifests` prints.

    Attributes:
        binding: its name, in the namespace of the control plane.
        exists: whether the account exists; None if it cannot be read.
    """

    binding: str
    account: Account
    exists: bool | None


class Operator(NamedTuple):
    """The Prometheus Operator, which reads the Secrets that a ServiceMonitor refers to.

    Attributes:
        rules: its rights in the namespace of the control plane; None if they cannot be read.
    """

    account: Account
    rules: list[Rule] | None


class _Object(msgspec.Struct):
    metadata: ObjectMeta


def read(client: Client, plane: Plane) -> list[Bound]:
    """The bound accounts of Prometheus and of its operator, without those that cannot be read.

    Raises:
        ConnectionFailed, BadAnswer: as Client.get.
    """
    found = []
    for name in (names.targets(plane), names.secrets(plane)):
        path = f"{rbac.PATH}/namespaces/{escape(plane.namespace)}/rolebindings/{escape(name)}"
        binding: Binding | None = _readable(lambda path=path: client.decode(path, decoder(Binding)))  # type: ignore[misc]
        for subject in (binding.subjects or []) if binding else []:
            if subject.kind == "ServiceAccount":
                account = Account(subject.namespace, subject.name)
                found.append(Bound(name, account, _exists(client, account)))
    return found


def operators(client: Client, namespace: str) -> list[Operator]:
    """The running operators, found by their Deployments; none if those cannot be read. Raises as `read`."""
    found = _readable(lambda: accounts.of_operator(client)) or []
    unique = dict.fromkeys(item.account for item in found)
    return [Operator(item, _readable(lambda item=item: rbac.rules(client, item, namespace))) for item in unique]  # type: ignore[misc]


def check(
    plane: Plane, found: Sequence[Bound], readers: Sequence[Account], running: Sequence[Operator]
) -> list[Finding]:
    """Problems with the accounts. Pure.

    Args:
        plane: the control plane.
        found: see `read`.
        readers: the accounts of the Prometheus servers that select its ServiceMonitors.
        running: see `operators`.
    """
    command = f"kubectl vmetrics manifests {plane.kind} {plane.name} -n {plane.namespace}"
    return [item for bound in found for item in _judged(plane, bound, readers, running, command)]


def _judged(
    plane: Plane, bound: Bound, readers: Sequence[Account], running: Sequence[Operator], command: str
) -> Iterator[Finding]:
    what, account = f"the RoleBinding {plane.namespace}/{bound.binding}", _title(bound.account)
    right = readers if bound.binding == names.targets(plane) else [item.account for item in running]
    who = "Prometheus" if bound.binding == names.targets(plane) else "the Prometheus Operator"
    option = "prometheus" if bound.binding == names.targets(plane) else "operator"
    fix = f"{command} --{option}-namespace NAMESPACE --{option}-account NAME | kubectl apply -f -"
    if bound.exists is False:
        yield Finding("account", FAIL, f"{what} binds the service account {account}, which does not exist", fix)
    elif bound.exists is None:
        yield Finding("account", SKIP, f"you are not allowed to check whether the service account {account} exists")
    elif right and bound.account not in right:
        others = ", ".join(map(_title, right))
        yield Finding("account", FAIL, f"{what} binds the service account {account}, but {who} runs as {others}", fix)


def reading(plane: Plane, secrets: Sequence[str], running: Sequence[Operator]) -> list[Finding]:
    """Whether an operator is allowed to get these Secrets of the namespace. Pure."""
    if not running or any(item.rules is None for item in running):
        return []
    lacking = [
        name for name in secrets if not any(_may_get(rule, name) for item in running for rule in item.rules or [])
    ]
    if not lacking:
        return []
    who = ", ".join(_title(item.account) for item in running)
    return [
        Finding(
            "operator-rights",
            FAIL,
            f"the Prometheus Operator runs as {who}, which is not allowed to get the Secret {', '.join(lacking)} in "
            f"{plane.namespace}",
            f"kubectl vmetrics manifests {plane.kind} {plane.name} -n {plane.namespace} | kubectl apply -f -",
        )
    ]


def _may_get(rule: Rule, secret: str) -> bool:
    anything = msgspec.structs.replace(rule, names=[])
    return anything.allows("", "secrets", "get") and (not rule.names or secret in rule.names)


def _exists(client: Client, account: Account) -> bool | None:
    path = f"/api/v1/namespaces/{escape(account.namespace)}/serviceaccounts/{escape(account.name)}"
    try:
        client.decode(path, decoder(_Object))
    except NotFound:
        return False
    except Forbidden:
        return None
    return True


def _readable(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except (Forbidden, NotFound):
        return None


def _title(account: Account) -> str:
    return f"{account.namespace}/{account.name}"
