"""What -o json, csv and name make of tables: nothing is merged, repeated or left out."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from typing import Any

import pytest

from kubectl_vmetrics.metrics.quantity import cpu_nanocores, memory_bytes
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
    for item in found:
        assert item["host"].get("name", item["metadata"]["name"]) == item["metadata"]["name"]
        assert item["host"]["namespace"] == item["metadata"].get("namespace", item["metadata"]["name"])
    # A pod that only the host has, such as a virt-launcher, has a virtual namespace, but no name in it.
    assert [item["metadata"]["name"] for item in owned if item.get("unresolved")] == [
        row["host_name"] for row in table if row["vcluster"] and not row.get("virtual_name", "-")
    ]
    identity = ("host_namespace", "host_name", "vcluster_namespace", "vcluster", "virtual_namespace", "virtual_name")
    assert [tuple(row.get(field, "") for field in identity) for row in table] == [
        (
            item["host"]["namespace"],
            item["host"].get("name", ""),
            item.get("vcluster", {}).get("hostNamespace", ""),
            item.get("vcluster", {}).get("name", ""),
            item.get("virtual", {}).get("namespace", ""),
            item.get("virtual", {}).get("name", ""),
        )
        for item in found
    ]


@pytest.mark.parametrize("command", ["top pods", "top volumes", "vmi", "top namespaces"])
def test_documents_from_inside_have_virtual_names(command: str, on_demo: Cli) -> None:
    found = items(on_demo(*command.split(), "--vcluster", "shop", "-o", "json").stdout)
    table = rows(on_demo(*command.split(), "--vcluster", "shop", "-o", "csv").stdout)

    assert found
    for item, row in zip(found, table, strict=True):
        space, name = row["virtual_namespace"], row.get("virtual_name", row["virtual_namespace"])
        if not item.get("unresolved"):
            assert (item["metadata"].get("namespace", space), item["metadata"]["name"]) == (space, name)
        assert item["metadata"].get("namespace", space) == space
        assert (item["host"]["namespace"], item["vcluster"]["name"]) == (row["host_namespace"], row["vcluster"])
    assert "team-a" not in {item["metadata"].get("namespace") for item in found}


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
        ("top pods -n team-a", ["host_name"]),
        ("top pods -A", ["host_namespace", "host_name"]),
        ("top pods -A --containers", ["host_namespace", "host_name"]),
        ("top pods --vcluster shop", ["host_name"]),
        ("top pods --vcluster shop --sum", ["host_name"]),
        ("top nodes", ["name"]),
        ("top nodes --vcluster shop", ["name"]),
        ("top namespaces", ["vcluster", "virtual_namespace", "host_namespace"]),
        ("top namespaces --vcluster shop", ["virtual_namespace"]),
        ("top volumes -A", ["host_namespace", "host_name"]),
        ("vmi -A", ["host_namespace", "host_name"]),
        ("vmi -A --disks", ["host_namespace", "host_name"]),
        ("vmi -A --sum", ["host_namespace", "host_name"]),
        ("components", ["instance"]),
        ("targets", ["namespace", "pod", "node", "kind"]),
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

_USED = {"CPU(cores)": "cpu_cores", "MEMORY(bytes)": "memory_bytes"}
_HELD = ["cpu_requests_cores", "cpu_limits_cores", "memory_requests_bytes", "memory_limits_bytes"]
_VOLUMES = ["volumes_requested_bytes", "volumes_used_bytes"]
SUMS: dict[str, dict[str, str]] = {
    "top pods -A --sum": _USED,
    "top pods -n team-a --sum --containers": _USED,
    "top pods --vcluster shop --sum": _USED,
    "top pods --vcluster shop --sum --show-swap": {**_USED, "SWAP(bytes)": "swap_bytes"},
    "top pods -A --host-names --sum": _USED,
    "top nodes --vcluster shop --sum": {"PODS": "pods", **_USED},
    "top vclusters --sum": {
        "PODS": "pods",
        **_USED,
        "CP-CPU(cores)": "control_plane_cpu_cores",
        "CP-MEMORY(bytes)": "control_plane_memory_bytes",
    },
    "top namespaces --sum": {"PODS": "pods", **_USED},
    "top namespaces --vcluster shop --sum": {"PODS": "pods", **_USED},
}
"""The columns with sums, and what they are called in csv."""


def number(cell: str) -> float:
    """A cell in base units."""
    if cell.endswith("m"):
        return float(cell[:-1]) / 1000
    return float(cell[:-2]) * (1 << 20) if cell.endswith("Mi") else float(cell)


@pytest.mark.parametrize("command", SUMS)
def test_the_sums_are_those_of_the_rows_in_every_format(command: str, on_demo: Cli) -> None:
    table = on_demo(*command.split()).stdout.splitlines()[-1].split()
    *listed, sums = rows(on_demo(*command.split(), "-o", "csv").stdout)

    for cell, field in zip(table, SUMS[command].values(), strict=True):
        if field == "swap_bytes":
            assert (cell, sums[field]) == ("0Mi", "")  # nothing reports any
            continue
        unit = 0.001 if "cores" in field else 1 << 20 if "bytes" in field else 0.5
        assert abs(number(cell) - float(sums[field])) < unit
        assert float(sums[field]) == pytest.approx(sum(float(row[field] or 0) for row in listed))
    more = {field for field, cell in sums.items() if cell} - set(SUMS[command].values())
    assert more <= {*_HELD, *_VOLUMES, "restarts", "gpus_requested"}
    without = command.replace(" --sum", "")
    assert rows(on_demo(*without.split(), "-o", "csv").stdout) == listed
    assert on_demo(*command.split(), "-o", "github").stdout.splitlines()[-1].replace("|", "").split() == table


def test_the_sums_of_machines_are_those_of_the_rows(on_demo: Cli) -> None:
    *listed, sums = rows(on_demo("vmi", "-A", "--sum", "-o", "csv").stdout)

    assert [field for field, cell in sums.items() if cell] == [
        "vcpus",
        "cpu_cores",
        "memory_used_bytes",
        "memory_estimated",
        "network_received_bytes_per_second",
        "network_sent_bytes_per_second",
        "disk_read_bytes_per_second",
        "disk_written_bytes_per_second",
    ]
    assert sums["memory_estimated"] == "true"
    for field, cell in sums.items():
        if cell and cell != "true":
            assert float(cell) == pytest.approx(sum(float(row[field] or 0) for row in listed))
    assert rows(on_demo("vmi", "-A", "-o", "csv").stdout) == listed


@pytest.mark.parametrize("command", [*SUMS, "vmi -A --sum"])
def test_documents_have_the_sums(command: str, on_demo: Cli) -> None:
    document = json.loads(on_demo(*command.split(), "-o", "json").stdout)
    sums = rows(on_demo(*command.split(), "-o", "csv").stdout)[-1]

    if "usage" in document["sum"]:
        assert cpu_nanocores(document["sum"]["usage"]["cpu"]) / 1e9 == float(sums["cpu_cores"])
        assert memory_bytes(document["sum"]["usage"]["memory"]) == pytest.approx(float(sums["memory_bytes"]), abs=1024)
    else:
        assert document["sum"]["cpu"]["cores"] == float(sums["cpu_cores"])
    assert str(document["sum"].get("pods", "")) == sums.get("pods", "")
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
    assert formats.render(shown, "tsv", headers=False) == "gone\t100m\t<unknown>\t1Mi\t<unknown>\n"
    assert formats.render(shown, "csv", headers=False) == "gone,0.1,,1048576,,,,,,,,,,,,,,\n"
