"""Virtual clusters with private nodes: their own Metrics API, and control planes that attack who asks."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.controlplane import scrape
from kubectl_vmetrics.demo import private_nodes as demo
from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.changes import alter, refuse
from kubectl_vmetrics.demo.cluster import DemoVCluster, Shape, build
from kubectl_vmetrics.demo.exchange import User
from kubectl_vmetrics.demo.forward import Listener
from tests.conftest import Cli, Result, invoke, write_kubeconfig
from tests.controlplane.test_hostile import OK, Raw, Talk, body, raw_listeners, saying
from tests.hostile import gzipped

__all__ = ["raw_listeners"]
START = 1_700_000_000.0
EDGE = DemoVCluster("team-edge", "edge", private=True)
MASTERS = User("admin", ("system:masters",))


def cluster(private: int = 1) -> Apiserver:
    return Apiserver(build(Shape(pods=12, vclusters=1, machines=0, tenants=0, private=private)), clock=lambda: START)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Apiserver, str]]:
    apiserver = cluster()
    with server.serving(apiserver) as url:
        yield apiserver, url


@pytest.fixture
def host(served: tuple[Apiserver, str]) -> Iterator[Apiserver]:
    yield served[0]
    served[0].change = None


@pytest.fixture
def run(served: tuple[Apiserver, str], tmp_path: Path) -> Cli:
    path = write_kubeconfig(tmp_path, served[1])
    return lambda *args, **more: invoke(*args, kubeconfig=path, **more)


def lines(result: Result) -> list[str]:
    return [re.sub(r" {3,}", "  ", line.rstrip()) for line in result.stdout.splitlines()]


def listed(host: Apiserver, path: str = "pods") -> Any:
    """What the tenant's apiserver answers, asked directly."""
    found = demo.answer(host.world, EDGE, f"{demo.GROUP}/{path}", MASTERS)
    assert found is not None
    assert found[0] == 200
    return json.loads(found[1])


def numbers(items: list[Any]) -> tuple[int, int]:
    """Millicores, rounded up, and MiB, computed from the quantities as they stand."""
    cpu = sum(int(c["usage"]["cpu"].removesuffix("n")) for item in items for c in item["containers"])
    memory = sum(int(c["usage"]["memory"].removesuffix("Ki")) for item in items for c in item["containers"])
    return -(-cpu // 1_000_000), memory // 1024


def test_without_the_flag_the_row_says_what_is_missing(run: Cli) -> None:
    result = run("top", "vclusters")

    assert result.code == 0
    [row] = [line for line in lines(result) if "edge" in line]
    assert row.startswith("team-edge  edge  Running  0.37.0  -  <unknown>  -  <unknown>  -  ")
    assert row.endswith("  private nodes")
    assert result.stderr == (
        "Warning: team-edge/edge has private nodes, whose pods are not on the host: add --private-nodes to read their "
        "own Metrics API\n"
    )


def test_with_the_flag_the_numbers_are_the_tenants_own(host: Apiserver, run: Cli) -> None:
    items = listed(host)["items"]
    cpu, memory = numbers(items)

    result = run("top", "vclusters", "--private-nodes")

    assert (result.code, result.stderr) == (0, "")
    shown = lines(result)
    assert shown[0].endswith("  SOURCE")
    [row] = [line for line in shown if "edge" in line]
    assert row.startswith(f"team-edge  edge  Running  0.37.0  {len(items)}  {cpu}m  -  {memory}Mi  -  ")
    assert [line.rpartition("  ")[2] for line in shown[1:]] == ["host", "tenant", "host"]


def test_the_other_rows_are_those_of_a_host_without(run: Cli, tmp_path: Path) -> None:
    apiserver = cluster(private=0)
    with server.serving(apiserver) as url:
        path = tmp_path / "other"
        path.mkdir()
        expected = lines(invoke("top", "vclusters", kubeconfig=write_kubeconfig(path, url)))

    found = [line.removesuffix("  host") for line in lines(run("top", "vclusters", "--private-nodes"))]
    assert [line for line in found if "shop" in line] == [line for line in expected if "shop" in line]


def test_documents(host: Apiserver, run: Cli) -> None:
    def edge(*flags: str) -> Any:
        items = json.loads(run("top", "vclusters", "-o", "json", *flags).stdout)["items"]
        return next(item for item in items if item["metadata"]["name"] == "edge")

    plain, asked = edge(), edge("--private-nodes")

    assert (plain["privateNodes"], plain.keys() & {"pods", "usage", "source"}) == (True, set())
    assert (asked["privateNodes"], asked["source"], asked["pods"]) == (True, "tenant", len(listed(host)["items"]))


def test_pods_as_kubectl_prints_them_inside(host: Apiserver, run: Cli) -> None:
    expected = ["NAMESPACE  NAME  CPU(cores)  MEMORY(bytes)"]
    for item in sorted(
        listed(host)["items"], key=lambda item: (item["metadata"]["namespace"], item["metadata"]["name"])
    ):
        cpu, memory = numbers([item])
        expected.append(f"{item['metadata']['namespace']}  {item['metadata']['name']}  {cpu}m  {memory}Mi")

    result = run("top", "pods", "--vcluster", "edge", "--private-nodes")

    assert (result.code, result.stderr) == (0, "")
    assert lines(result) == expected


def test_selectors_and_names_are_the_tenants(host: Apiserver, run: Cli) -> None:
    inside = ("top", "pods", "--vcluster", "edge", "--private-nodes", "-n", "edge")
    names = [
        item["metadata"]["name"] for item in listed(host)["items"] if item["metadata"]["labels"]["app"] == "gateway"
    ]

    assert [line.split("  ")[0] for line in lines(run(*inside, "-l", "app=gateway"))[1:]] == sorted(names)
    assert [line.split("  ")[0] for line in lines(run(*inside, names[0]))[1:]] == names[:1]
    assert run(*inside, "nope") == (1, "", 'Error from server (NotFound): pods "nope" not found\n')
    assert run(*inside[:-1], "nowhere") == (0, "", "No resources found in nowhere namespace.\n")


def test_pods_for_programs(host: Apiserver, run: Cli) -> None:
    """They have no names on the host."""
    inside = ("top", "pods", "--vcluster", "edge", "--private-nodes", "-n", "edge")
    items = json.loads(run(*inside, "-o", "json").stdout)["items"]
    rows = run(*inside, "-o", "csv").stdout.splitlines()

    theirs = listed(host, "namespaces/edge/pods")["items"]
    assert [item["containers"] for item in items] == [item["containers"] for item in theirs]
    assert {(item["source"], item["vcluster"]["hostNamespace"], "host" in item) for item in items} == {
        ("tenant", "team-edge", False)
    }
    assert [row.split(",")[:6] for row in rows[1:]] == [
        ["", "", "team-edge", "edge", "edge", item["metadata"]["name"]] for item in theirs
    ]


def test_without_the_flag_an_empty_answer_says_why(run: Cli) -> None:
    assert run("top", "pods", "--vcluster", "edge") == (
        0,
        "",
        "No resources found\nvirtual cluster team-edge/edge has private nodes, whose pods are not on the host: add "
        "--private-nodes to read its own Metrics API\n",
    )


@pytest.mark.parametrize(
    ("image", "config", "private"),
    [
        ("ghcr.io/loft-sh/kubernetes:v1.34.1-full", "", True),
        ("ghcr.io/loft-sh/kubernetes:v1.34.1-full@sha256:0123", "", True),
        ("ghcr.io/loft-sh/kubernetes:v1.34.1", "privateNodes: {enabled: true}", True),
        ("ghcr.io/loft-sh/kubernetes:v1.34.1", "privateNodes: {enabled: false}", False),
        ("ghcr.io/loft-sh/kubernetes:v1.34.1", "x: {privateNodes: {enabled: true}}", False),
        ("ghcr.io/loft-sh/kubernetes:v1.34.1", "", False),
    ],
)
def test_how_they_are_recognized(image: str, config: str, private: bool, host: Apiserver, run: Cli) -> None:
    import base64

    def edit(answer: Any) -> None:
        for item in answer["items"]:
            if item["metadata"]["name"] == "edge":
                item["spec"]["template"]["spec"]["initContainers"][0]["image"] = image

    def secret(answer: Any) -> None:
        answer["data"]["config.yaml"] = base64.b64encode(config.encode()).decode()

    from kubectl_vmetrics.demo.changes import together

    host.change = together(
        alter("/apis/apps/v1/statefulsets", edit),
        alter("/api/v1/namespaces/team-edge/secrets/vc-config-edge", secret),
    )

    [row] = [line for line in lines(run("top", "vclusters")) if "edge" in line]

    assert row.endswith("  private nodes") == private


# ------------------------------------------------------------------------------------------------- what can go wrong


@pytest.mark.parametrize(
    ("path", "verb", "said"),
    [
        ("/api/v1/namespaces/team-edge/secrets/vc-edge", "get", "you are not allowed to read Secret vc-edge; grant: "),
        ("/api/v1/namespaces/team-edge/pods/edge-0/portforward", "get", "pods/portforward"),
    ],
)
def test_a_missing_right_costs_its_row(path: str, verb: str, said: str, host: Apiserver, run: Cli) -> None:
    what = path.split("/")[5]
    host.change = refuse(
        path, 403, "Forbidden", f'{what}/{path.rsplit("/", maxsplit=1)[-1]} is forbidden: User "u" cannot {verb}'
    )

    result = run("top", "vclusters", "--private-nodes")

    assert result.code == 1
    assert [line.rpartition("  ")[2] for line in lines(result)[1:]] == ["host", "private nodes", "host"]
    assert result.stderr.startswith("Warning: team-edge/edge was not read: ")
    assert said in result.stderr


PODS = b'{"items":[%s]}'
ITEM = b'{"metadata":{"name":"%s","namespace":"a"},"containers":[{"name":"c","usage":{"cpu":"%s","memory":"%s"}}]}'
GIVEN_UP = "while others answered"
ATTACKS: dict[str, tuple[Talk, str | None]] = {
    "a bomb": (saying(body(gzipped(b"[", 1 << 28), b"Content-Encoding: gzip\r\n")), "more than 8 MiB"),
    "millions of objects": (saying(body(PODS % (b"{}," * 1_000_000))), "150,000 objects"),
    "endless digits": (saying(body(b'{"items":[%s]}' % (b"9" * 100_000))), "digits"),
    "nested": (saying(body(b'{"items":' + b"[" * 100_000)), None),
    "no JSON": (saying(body(b"<html>")), "is not JSON"),
    "a redirect": (
        saying(b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"),
        "status code 302",
    ),
    "an error that paints": (
        saying(
            b"HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nContent-Length: 92\r\n\r\n"
            + b'{"kind":"Status","status":"Failure","message":"\\u001b[31mred\\nnew line","code":500,"x":"   "}'[:92]
        ),
        "",
    ),
    "a body byte by byte": (saying(OK + b"\r\n", again=b"a", pause=0.05), None),
    "silence": (lambda stream: time.sleep(30), None),
    "no HTTP": (saying(b"SSH-2.0-x\r\n"), "was lost"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_its_own_row(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw_listeners: None
) -> None:
    monkeypatch.setattr("kubectl_vmetrics.controlplane.tenants.LIMIT", 3.0)
    talk, said = ATTACKS[name]
    apiserver = cluster(private=2)
    usual = apiserver._listeners

    def of(namespace: str, pod: str) -> Any:
        found = usual(namespace, pod)
        if namespace == "team-edge":
            return {port: Listener(item.tls, Raw(talk)) for port, item in found.items()}
        return found

    apiserver._listeners = of  # type: ignore[method-assign]
    with server.serving(apiserver) as url:
        started = time.monotonic()
        result = invoke("top", "vclusters", "--private-nodes", kubeconfig=write_kubeconfig(tmp_path, url))
        assert time.monotonic() - started < scrape.LIMIT

    assert result.code == 1
    shown = {tuple(line.split("  ")[:2]): line for line in lines(result)[1:]}
    assert shown["team-edge", "edge"].endswith("private nodes")
    assert shown["team-edge-1", "edge"].endswith("tenant")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("Warning: team-edge/edge was not read: ")
    assert "\x1b" not in result.stderr
    if said is not None:
        assert said in result.stderr


@pytest.mark.parametrize(
    ("items", "shown", "skipped"),
    [
        ([ITEM % (b"a", b"1", b"1Mi")], ("1", "1000m", "1Mi"), 0),
        ([ITEM % (b"a", b"1e9999", b"1Mi"), ITEM % (b"b", b"5m", b"1Mi")], ("1", "5m", "1Mi"), 1),
        ([ITEM % (b"a", b"-5", b"x"), ITEM % (b"b", b"5m", b"1Mi")], ("1", "5m", "1Mi"), 1),
        ([ITEM % (b"a", b"-5", b"1Mi"), ITEM % (b"b", b"5m", b"1Mi")], ("1", "5m", "1Mi"), 1),
        ([ITEM % (b"a", b"1", b"9E"), ITEM % (b"b", b"5m", b"1Mi")], ("1", "5m", "1Mi"), 1),
        ([b"17", ITEM % (b"b", b"5m", b"1Mi")], ("1", "5m", "1Mi"), 1),
        ([], ("0", "0m", "0Mi"), 0),
    ],
)
def test_numbers_of_a_tenant(
    items: list[bytes], shown: tuple[str, str, str], skipped: int, tmp_path: Path, raw_listeners: None
) -> None:
    apiserver = cluster()
    usual = apiserver._listeners

    def of(namespace: str, pod: str) -> Any:
        found = usual(namespace, pod)
        talk = saying(body(PODS % b",".join(items), b"Connection: close\r\n"))
        return {p: Listener(x.tls, Raw(talk)) for p, x in found.items()} if namespace == "team-edge" else found

    apiserver._listeners = of  # type: ignore[method-assign]
    with server.serving(apiserver) as url:
        result = invoke("top", "vclusters", "edge", "--private-nodes", kubeconfig=write_kubeconfig(tmp_path, url))

    row = lines(result)[1].split("  ")
    assert (row[4], row[5], row[7]) == shown
    assert result.code == (1 if skipped else 0)
    assert (f"error: {skipped} item" in result.stderr) == bool(skipped)


def test_a_tenant_without_metrics_server(run: Cli, host: Apiserver) -> None:
    result = run("top", "pods", "--vcluster", "shop", "--private-nodes")

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr == (
        "error: team-a/shop was not read: it serves no Metrics API: install metrics-server in it\n"
    )


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (
            ["top", "pods", "--private-nodes"],
            "error: --private-nodes requires --vcluster; `top vclusters --private-nodes` shows all\n",
        ),
        (
            ["top", "pods", "--vcluster", "edge", "--private-nodes", "--source=kubelet"],
            "error: --private-nodes and --source cannot be used together\n",
        ),
        (
            ["top", "pods", "--vcluster", "edge", "--private-nodes", "--pressure"],
            "error: --private-nodes and --pressure cannot be used together\n",
        ),
        (
            ["top", "vclusters", "--private-nodes", "--source=prometheus"],
            "error: --private-nodes and --source=prometheus cannot be used together\n",
        ),
    ],
)
def test_bad_input(args: list[str], stderr: str, run: Cli) -> None:
    assert run(*args) == (1, "", stderr)
