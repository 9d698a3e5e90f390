"""Other modes and versions of vCluster, and clusters where not everything may be read."""

from __future__ import annotations

import base64
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
            "labels": {
                "vcluster.loft.sh/vcluster-name": vcluster,
                "vcluster.loft.sh/vcluster-namespace": home,
                naming.MANAGED_BY: naming.cluster_marker(home, vcluster),
            },
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
        == 'Warning: 1 pod is shown with its host name, marked *: pods is forbidden: User "u" cannot get resource "pods"\n'
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
    asked, *_ = [
        (query, environ["HTTP_ACCEPT"]) for path, query, environ in application.seen if path.startswith("/api/v1")
    ]
    assert not [path for path, _, _ in application.seen if "/pods/" in path]
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
    assert result.stderr == "Warning: percentages of the host are not available: nodes is forbidden\n"


def test_multi_namespace_mode_of_old_versions_has_no_labels_on_pods(run: Callable[..., Result]) -> None:
    namespace = "vcluster-8d9001d3-023df56b"  # hashes of shop, and of home and vc: multi_namespace.go, up to v0.25
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


def test_a_nested_virtual_cluster_without_pods_may_be_misspelled(run: Callable[..., Result]) -> None:
    result = run("top pods --vcluster outer/team/imner", NESTED)

    assert result == (
        0,
        "",
        "No resources found\n"
        "the host does not know nested virtual clusters without pods: check the name home/outer/team/imner\n",
    )


def old(version: str, *args: str) -> dict[str, Any]:
    made = control_plane("home", "vc")
    syncer = {"name": "syncer", "image": f"loftsh/vcluster:{version}", "args": list(args)}
    return {**made, "spec": {"template": {"spec": {"containers": [syncer]}}}}


def config(values: str, **labels: str) -> dict[str, Any]:
    data = {"config.yaml": base64.b64encode(values.encode()).decode()}
    return {"metadata": {"name": "vc-config-vc", "namespace": "home", "labels": labels}, "data": data}


SECRET = "/api/v1/namespaces/home/secrets/vc-config-vc"
VALUES = """
controlPlane:
  backingStore: {database: {external: {dataSource: "mysql://root:secret@db"}}}
experimental:
  syncSettings: {setOwner: true, targetNamespace: target}
"""
TARGET: dict[str, Any] = {
    f"{METRICS}/namespaces/home/pods": {"items": []},
    f"{METRICS}/namespaces/target/pods": {"items": [pod("target", "web-x-shop-x-vc", synced("vc", "shop"))]},
    f"{METRICS}/pods": {
        "items": [
            pod("home", "vc-0", {"app": "vcluster", "release": "vc"}),
            pod("target", "web-x-shop-x-vc", synced("vc", "shop")),
        ]
    },
    "/api/v1/nodes": forbidden("no"),
}
PROOFS: list[tuple[str, dict[str, Any], str]] = [
    ("the syncer's flag", {"/apis/apps/v1/statefulsets": {"items": [old("0.19.1", "--target-namespace=target")]}}, ""),
    ("two words", {"/apis/apps/v1/statefulsets": {"items": [old("0.14.0", "--target-namespace", "target")]}}, ""),
    ("its values", {"/apis/apps/v1/statefulsets": {"items": [old("0.27.0")]}, SECRET: config(VALUES)}, ""),
    ("unknown version", {"/apis/apps/v1/statefulsets": {"items": [old("dev")]}, SECRET: config(VALUES)}, ""),
    (
        "the user",
        {"/apis/apps/v1/statefulsets": {"items": [control_plane("home", "vc")]}},
        " --target-namespace target=home/vc",
    ),
]
NO_PROOFS: list[tuple[str, dict[str, Any], str]] = [
    ("none", {"/apis/apps/v1/statefulsets": {"items": [old("0.27.0")]}}, ""),
    ("forbidden", {"/apis/apps/v1/statefulsets": {"items": [old("0.27.0")]}, SECRET: forbidden("no")}, ""),
    ("a version without", {"/apis/apps/v1/statefulsets": {"items": [old("0.30.0")]}, SECRET: config(VALUES)}, ""),
    (
        "a tenant's own Secret",
        {"/apis/apps/v1/statefulsets": {"items": [old("0.27.0")]}, SECRET: config(VALUES, **synced("x", "y"))},
        "",
    ),
    ("another", {"/apis/apps/v1/statefulsets": {"items": [old("0.27.0")]}, SECRET: config("a: {b: target}")}, ""),
    (
        "elsewhere",
        {
            "/apis/apps/v1/statefulsets": {"items": [old("0.27.0")]},
            SECRET: config(VALUES.replace(": target", ": other")),
        },
        "",
    ),
    ("no YAML", {"/apis/apps/v1/statefulsets": {"items": [old("0.27.0")]}, SECRET: config("a: [}")}, ""),
    ("deep", {"/apis/apps/v1/statefulsets": {"items": [old("0.27.0")]}, SECRET: config("[" * 100_000)}, ""),
    ("another's word", {"/apis/apps/v1/statefulsets": {"items": [old("0.27.0")]}}, " --target-namespace other=home/vc"),
]
CLAIMED = (
    "Warning: 1 pod carries labels of a virtual cluster that does not run in its namespace (vc in target); it counts as "
    "the host's. If it syncs there, add --target-namespace target=HOSTNS/vc\n"
)


@pytest.mark.parametrize(("answers", "more"), [p[1:] for p in PROOFS], ids=[p[0] for p in PROOFS])
def test_a_target_namespace_with_proof(answers: dict[str, Any], more: str, run: Callable[..., Result]) -> None:
    inside = run(f"top pods --vcluster vc{more}", {**TARGET, **answers})
    spaces = run(f"top namespaces{more}", {**TARGET, **answers})

    assert (
        inside.stdout
        == "NAMESPACE   NAME   CPU(cores)   MEMORY(bytes)   \nshop        web    10m          20Mi            \n"
    )
    assert [line.split()[:4] for line in spaces.stdout.splitlines()] == [
        ["NAMESPACE", "VCLUSTER", "VNAMESPACE", "PODS"],
        ["home", "<none>", "<none>", "1"],
        ["target", "home/vc", "shop", "1"],
    ]
    assert "secret" not in inside.stdout + inside.stderr + spaces.stdout + spaces.stderr
    assert "labels of a virtual cluster" not in spaces.stderr


@pytest.mark.parametrize(("answers", "more"), [p[1:] for p in NO_PROOFS], ids=[p[0] for p in NO_PROOFS])
def test_a_target_namespace_without(answers: dict[str, Any], more: str, run: Callable[..., Result]) -> None:
    if more:
        answers = {**answers, f"{METRICS}/namespaces/other/pods": {"items": []}}
    inside = run(f"top pods --vcluster vc{more}", {**TARGET, **answers})
    spaces = run(f"top namespaces{more}", {**TARGET, **answers})
    whole = run(f"top vclusters{more}", {**TARGET, **answers})

    assert inside.stdout == ""
    assert [line.split()[:4] for line in spaces.stdout.splitlines()[1:]] == [
        ["home", "<none>", "<none>", "1"],
        ["target*", "<none>", "<none>", "1"],
    ]
    assert [line.split()[:5] for line in whole.stdout.splitlines()[1:]] == [
        ["home", "vc", "Running", whole.stdout.splitlines()[1].split()[3], "0"],
        ["<none>", "<none>*", "<none>", "<none>", "1"],
    ]
    assert CLAIMED in spaces.stderr
    assert CLAIMED in whole.stderr


def test_the_secret_is_read_only_where_it_may_hold_a_target(scripted: Serve, tmp_path: Path) -> None:
    for version, pods, asked in (
        ("0.27.0", [], True),
        ("0.30.0", [], False),
        ("0.19.0", [], False),
        ("1.0.0", [], False),
        ("0.27.0", [pod("home", "web-x-shop-x-vc", synced("vc", "shop"))], False),
    ):
        answers = {
            **TARGET,
            f"{METRICS}/namespaces/home/pods": {"items": pods},
            "/apis/apps/v1/statefulsets": {"items": [old(version)]},
            "/apis/apps/v1/deployments": {"items": []},
            "/api/v1/namespaces": {"items": []},
        }
        application, url = scripted(answers)
        invoke("top", "pods", "--vcluster", "vc", kubeconfig=write_kubeconfig(tmp_path, url))
        assert any("/secrets/" in path for path, _, _ in application.seen) is asked, version


def test_a_namespace_that_two_virtual_clusters_claim_is_nobodys(run: Callable[..., Result]) -> None:
    other = old("0.19.1", "--target-namespace=target")
    other["metadata"] = {**other["metadata"], "namespace": "evil"}
    both = {"/apis/apps/v1/statefulsets": {"items": [old("0.19.1", "--target-namespace=target"), other]}}

    spaces = run("top namespaces", {**TARGET, **both})

    assert [line.split()[:2] for line in spaces.stdout.splitlines()[1:]] == [["home", "<none>"], ["target*", "<none>"]]
    for name in ("home/vc", "evil/vc"):
        empty = {f"{METRICS}/namespaces/evil/pods": {"items": []}}
        assert run(f"top pods --vcluster {name}", {**TARGET, **empty, **named(both)}).stdout == ""
    mended = run("top namespaces --target-namespace target=home/vc", {**TARGET, **both})
    assert mended.stdout.splitlines()[2].split()[:3] == ["target", "home/vc", "shop"]


def named(answers: dict[str, Any]) -> dict[str, Any]:
    """The same, asked of one namespace."""
    items = answers["/apis/apps/v1/statefulsets"]["items"]
    found = dict(answers)
    for namespace in {item["metadata"]["namespace"] for item in items}:
        own = [item for item in items if item["metadata"]["namespace"] == namespace]
        found[f"/apis/apps/v1/namespaces/{namespace}/statefulsets"] = {"items": own}
        found[f"/apis/apps/v1/namespaces/{namespace}/deployments"] = {"items": []}
    return found


@pytest.mark.parametrize(
    "text", ["target", "target=vc", "target=home/", "=home/vc", "t/x=home/vc", "target=a/b/c", "T=home/vc", ""]
)
def test_a_target_that_is_none(text: str, run: Callable[..., Result]) -> None:
    result = invoke("top", "pods", "--target-namespace", text)

    assert result == (1, "", f'error: --target-namespace: "{text}" is not HOSTNS=VCNS/NAME\n')


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


DEV = {
    f"{METRICS}/pods": {
        "items": [
            pod("team-b", "dev-0", {"app": "vcluster", "release": "dev"}),
            pod("team-b", "web-x-shop-x-dev", synced("dev", "shop")),
            pod("team-c", "victim-x-shop-x-dev", synced("dev", "shop"), "198000m"),
        ]
    },
    "/api/v1/nodes": forbidden("no"),
}
IN_TEAM_B = {"items": [control_plane("team-b", "dev")]}
ONLY_TEAM_B = {
    "/apis/apps/v1/statefulsets": forbidden("no"),
    "/apis/apps/v1/deployments": forbidden("no"),
    "/apis/apps/v1/namespaces/team-b/statefulsets": IN_TEAM_B,
    "/apis/apps/v1/namespaces/team-b/deployments": {"items": []},
}


def rows(result: Result, cells: int) -> list[list[str]]:
    return [line.split()[:cells] for line in result.stdout.splitlines()[1:]]


def test_not_being_allowed_to_list_is_no_proof_of_absence(run: Callable[..., Result]) -> None:
    """Two virtual clusters `dev`, of which one may be listed: the other's pods are not the listed one's."""
    for answers in (ONLY_TEAM_B, {**ONLY_TEAM_B, "/apis/apps/v1/statefulsets": IN_TEAM_B}):
        spaces = run("top namespaces -n team-b -A", {**DEV, **answers})
        whole = run("top vclusters -n team-b -A", {**DEV, **answers})

        assert rows(spaces, 4) == [
            ["team-b", "<none>", "<none>", "1"],
            ["team-b", "dev", "shop", "1"],
            ["team-c", "dev", "shop", "1"],
        ]
        assert [(row[0], row[1], next(c for c in row if c.endswith("m"))) for row in rows(whole, 6)] == [
            ("team-b", "dev", "10m"),
            ("team-c", "dev", "198000m"),
            ("<none>", "<none>", "0m"),
        ]
        assert "labels of a virtual cluster" not in spaces.stderr


def test_a_control_plane_that_is_gone_leaves_nothing_to_one_of_its_name(run: Callable[..., Result]) -> None:
    answers = {**DEV, "/apis/apps/v1/statefulsets": IN_TEAM_B}

    spaces, whole = run("top namespaces", answers), run("top vclusters", answers)

    assert rows(spaces, 4) == [
        ["team-b", "<none>", "<none>", "1"],
        ["team-b", "dev", "shop", "1"],
        ["team-c*", "<none>", "<none>", "1"],
    ]
    assert [(row[0], row[1], row[5]) for row in rows(whole, 6)] == [
        ("team-b", "dev", "10m"),
        ("<none>", "<none>*", "198000m"),
    ]
    assert "(dev in team-c); it counts as the host's." in spaces.stderr
    assert "(dev in team-c); it counts as the host's." in whole.stderr


def test_labels_alone_never_reach_into_another_namespace(run: Callable[..., Result]) -> None:
    """`top pods` makes one request. All it can say is what the labels are worth in the pod's own namespace."""
    answers = {**DEV, "/apis/apps/v1/statefulsets": IN_TEAM_B}
    answers[f"{METRICS}/namespaces/team-b/pods"] = {"items": DEV[f"{METRICS}/pods"]["items"][:2]}

    assert rows(run("top pods -A", answers), 4) == [
        ["team-b", "<none>", "<none>", "dev-0"],
        ["team-b", "dev", "shop", "web"],
        ["team-c", "dev", "shop", "victim"],
    ]
    assert rows(run("top pods --vcluster dev", answers), 2) == [["shop", "web"]]
    assert rows(run("top namespaces --vcluster team-b/dev", {**answers, **ONLY_TEAM_B}), 2) == [["shop", "1"]]


@pytest.mark.parametrize(
    ("namespace", "kept"),
    [
        (host_namespace("victims", "evil", "nowhere", "x"), False),
        (host_namespace("victims", "dev", "team-b", "x"), True),
        # In a namespace with a control plane everything is that one's, whatever the Namespace is labelled.
        (host_namespace("team-b", "evil", "team-x", "x"), False),
    ],
    ids=["of none", "of one that is there", "over a control plane"],
)
def test_a_synced_namespace_is_of_a_virtual_cluster_that_is_there(
    namespace: dict[str, Any], kept: bool, run: Callable[..., Result]
) -> None:
    items = [*DEV[f"{METRICS}/pods"]["items"][:2], pod("victims", "db-0")]
    answers = {
        **DEV,
        f"{METRICS}/pods": {"items": items},
        "/apis/apps/v1/statefulsets": {"items": [control_plane("team-b", "dev"), control_plane("team-x", "evil")]},
        "/api/v1/namespaces": {"items": [namespace]},
        f"{METRICS}/namespaces/team-x/pods": {"items": []},
    }

    assert rows(run("top namespaces", answers), 4) == [
        ["team-b", "<none>", "<none>", "1"],
        ["team-b", "dev", "shop", "1"],
        ["victims", *(["team-b/dev", "x"] if kept else ["<none>", "<none>"]), "1"],
    ]
    assert run("top pods --vcluster evil", answers).stdout == ""
