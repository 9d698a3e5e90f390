"""Who may do what in the demo: by its roles, in the words of a real apiserver."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.metrics import sampling, traffic
from tests.conftest import Cli, invoke, write_kubeconfig
from tests.demo.asking import Clock, answer, ask, refused
from tests.replay import RECORDINGS

METRICS = "/apis/metrics.k8s.io/v1beta1"
FORWARD = "/api/v1/namespaces/team-a/pods/shop-0/portforward"
REVIEWS = "/apis/authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def server() -> Apiserver:
    return Apiserver(build(Shape()), Clock())


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / "host" / name).read_text())


@pytest.mark.parametrize(
    ("path", "recording", "user"),
    [
        (f"{METRICS}/pods", "apis-metrics.k8s.io-v1beta1-pods-65c188.json", "bob"),
        (f"{METRICS}/nodes", "apis-metrics.k8s.io-v1beta1-nodes-65c188.json", "bob"),
        (f"{METRICS}/namespaces/team-a/pods/nope", "apis-metrics.k8s.io-v1beta1-namespaces-team-a-pods-nope.json", ""),
        (f"{METRICS}/nodes/nope", "apis-metrics.k8s.io-v1beta1-nodes-nope.json", ""),
        ("/api/v1/nodes/nope/proxy/stats/summary", "api-v1-nodes-nope-proxy-stats-summary.json", ""),
    ],
)
def test_refusals_are_what_a_real_cluster_answered(path: str, recording: str, user: str, server: Apiserver) -> None:
    """Word for word, and in the same order."""
    _, headers, body = ask(server, path, **({"IMPERSONATE_USER": user} if user else {}))

    assert json.loads(body) == recorded(recording)
    assert list(json.loads(body)) == list(recorded(recording))
    assert headers["Content-Type"] == "application/json"


CASES = {
    # what is asked for: the query, who may do it, and how it is refused to others
    f"{METRICS}/pods": (
        "",
        "viewer",
        'pods.metrics.k8s.io is forbidden: User "{}" cannot list resource "pods" in API group "metrics.k8s.io" at the cluster scope',
    ),
    f"{METRICS}/nodes/worker-1": (
        "",
        "viewer",
        'nodes.metrics.k8s.io "worker-1" is forbidden: User "{}" cannot get resource "nodes" in API group "metrics.k8s.io" at the cluster scope',
    ),
    f"{METRICS}/namespaces/team-a/pods": (
        "",
        "viewer alice",
        'pods.metrics.k8s.io is forbidden: User "{}" cannot list resource "pods" in API group "metrics.k8s.io" in the namespace "team-a"',
    ),
    f"{METRICS}/namespaces/team-b/pods": (
        "",
        "viewer dave",
        'pods.metrics.k8s.io is forbidden: User "{}" cannot list resource "pods" in API group "metrics.k8s.io" in the namespace "team-b"',
    ),
    "/api/v1/namespaces/team-a/pods/shop-0": (
        "",
        "viewer alice",
        'pods "shop-0" is forbidden: User "{}" cannot get resource "pods" in API group "" in the namespace "team-a"',
    ),
    "/api/v1/namespaces/team-a": (
        "",
        "viewer alice",
        'namespaces "team-a" is forbidden: User "{}" cannot get resource "namespaces" in API group "" in the namespace "team-a"',
    ),
    "/api/v1/namespaces": (
        "",
        "viewer",
        'namespaces is forbidden: User "{}" cannot list resource "namespaces" in API group "" at the cluster scope',
    ),
    "/api/v1/pods": (
        "watch=1&timeoutSeconds=0",
        "viewer",
        'pods is forbidden: User "{}" cannot watch resource "pods" in API group "" at the cluster scope',
    ),
    "/api/v1/nodes": (
        "",
        "viewer",
        'nodes is forbidden: User "{}" cannot list resource "nodes" in API group "" at the cluster scope',
    ),
    "/api/v1/nodes/worker-1/proxy/stats/summary": (
        "",
        "",
        'nodes "worker-1" is forbidden: User "{}" cannot get resource "nodes/proxy" in API group "" at the cluster scope',
    ),
    "/api/v1/namespaces/team-a/secrets/vc-shop": (
        "",
        "",
        'secrets "vc-shop" is forbidden: User "{}" cannot get resource "secrets" in API group "" in the namespace "team-a"',
    ),
    "/api/v1/namespaces/kamaji-system/pods/http:etcd-0:2381/proxy/metrics": (
        "",
        "",
        'pods "http:etcd-0:2381" is forbidden: User "{}" cannot get resource "pods/proxy" in API group "" in the namespace "kamaji-system"',
    ),
    FORWARD: (
        "ports=8443",
        "",
        'pods "shop-0" is forbidden: User "{}" cannot get resource "pods/portforward" in API group "" in the namespace "team-a"',
    ),
    "/apis/rbac.authorization.k8s.io/v1/clusterroles": (
        "",
        "",
        'clusterroles.rbac.authorization.k8s.io is forbidden: User "{}" cannot list resource "clusterroles" in API group "rbac.authorization.k8s.io" at the cluster scope',
    ),
    "/apis/nothing.example/v1/things": (
        "",
        "",
        'things.nothing.example is forbidden: User "{}" cannot list resource "things" in API group "nothing.example" at the cluster scope',
    ),
    "/nothing": ("", "", 'forbidden: User "{}" cannot get path "/nothing"'),
    "/metrics": ("", "", 'forbidden: User "{}" cannot get path "/metrics"'),
    "/version": ("", "viewer alice dave nobody bob", ""),
    "/apis": ("", "viewer alice dave nobody bob", ""),
    "/api/v1": ("", "viewer alice dave nobody bob", ""),
}


@pytest.mark.parametrize("path", CASES)
@pytest.mark.parametrize("user", ["kubernetes-admin", "viewer", "alice", "dave", "nobody", "bob"])
def test_who_may_do_what(path: str, user: str, server: Apiserver) -> None:
    query, allowed, message = CASES[path]
    if user == "kubernetes-admin":
        status, _, body = ask(server, path, query)
        assert not status.startswith("403"), body
        return
    found = ask(server, path, query, IMPERSONATE_USER=user)
    if user in allowed.split():
        assert found[0] == "200 OK", found[2]
        return
    told = json.loads(found[2])
    assert (found[0], told["reason"], told["code"]) == ("403 Forbidden", "Forbidden", 403)
    assert told["message"] == message.format(user)


def test_an_anonymous_user_gets_what_was_recorded_of_one(server: Apiserver) -> None:
    """failures/anonymous: the same as bob, by another name."""
    found = refused(server, f"{METRICS}/pods", IMPERSONATE_USER="system:anonymous")
    expected = recorded("apis-metrics.k8s.io-v1beta1-pods-65c188.json")

    assert found == {**expected, "message": expected["message"].replace('"bob"', '"system:anonymous"')}
    assert ask(server, "/healthz", IMPERSONATE_USER="system:anonymous")[0] == "200 OK"
    assert refused(server, "/apis", IMPERSONATE_USER="system:anonymous")["message"] == (
        'forbidden: User "system:anonymous" cannot get path "/apis"'
    )


# ------------------------------------------------------------------------------------------------- impersonation


def test_impersonating_takes_the_right_to(server: Apiserver) -> None:
    token = {"AUTHORIZATION": "Bearer demo-viewer"}
    assert answer(server, f"{METRICS}/pods", **token)["items"]
    for header, kind, name, group, scope in (
        ("IMPERSONATE_USER", "users", "alice", "", "at the cluster scope"),
        ("IMPERSONATE_USER", "serviceaccounts", "prom", "", 'in the namespace "mon"'),
    ):
        given = "system:serviceaccount:mon:prom" if kind == "serviceaccounts" else name
        message = refused(server, f"{METRICS}/pods", **token, **{header: given})["message"]
        assert message == (
            f'{kind} "{name}" is forbidden: User "viewer" cannot impersonate resource "{kind}" '
            f'in API group "{group}" {scope}'
        )


def test_groups_and_service_accounts(server: Apiserver) -> None:
    assert ask(server, "/api/v1/secrets", IMPERSONATE_USER="x", IMPERSONATE_GROUP="system:masters")[0] == "200 OK"
    assert ask(server, "/api/v1/secrets", IMPERSONATE_USER="x", IMPERSONATE_GROUP="a, system:masters")[0] == "200 OK"
    assert ask(server, "/api/v1/secrets", IMPERSONATE_USER="x", IMPERSONATE_GROUP="a")[0] == "403 Forbidden"
    account = "system:serviceaccount:monitoring:prometheus-k8s"
    assert ask(server, "/api/v1/namespaces/kubevirt/pods", IMPERSONATE_USER=account)[0] == "200 OK"
    assert ask(server, "/api/v1/namespaces/tenants/pods", IMPERSONATE_USER=account)[0] == "403 Forbidden"
    assert ask(server, "/api/v1/pods", IMPERSONATE_GROUP="a")[0].startswith("500")


def test_tokens(server: Apiserver) -> None:
    assert refused(server, "/api/v1/pods", AUTHORIZATION="Bearer nothing") == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }
    assert ask(server, f"{METRICS}/namespaces/team-a/pods", AUTHORIZATION="Bearer demo-alice")[0] == "200 OK"
    assert ask(server, f"{METRICS}/namespaces/team-b/pods", AUTHORIZATION="Bearer demo-alice")[0] == "403 Forbidden"


def test_the_real_client_passes_groups_on(tmp_path: Any) -> None:
    """Several groups come as several headers of one name."""
    application = Apiserver(build(Shape()), Clock())
    with demo_server.serving(application) as url:
        path = write_kubeconfig(tmp_path, url)
        groups = ["--as-group=a", "--as-group=system:masters"]
        for given in (groups, groups[::-1]):
            assert invoke("top", "nodes", "--as=x", *given, kubeconfig=path).code == 0
        assert invoke("top", "nodes", "--as=x", groups[0], kubeconfig=path).stderr == (
            'Error from server (Forbidden): nodes.metrics.k8s.io is forbidden: User "x" cannot list resource "nodes" in '
            'API group "metrics.k8s.io" at the cluster scope\n'
        )


@pytest.mark.parametrize(
    "line", ["top pods -A", "top nodes", "top vclusters", "components -A", "controlplanes -A", "vmi -A"]
)
def test_nobody_may_do_nothing(line: str, on_demo: Cli) -> None:
    result = on_demo(*line.split(), "--as", "nobody")

    assert (result.code, result.stdout) == (1, "")
    assert 'User "nobody" cannot list resource ' in result.stderr or "no KubeVirt object can be listed" in result.stderr


# ------------------------------------------------------------------------------------------------ port-forwarding


@pytest.mark.parametrize(
    ("verbs", "missing"),
    [("get", "create"), ("create", "get"), ("", "get"), ("get create", ""), ("*", "")],
)
def test_port_forwarding_takes_both_verbs(verbs: str, missing: str) -> None:
    """The WebSocket is a GET; since 1.35 it takes `create` as well, as SPDY's POST always did."""
    server = Apiserver(build(Shape()), Clock())
    server.grant(granted("f", "pods/portforward", verbs))
    found = refused(server, FORWARD, "ports=8443", IMPERSONATE_USER="f")

    # Whoever may is told that this client speaks no WebSocket.
    expected = (
        f'pods "shop-0" is forbidden: User "f" cannot {missing} resource "pods/portforward" in API group "" in the '
        'namespace "team-a"'
        if missing
        else "unable to upgrade: a WebSocket is expected"
    )
    assert found["message"] == expected


def granted(user: str, resource: str, verbs: str) -> list[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    return [
        {
            "kind": "ClusterRole",
            "metadata": {"name": user},
            "rules": [{"apiGroups": [""], "resources": [resource], "verbs": verbs.split()}],
        },
        {
            "kind": "ClusterRoleBinding",
            "metadata": {"name": user},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": user},
            "subjects": [{"kind": "User", "apiGroup": group, "name": user}],
        },
    ]


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("top pods", "top pods -A"),
        ("top nodes", "top nodes"),
        ("top vclusters", "top vclusters"),
        ("top namespaces", "top namespaces"),
        ("top vclusters -o wide", "top vclusters -o wide"),
        ("top namespaces -o wide", "top namespaces -o wide"),
        ("top pods --network", "top pods -A --network --interval 5s"),
        ("top vclusters --network", "top vclusters --io --interval 5s"),
        ("top volumes", "top volumes -A"),
        ("raw", "raw /api/v1/nodes/worker-1/proxy/metrics/resource"),
        ("vmi", "vmi -A --interval 5s"),
        ("components", "components --interval 1s"),
        ("controlplanes", "controlplanes -A --interval 1s"),
        ("targets", "targets"),
    ],
)
def test_the_rights_that_are_printed_are_enough_and_needed(
    command: str, line: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`manifests rbac --for COMMAND`, applied to a cluster that decides by it."""
    fake = SimpleNamespace(time=time.time, monotonic=time.monotonic, sleep=lambda _: None)
    monkeypatch.setattr(sampling, "time", fake)
    monkeypatch.setattr(traffic, "_AGAIN", 0)
    objects = list(yaml.safe_load_all(invoke("manifests", "rbac", "--for", command, "--user=eve", "--complete").stdout))
    application = Apiserver(build(Shape()), Clock())
    with demo_server.serving(application) as url:
        path = write_kubeconfig(tmp_path, url)
        args = [*line.split(), f"--cache-dir={tmp_path}"]
        refusal = invoke(*args, "--as=eve", kubeconfig=path)
        application.grant(objects)
        allowed, expected = (invoke(*args, *more, kubeconfig=path) for more in (["--as=eve"], []))

    assert refusal.code == 1
    assert 'User "eve" cannot' in refusal.stderr or "no KubeVirt object can be listed" in refusal.stderr
    assert (allowed.code, allowed.stderr) == (expected.code, expected.stderr)
    assert allowed.stdout.splitlines()[0] == expected.stdout.splitlines()[0]
    assert len(allowed.stdout.splitlines()) == len(expected.stdout.splitlines())


# ---------------------------------------------------------------------------------------------------------- reviews


def review(server: Apiserver, kind: str, spec: dict[str, Any], **headers: str) -> Any:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    return answer(server, f"{REVIEWS}/{kind.lower()}s", body=body, **headers)


def attributes(path: str, query: str) -> dict[str, str]:
    """What a path asks for, as a review says it; by hand, beside what the demo makes of it."""
    parts = path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    found = {"group": group}
    if rest[0] == "namespaces" and len(rest) > 1:
        found["namespace"] = rest[1]
        rest = rest[2:] if len(rest) > 2 else rest
    found["resource"] = rest[0]
    if len(rest) > 1:
        found["name"] = rest[1]
    if len(rest) > 2:
        found["subresource"] = rest[2]
    found["verb"] = "watch" if "watch=1" in query else "get" if len(rest) > 1 else "list"
    return found


@pytest.mark.parametrize("path", [path for path in CASES if path.count("/") > 3 or path == "/api/v1/pods"])
@pytest.mark.parametrize("user", ["viewer", "alice", "nobody"])
def test_reviews_say_what_requests_get(path: str, user: str, server: Apiserver) -> None:
    query, allowed, _ = CASES[path]
    spec = {"resourceAttributes": attributes(path, query)}
    own = review(server, "SelfSubjectAccessReview", spec, IMPERSONATE_USER=user)
    other = review(server, "SubjectAccessReview", {**spec, "user": user, "groups": ["system:authenticated"]})

    assert own["status"]["allowed"] == (user in allowed.split())
    assert own["status"] == other["status"]
    assert (own["kind"], own["apiVersion"], own["spec"]) == (
        "SelfSubjectAccessReview",
        "authorization.k8s.io/v1",
        spec,
    )
    if own["status"]["allowed"]:
        assert own["status"]["reason"].startswith("RBAC: allowed by ")


def test_reviews_name_the_binding(server: Apiserver) -> None:
    def reason(user: str, **asked: str) -> str:
        spec = {"resourceAttributes": {"verb": "list", "resource": "pods", **asked}}
        found = review(
            server,
            "SubjectAccessReview",
            {**spec, "user": user, "groups": ["system:masters"] if user == "root" else []},
        )
        return str(found["status"].get("reason", ""))

    assert reason("root") == (
        'RBAC: allowed by ClusterRoleBinding "cluster-admin" of ClusterRole "cluster-admin" to Group "system:masters"'
    )
    assert reason("alice", namespace="team-a") == (
        'RBAC: allowed by RoleBinding "alice/team-a" of ClusterRole "view" to User "alice"'
    )
    assert reason("system:serviceaccount:monitoring:prometheus-k8s", namespace="kubevirt") == (
        'RBAC: allowed by RoleBinding "kubevirt-monitoring/kubevirt" of Role "kubevirt-monitoring" to '
        'ServiceAccount "prometheus-k8s/monitoring"'
    )
    assert reason("alice", namespace="team-b") == reason("alice") == ""


def test_other_reviews(server: Apiserver) -> None:
    path = {"nonResourceAttributes": {"path": "/version", "verb": "get"}}
    assert review(server, "SelfSubjectAccessReview", path, IMPERSONATE_USER="nobody")["status"]["allowed"]
    rules = review(server, "SelfSubjectRulesReview", {"namespace": "team-a"}, IMPERSONATE_USER="alice")["status"]
    assert {
        "apiGroups": ["metrics.k8s.io"],
        "resources": ["nodes", "pods"],
        "verbs": ["get", "list", "watch"],
    } in rules["resourceRules"]
    assert any("/version" in rule["nonResourceURLs"] for rule in rules["nonResourceRules"])
    elsewhere = review(server, "SelfSubjectRulesReview", {"namespace": "team-b"}, IMPERSONATE_USER="alice")["status"]
    assert all("pods" not in rule["resources"] for rule in elsewhere["resourceRules"])
    who = answer(server, "/apis/authentication.k8s.io/v1/selfsubjectreviews", body={}, IMPERSONATE_USER="alice")
    assert who["status"]["userInfo"] == {"username": "alice", "groups": ["system:authenticated"]}
    # Asking for others is a right of its own.
    message = refused(server, f"{REVIEWS}/subjectaccessreviews", body={"spec": {}}, IMPERSONATE_USER="alice")["message"]
    assert 'User "alice" cannot create resource "subjectaccessreviews"' in message
    assert refused(server, f"{REVIEWS}/selfsubjectaccessreviews", body=[1])["code"] == 400


# ------------------------------------------------------------------------------------------ what is refused to all


@pytest.mark.parametrize(
    ("path", "query", "code", "message"),
    [
        ("/api/v1/pods", "fieldSelector=spec.nope%3D1", 400, "field label not supported: spec.nope"),
        ("/api/v1/nodes", "fieldSelector=status.phase%3D1", 400, "field label not supported: status.phase"),
        (
            "/apis/kubevirt.io/v1/kubevirts",
            "fieldSelector=a%3D1",
            400,
            '"a" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        (
            f"{METRICS}/pods",
            "fieldSelector=spec.nodeName%3Da",
            400,
            '"spec.nodeName" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        (
            f"{METRICS}/nodes",
            "fieldSelector=a%3Db",
            400,
            '"a" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("/api/v1/pods", "limit=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("/api/v1/pods", "continue=%3F%3F", 400, "continue key is not valid"),
        (
            "/api/v1/pods",
            "continue=eyJydiI6MTAsInN0YXJ0IjoxfQ",
            410,
            "The provided continue parameter is too old to display a consistent list result.",
        ),
        (
            "/api/v1/pods",
            "resourceVersion=5&resourceVersionMatch=Exact",
            410,
            "The resourceVersion for the provided list is too old.",
        ),
        ("/api/v1/pods", "resourceVersion=99999", 504, "Too large resource version: 99999, current: 1000"),
        ("/apis/kamaji.clastix.io/v1alpha1/datastores/nope", "", 404, 'datastores.kamaji.clastix.io "nope" not found'),
        ("/api/v1/namespaces/team-a/pods/nope", "", 404, 'pods "nope" not found'),
    ],
)
def test_what_a_real_cluster_refuses(path: str, query: str, code: int, message: str, server: Apiserver) -> None:
    found = refused(server, path, query)

    assert found["code"] == code
    assert found["message"].startswith(message)


@pytest.mark.parametrize(
    "path", ["/nope", "/api/v1/nopes", "/apis/nope/v1/a", "/api/v1/namespaces/a/nodes", "/apis/apps/v2/statefulsets"]
)
def test_paths_that_do_not_exist(path: str, server: Apiserver) -> None:
    status, headers, body = ask(server, path)
    assert (status, headers["Content-Type"], body) == (
        "404 Not Found",
        "text/plain; charset=utf-8",
        b"404 page not found\n",
    )


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", "200 OK"),
        ("*/*", "200 OK"),
        ("application/json", "200 OK"),
        ("application/vnd.kubernetes.protobuf, application/json", "200 OK"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "200 OK"),
        ("application/vnd.kubernetes.protobuf", "406 Not Acceptable"),
        ("text/html", "406 Not Acceptable"),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/pods", f"{METRICS}/pods", f"{METRICS}/nodes"])
def test_what_clients_accept(path: str, accept: str, status: str, server: Apiserver) -> None:
    assert ask(server, path, accept=accept)[0] == status


def test_watches_start_where_they_are_asked_to(server: Apiserver) -> None:
    def events(query: str) -> list[Any]:
        body = ask(server, "/api/v1/namespaces/team-a/pods", f"watch=1&timeoutSeconds=0&{query}")[2]
        return [json.loads(line) for line in body.splitlines() if line]

    names = [item["metadata"]["name"] for item in answer(server, "/api/v1/namespaces/team-a/pods")["items"]]
    added = events("resourceVersion=0")
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in added] == [("ADDED", n) for n in names]
    assert events("resourceVersion=1000") == []
    assert [event["type"] for event in events("resourceVersion=1000&allowWatchBookmarks=true")] == ["BOOKMARK"]
    (expired,) = events("resourceVersion=7")
    assert (expired["type"], expired["object"]["code"], expired["object"]["reason"]) == ("ERROR", 410, "Expired")
    selected = events(f"labelSelector={quote('app=vcluster')}")
    assert [event["object"]["metadata"]["name"] for event in selected] == ["shop-0"]


def test_writing_is_refused(server: Apiserver) -> None:
    found = refused(server, "/api/v1/namespaces/team-a/pods/shop-0", REQUEST_METHOD="DELETE")
    assert (found["code"], found["reason"]) == (405, "MethodNotAllowed")
    # To whom it is not allowed, first of all.
    found = refused(server, "/api/v1/namespaces/team-a/pods/shop-0", REQUEST_METHOD="DELETE", IMPERSONATE_USER="alice")
    assert found["message"].startswith('pods "shop-0" is forbidden: User "alice" cannot delete resource "pods"')


def test_a_head_has_no_body(server: Apiserver) -> None:
    status, headers, body = ask(server, "/api/v1/pods", REQUEST_METHOD="HEAD")
    assert (status, body) == ("200 OK", b"")
    assert int(headers["Content-Length"]) > 1000
