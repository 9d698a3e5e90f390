"""Whole tables of the recorded host; no oracle prints these, so they were computed by hand from the recorded numbers."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.conftest import Cli
from tests.replay import RECORDINGS, Replay

TABLES = {
    "top pods -n team-a": """\
VCLUSTER···VNAMESPACE···NAME····························································CPU(cores)···MEMORY(bytes)···
<none>·····<none>·······vc1-0···························································39m··········340Mi···········
vc1········default······a-x-b···························································41m··········29Mi············
vc1········shop·········a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6···36m··········0Mi·············
vc1········shop·········a-rather-long-stateful-set-name-for-hashing-0···················64m··········30Mi············
vc1········shop·········cart-785676477c-69n6q···········································55m··········29Mi············
vc1········shop·········cart-785676477c-rwnqt···········································57m··········30Mi············
""",
    "top pods -n team-a -o wide": """\
VCLUSTER···VNAMESPACE···NAME····························································CPU(cores)···MEMORY(bytes)···%CPU/R···%CPU/L···%MEM/R···%MEM/L···NODE···HOST-NAME·························································
<none>·····<none>·······vc1-0···························································39m··········340Mi···········-········-········-········-········vm·······································································
vc1········default······a-x-b···························································41m··········29Mi············402%·····-········185%·····-········vm·····a-x-b-x-default-x-vc1·············································
vc1········shop·········a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6···36m··········0Mi·············176%·····17%······1%·······0%·······vm·····a-rather-long-deployment-name-that-is-hashed-5b5d8ff-0eb54a0598···
vc1········shop·········a-rather-long-stateful-set-name-for-hashing-0···················64m··········30Mi············212%·····-········46%······-········vm·····a-rather-long-stateful-set-name-for-hashing-0-x-shop-x-vc1········
vc1········shop·········cart-785676477c-69n6q···········································55m··········29Mi············545%·····-········185%·····-········vm·····cart-785676477c-69n6q-x-shop-x-vc1································
vc1········shop·········cart-785676477c-rwnqt···········································57m··········30Mi············562%·····-········188%·····-········vm·····cart-785676477c-rwnqt-x-shop-x-vc1································
""",
    "top pods -A --sum --containers --show-swap -l app=cart": """\
NAMESPACE···VCLUSTER···VNAMESPACE···POD·····················NAME······CPU(cores)···MEMORY(bytes)···SWAP(bytes)···
team-a······vc1········shop·········cart-785676477c-69n6q···main······50m··········29Mi············0Mi···········
team-a······vc1········shop·········cart-785676477c-69n6q···sidecar···5m···········0Mi·············0Mi···········
team-a······vc1········shop·········cart-785676477c-rwnqt···main······51m··········29Mi············0Mi···········
team-a······vc1········shop·········cart-785676477c-rwnqt···sidecar···6m···········0Mi·············0Mi···········
team-b······vc2········shop·········cart-785676477c-44qqg···main······52m··········29Mi············0Mi···········
team-b······vc2········shop·········cart-785676477c-44qqg···sidecar···6m···········0Mi·············0Mi···········
team-b······vc2········shop·········cart-785676477c-g2626···main······52m··········29Mi············0Mi···········
team-b······vc2········shop·········cart-785676477c-g2626···sidecar···6m···········0Mi·············0Mi···········
······································································________·····________········________······
······································································224m·········119Mi···········0Mi···········
""",
    "top pods --vcluster vc1 -n shop -l release=blue -o wide": """\
NAME····························································CPU(cores)···MEMORY(bytes)···%CPU/R···%CPU/L···%MEM/R···%MEM/L···NODE···HOST-NAME·························································
a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6···36m··········0Mi·············176%·····17%······1%·······0%·······vm·····a-rather-long-deployment-name-that-is-hashed-5b5d8ff-0eb54a0598···
""",
    "top pods --vcluster team-b/vc2 -l app!=cart,app --sort-by=memory": """\
NAMESPACE···NAME····························································CPU(cores)···MEMORY(bytes)···
shop········a-rather-long-stateful-set-name-for-hashing-0···················64m··········29Mi············
shop········a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-kk64h···38m··········0Mi·············
""",
    "top pods --vcluster vc2 -n default --field-selector metadata.name=a-x-b --no-headers": "a-x-b···41m···29Mi···\n",
    "top nodes --vcluster vc1 --sum": """\
NAME···PODS·······CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···
vm·····5··········251m·········12%······120Mi···········0%··········
·······________···________··············________········
·······5··········251m··················120Mi···········
""",
    "top vclusters --sum": """\
NAMESPACE···NAME·····STATUS····VERSION···PODS·······CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···CP-CPU(cores)···CP-MEMORY(bytes)···
team-a······vc1······Running···1·········5··········251m·········12%······120Mi···········0%··········39m·············340Mi··············
team-b······vc2······Running···1·········5··········255m·········12%······119Mi···········0%··········42m·············331Mi··············
<none>······<none>···<none>····<none>····2··········96m··········4%·······1Mi·············0%··········-···············-··················
·········································________···________··············________····················________········________···········
·········································12·········601m··················241Mi·······················81m·············672Mi··············
""",
    "top vclusters -n team-a --no-headers": """\
team-a···vc1······Running···1········5·····251m···12%···120Mi···0%····39m···340Mi···
<none>···<none>···<none>····<none>···0·····0m·····0%····0Mi·····0%····-·····-·······
""",
    "top vclusters vc2": """\
NAMESPACE···NAME···STATUS····VERSION···PODS···CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···CP-CPU(cores)···CP-MEMORY(bytes)···
team-b······vc2····Running···1·········5······255m·········12%······119Mi···········0%··········42m·············331Mi··············
""",
    "top namespaces --sort-by=memory": """\
NAMESPACE···VCLUSTER···VNAMESPACE···PODS···CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···
team-a······<none>·····<none>·······1······39m··········1%·······340Mi···········1%··········
team-b······<none>·····<none>·······1······42m··········2%·······331Mi···········1%··········
team-a······vc1········shop·········4······210m·········10%······90Mi············0%··········
team-b······vc2········shop·········4······214m·········10%······89Mi············0%··········
team-b······vc2········default······1······41m··········2%·······29Mi············0%··········
team-a······vc1········default······1······41m··········2%·······29Mi············0%··········
default·····<none>·····<none>·······2······96m··········4%·······1Mi·············0%··········
""",
    "top namespaces --vcluster vc1 --sum": """\
NAME······PODS·······CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···
default···1··········41m··········2%·······29Mi············0%··········
shop······4··········210m·········10%······90Mi············0%··········
··········________···________··············________········
··········5··········251m··················120Mi···········
""",
    "top pods -n team-b -o name": """\
pod/vc2-0
pod/a-x-b-x-default-x-vc2
pod/a-rather-long-deployment-name-that-is-hashed-5b5d8ff-a26b3c6d4b
pod/a-rather-long-stateful-set-name-for-hashing-0-x-shop-x-vc2
pod/cart-785676477c-44qqg-x-shop-x-vc2
pod/cart-785676477c-g2626-x-shop-x-vc2
""",
    "top pods --vcluster vc2 -l app=cart -o name": "pod/cart-785676477c-44qqg\npod/cart-785676477c-g2626\n",
    "top pods -l app=burner -o csv": """\
NAME,CPU(cores),MEMORY(bytes)
burner-6bfd9cb954-8msjh,49m,0Mi
burner-6bfd9cb954-h8fn7,48m,0Mi
""",
    "top nodes -o github": """\
|·NAME···|·CPU(cores)···|·CPU(%)···|·MEMORY(bytes)···|·MEMORY(%)···|
|--------|--------------|----------|-----------------|-------------|
|·vm·····|·783m·········|·39%······|·3263Mi··········|·13%·········|
""",
}


@pytest.mark.parametrize("command", TABLES)
def test_table(command: str, on_host: Cli) -> None:
    result = on_host(*command.split())

    assert result.stdout.replace(" ", "·") == TABLES[command]
    assert (result.code, result.stderr) == (0, "")


def test_one_request_where_one_is_enough(on_host: Cli, host: Replay) -> None:
    on_host("top", "pods", "-A", "-l", "app=cart")
    assert host.seen == ["/apis/metrics.k8s.io/v1beta1/pods?labelSelector=app%3Dcart"]
    host.seen.clear()

    on_host("top", "pods", "-A", "--host-names")
    assert host.seen == ["/apis/metrics.k8s.io/v1beta1/pods"]
    host.seen.clear()

    # Whose a pod is its labels tell: no name is asked for where none is shown.
    on_host("top", "vclusters")
    assert not [path for path in host.seen if path.startswith("/api/v1/") and "/pods/" in path]


def test_a_document_of_virtual_pods_is_what_is_recorded_inside(on_host: Cli) -> None:
    inside = json.loads((RECORDINGS / "vc1" / "apis-metrics.k8s.io-v1beta1-pods.json").read_text())["items"]

    found = json.loads(on_host("top", "pods", "--vcluster", "vc1", "-o", "json").stdout)

    assert (found["kind"], found["apiVersion"]) == ("PodMetricsList", "metrics.k8s.io/v1beta1")
    for item in (*inside, *found["items"]):
        item["containers"].sort(key=lambda container: container["name"])
        item["metadata"].pop("creationTimestamp", None)  # the moment of the answer
    for item in found["items"]:
        assert item.pop("kind") == "PodMetrics"
        assert item.pop("apiVersion") == "metrics.k8s.io/v1beta1"
        assert item.pop("vcluster") == {"name": "vc1", "hostNamespace": "team-a"}
        assert item.pop("host")["namespace"] == "team-a"

    def key(item: dict[str, dict[str, str]]) -> tuple[str, str]:
        return item["metadata"]["namespace"], item["metadata"]["name"]

    assert sorted(found["items"], key=key) == sorted(inside, key=key)


def test_documents(on_host: Cli) -> None:
    groups = yaml.safe_load(on_host("top", "vclusters", "-o", "yaml").stdout)
    assert groups["items"][0] == {
        "kind": "VirtualClusterUsage",
        "apiVersion": "vmetrics/v1",
        "metadata": {"name": "vc1", "namespace": "team-a"},
        "status": "Running",
        "version": "1",
        "pods": 5,
        "usage": {"cpu": "250006032n", "memory": "123052Ki"},
        "controlPlane": {"usage": {"cpu": "38632436n", "memory": "348912Ki"}},
    }
    assert (groups["items"][-1]["kind"], groups["items"][-1]["metadata"]) == ("HostUsage", {"name": "host"})
    nodes = json.loads(on_host("top", "nodes", "-o", "json").stdout)
    assert nodes["items"][0]["usage"] == {"cpu": "782025925n", "memory": "3341384Ki"}
    spaces = json.loads(on_host("top", "namespaces", "-o", "json").stdout)
    assert {item["metadata"]["name"] for item in spaces["items"]} == {"default", "team-a", "team-b"}
    assert {item["virtual"]["namespace"] for item in spaces["items"] if "virtual" in item} == {"default", "shop"}
    share = json.loads(on_host("top", "nodes", "--vcluster", "vc2", "-o", "json").stdout)
    assert share["items"][0]["pods"] == 5


def test_empty_documents_are_documents(on_host: Cli) -> None:
    result = on_host("top", "pods", "-n", "empty", "-o", "json")

    assert json.loads(result.stdout)["items"] == []
    assert result.stderr == "No resources found in empty namespace.\n"


def test_inside_a_kubeconfig_that_leads_into_a_virtual_cluster_it_is_plain_kubectl_top(tmp_path: object) -> None:
    from pathlib import Path

    from kubectl_vmetrics.demo import server
    from tests.conftest import invoke, write_kubeconfig

    recorded = {line["command"]: line for line in json.loads((RECORDINGS / "kubectl-top" / "vc1.json").read_text())}
    with server.serving(Replay("vc1")) as url:
        path = write_kubeconfig(Path(str(tmp_path)), url)
        for command, line in recorded.items():
            result = invoke(*command.split()[1:], kubeconfig=path)
            assert (result.stdout, result.stderr, result.code) == (line["stdout"], line["stderr"], line["exit"])
