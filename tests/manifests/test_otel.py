"""`manifests otel`: a collector would accept it, and it names what the plugin names, and nothing that it does not.

No collector runs here. Its schemas and what its components do are in `collector`, its language in `ottl`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from kubectl_vmetrics.metrics.metrics_api import Owner
from kubectl_vmetrics.metrics.usage import HostPod
from kubectl_vmetrics.vcluster import identity, naming
from kubectl_vmetrics.vcluster.identity import Origin, Resolver, VClusterRef
from tests import schemas
from tests.conftest import invoke
from tests.rights import Rights

from . import collector, ottl

HOST = Path(__file__).parents[1] / "recordings" / "k8s-1.36" / "host" / "api-v1-pods.json"
PREFIX = "vcluster.loft.sh"
Object = dict[str, Any]


def raw(*args: str) -> str:
    result = invoke("manifests", "otel", "--raw", *args)
    assert (result.code, result.stderr) == (0, "")
    return result.stdout


def config(*args: str) -> Object:
    return collector.validate(raw(*args))


# ------------------------------------------------------------------------------------------------ what is accepted


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--volumes", "--kubelet-insecure-tls", "--interval=1m30s"],
        ["--vcluster=team-a/shop"],
        ["--vcluster=team-a/shop", "--replace-names", "--volumes"],
        ["--target-namespace=pods=team-a/shop", "--target-namespace=more=team-b/shop"],
        ["--endpoint=https://otlp.example:4318/$path", "--remote-write=http://prometheus:9090/api/v1/write"],
    ],
    ids=" ".join,
)
def test_a_collector_would_accept_it(args: list[str]) -> None:
    found = config(*args)

    receiver = found["receivers"]["kubeletstats"]
    assert receiver["endpoint"] == "https://${env:K8S_NODE_NAME}:10250"
    assert receiver["collection_interval"] == ("90s" if "--interval=1m30s" in args else "30s")
    assert receiver.get("insecure_skip_verify", False) == ("--kubelet-insecure-tls" in args)


def test_what_a_collector_would_not_accept_is_noticed() -> None:
    """The tests' own eyes: a misspelt field, a processor that no pipeline uses, a statement with an unknown function."""
    good = yaml.safe_load(raw())

    def changed(change: Any) -> str:
        found = json.loads(json.dumps(good))
        change(found)
        return yaml.safe_dump(found, sort_keys=False, width=4096)

    names = good["processors"]["transform/names"]["metric_statements"]
    with pytest.raises(jsonschema.ValidationError):
        collector.validate(changed(lambda c: c["receivers"]["kubeletstats"].update(interval="30s")))
    fields = [{"tag_name": "a", "key_regex": "vcluster.loft.sh/(.*)", "from": "pod"}]
    with pytest.raises(jsonschema.ValidationError):
        collector.validate(changed(lambda c: c["processors"]["k8sattributes"]["extract"].update(annotations=fields)))
    with pytest.raises(AssertionError):
        collector.validate(changed(lambda c: c["service"]["pipelines"]["metrics"]["processors"].pop()))
    for broken, error in (
        (names[0].replace("set(", "put("), KeyError),
        (names[0] + " and", SyntaxError),
        (names[0].replace('"yes"', "'yes'"), SyntaxError),
        (names[0].replace("==", "="), SyntaxError),
    ):
        with pytest.raises(error):
            ottl.statement(broken)


def test_a_url_cannot_bring_in_variables() -> None:
    found = config("--endpoint=https://otlp.example/${env:HOME}")

    assert found["exporters"] == {"otlphttp": {"endpoint": "https://otlp.example/$${env:HOME}"}}


def test_where_metrics_go() -> None:
    assert config()["exporters"] == {"debug": {"verbosity": "normal"}}
    assert config("--remote-write=http://p:9090/api/v1/write")["exporters"] == {
        "prometheusremotewrite": {
            "endpoint": "http://p:9090/api/v1/write",
            "resource_to_telemetry_conversion": {"enabled": True},
        }
    }


def test_only_what_a_syncer_writes_is_read() -> None:
    """Not vcluster.loft.sh/name, which a tenant can write; no annotation with a token; and every key is a whole one."""
    extract = config("--volumes")["processors"]["k8sattributes"]["extract"]

    assert {(field["from"], field["key"]) for field in extract["labels"]} == {
        ("pod", f"{PREFIX}/managed-by"),
        ("pod", f"{PREFIX}/namespace"),
        ("namespace", f"{PREFIX}/managed-by"),
        ("namespace", f"{PREFIX}/vcluster-name"),
        ("namespace", f"{PREFIX}/vcluster-namespace"),
    }
    assert {(field["from"], field["key"]) for field in extract["annotations"]} == {
        ("pod", f"{PREFIX}/object-name"),
        ("pod", f"{PREFIX}/object-namespace"),
        ("pod", f"{PREFIX}/object-kind"),
        ("pod", f"{PREFIX}/object-host-name"),
        ("pod", f"{PREFIX}/object-host-namespace"),
        ("pod", f"{PREFIX}/object-uid"),
        ("namespace", f"{PREFIX}/object-name"),
        ("namespace", f"{PREFIX}/object-kind"),
        ("namespace", f"{PREFIX}/object-host-name"),
    }


# ---------------------------------------------------------------------------------------------------- what is named


def resource(pod: Object, **more: str) -> Object:
    """As the kubeletstats receiver makes it."""
    meta = pod["metadata"]
    found = {
        "k8s.pod.uid": meta["uid"],
        "k8s.pod.name": meta["name"],
        "k8s.namespace.name": meta["namespace"],
        "k8s.container.name": "app",
    }
    return found | {f"k8s.{key}.name": value for key, value in more.items()}


def run(found: Object, pod: Object, namespace: Object | None = None, **more: str) -> Object | None:
    """What is added to, or changed of, a resource of this pod; None where it is dropped."""
    before = resource(pod, **more)
    after, failed = collector.process(found, before, pod, namespace)
    assert failed == []
    return None if after is None else {key: value for key, value in after.items() if before.get(key) != value}


def named(vcluster: str, home: str, space: str, name: str) -> Object:
    return {
        "vcluster.name": vcluster,
        "vcluster.host.namespace": home,
        "vcluster.virtual.namespace": space,
        "vcluster.virtual.pod": name,
    }


def test_it_names_the_recorded_pods_as_the_plugin_does() -> None:
    """All pods of a real host with two vClusters, those with hashed names included."""
    found = config()
    pods = json.loads(HOST.read_bytes())["items"]
    origins = [msgspec.convert(pod, Origin) for pod in pods]
    claims = {
        HostPod(item.metadata.namespace, item.metadata.name): claim
        for item in origins
        if (claim := identity.claim(item))
    }
    resolver = Resolver(claims=claims)
    hashed = plain = hosts = 0
    for pod in pods:
        meta = pod["metadata"]
        owner = msgspec.convert(meta.get("labels") or {}, Owner)
        ref, virtual = resolver.resolve(meta["namespace"], meta["name"], owner)
        if ref is None:
            expected, hosts = {}, hosts + 1
        else:
            assert virtual
            expected = named(ref.name, ref.host_namespace, virtual.namespace, virtual.name)
            stripped = naming.virtual_name(meta["name"], virtual.namespace, ref.name)
            hashed, plain = hashed + (stripped is None), plain + (stripped is not None)
        assert run(found, pod) == expected, meta["name"]
    assert (hashed, plain, hosts) == (2, 8, 4)


def synced(name: str = "web-x-shop-x-vc", namespace: str = "home", **annotations: str | None) -> Object:
    """A pod that a syncer made; None removes an annotation."""
    written = {
        "object-name": "web",
        "object-namespace": "shop",
        "object-kind": "/v1, Kind=Pod",
        "object-host-name": name,
        "object-host-namespace": namespace,
        "object-uid": "virtual-uid",
        "name": "forged",
        "token-abc": "eyJ.secret.token",
    }
    written |= {key.replace("_", "-"): value for key, value in annotations.items()}  # type: ignore[misc]
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": "host-uid",
            "labels": {f"{PREFIX}/managed-by": "vc", f"{PREFIX}/namespace": "shop", "app": "web"},
            "annotations": {f"{PREFIX}/{key}": value for key, value in written.items() if value is not None},
        }
    }


LONG = "a-long-name-that-is-hashed-on-the-host-because-of-its-length-0"
HASHED = naming.host_name(LONG, "shop", "vc")
UNNAMED = {"vcluster.name": "vc", "vcluster.host.namespace": "home", "vcluster.virtual.namespace": "shop"}
"""As `top vclusters` counts a pod that only the host has, such as one that runs a virtual machine."""


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (synced(), named("vc", "home", "shop", "web")),
        # By the suffix alone, whatever the annotations say.
        (synced(object_name=None, object_kind=None), named("vc", "home", "shop", "web")),
        (synced(object_name="forged"), named("vc", "home", "shop", "web")),
        (synced("a-x-b-x-shop-x-vc"), named("vc", "home", "shop", "a-x-b")),
        # Hashed: by annotations of its own.
        (synced(HASHED, object_name=LONG), named("vc", "home", "shop", LONG)),
        (synced(HASHED, object_name=LONG, object_kind="/v1, Kind=ConfigMap"), UNNAMED),
        (synced(HASHED, object_name=LONG, object_kind=None), UNNAMED),
        (synced(HASHED, object_name=LONG, object_host_name="another"), UNNAMED),
        (synced(HASHED, object_name=LONG, object_host_namespace="elsewhere"), UNNAMED),
        (synced(HASHED, object_name=None), UNNAMED),
        (synced(HASHED, object_name=""), UNNAMED),
        (synced(HASHED, object_name=LONG, object_namespace=None), UNNAMED),
        # Names that do not fit the labels.
        (synced("web-x-other-x-vc", object_host_name=None), UNNAMED),
        (synced("-x-shop-x-vc", object_host_name=None), UNNAMED),
        (synced("vc", object_host_name=None), UNNAMED),
    ],
    ids=lambda item: item["metadata"]["name"][:20] if "metadata" in item else "",
)
def test_names_are_proven(pod: Object, expected: Object) -> None:
    assert run(config(), pod) == expected


@pytest.mark.parametrize("missing", ["managed-by", "namespace"])
def test_without_both_labels_a_pod_is_the_hosts(missing: str) -> None:
    pod = synced()
    del pod["metadata"]["labels"][f"{PREFIX}/{missing}"]

    assert run(config(), pod) == {}


def test_what_a_sender_claims_does_not_count() -> None:
    """Attributes that are there are kept by the k8sattributes processor: none may be there."""
    pod = synced()
    found = config()
    names = ("vcluster.name", "vcluster.virtual.pod", "vmetrics.managed_by", "vmetrics.whole", "vmetrics.space.home")
    sent = resource(pod) | dict.fromkeys(names, "forged")
    after, _ = collector.process(found, sent, pod, None)
    assert after == resource(pod) | named("vc", "home", "shop", "web")
    unknown, _ = collector.process(found, sent, None, None)
    assert unknown == resource(pod)


def namespace(**changes: str | None) -> Object:
    """A host Namespace that was synced whole; a label or annotation of None is not there."""
    written = {
        "vcluster-name": "vc",
        "vcluster-namespace": "home",
        "managed-by": naming.cluster_marker("home", "vc"),
        "object-name": "shop",
        "object-kind": "/v1, Kind=Namespace",
        "object-host-name": "vcluster-shop",
    } | {key.replace("_", "-"): value for key, value in changes.items()}
    kept = {f"{PREFIX}/{key}": value for key, value in written.items() if value is not None}
    return {
        "metadata": {
            "name": "vcluster-shop",
            "labels": {key: value for key, value in kept.items() if "/object-" not in key},
            "annotations": {key: value for key, value in kept.items() if "/object-" in key},
        }
    }


@pytest.mark.parametrize(
    ("changes", "proven"),
    [
        ({}, True),
        ({"object_kind": None, "object_host_name": None}, True),
        ({"managed_by": "elsewhere-x-vc"}, False),
        ({"managed_by": None}, False),
        ({"vcluster_namespace": "elsewhere"}, False),
        ({"vcluster_namespace": None}, False),
        ({"object_name": None}, False),
        ({"object_kind": "/v1, Kind=Pod"}, False),
        ({"object_host_name": "another"}, False),
    ],
    ids=str,
)
def test_namespaces_that_were_synced_whole(changes: dict[str, str | None], proven: bool) -> None:
    """As identity.synced_namespace decides; labels of pods in them count for nothing."""
    space = namespace(**changes)
    host = {"metadata": {"name": "web-0", "namespace": "vcluster-shop", "uid": "u"}}
    labelled = {**synced("web-x-shop-x-evil", "vcluster-shop")}
    labelled["metadata"]["labels"][f"{PREFIX}/managed-by"] = "evil"
    decided = identity.synced_namespace(msgspec.convert(space, Origin))

    assert (decided is not None) == proven
    assert run(config(), host, space) == (named("vc", "home", "shop", "web-0") if proven else {})
    assert run(config(), labelled, space) == (named("vc", "home", "shop", "web-x-shop-x-evil") if proven else {})


def test_target_namespaces_are_the_users_word() -> None:
    found = config("--target-namespace=pods=home/vc")

    assert run(found, synced(namespace="pods")) == named("vc", "home", "shop", "web")
    assert run(found, synced(namespace="other")) == named("vc", "other", "shop", "web")
    pod = synced("web-x-shop-x-x", "pods")
    pod["metadata"]["labels"][f"{PREFIX}/managed-by"] = "x"
    assert run(found, pod) == named("x", "pods", "shop", "web")


def test_claims() -> None:
    found = config("--volumes")
    virtual = "vcluster.virtual.persistentvolumeclaim"
    pod = synced()

    assert run(found, pod, persistentvolumeclaim="data-web-0-x-shop-x-vc", volume="data") == {
        **named("vc", "home", "shop", "web"),
        virtual: "data-web-0",
    }
    assert run(found, pod, persistentvolumeclaim=naming.host_name("d" * 60, "shop", "vc")) == named(
        "vc", "home", "shop", "web"
    )
    assert run(found, pod, persistentvolumeclaim="data-x-other-x-vc") == named("vc", "home", "shop", "web")
    host = {"metadata": {"name": "web-0", "namespace": "vcluster-shop", "uid": "u"}}
    assert run(found, host, namespace(), persistentvolumeclaim="data") == {
        **named("vc", "home", "shop", "web-0"),
        virtual: "data",
    }


# ----------------------------------------------------------------------------------------------- one virtual cluster


OTHERS = [
    synced(namespace="elsewhere"),
    {"metadata": {"name": "web", "namespace": "home", "uid": "u"}},
    {"metadata": {"name": "web-x-shop-x-vc", "namespace": "home", "uid": "u", "labels": {"name": "vc"}}},
]


@pytest.mark.parametrize("more", [[], ["--replace-names"]])
def test_others_are_dropped(more: list[str]) -> None:
    found = config("--vcluster=home/vc", *more)

    assert [run(found, pod) for pod in OTHERS] == [None] * len(OTHERS)
    assert run(found, synced()) is not None
    assert (run(found, synced(HASHED, object_name=None)) is None) == bool(more)
    before = {"k8s.node.name": "worker-1"}
    assert collector.process(found, before, None, None) == (None, [])


def test_a_tenant_sees_its_own_names_and_nothing_of_the_host() -> None:
    found = config("--vcluster=home/vc", "--replace-names", "--volumes")
    pod = synced(HASHED, object_name=LONG)
    sent = resource(pod, persistentvolumeclaim="data-x-shop-x-vc", node="worker-1")
    after, failed = collector.process(found, {**sent, "aws.volume.id": "vol-1"}, pod, None)

    assert failed == []
    assert after == {
        "k8s.namespace.name": "shop",
        "k8s.pod.name": LONG,
        "k8s.pod.uid": "virtual-uid",
        "k8s.container.name": "app",
        "k8s.persistentvolumeclaim.name": "data",
        "k8s.node.name": "worker-1",
    }
    # A uid or a claim's name that is not proven is not the host's.
    after, _ = collector.process(
        found, resource(synced(object_kind=None), persistentvolumeclaim="host"), synced(object_kind=None), None
    )
    assert after == {"k8s.namespace.name": "shop", "k8s.pod.name": "web", "k8s.container.name": "app"}


# ------------------------------------------------------------------------------------------------------- objects


@pytest.mark.parametrize("volumes", [False, True])
def test_objects_and_the_rights_of_the_collector(volumes: bool) -> None:
    args = ["--volumes"] if volumes else []
    result = invoke("manifests", "otel", "-n", "monitoring", "--serviceaccount=otel:agent", *args)
    objects = list(yaml.safe_load_all(result.stdout))

    for item in objects:
        schemas.validate(item)
    assert [item["kind"] for item in objects] == ["ConfigMap", "ClusterRole", "ClusterRoleBinding"]
    assert objects[0]["metadata"] == {"name": "vmetrics-otel", "namespace": "monitoring"}
    assert list(objects[0]["data"]) == ["config.yaml"]
    assert yaml.safe_load(objects[0]["data"]["config.yaml"]) == config(*args)
    assert "  config.yaml: |\n" in result.stdout
    watched = {(None, "", kind, verb) for kind in ("pods", "namespaces") for verb in ("get", "list", "watch")}
    kubelets = {(None, "", "nodes/stats", "get"), *([(None, "", "nodes/pods", "get")] if volumes else [])}
    assert Rights(objects).allowed == {*watched, *kubelets}
    assert objects[2]["subjects"] == [{"kind": "ServiceAccount", "name": "agent", "namespace": "otel"}]
    assert objects[1]["metadata"]["name"] == "monitoring:vmetrics-otel"


def test_notes_say_what_was_not_tried() -> None:
    for text in (raw(), invoke("manifests", "otel").stdout):
        notes = text.partition("receivers:")[0]
        assert "not tested with a running collector" in notes
        assert "v0.120.0 or newer" in notes
    assert "nodes/pods" in raw("--volumes")
    assert "nodes/pods" not in raw()
    items = json.loads(invoke("manifests", "otel", "-o", "json").stdout)["items"]
    assert [item["kind"] for item in items] == ["ConfigMap", "ClusterRole", "ClusterRoleBinding"]


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["--raw", "-o", "json"], "error: --raw prints YAML; -o json is for Kubernetes objects\n"),
        (
            ["--raw", "--serviceaccount=a:b"],
            "error: --name and --serviceaccount are for Kubernetes objects, which --raw does not print\n",
        ),
        (["--vcluster=shop"], 'error: --vcluster: "shop" is not HOSTNS/NAME\n'),
        (["--vcluster="], 'error: --vcluster: "" is not HOSTNS/NAME\n'),
        (
            ["--vcluster=a/b", "--target-namespace=x=a/c"],
            "error: --target-namespace: with --vcluster, only namespaces of a/b\n",
        ),
        (
            ["--replace-names"],
            "error: --replace-names requires --vcluster: names are unique only within a virtual cluster\n",
        ),
        (["--interval=soon"], "error: --interval: 'soon' is not a duration (example: 15s, 1m)\n"),
        (["--interval=5s"], "error: --interval must be 10s or more\n"),
        (["--serviceaccount=agent"], "error: --serviceaccount: 'agent' is not NAMESPACE:NAME\n"),
        (["--endpoint=otlp:4317"], "error: --endpoint: not a URL: use http://HOST:PORT or https://HOST\n"),
        (["--endpoint="], "error: --endpoint: not a URL: use http://HOST:PORT or https://HOST\n"),
        (["--remote-write="], "error: --remote-write: not a URL: use http://HOST:PORT or https://HOST\n"),
        (["--endpoint=http://"], "error: --endpoint: not a URL: use http://HOST:PORT or https://HOST\n"),
        (["--endpoint=http://a:b"], "error: --endpoint: not a URL: use http://HOST:PORT or https://HOST\n"),
        (["--remote-write=ftp://a"], "error: --remote-write: not a URL: use http://HOST:PORT or https://HOST\n"),
        (
            ["--remote-write=http://u:secret@p/"],
            "error: --remote-write: a URL with a password would be readable in the ConfigMap: add an auth extension\n",
        ),
    ],
)
def test_bad_input(args: list[str], stderr: str) -> None:
    assert invoke("manifests", "otel", *args) == (1, "", stderr)


def test_a_virtual_cluster_is_one_in_its_own_host_namespace() -> None:
    """Two of one name in two host namespaces are two."""
    found = config()
    refs = set()
    for place in ("team-a", "team-b"):
        after = run(found, synced(namespace=place))
        assert after
        refs.add(VClusterRef(after["vcluster.host.namespace"], after["vcluster.name"]))
    assert refs == {VClusterRef("team-a", "vc"), VClusterRef("team-b", "vc")}
