"""Tables, shapes and names, on any cluster: what is compared does not change between two looks."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.e2e.conftest import Cluster


def names(table: str, columns: int) -> list[list[str]]:
    return [line.split()[:columns] for line in table.splitlines()]


@pytest.mark.parametrize(("line", "columns"), [("top pods -A", 2), ("top pods -A --containers", 3), ("top nodes", 1)])
def test_the_hosts_own_table(line: str, columns: int, cluster: Cluster) -> None:
    args = line.split()
    theirs = cluster.kubectl(*args)
    found = cluster.run(*args, *(["--host-names"] if "pods" in args else []))

    assert (found.code, found.stderr) == (theirs.code, theirs.stderr)
    assert names(found.stdout, columns) == names(theirs.stdout, columns)


def test_every_virtual_cluster_from_inside(cluster: Cluster) -> None:
    for item in cluster.items("top", "vclusters"):
        if item["kind"] == "HostUsage":
            continue
        path = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        inside = cluster.run("top", "pods", "-A", "--vcluster", path, "--no-headers")
        assert inside.code == 0, inside.stderr
        assert len(inside.stdout.splitlines()) == item["pods"]
        # What the host alone has, such as a virt-launcher, is all that may keep its name.
        assert not [line for line in inside.stdout.splitlines() if "*" in line and "virt-launcher-" not in line]


def test_a_virtual_name_that_the_table_shows_is_taken(cluster: Cluster) -> None:
    shown = [item for item in cluster.items("top", "pods", "-A") if item.get("virtual", {}).get("name")]
    if not shown:
        pytest.skip("there is no pod of a virtual cluster")
    by_name: dict[tuple[str, str], int] = {}
    for item in shown:
        key = (item["metadata"]["namespace"], item["virtual"]["name"])
        by_name[key] = by_name.get(key, 0) + 1
    for namespace, name in [key for key, count in by_name.items() if count == 1][:3]:
        found = cluster.run("top", "pods", "-n", namespace, name, "--no-headers")
        assert (found.code, len(found.stdout.splitlines())) == (0, 1), found.stderr
        assert name in found.stdout


@pytest.mark.parametrize("command", ["top pods -A", "top nodes", "top vclusters", "top namespaces"])
def test_documents_rows_and_names_are_as_many(command: str, cluster: Cluster) -> None:
    args = command.split()
    rows = list(csv.DictReader(io.StringIO(cluster.run(*args, "-o", "csv").stdout)))
    found, named = cluster.items(*args), cluster.run(*args, "-o", "name").stdout.splitlines()

    assert len(found) == len(rows)
    assert all(item["metadata"]["name"] for item in found)
    hosts = [item for item in found if item.get("kind") == "HostUsage"]
    assert len(named) == len(set(named)) or command == "top pods -A"
    assert len(named) == len(found) - len(hosts)


def test_a_namespace_that_is_not_there_has_no_rows(cluster: Cluster) -> None:
    for command in ("pods", "vclusters", "namespaces"):
        found = cluster.run("top", command, "-n", "vmetrics-e2e-nosuch")
        assert found.stdout == ""
        assert "vmetrics-e2e-nosuch" in found.stderr


def test_the_sum_is_in_the_csv(cluster: Cluster) -> None:
    plain, summed = (cluster.run("top", "pods", "-A", *more, "-o", "csv").stdout for more in ([], ["--sum"]))
    assert len(summed.splitlines()) == len(plain.splitlines()) + 1


def test_nodes_are_at_least_their_pods(cluster: Cluster) -> None:
    """Memory, which moves slowly: what a node uses holds what its pods use."""
    node = cluster.items("top", "nodes")
    pods = cluster.items("top", "pods", "-A")

    def mebibytes(text: str) -> float:
        units = {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024}
        return float(text[:-2]) * units[text[-2:]] if text[-2:] in units else float(text) / (1 << 20)

    of_nodes = sum(mebibytes(item["usage"]["memory"]) for item in node)
    of_pods = sum(mebibytes(c["usage"]["memory"]) for item in pods for c in item["containers"])
    assert 0 < of_pods < of_nodes * 1.05


def test_completion_offers_what_is_inside(cluster: Cluster) -> None:
    vclusters = [i for i in cluster.items("top", "vclusters") if i["kind"] != "HostUsage" and i["pods"]]
    if not vclusters:
        pytest.skip("there is no virtual cluster with pods")
    meta = vclusters[0]["metadata"]
    path = f"{meta['namespace']}/{meta['name']}"
    more = ["--kubeconfig", str(cluster.kubeconfig)] if cluster.kubeconfig else []
    offered = cluster.run("__complete", *more, "top", "pods", "--vcluster", path, "-n", "").stdout.splitlines()[:-1]
    rows = csv.DictReader(io.StringIO(cluster.run("top", "pods", "-A", "--vcluster", path, "-o", "csv").stdout))
    inside = {row["virtual_namespace"] for row in rows}

    assert inside <= {line.partition("\t")[0] for line in offered}
    for args, expected in ((["manifests", "rbac", "--for", ""], "controlplanes"), (["doctor", "VM10"], "VM101")):
        offered = cluster.run("__complete", *args).stdout.splitlines()
        assert expected in [line.partition("\t")[0] for line in offered]


def test_kubelets_and_metrics_api_know_the_same_pods(cluster: Cluster) -> None:
    def known(*args: str) -> set[tuple[str, str]]:
        result = cluster.run("top", "pods", "-A", "--host-names", "-o", "json", *args)
        return {
            (item["metadata"]["namespace"], item["metadata"]["name"]) for item in json.loads(result.stdout)["items"]
        }

    assert known() == known("--source=kubelet")
