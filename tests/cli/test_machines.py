"""`vmi` and `controlplanes` with --source prometheus, on a demo cluster whose Prometheus is a real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from tests import prometheus
from tests.conftest import Cli, invoke, write_kubeconfig

pytestmark = prometheus.MISSING


def items(run: Cli, *args: str) -> dict[str, dict[str, Any]]:
    result = run(*args, "-o", "json")
    assert (result.code, result.stderr) == (0, "")
    return {item["metadata"]["name"]: item for item in json.loads(result.stdout)["items"]}


def without(item: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in keys}


def test_the_same_machines_with_the_same_names_and_memory(on_live_demo: Cli) -> None:
    live = items(on_live_demo, "vmi", "-A", "--interval", "5s")
    recorded = items(on_live_demo, "vmi", "-A", "--source", "prometheus")

    assert recorded.keys() == live.keys()
    for name, item in recorded.items():
        other = live[name]
        for key in ("metadata", "vcluster", "virtual", "node"):
            if name != "web" or key != "node":  # which migrates
                assert item.get(key) == other.get(key), (name, key)
        assert item["memory"] == other["memory"]
        # A mean of five minutes beside one of five seconds, of a load that varies.
        assert item["cpu"]["cores"] == pytest.approx(other["cpu"]["cores"], rel=0.6)


def test_one_machine_by_its_virtual_name(on_live_demo: Cli) -> None:
    found = items(on_live_demo, "vmi", "build", "--vcluster", "shop", "--source", "prometheus")
    assert list(found) == ["build"]
    assert list(items(on_live_demo, "vmi", "-A", "--node", "worker-2", "--at", "1h")) == ["web", "build-x-batch-x-shop"]


def test_names_that_do_not_exist(on_live_demo: Cli) -> None:
    result = on_live_demo("vmi", "nobody", "-A", "--at", "1h")
    assert result.stderr.startswith(
        'Error from server (NotFound): virtualmachineinstances.kubevirt.io "nobody" not found'
    )


def test_a_time_before_all_samples(on_live_demo: Cli) -> None:
    result = on_live_demo("vmi", "-A", "--at", "90d")
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")


@pytest.mark.parametrize("command", ["vmi", "controlplanes"])
def test_options_that_do_not_go_together(command: str, on_live_demo: Cli) -> None:
    usual = "virt-handler" if command == "vmi" else "components"
    result = on_live_demo(command, "--source", "other")
    assert result == (1, "", f"error: --source accepts only {usual} or prometheus\n")
    result = on_live_demo(command, "--source", usual, "--at", "1h")
    assert result == (1, "", "error: --at requires --source=prometheus: other sources know the present only\n")
    result = on_live_demo(command, "--prometheus", "a/b")
    assert result == (1, "", "error: --prometheus requires --source=prometheus or --at\n")


def test_control_planes_that_are_not_scraped_are_unknown(on_live_demo: Cli) -> None:
    result = on_live_demo("controlplanes", "acme", "-n", "tenants", "--summary", "--source", "prometheus")
    assert result.code == 1
    assert "Unknown: apiserver, controller-manager, scheduler: not in Prometheus" in result.stdout
    assert result.stderr == (
        "Warning: monitoring/prometheus-k8s scrapes no tenant control plane with the label cluster=NAMESPACE/NAME: see "
        "kubectl vmetrics help manifests kamaji and manifests vcluster\n"
    )


def test_private_nodes_are_not_shown_as_idle(tmp_path: Path) -> None:
    """No Prometheus of the host has their pods: 0 would be wrong."""
    with server.serving(Apiserver(build(Shape(private=1)))) as url:
        kubeconfig = write_kubeconfig(tmp_path, url)
        found = invoke("top", "vclusters", "--source", "prometheus", "--no-headers", kubeconfig=kubeconfig)
    (row,) = [line.split() for line in found.stdout.splitlines() if line.startswith("team-edge")]
    assert row[:6] == ["team-edge", "edge", "Running", "0.37.0", "-", "<unknown>"]
    assert "team-edge/edge has private nodes, whose pods no Prometheus of the host scrapes" in found.stderr
