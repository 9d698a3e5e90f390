"""Control planes of virtual clusters: which components are asked for, by the image and by nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.controlplane import vclusters
from kubectl_vmetrics.kube.client import Client
from tests.conftest import Scripted, invoke, write_kubeconfig

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
ALL = ["apiserver", "controller-manager", "scheduler", "syncer", "etcd", "kine"]


def answers(image: str) -> dict[str, Any]:
    """A host with one virtual cluster, whose syncer has some image."""
    labels = {"app": "vcluster", "release": "shop"}
    spec = {"containers": [{"name": "syncer", "image": image}]}
    workload = {
        "metadata": {"name": "shop", "namespace": "team-a", "labels": labels},
        "spec": {"replicas": 1, "template": {"spec": spec}},
        "status": {"readyReplicas": 1},
    }
    pod = {
        "metadata": {"name": "shop-0", "namespace": "team-a", "labels": labels},
        "spec": spec,
        "status": {"phase": "Running", "podIP": "10.244.0.9"},
    }
    return {
        "/apis/apps/v1/statefulsets": {"items": [workload]},
        "/apis/apps/v1/deployments": {"items": []},
        "/api/v1/pods": {"items": [pod]},
    }


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        # Releases before v0.24 have no paths but the apiserver's.
        ("v0.19.5", ALL[:1]),
        ("0.23.2", ALL[:1]),
        ("0.23.0-alpha.1", ALL[:1]),
        ("0.23.0-rc12", ALL[:1]),
        ("0.24.0", ALL),
        ("0.24.0-beta.1", ALL),
        ("v0.37.1-rc.2", ALL),
        ("1.0.0", ALL),
        # What is no release says nothing.
        ("0.0.1", ALL),
        ("v0.0.28", ALL),
        ("", ALL),
        ("latest", ALL),
        ("0.19", ALL),
        ("0.19.5-dirty", ALL),
        ("0.19.0-fix-something", ALL),
        ("0.1", ALL),
        ("3f1c9a2", ALL),
        ("20260101.1.2", ALL),
    ],
)
def test_an_image_that_is_no_release_is_asked(
    tag: str, expected: list[str], scripted: Serve, client_of: Callable[[str], Client]
) -> None:
    _, url = scripted(answers(f"registry.example:5000/vcluster{f':{tag}' if tag else ''}"))
    (plane,) = vclusters.find(client_of(url), None)

    assert [item.name for item in plane.components] == expected
    assert [item.name for item in plane.components if not item.optional] == ["apiserver"]


def forbidden(environ: dict[str, Any]) -> tuple[int, Any]:
    """As a real apiserver refuses a list."""
    parts = environ["PATH_INFO"].split("/")
    where = f'in the namespace "{parts[parts.index("namespaces") + 1]}"' if "namespaces" in parts else ""
    message = (
        f'{parts[-1]} is forbidden: User "nobody" cannot list resource "{parts[-1]}" {where or "at the cluster scope"}'
    )
    return 403, {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": message}


@pytest.mark.parametrize(
    ("args", "namespace"),
    [
        (["controlplanes", "-A"], None),
        (["controlplanes", "-A", "--kind=vcluster"], None),
        (["controlplanes", "-A", "--kind=kamaji"], None),
        (["controlplanes"], "default"),
        (["controlplanes", "-n", "team-a"], "team-a"),
        (["components"], None),
        (["components", "-A"], None),
    ],
)
def test_a_refusal_names_the_scope_that_was_asked_for(
    args: list[str], namespace: str | None, scripted: Serve, tmp_path: Path
) -> None:
    kamaji = "/apis/kamaji.clastix.io"
    listed: dict[str, Any] = {
        kamaji: {"preferredVersion": {"version": "v1alpha1"}},
        **{f"/apis/kubevirt.io/{version}/kubevirts": forbidden for version in ("v1", "v1alpha3")},
    }
    for scope in ("", "namespaces/default/", "namespaces/team-a/", "namespaces/kubevirt/"):
        listed[f"{kamaji}/v1alpha1/{scope}tenantcontrolplanes"] = forbidden
        listed |= {f"/apis/apps/v1/{scope}{kind}": forbidden for kind in ("statefulsets", "deployments")}
        listed[f"/api/v1/{scope}pods"] = forbidden
    result = invoke(*args, "--as", "nobody", kubeconfig=write_kubeconfig(tmp_path, scripted(listed)[1]))

    assert (result.code, result.stdout) == (1, "")
    named = [word for word in ("default", "team-a") if f'"{word}"' in result.stderr]
    assert named == ([namespace] if namespace else [])
    assert ("at the cluster scope" in result.stderr) == (namespace is None and args[0] == "controlplanes")


def test_a_virtual_cluster_from_source_shows_what_it_has(tmp_path: Path) -> None:
    """The demo's, with the tag of a build from source: the rows are those of the release."""
    from kubectl_vmetrics.demo import server
    from kubectl_vmetrics.demo.apiserver import Apiserver
    from kubectl_vmetrics.demo.changes import substitute
    from kubectl_vmetrics.demo.cluster import Shape, build

    apiserver = Apiserver(build(Shape(pods=3, vclusters=1, machines=0)))
    apiserver.change = substitute(
        r".*/(statefulsets|pods)", rb"vcluster-pro:[0-9.]+|vcluster:[0-9.]+", b"vcluster:0.0.1"
    )
    with server.serving(apiserver) as url:
        path = write_kubeconfig(tmp_path, url)
        result = invoke("controlplanes", "-n", "team-a", "-o", "json", "--interval=1s", kubeconfig=path)

    (item,) = json.loads(result.stdout)["items"]
    assert item["version"] == "0.0.1"
    assert [part["name"] for part in item["components"]] == ["apiserver", "controller-manager", "syncer"]
    assert item["verdict"] == "Healthy"
