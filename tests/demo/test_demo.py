"""The demo cluster: checked against the recordings for shape, and for what it promises."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import Any

import pytest

from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.vcluster import naming
from tests.conftest import Cli, invoke
from tests.demo.asking import Clock, answer, ask
from tests.replay import RECORDINGS

PODS = "/apis/metrics.k8s.io/v1beta1/pods"


def shape_of(value: Any) -> Any:
    """The keys of a document, one element of each list, no values."""
    if isinstance(value, dict):
        return {key: shape_of(item) for key, item in value.items()}
    return [shape_of(value[0])] if isinstance(value, list) and value else type(value).__name__


@pytest.mark.parametrize(
    ("path", "recording"),
    [
        (PODS, "apis-metrics.k8s.io-v1beta1-pods.json"),
        ("/apis/metrics.k8s.io/v1beta1/nodes", "apis-metrics.k8s.io-v1beta1-nodes.json"),
        ("/apis/metrics.k8s.io/v1beta1", "apis-metrics.k8s.io-v1beta1.json"),
        ("/apis/metrics.k8s.io", "apis-metrics.k8s.io.json"),
    ],
)
def test_metrics_have_the_shape_of_a_real_servers(path: str, recording: str) -> None:
    recorded = json.loads((RECORDINGS / "host" / recording).read_text())
    found = answer(Apiserver(build(Shape())), path)

    if "items" in recorded:
        labels = (recorded["items"][0]["metadata"].pop("labels"), found["items"][0]["metadata"].pop("labels"))
        assert all(isinstance(value, str) for item in labels for value in item.values())
    assert shape_of(found) == shape_of(recorded)


def test_synced_pods_carry_what_a_real_syncer_writes() -> None:
    recorded = json.loads(
        (RECORDINGS / "host" / "api-v1-pods-labelSelector-vcluster.loft.sh-2Fmanaged-by.json").read_text()
    )["items"][0]
    found = answer(Apiserver(build(Shape())), "/api/v1/pods", f"labelSelector={naming.MANAGED_BY}&limit=1")["items"][0]

    def keys(item: Any) -> set[str]:
        return {
            key for key in item["metadata"]["annotations"] if key.startswith("vcluster.loft.sh/") and "token" not in key
        }

    assert keys(found) <= keys(recorded)
    assert keys(recorded) - keys(found) <= {
        "vcluster.loft.sh/owner-references",
        "vcluster.loft.sh/owner-set-kind",
    }
    assert naming.NAMESPACE in found["metadata"]["labels"]


def test_what_it_holds() -> None:
    cluster = build(Shape())

    assert len(cluster.nodes) == 3
    assert len(cluster.pods) == 40
    assert [v.name for v in cluster.vclusters] == ["shop", "dev", "dev"]
    origins = Counter(pod.origin.vcluster for pod in cluster.pods if pod.origin)
    assert set(origins) == {"shop", "dev"}
    hashed = [
        pod
        for pod in cluster.pods
        if pod.origin and naming.virtual_name(pod.name, pod.origin.namespace, pod.origin.vcluster) is None
    ]
    assert {pod.namespace for pod in hashed} == {"team-a"}
    assert [pod for pod in cluster.pods if not pod.origin and pod.namespace == "kube-system"]


@pytest.mark.parametrize("shape", [Shape(1, 0, 0), Shape(2, 1, 3), Shape(5, 500, 0), Shape(50, 3000, 12)])
def test_any_size(shape: Shape) -> None:
    cluster = build(shape)

    assert len(cluster.nodes) == shape.nodes
    assert len(cluster.pods) == max(shape.pods, len(cluster.vclusters))
    assert len({(pod.namespace, pod.name) for pod in cluster.pods}) == len(cluster.pods)
    assert [(pod.namespace, pod.name) for pod in cluster.pods] == sorted(
        (pod.namespace, pod.name) for pod in cluster.pods
    )


def test_the_same_seed_gives_the_same_cluster_and_numbers() -> None:
    clock = Clock()

    def body(seed: int) -> bytes:
        return ask(Apiserver(build(Shape(seed=seed)), clock), PODS)[2]

    assert body(1) == body(1)
    assert body(1) != body(2)


def test_numbers_evolve_by_window() -> None:
    clock = Clock()
    server = Apiserver(build(Shape()), clock)
    first = ask(server, PODS)[2]
    clock.now += 14
    assert ask(server, PODS)[2] == first
    clock.now += 2
    assert ask(server, PODS)[2] != first


def test_large_answers_are_compressed_as_an_apiserver_does() -> None:
    server = Apiserver(build(Shape(pods=1000)), Clock())

    _, headers, body = ask(server, PODS, ACCEPT_ENCODING="gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == ask(server, PODS)[2]
    assert "Content-Encoding" not in ask(server, PODS, ACCEPT_ENCODING="gzip;q=1.0")[1]
    assert "Content-Encoding" not in ask(server, f"{PODS}/", "labelSelector=app%3Dgrafana", ACCEPT_ENCODING="gzip")[1]


def test_pages() -> None:
    server = Apiserver(build(Shape(pods=24, machines=0, tenants=0)))  # and two that always run
    first = answer(server, "/api/v1/pods", "limit=10")
    assert (len(first["items"]), first["metadata"]["remainingItemCount"]) == (10, 16)
    second = answer(server, "/api/v1/pods", f"limit=20&continue={first['metadata']['continue']}")
    assert (len(second["items"]), second["metadata"].get("continue")) == (16, None)


def test_metadata_alone() -> None:
    server = Apiserver(build(Shape()))
    found = answer(server, "/api/v1/pods", accept="application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
    assert found["kind"] == "PartialObjectMetadataList"
    assert set(found["items"][0]) == {"kind", "apiVersion", "metadata"}


@pytest.mark.parametrize(
    ("path", "query", "status", "message"),
    [
        ("/api/v1/namespaces/team-a/pods/nope", "", "404 Not Found", 'pods "nope" not found'),
        ("/api/v1/nodes/nope", "", "404 Not Found", 'nodes "nope" not found'),
        ("/apis/metrics.k8s.io/v1beta1/nodes/nope", "", "404 Not Found", 'node "nope" not found'),
        (
            PODS,
            "labelSelector=a%20in%20(",
            "400 Bad Request",
            "unable to parse requirement: found '', expected: ',', ')' or identifier",
        ),
        (
            PODS,
            "fieldSelector=spec.nodeName%3Da",
            "400 Bad Request",
            '"spec.nodeName" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("/api/v1/pods", "continue=zzz", "400 Bad Request", "continue key is not valid"),
    ],
)
def test_refusals(path: str, query: str, status: str, message: str) -> None:
    found, _, body = ask(Apiserver(build(Shape())), path, query)

    assert (found, json.loads(body)["message"]) == (status, message)


def test_other_paths_and_verbs() -> None:
    server = Apiserver(build(Shape()))

    assert ask(server, "/nope")[0] == "404 Not Found"
    assert ask(server, "/api/v1/namespaces/a/nodes")[0] == "404 Not Found"
    assert ask(server, "/api/v1/pods", REQUEST_METHOD="POST")[0] == "405 Method Not Allowed"
    assert ask(server, "/healthz")[2] == b"ok"


def test_one_command() -> None:
    result = invoke("demo", "top", "pods", "--vcluster", "shop", "-n", "shop", "--no-headers")

    assert result.code == 0, result.stderr
    assert [line.split()[0].rsplit("-", 2)[0] for line in result.stdout.splitlines()] == [
        "cart",
        "orders",
        "recommendations-for-the-landing-page",
    ]


def test_flags_of_the_command_are_the_commands() -> None:
    assert invoke("demo", "--seed", "3", "top", "pods", "-A", "-n", "x", "--sort-by=cpu", "-o", "csv").code == 0
    assert invoke("demo", "top", "pods", "--nope").stderr.startswith("error: unknown flag: --nope")


def test_a_flag_without_its_argument_does_not_take_the_demos_own() -> None:
    assert invoke("demo", "top", "pods", "--source").stderr.startswith("error: flag needs an argument: --source\n")


def test_the_exit_code_is_the_commands() -> None:
    assert invoke("demo", "top", "pods", "nope") == (1, "", 'Error from server (NotFound): pods "nope" not found\n')


def test_a_port_that_is_taken() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert (
            invoke("demo", "--port", str(port)).stderr
            == f"error: port {port} is in use: choose another with --port, or 0 for any free port\n"
        )


def test_both_virtual_clusters_of_one_name(on_demo: Cli) -> None:
    assert on_demo("top", "pods", "--vcluster", "dev").stderr == (
        'error: there are several virtual clusters "dev": specify one with --vcluster team-b/dev or team-c/dev\n'
    )
    one, other = (
        on_demo("top", "pods", "--vcluster", name, "--no-headers").stdout for name in ("team-b/dev", "team-c/dev")
    )
    assert one.count("\n") == other.count("\n") > 5
    assert one != other


def test_every_row_is_resolved(on_demo: Cli) -> None:
    result = on_demo("top", "pods", "-A", "-o", "json")

    pods = {(p.namespace, p.name): p for p in Apiserver(build(Shape())).world.pods}
    items = json.loads(result.stdout)["items"]
    assert len(items) == len(pods)
    left = []
    for item in items:
        origin = pods[item["metadata"]["namespace"], item["metadata"]["name"]].origin
        if "name" in item.get("virtual", {}):
            assert origin is not None
            assert (item["vcluster"]["name"], item["virtual"]["namespace"], item["virtual"]["name"]) == origin[:3]
        else:
            assert origin is None
            left += [item["metadata"]["name"]] if item.get("unresolved") else []
    # A machine of a tenant runs in a pod that only the host has, which is nothing to warn of.
    assert left == ["virt-launcher-build-x-batch-x-shop-f3c7b"]
    assert result.stderr == ""
