"""`raw`, `top volumes` and --source: what is read from the kubelets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.demo.exchange import Refusal, Reply
from tests.conftest import Cli, Scripted, invoke, write_kubeconfig
from tests.replay import RECORDINGS, Replay

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
NODE = "/api/v1/nodes/vm/proxy"


def recorded(folder: str, name: str) -> str:
    return (RECORDINGS / folder / name).read_text()


# --------------------------------------------------------------------------------------------------------- raw


@pytest.mark.parametrize("endpoint", ["metrics/resource", "metrics/probes"])
def test_raw_from_inside_is_what_the_virtual_cluster_answers(endpoint: str, on_host: Cli) -> None:
    found = on_host("raw", f"{NODE}/{endpoint}", "--vcluster", "vc1").stdout
    theirs = recorded("vc1", f"api-v1-nodes-vm-proxy-{endpoint.replace('/', '-')}.txt")

    def series(text: str) -> set[str]:
        # Up to the pod's uid, which is the host's in upstream's answer; values are compared with the rewriting itself.
        return {line.partition(",pod_uid")[0].rpartition("}")[0] for line in text.splitlines() if 'pod="' in line}

    assert series(found) == series(theirs)


def test_raw_of_the_host_is_kubectl_get_raw_with_labels_added(on_host: Cli) -> None:
    import re

    result = on_host("raw", f"{NODE}/metrics/cadvisor")

    assert re.sub(r',vcluster_[a-z_]+="[^"]*"', "", result.stdout) == recorded(
        "host", "api-v1-nodes-vm-proxy-metrics-cadvisor.txt"
    )
    assert 'vcluster_virtual_pod="cart-785676477c-69n6q"' in result.stdout
    assert (result.code, result.stderr) == (0, "")


def test_raw_isolated(on_host: Cli) -> None:
    document = json.loads(on_host("raw", f"{NODE}/stats/summary", "--vcluster", "vc1", "--isolate").stdout)

    assert "node" not in document
    assert {pod["podRef"]["namespace"] for pod in document["pods"]} == {"default", "shop"}


METRICS = "/apis/metrics.k8s.io/v1beta1"


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (f"{METRICS}/pods", 5),
        (f"{METRICS}/namespaces/shop/pods", 4),
        (f"{METRICS}/namespaces/team-a/pods", 0),
        (f"{METRICS}/pods?labelSelector=app%20in%20(cart)", 2),
        (f"{METRICS}/pods?labelSelector=release%3Dblue", 1),
        (f"{METRICS}/pods?labelSelector=vcluster.loft.sh/managed-by", 0),
        (f"{METRICS}/pods?fieldSelector=metadata.namespace!%3Dshop", 1),
        (f"{METRICS}/nodes", 1),
    ],
)
def test_raw_metrics_in_virtual_terms(path: str, names: int, on_host: Cli) -> None:
    result = on_host("raw", path, "--vcluster", "vc1")

    assert result.code == 0, result.stderr
    assert len(json.loads(result.stdout)["items"]) == names


def test_raw_one_pod(on_host: Cli) -> None:
    found = json.loads(on_host("raw", f"{METRICS}/namespaces/default/pods/a-x-b", "--vcluster", "vc1").stdout)
    theirs = json.loads(recorded("vc1", "apis-metrics.k8s.io-v1beta1-namespaces-default-pods-a-x-b.json"))

    assert (found["kind"], found["metadata"]["name"], found["metadata"]["namespace"]) == (
        "PodMetrics",
        "a-x-b",
        "default",
    )
    assert sorted(map(str, found["containers"])) == sorted(map(str, theirs["containers"]))
    assert "labels" not in found["metadata"]  # upstream leaks the host's here


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["api"], "error: PATH must start with a slash: api\n"),
        (
            ["/api/v1/pods"],
            "error: unsupported path /api/v1/pods; supported paths: /api/v1/nodes/NODE/proxy/{stats/summary,metrics…} and /apis/metrics.k8s.io\n",
        ),
        (
            [f"{NODE}/pods"],
            f"error: unsupported path {NODE}/pods; supported paths: /api/v1/nodes/NODE/proxy/{{stats/summary,metrics…}} and /apis/metrics.k8s.io\n",
        ),
        ([f"{NODE}/metrics", "--isolate"], "error: --isolate requires --vcluster\n"),
        (["/api/v1/nodes/nope/proxy/stats/summary"], 'Error from server (NotFound): nodes "nope" not found\n'),
        (
            ["/api/v1/nodes/nope/proxy/metrics", "--vcluster", "vc1"],
            'Error from server (NotFound): nodes "nope" not found\n',
        ),
        (
            [f"{METRICS}/namespaces/team-a/pods/vc1-0", "--vcluster", "vc1"],
            'Error from server (NotFound): pods "vc1-0" not found\n',
        ),
        (
            [f"{METRICS}/namespaces/shop/pods/cart-785676477c-44qqg", "--vcluster", "vc1"],
            'Error from server (NotFound): pods "cart-785676477c-44qqg" not found\n',
        ),
        (
            [f"{METRICS}/pods?labelSelector=a%20in%20(", "--vcluster", "vc1"],
            "error: unable to parse requirement: found '', expected: ',', ')' or identifier\n",
        ),
    ],
)
def test_raw_refuses(args: list[str], stderr: str, on_host: Cli) -> None:
    assert on_host("raw", *args) == (1, "", stderr)


def test_a_pod_younger_than_the_map_is_asked_for(host: Replay, on_host: Cli) -> None:
    """The map is read first; what appears in the kubelet's answer after that is looked up, not dropped."""
    pods = json.loads(recorded("host", "api-v1-pods.json"))
    young = next(item for item in pods["items"] if item["metadata"]["name"].startswith("cart-785676477c-69n6q"))
    others = [item for item in pods["items"] if item is not young]
    labelled = {
        **pods,
        "items": [item for item in others if "vcluster.loft.sh/managed-by" in item["metadata"].get("labels", {})],
    }
    host.override["/api/v1/namespaces/team-a/pods"] = Reply(
        200,
        json.dumps(
            {**labelled, "items": [i for i in labelled["items"] if i["metadata"]["namespace"] == "team-a"]}
        ).encode(),
    )

    result = on_host("raw", f"{NODE}/metrics/resource", "--vcluster", "vc1")

    assert 'pod="cart-785676477c-69n6q"' in result.stdout
    assert f"/api/v1/namespaces/team-a/pods/{young['metadata']['name']}" in host.seen


def test_raw_on_a_terminal_is_harmless(scripted: Serve, tmp_path: Path) -> None:
    text = b'a{pod="x\x1b[2J"} 1\n'
    empty = {"items": []}
    _, url = scripted(
        {
            "/api/v1/pods": empty,
            "/api/v1/persistentvolumeclaims": empty,
            "/api/v1/namespaces": empty,
            f"{NODE}/metrics": lambda _: (200, text),
        }
    )
    path = write_kubeconfig(tmp_path, url)

    assert "\x1b" not in invoke("raw", f"{NODE}/metrics", kubeconfig=path, terminal=True).stdout
    assert invoke("raw", f"{NODE}/metrics", kubeconfig=path).stdout == text.decode()


# ------------------------------------------------------------------------------------------------------ volumes


def test_volumes_of_the_recorded_host(on_host: Cli) -> None:
    result = on_host("top", "volumes", "-A")

    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0] == [
        "NAMESPACE",
        "VCLUSTER",
        "VNAMESPACE",
        "NAME",
        "POD",
        "CAPACITY",
        "USED",
        "AVAILABLE",
        "USED(%)",
        "INODES(%)",
    ]
    assert [row[:4] for row in rows[1:]] == [["team-a", "vc1", "shop", "orders"], ["team-b", "vc2", "shop", "orders"]]


def test_volumes_from_inside_carry_the_kubelets_numbers(on_host: Cli) -> None:
    found = json.loads(on_host("top", "volumes", "--vcluster", "vc1", "-o", "json").stdout)
    summary = json.loads(recorded("vc1", "api-v1-nodes-vm-proxy-stats-summary.json"))
    theirs = [
        (pod["podRef"]["name"], volume)
        for pod in summary["pods"]
        for volume in pod.get("volume", [])
        if "pvcRef" in volume
    ]

    assert len(found["items"]) == len(theirs) == 1
    (item,), ((pod, volume),) = found["items"], theirs
    assert (item["metadata"]["name"], item["metadata"]["namespace"], item["pod"]) == (
        volume["pvcRef"]["name"],
        volume["pvcRef"]["namespace"],
        pod,
    )
    assert item["usage"]["capacityBytes"] == volume["capacityBytes"]
    assert item["usage"]["inodesUsed"] == volume["inodesUsed"]
    assert abs(item["usage"]["usedBytes"] - volume["usedBytes"]) < 2**24  # a moment apart on a live disk


@pytest.mark.parametrize(
    ("args", "code", "stderr"),
    [
        (["-n", "default"], 0, "No resources found: there are no volume claims in namespace default\n"),
        (
            ["--vcluster", "vc1", "-n", "default"],
            0,
            "No resources found: there are no volume claims in namespace default of virtual cluster team-a/vc1\n",
        ),
        (
            ["--sort-by=nope"],
            1,
            "error: --sort-by accepts only used, capacity, available, percent, inodes, vcluster, vnamespace, name, pod, "
            "used% or inodes%\n",
        ),
    ],
)
def test_no_volumes(args: list[str], code: int, stderr: str, on_host: Cli) -> None:
    assert on_host("top", "volumes", *args) == (code, "", stderr)


def test_claims_that_nobody_reports_are_explained(on_host: Cli, host: Replay) -> None:
    host.override[f"{NODE}/stats/summary"] = Reply(200, b'{"node":{"nodeName":"vm"},"pods":[]}')

    assert on_host("top", "volumes", "-n", "team-a").stderr == (
        "No resources found: the volume claim in namespace team-a is not mounted by a running pod, or its driver does not "
        "report usage (hostPath and some CSI drivers do not)\n"
    )


VOLUME = {
    "name": "v",
    "pvcRef": {"name": "c", "namespace": "default"},
    "capacityBytes": 100 << 20,
    "usedBytes": 25 << 20,
}


@pytest.mark.parametrize(
    ("numbers", "cells"),
    [
        ({}, ["100Mi", "25Mi", "-", "25%", "-"]),
        ({"inodes": 10, "inodesUsed": 18446744073709551610}, ["100Mi", "25Mi", "-", "25%", "-"]),
        ({"inodes": 0, "inodesUsed": 0}, ["100Mi", "25Mi", "-", "25%", "-"]),
        ({"inodes": 10, "inodesUsed": 5, "availableBytes": 0}, ["100Mi", "25Mi", "0Mi", "25%", "50%"]),
    ],
)
def test_what_drivers_report(numbers: dict[str, int], cells: list[str], scripted: Serve, tmp_path: Path) -> None:
    summary = {"pods": [{"podRef": {"name": "p", "namespace": "default"}, "volume": [{**VOLUME, **numbers}]}]}
    empty = {"items": []}
    answers = {"/api/v1/pods": empty, "/api/v1/persistentvolumeclaims": empty, "/api/v1/namespaces": empty}
    _, url = scripted(
        {**answers, "/api/v1/nodes": {"items": [{"metadata": {"name": "vm"}}]}, f"{NODE}/stats/summary": summary}
    )

    result = invoke("top", "volumes", "--no-headers", kubeconfig=write_kubeconfig(tmp_path, url))

    assert result.stdout.split() == ["c", "p", *cells], result.stderr


# ------------------------------------------------------------------------------------------------------- source


@pytest.mark.parametrize(
    "line",
    [
        "top pods -A",
        "top pods -n team-a --containers",
        "top pods --vcluster shop -l app=cart",
        "top pods -n team-a shop-0",
        "top nodes",
        "top nodes worker-2",
    ],
)
def test_the_demos_kubelets_and_metrics_api_agree(line: str, on_demo: Cli) -> None:
    assert on_demo(*line.split(), "--source=kubelet") == on_demo(*line.split())


def test_recorded_kubelets_know_the_same_pods(on_host: Cli) -> None:
    def names(result: Any) -> list[list[str]]:
        return [row.split()[:4] for row in result.stdout.splitlines()]

    assert names(on_host("top", "pods", "-A", "--source=kubelet")) == names(on_host("top", "pods", "-A"))


def test_auto_asks_the_kubelets_where_there_is_no_metrics_api(on_host: Cli, host: Replay) -> None:
    gone = Reply(404, b"404 page not found\n", "text/plain")
    host.override |= {f"{METRICS}/pods": gone, f"{METRICS}/nodes": gone, "/apis": Reply(200, b'{"groups":[]}')}

    pods = on_host("top", "pods", "-A", "--source=auto")
    assert pods.stdout.count("\n") == 15
    assert (pods.code, pods.stderr) == (0, "Metrics API not available: using the kubelets' metrics instead\n")
    nodes = on_host("top", "nodes", "--source=auto")
    assert nodes.stdout.splitlines()[1].split()[0] == "vm"
    assert on_host("top", "pods", "-A").stderr == "error: Metrics API not available\n"


def test_auto_prefers_the_metrics_api(on_host: Cli, host: Replay) -> None:
    on_host("top", "pods", "-A", "-l", "app=cart", "--source=auto")

    assert host.seen == [f"{METRICS}/pods?labelSelector=app%3Dcart"]


def test_a_dead_node_is_one_warning(scripted: Serve, tmp_path: Path) -> None:
    def pod(name: str, node: str) -> dict[str, Any]:
        return {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": node},
            "status": {"phase": "Running"},
        }

    def dead(_: Any) -> Any:
        return 503, {
            "kind": "Status",
            "message": "error trying to reach service: dial tcp: connection refused",
            "reason": "ServiceUnavailable",
        }

    summary = {
        "pods": [
            {
                "podRef": {"name": "a", "namespace": "default"},
                "containers": [{"name": "m", "cpu": {"usageNanoCores": 1500000}}],
            }
        ]
    }
    pods = {"items": [pod("a", "n1"), pod("b", "n2"), pod("c", "n3")]}
    _, url = scripted(
        {
            "/api/v1/namespaces/default/pods": pods,
            "/api/v1/nodes/n1/proxy/stats/summary": summary,
            "/api/v1/nodes/n2/proxy/stats/summary": dead,
            "/api/v1/nodes/n3/proxy/stats/summary": dead,
        }
    )

    result = invoke("top", "pods", "--source=kubelet", "--no-headers", kubeconfig=write_kubeconfig(tmp_path, url))

    assert result.stdout.split() == ["a", "2m", "0Mi"]
    assert (
        result.stderr
        == "Warning: 2 nodes did not respond: n2, n3 (error trying to reach service: dial tcp: connection refused)\n"
    )
    assert result.code == 1


def test_no_node_at_all_is_an_error(on_host: Cli, host: Replay) -> None:
    host.override[f"{NODE}/stats/summary"] = Refusal(
        503, "ServiceUnavailable", "error trying to reach service: i/o timeout"
    )  # type: ignore[assignment]

    assert on_host("top", "nodes", "--source=kubelet") == (
        1,
        "",
        "Error from server (ServiceUnavailable): error trying to reach service: i/o timeout\n",
    )


def test_an_unknown_source(on_host: Cli) -> None:
    assert (
        on_host("top", "pods", "--source=magic").stderr
        == "error: --source accepts only metrics-api, kubelet, auto or prometheus\n"
    )


def test_a_progress_bar_is_for_people_and_many_nodes(tmp_path: Path) -> None:
    from kubectl_vmetrics.demo import server
    from kubectl_vmetrics.demo.apiserver import Apiserver
    from kubectl_vmetrics.demo.cluster import Shape, build

    with server.serving(Apiserver(build(Shape(nodes=12)))) as url:
        path = write_kubeconfig(tmp_path, url)
        shown = invoke("top", "nodes", "--source=kubelet", kubeconfig=path, terminal=True, TERM="xterm").stderr
        quiet = invoke("top", "nodes", "--source=kubelet", kubeconfig=path).stderr

    assert "6/12 nodes" in shown
    assert shown.endswith("\r\x1b[K")
    assert quiet == ""


# ------------------------------------------------------------------------------------------ pressure and storage


def table(text: str) -> list[dict[str, str]]:
    head, *rows = [line.split() for line in text.splitlines()]
    found = []
    for row in rows:
        cells = dict(zip(head, row, strict=False))
        # HOST-NAME, the last column, is empty for a pod that has no other name.
        found.append({"HOST-NAME": cells["POD" if "POD" in head else "NAME"], **cells})
    return found


def summary_pods() -> dict[str, Any]:
    found = json.loads(recorded("host", "api-v1-nodes-vm-proxy-stats-summary.json"))["pods"]
    return {pod["podRef"]["name"]: pod for pod in found}


def test_wide_with_the_kubelets_shows_local_storage(on_host: Cli) -> None:
    rows = table(on_host("top", "pods", "-n", "team-a", "--source=kubelet", "-o", "wide").stdout)

    known = summary_pods()
    assert len(rows) > 3
    for row in rows:
        used = known[row["HOST-NAME"]]["ephemeral-storage"]["usedBytes"]
        assert row["EPHEMERAL(bytes)"] == f"{used >> 20}Mi"
    assert "EPHEMERAL(bytes)" not in on_host("top", "pods", "-n", "team-a", "-o", "wide").stdout


def test_local_storage_by_container_is_its_layer_and_its_logs(on_host: Cli) -> None:
    args = ["top", "pods", "-n", "team-a", "--source=kubelet", "-o", "wide", "--containers"]
    rows = table(on_host(*args).stdout)

    for row in rows:
        found = next(c for c in summary_pods()[row["HOST-NAME"]]["containers"] if c["name"] == row["NAME"])
        used = found["rootfs"]["usedBytes"] + found["logs"]["usedBytes"]
        assert row["EPHEMERAL(bytes)"] == f"{used >> 20}Mi"


def pressured(some: float, full: float) -> dict[str, Any]:
    return {"psi": {"some": {"avg10": some}, "full": {"avg10": full}}}


def test_pressure(on_host: Cli, host: Replay) -> None:
    body = json.loads(recorded("host", "api-v1-nodes-vm-proxy-stats-summary.json"))
    for pod in body["pods"]:
        if pod["podRef"]["name"].startswith("cart"):
            pod |= {"cpu": pressured(12.34, 1), "memory": pressured(0.5, 0), "io": pressured(99.999, 50)}
            for container in pod["containers"]:
                container |= {"cpu": pressured(7, 6), "memory": {}, "io": {}}
    host.override[f"{NODE}/stats/summary"] = Reply(200, json.dumps(body).encode())

    rows = table(on_host("top", "pods", "--vcluster=vc1", "-n", "shop", "--pressure").stdout)
    by_container = table(on_host("top", "pods", "--vcluster=vc1", "-n", "shop", "--pressure", "--containers").stdout)
    document = json.loads(on_host("top", "pods", "--vcluster=vc1", "-n", "shop", "--pressure", "-o", "json").stdout)

    headers = ["CPU-SOME%", "CPU-FULL%", "MEM-SOME%", "MEM-FULL%", "IO-SOME%", "IO-FULL%"]
    assert {row["NAME"][:4]: [row[h] for h in headers] for row in rows}["cart"] == [
        "12.34",
        "1.00",
        "0.50",
        "0.00",
        "100.00",
        "50.00",
    ]
    cart = [row for row in by_container if row["POD"].startswith("cart")]
    assert [[row[h] for h in headers] for row in cart] == [["7.00", "6.00", "-", "-", "-", "-"]] * len(cart)
    shown = [item["pressure"] for item in document["items"] if item["metadata"]["name"].startswith("cart")]
    assert shown[0] == {
        "cpu": {"some": 12.34, "full": 1.0},
        "memory": {"some": 0.5, "full": 0.0},
        "io": {"some": 99.999, "full": 50.0},
    }


def test_kubelets_without_pressure_and_storage(on_host: Cli, host: Replay) -> None:
    body = json.loads(recorded("host", "api-v1-nodes-vm-proxy-stats-summary.json"))
    for pod in body["pods"]:
        for key in ("cpu", "memory", "io", "ephemeral-storage"):
            del pod[key]
    host.override[f"{NODE}/stats/summary"] = Reply(200, json.dumps(body).encode())

    rows = table(on_host("top", "pods", "--vcluster=vc1", "-A", "--pressure", "-o", "wide").stdout)

    assert {row["IO-FULL%"] for row in rows} == {"-"}
    assert {row["EPHEMERAL(bytes)"] for row in rows} == {"-"}
    assert on_host("top", "pods", "--vcluster=vc1", "-A", "--pressure").stderr == (
        "Warning: no kubelet reports pressure for these pods; run `kubectl vmetrics doctor kubelets` to find out why\n"
    )


def test_pressure_is_not_in_the_metrics_api(on_host: Cli) -> None:
    assert on_host("top", "pods", "--pressure", "--source=metrics-api") == (
        1,
        "",
        "error: --pressure requires --source=kubelet: the Metrics API does not report pressure\n",
    )
    assert on_host("top", "pods", "-A", "--pressure", "--source=auto").code == 0


@pytest.mark.parametrize("number", ["9" * 40, "-" + "9" * 40, "18446744073709551615", "9" * 41, "9" * 400, "9" * 5000])
@pytest.mark.parametrize(
    "args",
    [
        "top volumes -A",
        "top volumes -A -o json",
        "top pods -A --source=kubelet -o wide",
        "top pods -A --pressure",
        "top nodes --source=kubelet",
        "top nodes --source=kubelet -o json",
    ],
)
def test_numbers_that_fit_no_float_end_no_command(number: str, args: str, on_host: Cli, host: Replay) -> None:
    import re

    body = re.sub(
        r'(Bytes|odes|odesUsed|Cores)": ?\d+',
        rf'\1":{number}',
        recorded("host", "api-v1-nodes-vm-proxy-stats-summary.json"),
    )
    host.override[f"{NODE}/stats/summary"] = Reply(200, body.encode())
    result = on_host(*args.split())
    assert number in body
    assert ("sent more than 40 digits in a number" in result.stderr) == (len(number.strip("-")) > 40)
