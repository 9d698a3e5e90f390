"""`top pods NAME`: any name that a table shows will do, where it means one pod."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Cli
from tests.replay import Refusal, Replay

CART = "cart-785676477c-69n6q"
HASHED = "a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6"
STATEFUL = "a-rather-long-stateful-set-name-for-hashing-0"


def row(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if f" {name} " in line]
    return line.split()


@pytest.mark.parametrize(
    ("scope", "name"),
    [
        (["-n", "team-a"], CART),
        (["-n", "team-a"], HASHED),
        (["-n", "team-a"], STATEFUL),
        (["-A"], CART),
        (["-A"], HASHED),
    ],
    ids=str,
)
def test_a_name_of_the_table(scope: list[str], name: str, on_host: Cli) -> None:
    result = on_host("top", "pods", *scope, name)

    assert (result.code, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 2
    assert row(result.stdout, name) == row(on_host("top", "pods", *scope).stdout, name)


def test_the_host_name_of_the_same_pod(on_host: Cli) -> None:
    assert on_host("top", "pods", "-n", "team-a", f"{CART}-x-shop-x-vc1") == on_host(
        "top", "pods", "-n", "team-a", CART
    )


def test_with_everything_that_is_shown_beside_it(on_host: Cli) -> None:
    """-o wide asks for the pod by its host name."""
    wide = on_host("top", "pods", "-n", "team-a", CART, "-o", "wide").stdout
    assert row(wide, CART) == row(on_host("top", "pods", "-n", "team-a", "-o", "wide").stdout, CART)
    [item] = json.loads(on_host("top", "pods", "-n", "team-a", CART, "-o", "json").stdout)["items"]
    assert item["metadata"] | {"labels": 0} == {"name": f"{CART}-x-shop-x-vc1", "namespace": "team-a", "labels": 0}
    containers = on_host("top", "pods", "-n", "team-a", CART, "--containers").stdout
    assert len(containers.splitlines()) == 3


def test_a_name_of_several_pods_says_how_to_ask_for_each(on_host: Cli) -> None:
    result = on_host("top", "pods", "-A", "a-x-b")

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr == (
        'error: there are 2 pods "a-x-b" in virtual clusters: specify one with '
        "--vcluster team-a/vc1 -n default or --vcluster team-b/vc2 -n default\n"
    )
    for path in ("team-a/vc1", "team-b/vc2"):
        assert on_host("top", "pods", "--vcluster", path, "-n", "default", "a-x-b").code == 0


@pytest.mark.parametrize(
    "args",
    [["-n", "team-b", CART], ["-n", "team-a", "nosuch"], [CART], ["-n", "team-a", CART, "--host-names"]],
    ids=str,
)
def test_a_name_of_none_is_not_found_in_the_words_of_the_server(args: list[str], on_host: Cli, host: Replay) -> None:
    result = on_host("top", "pods", *args)
    name = next(arg for arg in args if arg in (CART, "nosuch"))

    namespace = args[args.index("-n") + 1] if "-n" in args else "default"
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr == on_host("top", "pods", "--host-names", "-n", namespace, name).stderr
    assert "NotFound" in result.stderr


def test_without_the_right_to_list_it_is_not_found(on_host: Cli, host: Replay) -> None:
    host.override["/apis/metrics.k8s.io/v1beta1/namespaces/team-a/pods"] = Refusal(403, "Forbidden", "no")

    assert on_host("top", "pods", "-n", "team-a", CART) == on_host("top", "pods", "-n", "team-a", CART, "--host-names")


def test_one_request_where_the_host_has_it(on_host: Cli, host: Replay) -> None:
    on_host("top", "pods", "-n", "team-a", "vc1-0")

    assert host.seen == ["/apis/metrics.k8s.io/v1beta1/namespaces/team-a/pods/vc1-0"]


@pytest.mark.parametrize("source", ["kubelet", "auto"])
def test_from_other_sources(source: str, on_demo: Cli) -> None:
    name = on_demo("top", "pods", "--vcluster", "shop", "-n", "batch", "-o", "name").stdout.split()[0][4:]
    result = on_demo("top", "pods", "-n", "team-a", name, "--source", source)

    assert (result.code, result.stderr) == (0, "")
    assert row(result.stdout, name)[:3] == ["shop", "batch", name]
