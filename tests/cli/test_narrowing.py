"""An option that narrows what is shown never shows more because its value is empty, as that of an unset variable is."""

from __future__ import annotations

import pytest

from tests.conftest import Cli, invoke

SUMMARY = "/api/v1/nodes/vm/proxy/stats/summary"
COMMANDS = ("top pods", "top nodes", "top namespaces", "top volumes", "vmi", "proxy --port=0", f"raw {SUMMARY}")


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_virtual_cluster(command: str, value: str) -> None:
    for words in (["--vcluster", value], [f"--vcluster={value}"]):
        assert invoke(*command.split(), *words) == (
            1,
            "",
            "error: --vcluster: the value is empty; leave the option out to see everything\n",
        )


def test_an_empty_virtual_cluster_in_a_manifest() -> None:
    result = invoke("manifests", "proxy", "--image=x", "--vcluster=")

    assert result == (1, "", 'error: --vcluster: "" is not HOSTNS/NAME; the roles need the host namespace\n')


def test_an_empty_node() -> None:
    result = invoke("vmi", "-A", "--node", "")

    assert result == (1, "", "error: --node: the value is empty; leave the option out to see everything\n")


@pytest.mark.parametrize(
    "command",
    ["top namespaces", "top vclusters", "top pods --vcluster vc1", "top namespaces --vcluster vc1"],
)
def test_an_empty_namespace_where_all_are_shown_without(command: str, on_host: Cli) -> None:
    result = on_host(*command.split(), "-n", "")

    assert result == (1, "", "error: --namespace: the value is empty; leave the option out to see everything\n")


def test_an_empty_namespace_is_the_kubeconfigs_where_that_is_so_without(on_host: Cli) -> None:
    assert on_host("top", "pods", "-n", "") == on_host("top", "pods")


def test_isolation_is_that_of_a_tenant() -> None:
    result = invoke("raw", SUMMARY, "--isolate")

    assert result == (1, "", "error: --isolate requires --vcluster\n")
