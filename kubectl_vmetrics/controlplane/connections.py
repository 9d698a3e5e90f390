"""A component's requests without a response, and which server failed: the apiserver or another one. Pure.

rest_client_requests_total has the code "<error>" for a request without a response, and the host it was sent to
(k8s.io/client-go rest/request.go). An apiserver sends requests to itself, at the loopback address or at the address
that it is bound to (k8s.io/apiserver pkg/server/config_selfclient.go), and with the same client to webhooks and
extension API servers, as NAME.NAMESPACE.svc:PORT or by URL (k8s.io/apiserver pkg/util/webhook/client.go). Kamaji also
asks its tenants' apiservers, by their Services. All other components send requests to apiservers only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import NamedTuple

from kubectl_vmetrics.metrics import process
from kubectl_vmetrics.metrics.process import Unanswered
from kubectl_vmetrics.metrics.snapshot import Pair

from .plane import APISERVER, OPERATOR, Component

UNNAMED = "(not a host name)"
"""Replaces a value that is not a host name: tenants can write anything there."""
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>\d{1,5}))?")


class Connections(NamedTuple):
    """How a component reaches the servers it depends on; None if it does not report that.

    Attributes:
        lost: requests to the apiserver without a response since the component started.
        losing: the number of them since the earlier scrape.
        hosts: the apiservers for which the number increased.
        others: webhooks and extension API servers (of an apiserver), tenants (of Kamaji) that did not answer, the worst
            first.
    """

    lost: float | None = None
    losing: float | None = None
    hosts: tuple[str, ...] = ()
    others: tuple[Unanswered, ...] = ()


def read(component: Component, pair: Pair) -> Connections:
    """The connections of a component, from two scrapes."""
    found = process.unanswered(pair)
    if found is None:
        return Connections()
    own = _own(component, [item.host for item in found])
    mine = [item for item in found if item.host in own]
    others: dict[str, Unanswered] = {}
    for item in found:
        if item.host not in own:
            name = item.host if _HOST.fullmatch(item.host) else UNNAMED
            known = others.get(name, Unanswered(name, 0.0, None))
            others[name] = Unanswered(name, known.total + item.total, _sum([known.grown, item.grown]))
    return Connections(
        sum(item.total for item in mine),
        None if pair.before is None else _sum([item.grown for item in mine]) or 0.0,
        tuple(sorted(item.host for item in mine if item.grown and _HOST.fullmatch(item.host))),
        tuple(sorted(others.values(), key=lambda item: (-(item.grown or 0.0), -item.total, item.host))),
    )


def _own(component: Component, hosts: Iterable[str]) -> set[str]:
    """Which hosts are the apiserver that the component depends on."""
    if component.name == APISERVER:
        near = {host: port for host in hosts if (port := _nearby(host, component.address)) is not None}
        # A webhook may run beside the apiserver, on another port.
        return {host for host, port in near.items() if port == component.port} or set(near)
    if component.name == OPERATOR:
        return {host for host in hosts if not _is_service(host)}
    return set(hosts)


def _nearby(host: str, address: str) -> int | None:
    """The port of a loopback host, 443 if it has none; None for other hosts."""
    found = _HOST.fullmatch(host)
    if not found:
        return None
    name = found["name"].strip("[]").lower()
    try:
        near = ip_address(name).is_loopback
    except ValueError:
        near = name == "localhost"
    return int(found["port"] or 443) if near or (address and name == address.lower()) else None


def _is_service(host: str) -> bool:
    """Whether this is the name of a Service other than the apiserver's own."""
    parts = host.partition(":")[0].lower().split(".")
    return len(parts) > 2 and parts[2] == "svc" and parts[:2] != ["kubernetes", "default"]


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
