"""`doctor kamaji`: tables of tenants, Secrets and datastores, and what is concluded from them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.demo.certificates import Authority, Pair
from tests.conftest import Scripted, invoke, write_kubeconfig

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
API = "/apis/kamaji.clastix.io/v1alpha1"
CA = Authority("kubernetes")


def certificate(*groups: str, days: float = 90.5) -> Pair:
    return CA.client("somebody", *groups, days=days)


GOOD, SOON, OLD, GROUPLESS = (
    certificate("system:monitoring"),
    certificate("system:monitoring", days=3),
    certificate("system:monitoring", days=-1),
    certificate(),
)


def tenant(name: str, replicas: int = 1, ready: int = 1, status: str = "Ready") -> dict[str, Any]:
    resources = {"version": {"version": "v1.36.2", "status": status}, "deployment": {"readyReplicas": ready}}
    return {
        "metadata": {"name": name, "namespace": "tenants"},
        "spec": {"controlPlane": {"deployment": {"replicas": replicas}}},
        "status": {"kubernetesResources": resources},
    }


def encoded(**values: bytes) -> dict[str, Any]:
    return {"data": {key.replace("_", "."): base64.b64encode(value).decode() for key, value in values.items()}}


def of_kubelet(pair: Pair) -> dict[str, Any]:
    found = {"apiserver-kubelet-client.crt": pair.certificate, "apiserver-kubelet-client.key": pair.key}
    return {"data": {key: base64.b64encode(value).decode() for key, value in found.items()}}


def of_admin(pair: Pair) -> dict[str, Any]:
    ca, crt, key = (base64.b64encode(part).decode() for part in (CA.pem, pair.certificate, pair.key))
    config = {
        "clusters": [{"cluster": {"certificate-authority-data": ca}}],
        "users": [{"user": {"client-certificate-data": crt, "client-key-data": key}}],
    }
    return {"data": {"admin.conf": base64.b64encode(json.dumps(config).encode()).decode()}}


def refused(_: dict[str, Any]) -> tuple[int, Any]:
    status = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403}
    return 403, {**status, "message": 'secrets is forbidden: User "x" cannot get resource "secrets"'}


@pytest.fixture
def run(scripted: Serve, tmp_path: Path) -> Callable[..., tuple[int, dict[str, dict[str, Any]]]]:
    """Checks on a cluster with Kamaji: the exit code, and what was found."""

    def doctor(
        *only: str, tenants: list[dict[str, Any]], answers: dict[str, Any] | None = None, stores: Any = ()
    ) -> tuple[int, dict[str, dict[str, Any]]]:
        known = {
            "/version": {"gitVersion": "v1.36.2"},
            "/apis/kamaji.clastix.io": {"preferredVersion": {"version": "v1alpha1"}},
            f"{API}/tenantcontrolplanes": {"items": tenants},
            f"{API}/kubeconfiggenerators": {"items": []},
            f"{API}/datastores": {"items": list(stores)} if isinstance(stores, (list, tuple)) else stores,
            "/api/v1/pods": {"items": []},
            **(answers or {}),
        }
        path = write_kubeconfig(tmp_path, scripted(known)[1])
        result = invoke("doctor", f"--only={','.join(only)}", "-o", "json", kubeconfig=path)
        return result.code, {item["id"]: item for item in json.loads(result.stdout)["items"]}

    return doctor


def secrets(name: str, *, kubelet: Any = None, admin: Any = None, ca: Any = None) -> dict[str, Any]:
    """The Secrets of a tenant; None for one that does not exist."""
    found = {
        "api-server-kubelet-client-certificate": of_kubelet(kubelet) if isinstance(kubelet, Pair) else kubelet,
        "admin-kubeconfig": of_admin(admin) if isinstance(admin, Pair) else admin,
        "ca": ca or encoded(ca_crt=CA.pem),
    }
    path = "/api/v1/namespaces/tenants/secrets"
    return {f"{path}/{name}-{part}": value for part, value in found.items() if value is not None}


# ------------------------------------------------------------------------------------------------------- certificates

LETS = "1 tenant control plane has a certificate that may read metrics"
NO = "no certificate may read the metrics of tenants/a"


@pytest.mark.parametrize(
    ("tenants", "answers", "expected"),
    [
        ([], {}, (0, "SKIP", "there are no tenant control planes")),
        ([tenant("a", 0, 0, "Sleeping")], {}, (0, "SKIP", "all tenant control planes are asleep")),
        ([tenant("a")], secrets("a", kubelet=GOOD), (0, "PASS", LETS)),
        ([tenant("a")], secrets("a", admin=GOOD), (0, "PASS", LETS)),
        ([tenant("a"), tenant("b", 0, 0, "Sleeping")], secrets("a", kubelet=GOOD), (0, "PASS", LETS)),
        (
            [tenant("a"), tenant("b")],
            {**secrets("a", kubelet=GOOD), **secrets("b", kubelet=GOOD)},
            (0, "PASS", "2 tenant control planes have a certificate that may read metrics"),
        ),
        # A tenant that has no Secret at all is not readable.
        ([tenant("a")], {}, (1, "FAIL", NO)),
        ([tenant("a")], secrets("a", kubelet={"data": None}, admin={}), (1, "FAIL", NO)),
        ([tenant("a"), tenant("b")], secrets("b", kubelet=GOOD), (1, "FAIL", NO)),
        # A certificate without a group, or after its end; whatever else there is.
        ([tenant("a")], secrets("a", kubelet=GROUPLESS), (1, "FAIL", NO)),
        ([tenant("a")], secrets("a", kubelet=OLD), (1, "FAIL", NO)),
        ([tenant("a")], secrets("a", kubelet=OLD, admin=OLD), (1, "FAIL", NO)),
        ([tenant("a")], secrets("a", kubelet=OLD, admin=GOOD), (0, "WARN", "expired certificates: tenants/a")),
        ([tenant("a")], secrets("a", kubelet=GROUPLESS, admin=GOOD), (0, "PASS", LETS)),
        (
            [tenant("a")],
            secrets("a", kubelet=SOON),
            (0, "WARN", "certificates that expire within a week: tenants/a"),
        ),
        # What may not be read is not known; the exit code says so.
        (
            [tenant("a"), tenant("b")],
            {**secrets("a", kubelet=refused, admin=refused), **secrets("b", kubelet=GOOD)},
            (1, "SKIP", "you are not allowed to read the Secrets of tenants/a"),
        ),
        ([tenant("a")], secrets("a", kubelet=GROUPLESS, admin=refused), (1, "FAIL", NO)),
        (
            [tenant("a"), tenant("b")],
            secrets("a", kubelet=refused, admin=refused),
            (1, "FAIL", "no certificate may read the metrics of tenants/b"),
        ),
        # One Secret that is broken costs its own tenant.
        ([tenant("a"), tenant("b")], {**secrets("a", kubelet=b"{"), **secrets("b", kubelet=GOOD)}, (1, "FAIL", NO)),
        ([tenant("a")], secrets("a", kubelet={"data": {"apiserver-kubelet-client.crt": "*"}}), (1, "FAIL", NO)),
    ],
)
def test_certificates(
    tenants: list[dict[str, Any]], answers: dict[str, Any], expected: tuple[int, str, str], run: Callable[..., Any]
) -> None:
    code, found = run("VM502", tenants=tenants, answers=answers)

    assert (code, found["VM502"]["result"], found["VM502"]["found"]) == expected


@pytest.mark.parametrize(
    ("answers", "cause", "remedy"),
    [
        (
            secrets("a", kubelet=GROUPLESS),
            "the client certificate usually recommended",
            "kubectl vmetrics manifests kamaji a -n tenants --credential",
        ),
        (
            secrets("a", kubelet=OLD),
            "a client certificate has expired",
            "kubectl -n tenants annotate secret a-api-server-kubelet-client-certificate certs.kamaji.clastix.io/rotate=",
        ),
        ({}, "there is no usable client certificate", "kubectl vmetrics doctor --only VM502: why each Secret"),
    ],
)
def test_why_there_is_none_and_what_to_do(
    answers: dict[str, Any], cause: str, remedy: str, run: Callable[..., Any]
) -> None:
    found = run("VM502", tenants=[tenant("a")], answers=answers)[1]["VM502"]

    assert found["cause"].startswith(cause)
    assert found["remedy"].startswith(remedy)


def test_the_evidence_names_each_secret_and_shows_nothing_of_it(run: Callable[..., Any]) -> None:
    _, found = run(
        "VM502",
        tenants=[tenant("a"), tenant("b")],
        answers={**secrets("a", kubelet=GROUPLESS), **secrets("b", kubelet=GOOD)},
    )
    lines = found["VM502"]["evidence"]

    assert lines == [
        'tenants/a: Secret a-api-server-kubelet-client-certificate: the certificate of "somebody" has no group, so it '
        "may not read /metrics; Secret a-admin-kubeconfig does not exist",
        "tenants/b: b-api-server-kubelet-client-certificate as somebody (system:monitoring), valid for 90 more days",
    ]
    assert "PRIVATE" not in json.dumps(found)


# --------------------------------------------------------------------------------------------------------- datastores


def store(name: str, driver: str = "etcd", *endpoints: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"driver": driver, "endpoints": list(endpoints)}, "status": status}


def valid(status: str, reason: str = "") -> list[dict[str, str]]:
    message = "password=hunter2"
    kind = "kamaji.clastix.io/DataStoreValidation"
    return [{"type": "Other", "status": "True"}, {"type": kind, "status": status, "reason": reason, "message": message}]


SERVICE = "kamaji-etcd.kamaji-system.svc:2379"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/kamaji-system/endpointslices"


def slices(*ready: bool) -> dict[str, Any]:
    points = [
        {
            "addresses": [f"10.0.0.{index}"],
            "conditions": {"ready": value},
            "targetRef": {"kind": "Pod", "name": f"etcd-{index}"},
        }
        for index, value in enumerate(ready)
    ]
    meta = {"name": "kamaji-etcd-x", "namespace": "kamaji-system"}
    # Two slices, one for each family of addresses or so, may hold the same endpoint.
    return {SLICES: {"items": [{"metadata": meta, "ports": None, "endpoints": points}] * 2}}


@pytest.mark.parametrize(
    ("stores", "answers", "expected"),
    [
        ([], {}, (0, "SKIP", "there are no datastores")),
        (refused, {}, (1, "SKIP", 'not allowed: secrets is forbidden: User "x" cannot get resource "secrets"')),
        (
            lambda _: (404, b"404 page not found"),
            {},
            (0, "SKIP", "this version of Kamaji has no datastores"),
        ),
        ([store("default", ready=True)], {}, (0, "PASS", "1 datastore is ready")),
        # Every driver counts.
        (
            [store("a", "etcd", ready=True), store("b", "PostgreSQL", "pg.db.svc:5432", ready=True)],
            {},
            (0, "PASS", "2 datastores are ready"),
        ),
        *(
            (
                [store("a", ready=True), store("b", driver, ready=False)],
                {},
                (1, "FAIL", "1 of 2 datastores is not ready: b"),
            )
            for driver in ("etcd", "PostgreSQL", "MySQL", "NATS", "")
        ),
        (
            [store("a", ready=False), store("b", "NATS", ready=False)],
            {},
            (1, "FAIL", "2 of 2 datastores are not ready: a, b"),
        ),
        # Before there was status.ready, a condition says it.
        ([store("a", conditions=valid("True", "Valid"))], {}, (0, "PASS", "1 datastore is ready")),
        (
            [store("a", conditions=valid("False", "BadCredentials"))],
            {},
            (1, "FAIL", "1 of 1 datastore is not ready: a (BadCredentials)"),
        ),
        ([store("a", ready=True, conditions=valid("False"))], {}, (0, "PASS", "1 datastore is ready")),
        ([store("a")], {}, (0, "SKIP", "a: the status does not report whether it is ready")),
        (
            [store("a", conditions=valid("Unknown"))],
            {},
            (0, "SKIP", "a: the status does not report whether it is ready"),
        ),
        (
            [store("a"), store("b", ready=True)],
            {},
            (0, "PASS", "1 datastore is ready; not reported by a"),
        ),
        # Endpoints may be Services: the pods behind them are looked at.
        ([store("a", "etcd", SERVICE, ready=True)], slices(True, True), (0, "PASS", "1 datastore is ready")),
        ([store("a", "etcd", SERVICE, ready=True)], slices(True, False), (0, "PASS", "1 datastore is ready")),
        ([store("a", "etcd", SERVICE, ready=True)], slices(False, False), (1, "FAIL", "no pod is ready behind a")),
        ([store("a", "MySQL", SERVICE, ready=True)], slices(), (1, "FAIL", "no pod is ready behind a")),
        (
            [store("a", "etcd", SERVICE, ready=False)],
            slices(True),
            (1, "FAIL", "1 of 1 datastore is not ready: a"),
        ),
        # Where they may not be seen, the status is all there is.
        ([store("a", "etcd", SERVICE, ready=True)], {SLICES: refused}, (0, "PASS", "1 datastore is ready")),
        ([store("a", "etcd", "db.example.com:2379", ready=True)], {}, (0, "PASS", "1 datastore is ready")),
        (
            [store("a", "etcd", "etcd-0.etcd.ks.svc.cluster.local:2379", ready=True)],
            {},
            (0, "PASS", "1 datastore is ready"),
        ),
    ],
)
def test_datastores(
    stores: Any, answers: dict[str, Any], expected: tuple[int, str, str], run: Callable[..., Any]
) -> None:
    code, found = run("VM503", tenants=[], stores=stores, answers=answers)

    assert (code, found["VM503"]["result"], found["VM503"]["found"]) == expected
    assert "hunter2" not in json.dumps(found)


def test_the_evidence_of_datastores(run: Callable[..., Any]) -> None:
    listed = [
        store("a", "etcd", SERVICE, ready=True),
        store("b", "NATS", conditions=valid("False", "Refused")),
        store("c", ""),
    ]
    _, found = run("VM503", tenants=[], stores=listed, answers=slices(True, False, True))

    assert found["VM503"]["evidence"] == [
        "a: etcd, ready, 2 of 3 pods ready behind it",
        "b: NATS, not ready (Refused)",
        "c: no driver, readiness not reported",
    ]


# ------------------------------------------------------------------------------------------------------------ tenants


@pytest.mark.parametrize(
    ("tenants", "expected"),
    [
        ([], (0, "SKIP", "there are no tenant control planes")),
        ([tenant("a")], (0, "PASS", "1 tenant control plane")),
        (
            [tenant("a"), tenant("b", 0, 0, "Sleeping")],
            (0, "PASS", "2 tenant control planes, of which 1 is asleep"),
        ),
        (
            [tenant("a", 0, 0, "Sleeping"), tenant("b", 0, 0, "Sleeping")],
            (0, "PASS", "2 tenant control planes, of which 2 are asleep"),
        ),
        ([tenant("a", 2, 1)], (1, "FAIL", "replicas not ready: tenants/a")),
    ],
)
def test_tenants(tenants: list[dict[str, Any]], expected: tuple[int, str, str], run: Callable[..., Any]) -> None:
    code, found = run("VM501", tenants=tenants)

    assert (code, found["VM501"]["result"], found["VM501"]["found"]) == expected


def konnectivity(*names: str) -> dict[str, Any]:
    return {
        "/api/v1/pods": {
            "items": [
                {
                    "metadata": {"name": name, "namespace": "tenants", "labels": {"kamaji.clastix.io/name": name[0]}},
                    "spec": {"containers": [{"name": "konnectivity-server", "image": "proxy-server:v0.34.0"}]},
                    "status": {"phase": "Running", "podIP": "10.0.0.1"},
                }
                for name in names
            ]
        }
    }


def backends(name: str, answer: Any) -> dict[str, Any]:
    return {f"/api/v1/namespaces/tenants/pods/http:{name}:8134/proxy/metrics": answer}


def ready(count: str) -> bytes:
    return f"konnectivity_network_proxy_server_ready_backends {count}\n".encode()


DOWN = lambda _: (503, b"error trying to reach service")  # noqa: E731


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, (0, "SKIP", "no konnectivity server reports its agents to unauthenticated requests (v0.34 and newer do)")),
        (
            {**konnectivity("a-0"), **backends("a-0", ready("2"))},
            (0, "PASS", "agents are connected to 1 konnectivity server"),
        ),
        (
            {**konnectivity("a-0"), **backends("a-0", ready("0"))},
            (1, "FAIL", "no agents are connected to tenants/a"),
        ),
        # What it does not say, or cannot mean, is no agent's absence; one server that is down costs itself alone.
        ({**konnectivity("a-0"), **backends("a-0", b"x 1\n")}, (0, "SKIP", "a-0 does not report agents")),
        ({**konnectivity("a-0"), **backends("a-0", ready("NaN"))}, (0, "SKIP", "a-0 does not report agents")),
        (
            {**konnectivity("a-0", "a-1"), **backends("a-0", DOWN), **backends("a-1", b"<html>")},
            (0, "SKIP", "a-0, a-1 do not report agents"),
        ),
        (
            {**konnectivity("a-0", "a-1"), **backends("a-0", DOWN), **backends("a-1", ready("1"))},
            (0, "PASS", "agents are connected to 1 konnectivity server; not reported by a-0"),
        ),
        (
            {**konnectivity("a-0", "a-1"), **backends("a-0", ready("1")), **backends("a-1", ready("1"))},
            (0, "PASS", "agents are connected to 2 konnectivity servers"),
        ),
    ],
)
def test_agents(answers: dict[str, Any], expected: tuple[int, str, str], run: Callable[..., Any]) -> None:
    code, found = run("VM504", tenants=[tenant("a")], answers=answers)

    assert (code, found["VM504"]["result"], found["VM504"]["found"]) == expected
