"""Other modes and versions of vCluster, and clusters where not everything may be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.vcluster import naming
from tests.conftest import Result, Scripted, invoke, write_kubeconfig

METRICS = "/apis/metrics.k8s.io/v1beta1"
LONG = "a-name-so-long-that-it-is-hashed-on-the-host-5b5d8fff69-m4vr6"
Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]


def pod(namespace: str, name: str, labels: dict[str, str] | None = None, cpu: str = "10m") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "containers": [{"name": "main", "usage": {"cpu": cpu, "memory": "20Mi"}}],
    }


def synced(vcluster: str, namespace: str, **more: str) -> dict[str, str]:
    return {naming.MANAGED_BY: vcluster, naming.NAMESPACE: namespace, **more}


def control_plane(namespace: str, name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "vcluster", "release": name}},
        "status": {"readyReplicas": 1},
    }


def host_namespace(name: str, vcluster: str, home: str, virtual: str) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "labels": {"vcluster.loft.sh/vcluster-name": vcluster, "vcluster.loft.sh/vcluster-namespace": home},
            "annotations": {"vcluster.loft.sh/object-name": virtual},
        }
    }


def forbidden(message: str) -> Callable[[Any], tuple[int, Any]]:
    return lambda _: (403, {"kind": "Status", "message": message, "reason": "Forbidden"})


@pytest.fixture
def run(scripted: Serve, tmp_path: Path) -> Callable[..., Result]:
    def command(line: str, answers: dict[str, Any]) -> Result:
        empty: dict[str, Any] = {
            "/apis/apps/v1/statefulsets": {"items": []},
            "/apis/apps/v1/deployments": {"items": []},
        }
        empty["/api/v1/namespaces"] = {"items": []}
        _, url = scripted({**empty, **answers})
        return invoke(*line.split(), kubeconfig=write_kubeconfig(tmp_path, url))

    return command


def test_a_hashed_name_that_may_not_be_read_is_marked_not_guessed(run: Callable[..., Result]) -> None:
    host = naming.host_name(LONG, "shop", "vc")
    result = run(
        "top pods -n home",
        {
            f"{METRICS}/namespaces/home/pods": {"items": [pod("home", host, synced("vc", "shop"))]},
            f"/api/v1/namespaces/home/pods/{host}": forbidden('pods is forbidden: User "u" cannot get resource "pods"'),
        },
    )

    assert result.stdout == (
        "VCLUSTER   VNAMESPACE   NAME                                                               CPU(cores)   MEMORY(bytes)   \n"
        f"vc         shop         {host}*   10m          20Mi            \n"
    )
    assert (
        result.stderr
        == 'Warning: 1 pod keeps its host name, marked *: pods is forbidden: User "u" cannot get resource "pods"\n'
    )
    assert result.code == 0


def test_many_hashed_names_are_read_in_one_list_of_metadata(
    run: Callable[..., Result], scripted: Serve, tmp_path: Path
) -> None:
    names = [f"{LONG}-{index}" for index in range(20)]
    hosts = [naming.host_name(name, "shop", "vc") for name in names]
    claims = [
        {
            "metadata": {
                "name": host,
                "namespace": "home",
                "labels": synced("vc", "shop"),
                "annotations": {
                    "vcluster.loft.sh/object-name": name,
                    "vcluster.loft.sh/object-namespace": "shop",
                    "vcluster.loft.sh/object-kind": "/v1, Kind=Pod",
                    "vcluster.loft.sh/object-host-name": host,
                    "vcluster.loft.sh/object-host-namespace": "home",
                },
            }
        }
        for name, host in zip(names, hosts, strict=True)
    ]
    application, url = scripted(
        {
            f"{METRICS}/namespaces/home/pods": {"items": [pod("home", host, synced("vc", "shop")) for host in hosts]},
            "/api/v1/namespaces/home/pods": {"items": claims},
        }
    )

    result = invoke("top", "pods", "-n", "home", "-o", "json", kubeconfig=write_kubeconfig(tmp_path, url))

    assert [item["virtual"]["name"] for item in json.loads(result.stdout)["items"]] == sorted(names)
    (asked,) = [
        (query, environ["HTTP_ACCEPT"]) for path, query, environ in application.seen if path.startswith("/api/v1")
    ]
    assert "labelSelector=vcluster.loft.sh%2Fmanaged-by%3Dvc" in asked[0]
    assert "as=PartialObjectMetadataList" in asked[1]


SYNCED = {
    f"{METRICS}/pods": {
        "items": [
            pod("home", "vc-0", {"app": "vcluster", "release": "vc"}),
            pod("home", "web-x-default-x-vc", synced("vc", "default")),
            pod("synced", "db-0", synced("vc", "data")),
            pod("synced", "imported-0"),
        ]
    },
    f"{METRICS}/namespaces/home/pods": {"items": [pod("home", "web-x-default-x-vc", synced("vc", "default"))]},
    f"{METRICS}/namespaces/synced/pods": {
        "items": [pod("synced", "db-0", synced("vc", "data")), pod("synced", "imported-0")]
    },
    "/api/v1/namespaces": {"items": [host_namespace("synced", "vc", "home", "data")]},
    "/apis/apps/v1/statefulsets": {"items": [control_plane("home", "vc")]},
}


def test_namespace_sync_on_the_host(run: Callable[..., Result]) -> None:
    result = run("top pods -A", SYNCED)

    assert result.stdout == (
        "NAMESPACE   VCLUSTER   VNAMESPACE   NAME         CPU(cores)   MEMORY(bytes)   \n"
        "home        <none>     <none>       vc-0         10m          20Mi            \n"
        "home        vc         default      web          10m          20Mi            \n"
        "synced      home/vc    data         db-0         10m          20Mi            \n"
        "synced      home/vc    data         imported-0   10m          20Mi            \n"
    )
    assert result.stderr == ""


def test_namespace_sync_from_inside(run: Callable[..., Result]) -> None:
    result = run("top pods --vcluster vc", SYNCED)

    assert result.stdout == (
        "NAMESPACE   NAME         CPU(cores)   MEMORY(bytes)   \n"
        "data        db-0         10m          20Mi            \n"
        "data        imported-0   10m          20Mi            \n"
        "default     web          10m          20Mi            \n"
    )


def test_namespace_sync_added_up(run: Callable[..., Result]) -> None:
    result = run("top vclusters", SYNCED | {"/api/v1/nodes": forbidden("nodes is forbidden")})

    assert result.stdout == (
        "NAMESPACE   NAME     STATUS    VERSION   PODS   CPU(cores)   CPU(%)      MEMORY(bytes)   MEMORY(%)   CP-CPU(cores)   CP-MEMORY(bytes)   \n"
        "home        vc       Running   <none>    3      30m          <unknown>   60Mi            <unknown>   10m             20Mi               \n"
        "<none>      <none>   <none>    <none>    0      0m           <unknown>   0Mi             <unknown>   -               -                  \n"
    )
    assert result.stderr == "Warning: shares of the host are not known: nodes is forbidden\n"


def test_multi_namespace_mode_of_old_versions_has_no_labels_on_pods(run: Callable[..., Result]) -> None:
    namespace = naming.multi_namespace("home", "shop", "vc")
    result = run(
        "top pods -A",
        {
            f"{METRICS}/pods": {"items": [pod(namespace, "web-0")]},
            "/api/v1/namespaces": {"items": [host_namespace(namespace, "vc", "home", "shop")]},
        },
    )

    assert result.stdout == (
        "NAMESPACE                    VCLUSTER   VNAMESPACE   NAME    CPU(cores)   MEMORY(bytes)   \n"
        f"{namespace}   home/vc    shop         web-0   10m          20Mi            \n"
    )


NESTED = {
    f"{METRICS}/namespaces/home/pods": {
        "items": [
            pod(
                "home",
                "nginx-x-default-x-inner-x-team-x-outer",
                synced(
                    "outer",
                    "team",
                    app="nginx",
                    **{
                        naming.label_key("outer", naming.MANAGED_BY): "inner",
                        naming.label_key("outer", naming.NAMESPACE): "default",
                    },
                ),
            ),
            pod("home", "inner-0-x-team-x-outer", synced("outer", "team", app="vcluster")),
        ]
    },
    "/apis/apps/v1/statefulsets": {"items": [control_plane("home", "outer")]},
}


@pytest.mark.parametrize(
    ("line", "table"),
    [
        (
            "top pods -n home",
            "VCLUSTER                VNAMESPACE   NAME      CPU(cores)   MEMORY(bytes)   \n"
            "outer                   team         inner-0   10m          20Mi            \n"
            "home/outer/team/inner   default      nginx     10m          20Mi            \n",
        ),
        (
            "top pods --vcluster outer",
            "NAMESPACE   NAME                      CPU(cores)   MEMORY(bytes)   \n"
            "team        inner-0                   10m          20Mi            \n"
            "team        nginx-x-default-x-inner   10m          20Mi            \n",
        ),
        (
            "top pods --vcluster outer/team/inner",
            "NAMESPACE   NAME    CPU(cores)   MEMORY(bytes)   \ndefault     nginx   10m          20Mi            \n",
        ),
        (
            "top pods --vcluster outer/team/inner -n default -l app=nginx",
            "NAME    CPU(cores)   MEMORY(bytes)   \nnginx   10m          20Mi            \n",
        ),
    ],
)
def test_nested(line: str, table: str, run: Callable[..., Result]) -> None:
    result = run(line, NESTED)

    assert (result.stdout, result.stderr, result.code) == (table, "", 0)


def test_a_target_namespace_of_old_versions(run: Callable[..., Result]) -> None:
    items = {"items": [pod("target", "web-x-shop-x-vc", synced("vc", "shop"))]}
    answers = {
        f"{METRICS}/namespaces/home/pods": {"items": []},
        f"{METRICS}/pods": items,
        "/apis/apps/v1/statefulsets": {"items": [control_plane("home", "vc")]},
    }

    result = run("top pods --vcluster vc", answers)

    assert (
        result.stdout
        == "NAMESPACE   NAME   CPU(cores)   MEMORY(bytes)   \nshop        web    10m          20Mi            \n"
    )


def test_a_paused_virtual_cluster_says_so(run: Callable[..., Result]) -> None:
    paused = control_plane("home", "vc")
    paused["metadata"]["annotations"] = {"loft.sh/paused": "true"}
    paused["spec"] = {"replicas": 0}
    answers = {
        f"{METRICS}/namespaces/home/pods": {"items": []},
        f"{METRICS}/pods": {"items": []},
        "/apis/apps/v1/statefulsets": {"items": [paused]},
    }

    result = run("top pods --vcluster vc", answers)

    assert result == (0, "", "No resources found\nvirtual cluster home/vc is Paused\n")


def test_rights_in_one_namespace_are_enough(run: Callable[..., Result]) -> None:
    no = forbidden("no")
    answers = {
        f"{METRICS}/namespaces/home/pods": {"items": [pod("home", "web-x-shop-x-vc", synced("vc", "shop"))]},
        "/api/v1/namespaces": no,
        "/apis/apps/v1/statefulsets": no,
        "/apis/apps/v1/deployments": no,
        "/apis/apps/v1/namespaces/home/statefulsets": no,
        "/apis/apps/v1/namespaces/home/deployments": no,
    }

    result = run("top pods --vcluster home/vc", answers)

    assert (
        result.stdout
        == "NAMESPACE   NAME   CPU(cores)   MEMORY(bytes)   \nshop        web    10m          20Mi            \n"
    )
    assert result.code == 0
