"""The service accounts of Prometheus and the Prometheus Operator, to grant rights to.

Anyone who can create a Prometheus object or a Deployment can add a candidate, so an account is used only if it is
unambiguous; otherwise the user must name it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import msgspec

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.core import ObjectMeta
from kubectl_vmetrics.kube.errors import Forbidden, NotFound, UsageError
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all
from kubectl_vmetrics.kube.rbac import Account

from .findings import some
from .monitors import Prometheus

OPERATOR = "prometheus-operator"
"""The name of the operator's image, or of its container where the image has only a digest."""


class Candidate(NamedTuple):
    """An account that can be chosen.

    Attributes:
        source: the object that runs as it: "Prometheus monitoring/k8s".
    """

    account: Account
    source: str

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.account.namespace}/{self.account.name} ({self.source})"


class Options(NamedTuple):
    """The account given by the user, and the names of the options for it.

    Attributes:
        what: whose account it is, for messages.
        namespace: "" to find it.
        account: likewise.
        names: the options for the namespace and for the account.
    """

    what: str
    namespace: str
    account: str
    names: tuple[str, str]


class _Container(msgspec.Struct):
    name: str = ""
    image: str = ""


class _PodSpec(msgspec.Struct):
    account: str = msgspec.field(default="default", name="serviceAccountName")
    containers: list[_Container] = []


class _Template(msgspec.Struct):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _Spec(msgspec.Struct):
    template: _Template = msgspec.field(default_factory=_Template)


class _Deployment(msgspec.Struct):
    metadata: ObjectMeta
    spec: _Spec = msgspec.field(default_factory=_Spec)


def of_prometheus(found: Sequence[Prometheus], synced: str) -> list[Candidate]:
    """The accounts of Prometheus objects.

    Args:
        found: all objects.
        synced: the label of what a tenant made in a virtual cluster, which is left out.
    """
    return [Candidate(item.runs_as, f"Prometheus {item.path}") for item in found if synced not in item.metadata.labels]


def of_operator(client: Client) -> list[Candidate]:
    """The accounts of Deployments that run the Prometheus Operator. Raises as Client.get."""
    listed: list[_Deployment] = list_all(client, "/apis/apps/v1/deployments", decoder(ObjectList[_Deployment]))
    return [
        Candidate(Account(meta.namespace, pod.account or "default"), f"Deployment {meta.namespace}/{meta.name}")
        for meta, pod in ((item.metadata, item.spec.template.spec) for item in listed)
        if any(OPERATOR in (_repository(part.image), part.name) for part in pod.containers)
    ]


def choose(options: Options, find: Callable[[], Sequence[Candidate]], tenants: Collection[str] = ()) -> Account:
    """The only candidate that matches the options.

    Args:
        options: what the user named; if both parts are set, nothing is read.
        find: the candidates.
        tenants: namespaces of tenants, whose accounts are not taken unless the user names the namespace.

    Raises:
        UsageError: none was found, or several, with all of them.
    """
    if options.namespace and options.account:
        return Account(options.namespace, options.account)
    say = f"specify one with {' and '.join(options.names)}"
    try:
        known = find()
    except (Forbidden, NotFound) as error:
        raise UsageError(f"the service account of {options.what} is not known ({error.message}): {say}") from None
    fitting = [
        item
        for item in known
        if options.namespace in ("", item.account.namespace) and options.account in ("", item.account.name)
    ]
    accounts = list(dict.fromkeys(item.account for item in fitting))
    titles = some([item.title for item in fitting])
    if not accounts:
        raise UsageError(f"the service account of {options.what} was not found: {say}")
    if len(accounts) > 1:
        raise UsageError(f"{options.what} may run as one of several service accounts: {titles}; {say}")
    if not options.namespace and accounts[0].namespace in tenants:
        raise UsageError(f"the service account of {options.what} may belong to a tenant: {titles}; {say}")
    return accounts[0]


def _repository(image: str) -> str:
    """The last part of an image's name, without its tag."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]
