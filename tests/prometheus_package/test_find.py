"""Which Services lead to a Prometheus, and how it is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.demo.exchange import Refusal, Reply, Request
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.prometheus.find import Candidate, find
from kubectl_vmetrics.prometheus.known import KNOWN, OPT_IN, recognized

WEB = {"name": "web", "port": 9090}
STACK = {"app": "kube-prometheus-stack-prometheus"}
OPERATED = {"operated-prometheus": "true"}


def service(name: str, labels: dict[str, str], *ports: dict[str, Any], namespace: str = "mon", **spec: Any) -> Any:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"ports": list(ports or [WEB]), **spec},
    }


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Apiserver, Client]]:
    apiserver = Apiserver(build(Shape(nodes=1, pods=3, vclusters=0, machines=0, tenants=0)))
    with server.serving(apiserver) as url:
        yield apiserver, Client(Connection(server=url))


Find = Callable[..., list[Candidate]]


@pytest.fixture
def look(served: tuple[Apiserver, Client]) -> Iterator[Find]:
    """Candidates among these Services; `objects` are Prometheus objects, or why they cannot be listed."""

    def run(*services: Any, objects: list[Any] | Refusal | None = None, labels: str | None = None) -> list[Candidate]:
        def change(request: Request, answer: Callable[[Request], Reply]) -> Reply:
            if request.path == "/api/v1/services":
                assert request.query.get("labelSelector") == labels
                return Reply(200, json.dumps({"items": list(services)}).encode())
            if request.path.endswith("/prometheuses"):
                if isinstance(objects, Refusal):
                    raise objects
                return Reply(200, json.dumps({"items": objects or []}).encode())
            return answer(request)

        served[0].change = change
        return find(served[1], labels=labels)

    yield run
    served[0].change = None


def test_the_demos_own(served: tuple[Apiserver, Client]) -> None:
    assert find(served[1]) == [Candidate("monitoring", "prometheus-k8s", "Prometheus", "http", 9090)]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (service("a", STACK), ("Prometheus", "http", 9090, "", {})),
        (
            service(
                "a", {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "server"}, {"port": 80}
            ),
            ("Prometheus", "http", 80, "", {}),
        ),
        (
            service("a", {"app.kubernetes.io/name": "vmselect"}, {"name": "http", "port": 8481}),
            ("VictoriaMetrics", "http", 8481, "/select/0/prometheus", {}),
        ),
        (
            service("a", {"app.kubernetes.io/name": "vmsingle"}, {"port": 8429}),
            ("VictoriaMetrics", "http", 8429, "", {}),
        ),
        (
            service("a", {"app": "thanos-query"}, {"name": "grpc", "port": 10901}, {"name": "http", "port": 9090}),
            ("Thanos", "http", 9090, "", {}),
        ),
        (
            service(
                "a",
                {"app.kubernetes.io/name": "mimir", "app.kubernetes.io/component": "query-frontend"},
                {"port": 8080},
            ),
            ("Mimir", "http", 8080, "/prometheus", {"X-Scope-OrgID": "anonymous"}),
        ),
        # OpenShift's, which takes TLS under a name that does not say so.
        (
            service(
                "a",
                {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "prometheus"},
                {"name": "web", "port": 9091},
                {"name": "metrics", "port": 9092},
            ),
            ("Prometheus", "https", 9091, "", {}),
        ),
        (service("a", STACK, {"name": "https-web", "port": 9443}), ("Prometheus", "https", 9443, "", {})),
        (
            service("a", STACK, {"name": "x", "port": 1}, {"name": "y", "port": 8080}),
            ("Prometheus", "http", 8080, "", {}),
        ),
        (service("a", STACK, {"name": "x", "port": 7}, {"name": "y", "port": 8}), ("Prometheus", "http", 7, "", {})),
        (
            service("a", STACK, {"name": "dns", "port": 9090, "protocol": "UDP"}, {"name": "y", "port": 8}),
            ("Prometheus", "http", 8, "", {}),
        ),
        # Chosen by the label: whatever it is, and by which port.
        (service("a", {OPT_IN: "true"}), ("Prometheus", "http", 9090, "", {})),
        (service("a", {OPT_IN: ""}, {"port": 5}), ("Prometheus", "http", 5, "", {})),
        (service("a", {OPT_IN: "9999"}, WEB, {"name": "x", "port": 9999}), ("Prometheus", "http", 9999, "", {})),
        (service("a", {OPT_IN: "api"}, WEB, {"name": "api", "port": 443}), ("Prometheus", "https", 443, "", {})),
        (
            service("a", {OPT_IN: "api", "app": "thanos-query"}, WEB, {"name": "api", "port": 1}),
            ("Thanos", "http", 1, "", {}),
        ),
    ],
)
def test_how_each_is_asked(found: Any, expected: tuple[str, str, int, str, dict[str, str]], look: Find) -> None:
    kind, scheme, port, prefix, headers = expected
    chosen = OPT_IN in found["metadata"]["labels"]
    assert look(found) == [Candidate("mon", "a", kind, scheme, port, prefix, headers, chosen)]


@pytest.mark.parametrize(
    "found",
    [
        service("a", {}),
        service("a", {"app": "prometheus"}),  # an exporter, an operator, a pushgateway
        service("a", {"app": "prometheus", "component": "alertmanager"}),
        service("a", {**STACK, OPT_IN: "false"}),
        service("a", STACK, {"port": 53, "protocol": "UDP"}),
        service("a", STACK, type="ExternalName", externalName="metadata.internal"),
        {"metadata": {"name": "a", "namespace": "mon", "labels": STACK}, "spec": {}},
        {"metadata": {"name": "a", "namespace": "mon"}},
    ],
)
def test_what_is_none(found: Any, look: Find) -> None:
    assert look(found) == []


@pytest.mark.parametrize("known", KNOWN)
def test_every_kind_is_recognized_among_other_labels(known: Any) -> None:
    found = recognized({**known.labels, "helm.sh/chart": "x"})
    assert found is not None
    assert found.kind == known.kind
    for key in known.labels:
        assert recognized({k: v for k, v in known.labels.items() if k != key}) in (None, *KNOWN)


def test_in_order_of_preference(look: Find) -> None:
    found = look(
        service("querier", {"app": "thanos-query"}),
        service("b", STACK, namespace="two"),
        service("mine", {OPT_IN: "true"}, namespace="a"),
        service("a", STACK, namespace="two"),
        service("single", {"app.kubernetes.io/name": "vmsingle"}, namespace="a"),
        service("z", STACK, namespace="one"),
    )
    assert [item.path for item in found] == ["one/z", "two/a", "two/b", "a/single", "mon/querier", "a/mine"]


def test_the_operators_own_service_counts_where_there_is_no_other(look: Find) -> None:
    operated = [service("prometheus-operated", OPERATED, namespace=space) for space in ("mon", "apps")]
    assert [item.path for item in look(*operated)] == ["apps/prometheus-operated", "mon/prometheus-operated"]
    assert [item.path for item in look(*operated, service("k8s", STACK))] == ["mon/k8s", "apps/prometheus-operated"]
    querier = service("querier", {"app": "thanos-query"})
    assert [item.path for item in look(*operated[:1], querier)] == ["mon/querier", "mon/prometheus-operated"]


def prometheus(name: str, prefix: str | None, namespace: str = "mon") -> Any:
    spec = {} if prefix is None else {"routePrefix": prefix}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


@pytest.mark.parametrize(
    ("selector", "objects", "prefix"),
    [
        ({}, [prometheus("k8s", "/prom")], "/prom"),
        ({}, [prometheus("k8s", "/a/b/")], "/a/b"),
        ({}, [prometheus("k8s", "/")], ""),
        ({}, [prometheus("k8s", None)], ""),
        ({}, [prometheus("k8s", "/prom", "elsewhere")], ""),
        ({"prometheus": "two"}, [prometheus("one", "/1"), prometheus("two", "/2")], "/2"),
        ({"operator.prometheus.io/name": "two"}, [prometheus("one", "/1"), prometheus("two", "/2")], "/2"),
        ({"app.kubernetes.io/instance": "one"}, [prometheus("one", "/1"), prometheus("two", "/2")], "/1"),
        ({"prometheus": "three"}, [prometheus("one", "/1"), prometheus("two", "/2")], ""),
        (None, [prometheus("one", "/1"), prometheus("two", "/2")], ""),
        ({}, Refusal(403, "Forbidden", "prometheuses is forbidden"), ""),
        ({}, Refusal(404, "NotFound", "the server could not find the requested resource"), ""),
    ],
)
def test_the_prefix_is_that_of_the_prometheus_object(selector: Any, objects: Any, prefix: str, look: Find) -> None:
    (found,) = look(service("a", STACK, selector=selector), objects=objects)
    assert found.prefix == prefix


def test_a_selector_leaves_out_what_others_write(look: Find) -> None:
    assert look(service("a", STACK), labels="!synced") == [Candidate("mon", "a", "Prometheus", "http", 9090)]


def test_without_the_right_to_list_services(served: tuple[Apiserver, Client]) -> None:
    from kubectl_vmetrics.demo.changes import refuse

    served[0].change = refuse("/api/v1/services", 403, "Forbidden", "services is forbidden")
    try:
        with pytest.raises(Forbidden, match="services is forbidden"):
            find(served[1])
    finally:
        served[0].change = None


@pytest.mark.parametrize("number", [9090, 8428, 8429, 8481, 9009, 10902, 8080, 80, 443])
def test_without_a_name_the_port_is_known_by_its_number(number: int, look: Find) -> None:
    (found,) = look(service("a", STACK, {"name": "x", "port": 1}, {"name": "y", "port": number}))
    assert (found.scheme, found.port) == ("https" if number == 443 else "http", number)


@pytest.mark.parametrize(("number", "scheme"), [(443, "https"), (8443, "https"), (9091, "https"), (9090, "http")])
def test_ports_that_take_tls(number: int, scheme: str, look: Find) -> None:
    assert look(service("a", STACK, {"port": number}))[0].scheme == scheme
