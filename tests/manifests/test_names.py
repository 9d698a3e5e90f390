"""What is printed for one tenant never replaces what was printed for another; names keep to the limits of Kubernetes."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.cli.manifests.grants import rbac as rbac_command
from kubectl_vmetrics.controlplane.plane import APISERVER, KAMAJI, VCLUSTER, Component, Plane
from kubectl_vmetrics.kube.rbac import Account
from kubectl_vmetrics.manifests import controlplane
from tests.conftest import invoke

Objects = list[dict[str, Any]]
LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
RBAC = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")


def printed(*args: str) -> Objects:
    result = invoke("manifests", *args)
    assert (result.code, result.stderr) == (0, "")
    return list(yaml.safe_load_all(result.stdout))


def keys(objects: Objects) -> set[tuple[str, str, str]]:
    return {(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in objects}


def hold(objects: Objects) -> None:
    """Whether all names are names, labels are labels, and everything refers to what is there."""
    for item in objects:
        name = item["metadata"]["name"]
        if item["kind"] in RBAC:
            assert not re.search("[/%]", name)
            assert name not in (".", "..")
            assert len(name) <= 253
        elif item["kind"] in ("Service", "Deployment"):
            assert LABEL.fullmatch(name), name
        else:
            assert SUBDOMAIN.fullmatch(name), name
        for value in item["metadata"].get("labels", {}).values():
            assert len(value) <= 63
    roles = {(item["kind"], item["metadata"]["name"]) for item in objects}
    for item in objects:
        if item["kind"].endswith("Binding"):
            assert (item["roleRef"]["kind"], item["roleRef"]["name"]) in roles


def proxy(vcluster: str, *args: str) -> Objects:
    return printed("proxy", "--image=a", *([f"--vcluster={vcluster}"] if vcluster else []), *args)


TENANTS = [
    "",
    "team-a/shop",
    "team-a/dev",
    "team-b/shop",
    "team/a-shop",
    f"{'t' * 63}/{'v' * 63}",
    f"{'t' * 63}/{'v' * 62}",
    f"{'t' * 62}/{'v' * 63}",
]


def test_proxies_of_tenants_share_nothing() -> None:
    seen: dict[Any, str] = {}
    for tenant in TENANTS:
        objects = proxy(tenant)
        hold(objects)
        pod = next(i for i in objects if i["kind"] == "Deployment")["spec"]["template"]
        secrets = {("Secret", "", v["secret"]["secretName"]) for v in pod["spec"]["volumes"] if "secret" in v}
        assert len(secrets) == 2
        labels = ("labels", "", str(sorted(pod["metadata"]["labels"].items())))
        for key in {*keys(objects), *secrets, labels}:
            assert key not in seen, (key, tenant, seen[key])
            seen[key] = tenant
    assert {name for kind, _, name in seen if kind == "Service" and seen[kind, "vmetrics", name] == ""} == {
        "vmetrics-proxy"
    }


def test_two_proxies_of_one_virtual_cluster_share_nothing() -> None:
    one, two = (proxy("team-a/shop", "-n", space, "--name=metrics") for space in ("monitoring", "team-a"))
    assert keys(one) & keys(two) == set()
    hold(one)
    hold(two)


def test_names_that_were_given_are_kept() -> None:
    objects = proxy("team-a/shop", "--name=metrics", "--token-secret=t")
    volumes = next(i for i in objects if i["kind"] == "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert [v["secret"]["secretName"] for v in volumes if "secret" in v] == ["t", "metrics-serving-cert"]
    assert {name for kind, _, name in keys(objects) if kind not in RBAC} == {"metrics"}


SUBJECTS = [
    ["--user=alice"],
    ["--group=alice"],
    ["--serviceaccount=alice:default"],
    ["--serviceaccount=default:alice"],
    ["--user=bob@example.com"],
    ["--user=https://issuer/#alice"],
    ["--user=https://issuer/%alice"],
    ["--user=.."],
    ["--user=Ä"],
    [f"--user={'u' * 300}"],
    [f"--user={'u' * 301}"],
]


@pytest.mark.parametrize("scope", [[], ["-n", "prod"]])
def test_each_subject_has_a_binding_of_its_own(scope: list[str]) -> None:
    seen: dict[Any, list[str]] = {}
    for subject in SUBJECTS:
        objects = printed("rbac", "--for=top pods", "--for=top nodes", *subject, *scope)
        hold(objects)
        for key in keys(objects):
            assert key not in seen, (key, subject, seen[key])
            seen[key] = subject


def test_one_subject_in_two_namespaces() -> None:
    one, two = (printed("rbac", "--for=top nodes", "--user=alice", "-n", space) for space in ("prod", "dev"))
    assert keys(one) & keys(two) == set()
    assert "ClusterRole" in {kind for kind, _, _ in keys(one)}


def test_the_example_for_tenants_grants_nothing_beyond_their_namespace() -> None:
    (line,) = [line for title, line in rbac_command.examples if "tenant" in title]  # type: ignore[attr-defined]
    objects = printed(*shlex.split(line)[1:])
    assert {item["kind"] for item in objects} == {"Role", "RoleBinding"}
    assert {item["metadata"]["namespace"] for item in objects} == {"team-a"}


def plane(kind: str, name: str) -> Plane:
    part = Component(APISERVER, f"{name}-0", "10.0.0.1", 6443, verified=True)
    secrets = (("kubelet", f"{name}-kubelet"), ("ca", f"{name}-ca"), ("certificate", f"vc-{name}"))
    return Plane(kind, "tenants", name, components=(part,), secrets=secrets)


@pytest.mark.parametrize("generate", [False, True])
def test_control_planes_of_one_namespace_share_nothing(generate: bool) -> None:
    account = Account("monitoring", "prometheus")
    settings = controlplane.Settings(account, account, {}, generate)
    planes = [plane(KAMAJI, "acme"), plane(VCLUSTER, "acme")]
    planes += [plane(kind, "a" * length) for kind in (KAMAJI, VCLUSTER) for length in (52, 62, 63)]
    seen: dict[Any, Plane] = {}
    for item in planes:
        objects = [o for o in controlplane.bundle(item, settings, b"pem").objects if o["kind"] != "KubeconfigGenerator"]
        hold(objects)
        for key in keys(objects):
            assert key not in seen, (key, item, seen[key])
            seen[key] = item
        # Its ServiceMonitor selects its own Service, and nobody else's.
        monitor = next(o for o in objects if o["kind"] == "ServiceMonitor")
        wanted = monitor["spec"]["selector"]["matchLabels"]
        for other in planes:
            service = next(o for o in controlplane.bundle(other, settings).objects if o["kind"] == "Service")
            assert (wanted.items() <= service["metadata"]["labels"].items()) == (other == item)
