"""Every path of every tenant's view, searched for whatever is another's: there must be nothing.

The paths are those that the proxy itself tells of: its discovery documents, its service discovery, and the items of its
lists; and those that somebody curious would try.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kubectl_vmetrics.cli.top.choose import choose
from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.proxy import server
from kubectl_vmetrics.proxy.application import Proxy
from kubectl_vmetrics.proxy.flights import AGE, Flights
from kubectl_vmetrics.proxy.views import Views
from kubectl_vmetrics.vcluster import answers, objects
from kubectl_vmetrics.vcluster.homes import Homes
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.rewrite import machine
from tests.conftest import invoke, write_kubeconfig
from tests.proxy.test_proxy import LOCAL, get

from .host import METRICS, NODES, Host, Tenant, World

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
KUBELET = ("stats/summary", "metrics", "metrics/cadvisor", "metrics/resource", "metrics/probes")
WORLD = World()
TENANTS = [tenant for tenant in WORLD.tenants if tenant.ref]
EVERYTHING = frozenset().union(*(tenant.secrets for tenant in WORLD.tenants))


def secrets(tenant: Tenant) -> frozenset[str]:
    """What a tenant must not find: all but what it owns."""
    return EVERYTHING - tenant.own


def found(body: bytes, words: frozenset[str], asked: str = "") -> set[str]:
    """The words that an answer holds; not those that the question held, which an error may repeat."""
    text = body.decode("utf-8", "replace")
    return {word for word in words if word in text and word not in asked}


@contextlib.contextmanager
def proxied(
    only: VClusterRef | None = None, *, isolate: bool = False, rights: str | None = None, age: float = AGE
) -> Iterator[tuple[Host, str]]:
    """The world behind a proxy; `rights` names the one host namespace whose control planes may be listed."""
    host = Host(WORLD, rights)
    with demo_server.serving(host) as url:
        client = Client(Connection(server=url, namespace=rights or "default"))
        homes = None
        if only:
            _, homes = choose(client, only.path, WORLD.given)
            homes.settle_for(client, only)
            homes.places(client, only)
        views = Views(client, only, isolate=isolate, homes=homes, targets=WORLD.given, flights=Flights(age=age))
        proxy = Proxy(views, accept_hosts=LOCAL)
        with contextlib.closing(views), server.serving(proxy, "127.0.0.1", 0, None, None) as served:
            yield host, served


@pytest.fixture(scope="module", autouse=True)
def _enough_threads() -> Iterator[None]:
    """Each proxy holds a watch for each synced namespace and kind."""
    patch = pytest.MonkeyPatch()
    patch.setattr(demo_server, "THREADS", 80)
    yield
    patch.undo()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "isolated"])
def everything(request: pytest.FixtureRequest) -> Iterator[tuple[Host, str, bool]]:
    with proxied(isolate=request.param) as (host, url):
        yield host, url, request.param


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "isolated"])
def unshared(request: pytest.FixtureRequest) -> Iterator[tuple[Host, str, bool]]:
    with proxied(isolate=request.param, age=-math.inf) as (host, url):
        yield host, url, request.param


def documents(base: str) -> Iterator[str]:
    """The lists that discovery tells of."""
    yield from ("/version", "/api", "/apis", "/api/v1", METRICS)
    for path in ("/api/v1", METRICS):
        for resource in json.loads(get(f"{base}{path}")[1])["resources"]:
            yield f"{path}/{resource['name']}"


def nodes(base: str) -> list[str]:
    return [item["metadata"]["name"] for item in json.loads(get(f"{base}/api/v1/nodes")[1])["items"]]


def told(base: str) -> Iterator[str]:
    """Every path that a view tells of."""
    for path in documents(base):
        yield path
        status, body = get(f"{base}{path}")
        assert status == 200, path
        for item in json.loads(body).get("items", []):
            meta = item["metadata"]
            prefix, _, resource = path.rpartition("/")
            space = f"/namespaces/{meta['namespace']}" if "namespace" in meta else ""
            yield f"{prefix}{space}/{resource}/{meta['name']}"
            if space:
                yield f"{prefix}{space}/{resource}"
    for node in nodes(base):
        yield from (f"/api/v1/nodes/{node}/proxy/{endpoint}" for endpoint in KUBELET)


def tried(tenant: Tenant) -> Iterator[str]:
    """What is another's, and what is nobody's."""
    for other in WORLD.tenants:
        thing = other.things[0]
        virtual = thing.virtual
        for group in ("/api/v1", METRICS):
            for namespace, name in ((thing.namespace, thing.name), (virtual[0], virtual[1]), (virtual[0], thing.name)):
                if not (other is tenant and namespace == virtual[0]):
                    yield f"{group}/namespaces/{namespace}/pods/{name}"
                    yield f"{group}/namespaces/{namespace}/pods"
            selector = quote(f"app={thing.labels['app']}")
            if other is not tenant:
                yield f"{group}/pods?labelSelector={selector}"
            yield f"{group}/pods?fieldSelector={quote(f'metadata.name={thing.name}')}"
    yield f"{METRICS}/pods?labelSelector={quote('vcluster.loft.sh/managed-by')}"
    for path in (
        "/",
        "/nothing",
        "/metrics/names",
        "/api/v1/nodes/other",
        "/api/v1/nodes/other/proxy/metrics",
        f"{METRICS}/nodes/other",
    ):
        yield path
    for node in NODES:
        for path in ("pods", "runningpods", "healthz", "metrics/slis", "configz", "metrics/../pods", "logs/"):
            yield f"/api/v1/nodes/{node}/proxy/{path}"
    yield from ("/api/v1/pods?labelSelector=a=", "/api/v1/pods?labelSelector=((", "/api/v1/pods?fieldSelector=spec.x=1")


def leaks(base: str, tenant: Tenant, *, seldom: bool = True) -> dict[str, set[str]]:
    """What a tenant finds of others, by path."""
    hidden, hits = secrets(tenant), {}
    paths = dict.fromkeys([*told(base), *(tried(tenant) if seldom else ())])
    for path in paths:
        for accept in (
            ("*/*", TABLE, OPENMETRICS, DISCOVERY) if path in ("/api", "/apis") or "pods" in path else ("*/*",)
        ):
            _, body = get(f"{base}{path}", Accept=accept)
            if words := found(body, hidden, path):
                hits[path] = words
    return hits


def shown(base: str, tenant: Tenant) -> set[str]:
    """What a tenant sees of its own."""
    seen: set[str] = set()
    for path in dict.fromkeys(told(base)):
        seen |= found(get(f"{base}{path}")[1], tenant.own)
    return seen


def lacking(base: str, tenant: Tenant, *, isolate: bool) -> set[str]:
    """What a tenant does not see although it is its own; series without names, which are not shown isolated, apart."""
    nameless = {thing.sandbox[:12] for thing in tenant.things} if isolate else set()
    return set(tenant.own - shown(base, tenant) - nameless)


def _of(tenant: Tenant) -> str:
    assert tenant.ref
    return f"{tenant.ref.host_namespace[:6]}/{tenant.ref.name}"


@pytest.mark.parametrize("tenant", TENANTS, ids=_of)
def test_nothing_of_others(tenant: Tenant, everything: tuple[Host, str, bool]) -> None:
    _, url, isolate = everything
    assert tenant.ref
    base = f"{url}/vclusters/{tenant.ref.path}"

    assert leaks(base, tenant) == {}
    # And everything of its own: a view that is empty leaks nothing either.
    assert lacking(base, tenant, isolate=isolate) == set()


def test_the_host_sees_it_all(everything: tuple[Host, str, bool]) -> None:
    """The words are there to be found: the same paths of the host's view hold nearly all of them."""
    host, url, _ = everything
    seen: set[str] = set()
    for path in told(url):
        seen |= found(get(f"{url}{path}")[1], EVERYTHING)
    raw = "".join(json.dumps(host.answer(path, {})[1]) for path in ("/api/v1/pods", "/api/v1/persistentvolumeclaims"))

    for tenant in WORLD.tenants:
        if tenant.ref:
            # The host's view has no annotations, in which the uids are that a pod has inside.
            assert {word for word in tenant.own - seen if word not in raw} == set()
        assert len(tenant.secrets & seen) > len(tenant.secrets) / 2


@pytest.mark.parametrize("tenant", TENANTS, ids=_of)
def test_a_tenants_service_discovery_leads_to_its_view_alone(
    tenant: Tenant, everything: tuple[Host, str, bool]
) -> None:
    _, url, _ = everything
    assert tenant.ref
    prefix = f"/vclusters/{tenant.ref.path}"
    endpoints = ",".join(KUBELET[1:])
    for query in ("", f"?endpoints={endpoints}"):
        text = get(f"{url}{prefix}/sd{query}")[1]
        targets = json.loads(text)
        assert len(targets) == len(nodes(f"{url}{prefix}")) * (4 if query else 3)
        assert found(text, secrets(tenant), prefix) == set()
        for target in targets:
            path = target["labels"]["__metrics_path__"]
            assert path.startswith(f"{prefix}/api/v1/nodes/")
            assert found(get(f"{url}{path}")[1], secrets(tenant)) == set()
    status, body = get(f"{url}{prefix}/sd?endpoints=names")
    assert (status, found(body, secrets(tenant))) == (400, set())


def test_the_hosts_service_discovery_leads_to_no_tenants_view(everything: tuple[Host, str, bool]) -> None:
    _, url, _ = everything
    paths = {target["labels"]["__metrics_path__"] for target in json.loads(get(f"{url}/sd")[1])}

    assert paths == {
        "/metrics",
        "/metrics/names",
        *(
            f"/api/v1/nodes/{node}/proxy/{endpoint}"
            for node in NODES
            for endpoint in KUBELET[1:]
            if "res" not in endpoint
        ),
    }


def test_names_are_right_and_are_the_hosts_alone(everything: tuple[Host, str, bool]) -> None:
    """Each pod and claim is named as what it is, those with forged labels not at all; and not in a tenant's view."""
    _, url, _ = everything
    text = get(f"{url}/metrics/names")[1].decode()
    claimed = ("vcluster_persistentvolumeclaim_info", "persistentvolumeclaim")
    for tenant in WORLD.tenants:
        for thing in tenant.things:
            for (family, label), host, virtual in (
                (("vcluster_pod_info", "pod"), thing.name, thing.virtual[1]),
                (claimed, thing.claim, thing.virtual[3]),
            ):
                given = f'{family}{{namespace="{thing.namespace}",{label}="{host}",'
                lines = [line for line in text.splitlines() if line.startswith(given)]
                if tenant.ref is None:
                    assert lines == []
                    continue
                assert len(lines) == 1, given
                names = (
                    f'vcluster_name="{tenant.ref.name}",vcluster_host_namespace="{tenant.ref.host_namespace}",'
                    f'vcluster_virtual_namespace="{thing.virtual[0]}",vcluster_virtual_{label}="{virtual}"}} 1'
                )
                assert lines[0].endswith(names)
        if tenant.ref:
            status, body = get(f"{url}/vclusters/{tenant.ref.path}/metrics/names")
            assert (status, found(body, secrets(tenant))) == (400, set())
    assert len(re.findall(r"(?m)^vcluster_pod_info\{", text)) == sum(len(t.things) for t in WORLD.tenants if t.ref)


@pytest.mark.parametrize("isolate", [False, True], ids=["plain", "isolated"])
@pytest.mark.parametrize("tenant", TENANTS, ids=_of)
def test_a_proxy_of_its_own(tenant: Tenant, isolate: bool) -> None:
    with proxied(tenant.ref, isolate=isolate) as (_, url):
        assert leaks(url, tenant, seldom=False) == {}
        assert lacking(url, tenant, isolate=isolate) == set()
        for path in ("/sd", "/sd?endpoints=proxy,metrics/resource", "/metrics", "/metrics/names", "/readyz"):
            assert found(get(f"{url}{path}")[1], secrets(tenant)) == set(), path


@pytest.mark.parametrize("isolate", [False, True], ids=["plain", "isolated"])
@pytest.mark.parametrize("index", range(7))
def test_with_the_rights_of_one_namespace(index: int, isolate: bool) -> None:
    """The control planes of one host namespace may be listed, and no others', nor Namespaces, nor claims."""
    listed = TENANTS[index]
    assert listed.ref
    with proxied(isolate=isolate, rights=listed.ref.host_namespace) as (_, url):
        for tenant in TENANTS:
            assert tenant.ref
            base = f"{url}/vclusters/{tenant.ref.path}"
            if tenant.ref.host_namespace != listed.ref.host_namespace:
                assert get(f"{base}{METRICS}/pods")[0] == 404
                continue
            assert leaks(base, tenant, seldom=tenant is listed) == {}
            assert {thing.virtual[2][:13] for thing in tenant.things} <= shown(base, tenant)


@pytest.mark.parametrize("code", [400, 403, 404, 500, 503])
def test_errors_of_the_host_name_nobody(code: int, unshared: tuple[Host, str, bool]) -> None:
    host, url, _ = unshared
    victim = WORLD.tenants[1].things[0]
    message = f"dial {victim.name} {victim.uid} of {victim.namespace}: refused by {victim.sandbox}"
    tenant = WORLD.tenants[0]
    assert tenant.ref
    base, home = f"{url}/vclusters/{tenant.ref.path}", tenant.ref.host_namespace
    paths = {f"/api/v1/nodes/node-1/proxy/{endpoint}": f"/api/v1/nodes/node-1/proxy/{endpoint}" for endpoint in KUBELET}
    paths |= {f"{METRICS}/pods": f"{METRICS}/namespaces/{home}/pods", "/api/v1/pods": f"/api/v1/namespaces/{home}/pods"}
    for path, asked in paths.items():
        host.failing[asked] = (code, message)
        try:
            status, body = get(f"{base}{path}")
        finally:
            host.failing.clear()
        assert status >= 400, path
        assert found(body, secrets(tenant)) == set(), path


# ------------------------------------------------------------------------------------------------ on the command line

COMMANDS = (
    "top pods --vcluster {} -o json",
    "top pods --vcluster {} -A",
    "top pods --vcluster {} --containers",
    "top namespaces --vcluster {}",
    "top nodes --vcluster {}",
    "top volumes --vcluster {} -o json",
    "raw /api/v1/nodes/node-1/proxy/metrics/cadvisor --vcluster {}",
    "raw /api/v1/nodes/node-1/proxy/stats/summary --vcluster {}",
    "raw /api/v1/nodes/node-1/proxy/stats/summary --vcluster {} --isolate",
    f"raw {METRICS}/pods --vcluster {{}}",
    "top pods fake --vcluster {}",
)


@pytest.mark.parametrize("rights", [False, True], ids=["all", "of one namespace"])
@pytest.mark.parametrize("tenant", TENANTS, ids=_of)
def test_commands(tenant: Tenant, rights: bool, tmp_path: Path) -> None:
    assert tenant.ref
    host = Host(WORLD, tenant.ref.host_namespace if rights else None)
    given = [f"--target-namespace={namespace}={ref.path}" for namespace, ref in WORLD.given]
    seen: set[str] = set()
    with demo_server.serving(host) as url:
        path = write_kubeconfig(tmp_path, url)
        for line in COMMANDS:
            result = invoke(*line.format(tenant.ref.path).split(), *given, kubeconfig=path)
            text = f"{result.stdout}\n{result.stderr}".encode()
            # Whoever asks has a host's kubeconfig, and gave the host namespace.
            known = f"{line.format(tenant.ref.path)} {' '.join(given)}"
            own = {thing.namespace for thing in tenant.things} if "json" in line else set()
            hits = found(text, secrets(tenant), known + " ".join(own))
            hosts = {word for thing in tenant.things for word in thing.hidden} if "json" in line else set()
            assert hits - hosts == set(), line
            seen |= found(text, tenant.own)
    if not rights:
        assert {word for thing in tenant.things for word in thing.own if word in thing.virtual[1]} <= seen


# --------------------------------------------------------------------------------------- that all this can fail at all


def _by_name_alone(self: Homes, namespace: str, name: str, *, at_home: bool = False) -> VClusterRef | None:
    """As it was once: the one of that name, wherever the labels are."""
    own = VClusterRef(namespace, name)
    named = sorted(item.ref for item in self.clusters if item.ref.name == name)
    return own if own in named or not named else named[0]


@contextlib.contextmanager
def _through(_: Any) -> Iterator[None]:
    yield


@pytest.mark.parametrize("sabotage", ["names", "machine", "words", "isolation of errors"])
def test_the_search_finds_what_is_there(sabotage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if sabotage == "names":
        monkeypatch.setattr(Homes, "__call__", _by_name_alone)
    elif sabotage == "machine":
        monkeypatch.setattr(machine, "harmless", lambda *_: True)
    else:
        monkeypatch.setattr(answers, "own_words", _through)
        monkeypatch.setattr(objects, "own_words", _through)
    tenant = WORLD.tenants[0]
    assert tenant.ref
    with proxied() as (host, url):
        base = f"{url}/vclusters/{tenant.ref.path}"
        if sabotage in ("names", "machine"):
            assert leaks(base, tenant, seldom=False) != {}
        else:
            asked = "/api/v1/nodes/node-1/proxy/metrics"
            host.failing[asked] = (404, WORLD.tenants[1].things[0].name)
            assert found(get(f"{base}{asked}")[1], secrets(tenant)) != set()
