"""What -o json, csv and name make of tables: nothing is merged, repeated or left out."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from typing import Any

import pytest

from kubectl_vmetrics.metrics.quantity import cpu_nanocores
from kubectl_vmetrics.views import nodes
from tests.conftest import Cli
from tests.kubevirt.cluster import Clock
from tests.replay import Replay, Reply


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Samples need not be waited for."""
    return Clock(monkeypatch)


def items(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)["items"]
    return found


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# ----------------------------------------------------------------------------------------------- documents


def test_pods_grouped_by_namespace_are_grouped_by_the_hosts(on_demo: Cli) -> None:
    """Two virtual clusters, and the host, may have a namespace of one name: their sums must not be added up."""
    by_namespace: dict[str, int] = defaultdict(int)
    for item in items(on_demo("top", "pods", "-A", "-o", "json").stdout):
        for container in item["containers"]:
            by_namespace[item["metadata"]["namespace"]] += cpu_nanocores(container["usage"]["cpu"])
    expected = {
        namespace: sum(
            cpu_nanocores(container["usage"]["cpu"])
            for item in items(on_demo("top", "pods", "-n", namespace, "--host-names", "-o", "json").stdout)
            for container in item["containers"]
        )
        for namespace in by_namespace
    }

    assert {"team-a", "team-b", "team-c", "kube-system"} <= set(by_namespace)
    assert by_namespace == expected


@pytest.mark.parametrize("command", ["top pods -A", "top volumes -A", "vmi -A", "top namespaces"], ids=str)
def test_documents_of_the_host_have_the_hosts_names_and_the_virtual_ones_apart(command: str, on_demo: Cli) -> None:
    """As the table does: `metadata` is the same with and without virtual clusters, `virtual` what their owners know."""
    found = items(on_demo(*command.split(), "-o", "json").stdout)
    table = rows(on_demo(*command.split(), "-o", "csv").stdout)

    owned = [item for item in found if "vcluster" in item]
    assert owned
    for item in owned:
        assert item["host"].get("name", item["metadata"]["name"]) == item["metadata"]["name"]
        assert item["host"]["namespace"] == item["metadata"].get("namespace", item["metadata"]["name"])
    # A pod that only the host has, such as a virt-launcher, is marked in tables; its document has no `virtual`.
    found = [item for item in found if "virtual" in item or "vcluster" not in item]
    table = [row for row in table if not row.get("NAME", "").endswith("*")]
    shown = [(row["NAMESPACE"], row["VCLUSTER"], row["VNAMESPACE"], row.get("NAME", "")) for row in table]
    assert sorted(shown) == sorted(
        (
            item["metadata"].get("namespace", item["metadata"]["name"]),
            item.get("vcluster", {}).get("name", "<none>"),
            item.get("virtual", {}).get("namespace", "<none>"),
            item.get("virtual", item["metadata"]).get("name", "") if "namespace" in item["metadata"] else "",
        )
        for item in found
    )


@pytest.mark.parametrize("command", ["top pods", "top volumes", "vmi", "top namespaces"])
def test_documents_from_inside_have_virtual_names(command: str, on_demo: Cli) -> None:
    found = items(on_demo(*command.split(), "--vcluster", "shop", "-o", "json").stdout)
    table = rows(on_demo(*command.split(), "--vcluster", "shop", "-o", "csv").stdout)

    assert [item["metadata"]["name"] for item in found] == [row["NAME"].removesuffix("*") for row in table]
    assert not any("virtual" in item for item in found)


@pytest.mark.parametrize(("args", "metadata"), [([], {}), (["-n", "team-a"], {"namespace": "team-a"})])
def test_what_belongs_to_no_virtual_cluster_is_not_one(args: list[str], metadata: dict[str, str], on_demo: Cli) -> None:
    *tenants, host = items(on_demo("top", "vclusters", *args, "-o", "json").stdout)

    assert {item["kind"] for item in tenants} == {"VirtualClusterUsage"}
    assert all(set(item["metadata"]) == {"name", "namespace"} for item in tenants)
    assert (host["kind"], host["metadata"]) == ("HostUsage", {"name": "host", **metadata})


# ---------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("command", "identity"),
    [
        ("top pods -n team-a", ["NAME"]),
        ("top pods -A", ["NAMESPACE", "VCLUSTER", "VNAMESPACE", "NAME"]),
        ("top pods -A --containers", ["NAMESPACE", "VCLUSTER", "VNAMESPACE", "POD"]),
        ("top pods --vcluster shop", ["NAMESPACE", "NAME"]),
        ("top pods --vcluster shop --sum", ["NAMESPACE", "NAME"]),
        ("top nodes", ["NAME"]),
        ("top nodes --vcluster shop", ["NAME"]),
        ("top namespaces", ["NAMESPACE", "VCLUSTER", "VNAMESPACE"]),
        ("top namespaces --vcluster shop", ["NAME"]),
        ("top volumes -A", ["NAMESPACE", "VCLUSTER", "VNAMESPACE", "NAME"]),
        ("vmi -A", ["NAMESPACE", "NAME"]),
        ("vmi -A --disks", ["NAMESPACE", "NAME"]),
        ("vmi -A --sum", ["NAMESPACE", "NAME"]),
        ("components", ["INSTANCE"]),
        ("targets", ["NAMESPACE", "NAME"]),
        ("doctor", ["CHECK"]),
    ],
)
def test_each_object_is_named_once(command: str, identity: list[str], on_demo: Cli) -> None:
    """Although it has several rows, and although another namespace has one of the same name."""
    table = rows(on_demo(*command.split(), "-o", "csv").stdout)
    objects = dict.fromkeys(tuple(row[column] for column in identity) for row in table if row[identity[-1]])
    named = on_demo(*command.split(), "-o", "name").stdout.splitlines()

    assert len(named) == len(objects)


def test_namespaces_of_the_host_have_names_that_tell_them_apart(on_demo: Cli) -> None:
    named = on_demo("top", "namespaces", "-o", "name").stdout.splitlines()

    assert len(set(named)) == len(named)
    assert {"namespace/team-a", "namespace/team-a/shop/batch", "namespace/team-b/dev/shop"} <= set(named)


def test_virtual_clusters_by_what_the_option_takes(on_demo: Cli) -> None:
    named = on_demo("top", "vclusters", "-o", "name").stdout
    assert named == "vcluster/team-a/shop\nvcluster/team-b/dev\nvcluster/team-c/dev\n"
    for path in named.splitlines():
        assert on_demo("top", "nodes", "--vcluster", path.removeprefix("vcluster/")).code == 0


# --------------------------------------------------------------------------------------------------- nothing


@pytest.mark.parametrize("command", ["top pods", "top vclusters", "top namespaces"])
def test_a_namespace_that_is_not_there_has_no_rows(command: str, on_demo: Cli) -> None:
    result = on_demo(*command.split(), "-n", "nosuch")

    assert (result.code, result.stdout, result.stderr) == (0, "", "No resources found in nosuch namespace.\n")
    assert items(on_demo(*command.split(), "-n", "nosuch", "-o", "json").stdout) == []


@pytest.mark.parametrize("command", ["top pods -A", "top vclusters", "top namespaces"])
def test_no_metrics_are_not_zeros(command: str, on_host: Cli, host: Replay) -> None:
    host.override["/apis/metrics.k8s.io/v1beta1/pods"] = Reply(200, b'{"items": []}')
    result = on_host(*command.split())

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: Metrics not available for pod ")


# ------------------------------------------------------------------------------------------------------ sums

SUMS = {
    "top pods -A --sum": ["CPU(cores)", "MEMORY(bytes)"],
    "top pods -n team-a --sum --containers": ["CPU(cores)", "MEMORY(bytes)"],
    "top pods --vcluster shop --sum": ["CPU(cores)", "MEMORY(bytes)"],
    "top pods --vcluster shop --sum --show-swap": ["CPU(cores)", "MEMORY(bytes)", "SWAP(bytes)"],
    "top pods -A --host-names --sum": ["CPU(cores)", "MEMORY(bytes)"],
    "top nodes --vcluster shop --sum": ["PODS", "CPU(cores)", "MEMORY(bytes)"],
    "top vclusters --sum": ["PODS", "CPU(cores)", "MEMORY(bytes)", "CP-CPU(cores)", "CP-MEMORY(bytes)"],
    "top namespaces --sum": ["PODS", "CPU(cores)", "MEMORY(bytes)"],
    "top namespaces --vcluster shop --sum": ["PODS", "CPU(cores)", "MEMORY(bytes)"],
    "vmi -A --sum": ["VCPU", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "NET-RX", "NET-TX", "DISK-READ", "DISK-WRITE"],
}


@pytest.mark.parametrize("command", SUMS)
def test_csv_ends_with_the_sums(command: str, on_demo: Cli) -> None:
    """Each in its own column, as the table has them."""
    table = on_demo(*command.split()).stdout.splitlines()[-1].split()
    *listed, sums = rows(on_demo(*command.split(), "-o", "csv").stdout)

    assert [column for column, cell in sums.items() if cell] == SUMS[command]
    assert [sums[column] for column in SUMS[command]] == table
    without = command.replace(" --sum", "")
    assert rows(on_demo(*without.split(), "-o", "csv").stdout) == listed
    assert on_demo(*command.split(), "-o", "github").stdout.splitlines()[-1].replace("|", "").split() == table


@pytest.mark.parametrize("command", SUMS)
def test_documents_have_the_sums(command: str, on_demo: Cli) -> None:
    document = json.loads(on_demo(*command.split(), "-o", "json").stdout)
    sums = rows(on_demo(*command.split(), "-o", "csv").stdout)[-1]

    if "usage" in document["sum"]:
        assert f"{-(-cpu_nanocores(document['sum']['usage']['cpu']) // 1_000_000)}m" == sums["CPU(cores)"]
    else:
        assert f"~{round(document['sum']['cpu']['cores'] * 1000)}m" in (sums["CPU(cores)"], f"~{sums['CPU(cores)']}")
    assert str(document["sum"].get("pods", "")) == sums.get("PODS", "")
    without = command.replace(" --sum", "")
    assert "sum" not in json.loads(on_demo(*without.split(), "-o", "json").stdout)


def test_sums_are_of_machines(on_demo: Cli) -> None:
    for kind in ("--per-vcpu", "--disks", "--interfaces"):
        assert on_demo("vmi", "--sum", kind) == (
            1,
            "",
            "error: --sum cannot be used with --per-vcpu, --disks or --interfaces\n",
        )


def test_csv_of_a_node_that_is_not_in_the_list_keeps_its_columns() -> None:
    """kubectl's own table moves its cells to the left; a program would take memory for a share of CPU."""
    from kubectl_vmetrics.metrics.metrics_api import NodeMeta, NodeMetrics, Quantities
    from kubectl_vmetrics.output import formats

    gone = NodeMetrics(NodeMeta("gone"), Quantities("100m", "1Mi"))
    shown = nodes.view([gone], [], nodes.Options())

    assert shown.rows == [["gone", "100m", "1Mi"]]
    assert formats.render(shown, "csv", headers=False) == "gone,100m,<unknown>,1Mi,<unknown>\n"
