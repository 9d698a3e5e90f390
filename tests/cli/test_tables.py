"""Whole tables of the recorded host; no oracle prints these, so they were computed by hand from the recorded numbers."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.conftest import Cli
from tests.replay import RECORDINGS, Refusal, Replay, Reply

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
vc1········default······a-x-b···························································41m··········29Mi············402%·····-········186%·····-········vm·····a-x-b-x-default-x-vc1·············································
vc1········shop·········a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6···36m··········0Mi·············176%·····18%······1.5%·····0.7%·····vm·····a-rather-long-deployment-name-that-is-hashed-5b5d8ff-0eb54a0598···
vc1········shop·········a-rather-long-stateful-set-name-for-hashing-0···················64m··········30Mi············212%·····-········47%······-········vm·····a-rather-long-stateful-set-name-for-hashing-0-x-shop-x-vc1········
vc1········shop·········cart-785676477c-69n6q···········································55m··········29Mi············546%·····-········186%·····-········vm·····cart-785676477c-69n6q-x-shop-x-vc1································
vc1········shop·········cart-785676477c-rwnqt···········································57m··········30Mi············563%·····-········188%·····-········vm·····cart-785676477c-rwnqt-x-shop-x-vc1································
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
a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6···36m··········0Mi·············176%·····18%······1.5%·····0.7%·····vm·····a-rather-long-deployment-name-that-is-hashed-5b5d8ff-0eb54a0598···
""",
    "top pods --vcluster team-b/vc2 -l app!=cart,app --sort-by=memory": """\
NAMESPACE···NAME····························································CPU(cores)···MEMORY(bytes)···
shop········a-rather-long-stateful-set-name-for-hashing-0···················64m··········29Mi············
shop········a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-kk64h···38m··········0Mi·············
""",
    "top pods --vcluster vc2 -n default --field-selector metadata.name=a-x-b --no-headers": "a-x-b···41m···29Mi···\n",
    "top nodes --vcluster vc1 --sum": """\
NAME···PODS·······CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···
vm·····5··········251m·········13%······120Mi···········0.5%········
·······________···________··············________········
·······5··········251m··················120Mi···········
""",
    "top vclusters --sum": """\
NAMESPACE···NAME·····STATUS····VERSION···PODS·······CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···CP-CPU(cores)···CP-MEMORY(bytes)···
team-a······vc1······Running···1·········5··········251m·········13%······120Mi···········0.5%········39m·············340Mi··············
team-b······vc2······Running···1·········5··········255m·········13%······119Mi···········0.5%········42m·············331Mi··············
<none>······<none>···<none>····<none>····2··········96m··········4.8%·····1Mi·············0.0%········-···············-··················
·········································________···________··············________····················________········________···········
·········································12·········601m··················241Mi·······················81m·············672Mi··············
""",
    "top vclusters -n team-a --no-headers": """\
team-a···vc1······Running···1········5·····251m···13%····120Mi···0.5%···39m···340Mi···
<none>···<none>···<none>····<none>···0·····0m·····0.0%···0Mi·····0.0%···-·····-·······
""",
    "top vclusters vc2": """\
NAMESPACE···NAME···STATUS····VERSION···PODS···CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···CP-CPU(cores)···CP-MEMORY(bytes)···
team-b······vc2····Running···1·········5······255m·········13%······119Mi···········0.5%········42m·············331Mi··············
""",
    "top namespaces --sort-by=memory": """\
NAMESPACE···VCLUSTER···VNAMESPACE···PODS···CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···
team-a······<none>·····<none>·······1······39m··········1.9%·····340Mi···········1.4%········
team-b······<none>·····<none>·······1······42m··········2.1%·····331Mi···········1.4%········
team-a······vc1········shop·········4······210m·········10%······90Mi············0.4%········
team-b······vc2········shop·········4······214m·········11%······89Mi············0.4%········
team-b······vc2········default······1······41m··········2.0%·····29Mi············0.1%········
team-a······vc1········default······1······41m··········2.0%·····29Mi············0.1%········
default·····<none>·····<none>·······2······96m··········4.8%·····1Mi·············0.0%········
""",
    "top namespaces --vcluster vc1 --sum": """\
NAME······PODS·······CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···
default···1··········41m··········2.0%·····29Mi············0.1%········
shop······4··········210m·········10%······90Mi············0.4%········
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
host_namespace,host_name,vcluster_namespace,vcluster,virtual_namespace,virtual_name,cpu_cores,memory_bytes,swap_bytes,cpu_requests_cores,cpu_limits_cores,memory_requests_bytes,memory_limits_bytes,cpu_requests_share,cpu_limits_share,memory_requests_share,memory_limits_share,node
default,burner-6bfd9cb954-8msjh,,,,,0.048625975,929792,,0.01,,16777216,,4.862597,,0.05542,,vm
default,burner-6bfd9cb954-h8fn7,,,,,0.047252888,602112,,0.01,,16777216,,4.725289,,0.035889,,vm
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


def _quota(name: str, namespace: str, hard: dict[str, str], used: dict[str, str], **spec: object) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec, "status": {"hard": hard, "used": used}}


QUOTAS = [
    _quota("vc-vc1", "team-a", {"requests.cpu": "2", "requests.memory": "1Gi"}, {"requests.cpu": "80m"}),
    _quota("tighter", "team-a", {"cpu": "1", "pods": "9"}, {"cpu": "980m", "pods": "6"}),
    _quota("some", "team-a", {"requests.cpu": "1m"}, {"requests.cpu": "1m"}, scopes=["BestEffort"]),
    _quota("broken", "team-b", {"requests.cpu": "much", "requests.memory": "2Gi"}, {"requests.memory": "1Gi"}),
    _quota("default", "default", {"requests.cpu": "500m"}, {"requests.cpu": "20m"}),
]
"""Two for one resource, one for some pods only, and one with a number that cannot be read."""
WIDE = {
    "top vclusters -o wide --sum": """\
NAMESPACE···NAME·····STATUS····VERSION···PODS·······CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···CP-CPU(cores)···CP-MEMORY(bytes)···CPU-REQ(cores)···CPU-LIM(cores)···%CPU/R···%CPU/L···MEM-REQ(bytes)···MEM-LIM(bytes)···%MEM/R···%MEM/L···QUOTA-CPU-USED···QUOTA-CPU-HARD···QUOTA-MEM-USED···QUOTA-MEM-HARD···VOL-REQ(bytes)···VOL-USED(bytes)···NODES···RESTARTS···
team-a······vc1······Running···1·········5··········251m·········13%······120Mi···········0.5%········39m·············340Mi··············80m··············600m·············313%·····-········144Mi············576Mi············83%······-········980m·············1000m············0Mi··············1024Mi···········1024Mi···········35101Mi···········1·······0··········
team-b······vc2······Running···1·········5··········255m·········13%······119Mi···········0.5%········42m·············331Mi··············80m··············600m·············318%·····-········144Mi············576Mi············83%······-········-················-················1024Mi···········2048Mi···········1024Mi···········35100Mi···········1·······0··········
<none>······<none>···<none>····<none>····2··········96m··········4.8%·····1Mi·············0.0%········-···············-··················20m··············200m·············479%·····-········32Mi·············128Mi············4.6%·····-········-················-················-················-················0Mi··············-·················1·······0··········
·········································________···________··············________····················________········________···········________·········________···························________·········________·······························································································________·········________··················________···
·········································12·········601m··················241Mi·······················81m·············672Mi··············180m·············1400m······························320Mi············1280Mi·································································································2048Mi···········70201Mi···················0··········
""",
    "top namespaces -o wide": """\
NAMESPACE···VCLUSTER···VNAMESPACE···PODS···CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···CPU-REQ(cores)···CPU-LIM(cores)···%CPU/R···%CPU/L···MEM-REQ(bytes)···MEM-LIM(bytes)···%MEM/R···%MEM/L···QUOTA-CPU-USED···QUOTA-CPU-HARD···QUOTA-MEM-USED···QUOTA-MEM-HARD···VOL-REQ(bytes)···VOL-USED(bytes)···NODES···RESTARTS···
default·····<none>·····<none>·······2······96m··········4.8%·····1Mi·············0.0%········20m··············200m·············479%·····-········32Mi·············128Mi············4.6%·····-········20m··············500m·············-················-················0Mi··············-·················1·······0··········
team-a······<none>·····<none>·······1······39m··········1.9%·····340Mi···········1.4%········-················-················-········-········-················-················-········-········-················-················-················-················0Mi··············-·················1·······0··········
team-a······vc1········default······1······41m··········2.0%·····29Mi············0.1%········10m··············100m·············402%·····-········16Mi·············128Mi············186%·····-········-················-················-················-················0Mi··············-·················1·······0··········
team-a······vc1········shop·········4······210m·········10%······90Mi············0.4%········70m··············500m·············300%·····-········128Mi············448Mi············71%······-········-················-················-················-················1024Mi···········35101Mi···········1·······0··········
team-b······<none>·····<none>·······1······42m··········2.1%·····331Mi···········1.4%········-················-················-········-········-················-················-········-········-················-················-················-················0Mi··············-·················1·······0··········
team-b······vc2········default······1······41m··········2.0%·····29Mi············0.1%········10m··············100m·············403%·····-········16Mi·············128Mi············187%·····-········-················-················-················-················0Mi··············-·················1·······0··········
team-b······vc2········shop·········4······214m·········11%······89Mi············0.4%········70m··············500m·············306%·····-········128Mi············448Mi············70%······-········-················-················-················-················1024Mi···········35100Mi···········1·······0··········
""",
    "top namespaces --vcluster vc1 -o wide": """\
NAME······PODS···CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···CPU-REQ(cores)···CPU-LIM(cores)···%CPU/R···%CPU/L···MEM-REQ(bytes)···MEM-LIM(bytes)···%MEM/R···%MEM/L···QUOTA-CPU-USED···QUOTA-CPU-HARD···QUOTA-MEM-USED···QUOTA-MEM-HARD···VOL-REQ(bytes)···VOL-USED(bytes)···NODES···RESTARTS···
default···1······41m··········2.0%·····29Mi············0.1%········10m··············100m·············402%·····-········16Mi·············128Mi············186%·····-········-················-················-················-················0Mi··············-·················1·······0··········
shop······4······210m·········10%······90Mi············0.4%········70m··············500m·············300%·····-········128Mi············448Mi············71%······-········-················-················-················-················1024Mi···········35101Mi···········1·······0··········
""",
    "top nodes -o wide": """\
NAME···CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···CPU-CAPACITY···CPU-ALLOCATABLE···CPU-REQ(cores)···CPU-REQ(%)···CPU-LIM(cores)···MEM-CAPACITY···MEM-ALLOCATABLE···MEM-REQ(bytes)···MEM-REQ(%)···MEM-LIM(bytes)···PODS···PODS-ALLOCATABLE···RESTARTS···
vm·····783m·········39%······3263Mi··········13%·········2000m··········2000m·············180m·············9.0%·········1400m············24103Mi········24003Mi···········320Mi············1.3%·········1280Mi···········14·····250················0··········
""",
    "top nodes --vcluster vc1 -o wide --sum": """\
NAME···PODS·······CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···CPU-REQ(cores)···CPU-LIM(cores)···%CPU/R···%CPU/L···MEM-REQ(bytes)···MEM-LIM(bytes)···%MEM/R···%MEM/L···RESTARTS···
vm·····5··········251m·········13%······120Mi···········0.5%········80m··············600m·············313%·····-········144Mi············576Mi············83%······-········0··········
·······________···________··············________····················________·········________···························________·········________···························________···
·······5··········251m··················120Mi·······················80m··············600m·······························144Mi············576Mi······························0··········
""",
    "top pods -n team-a --sort-by=%cpu/r -o wide": """\
VCLUSTER···VNAMESPACE···NAME····························································CPU(cores)···MEMORY(bytes)···%CPU/R···%CPU/L···%MEM/R···%MEM/L···NODE···HOST-NAME·························································
vc1········shop·········cart-785676477c-rwnqt···········································57m··········30Mi············563%·····-········188%·····-········vm·····cart-785676477c-rwnqt-x-shop-x-vc1································
vc1········shop·········cart-785676477c-69n6q···········································55m··········29Mi············546%·····-········186%·····-········vm·····cart-785676477c-69n6q-x-shop-x-vc1································
vc1········default······a-x-b···························································41m··········29Mi············402%·····-········186%·····-········vm·····a-x-b-x-default-x-vc1·············································
vc1········shop·········a-rather-long-stateful-set-name-for-hashing-0···················64m··········30Mi············212%·····-········47%······-········vm·····a-rather-long-stateful-set-name-for-hashing-0-x-shop-x-vc1········
vc1········shop·········a-rather-long-deployment-name-that-is-hashed-5b5d8fff69-m4vr6···36m··········0Mi·············176%·····18%······1.5%·····0.7%·····vm·····a-rather-long-deployment-name-that-is-hashed-5b5d8ff-0eb54a0598···
<none>·····<none>·······vc1-0···························································39m··········340Mi···········-········-········-········-········vm·······································································
""",
    "top namespaces --sort-by=vcluster": """\
NAMESPACE···VCLUSTER···VNAMESPACE···PODS···CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···
team-a······vc1········default······1······41m··········2.0%·····29Mi············0.1%········
team-a······vc1········shop·········4······210m·········10%······90Mi············0.4%········
team-b······vc2········default······1······41m··········2.0%·····29Mi············0.1%········
team-b······vc2········shop·········4······214m·········11%······89Mi············0.4%········
default·····<none>·····<none>·······2······96m··········4.8%·····1Mi·············0.0%········
team-a······<none>·····<none>·······1······39m··········1.9%·····340Mi···········1.4%········
team-b······<none>·····<none>·······1······42m··········2.1%·····331Mi···········1.4%········
""",
    "top vclusters --sort-by=name": """\
NAMESPACE···NAME·····STATUS····VERSION···PODS···CPU(cores)···CPU(%)···MEMORY(bytes)···MEMORY(%)···CP-CPU(cores)···CP-MEMORY(bytes)···
team-a······vc1······Running···1·········5······251m·········13%······120Mi···········0.5%········39m·············340Mi··············
team-b······vc2······Running···1·········5······255m·········13%······119Mi···········0.5%········42m·············331Mi··············
<none>······<none>···<none>····<none>····2······96m··········4.8%·····1Mi·············0.0%········-···············-··················
""",
    "top pods -A --node=vm -l app=cart --sort-by=vcluster": """\
NAMESPACE···VCLUSTER···VNAMESPACE···NAME····················CPU(cores)···MEMORY(bytes)···
team-a······vc1········shop·········cart-785676477c-69n6q···55m··········29Mi············
team-a······vc1········shop·········cart-785676477c-rwnqt···57m··········30Mi············
team-b······vc2········shop·········cart-785676477c-44qqg···57m··········29Mi············
team-b······vc2········shop·········cart-785676477c-g2626···57m··········29Mi············
""",
    "top vclusters -o csv --sum": """\
namespace,name,status,version,pods,cpu_cores,cpu_allocatable_share,memory_bytes,memory_allocatable_share,control_plane_cpu_cores,control_plane_memory_bytes,cpu_requests_cores,cpu_limits_cores,cpu_requests_share,cpu_limits_share,memory_requests_bytes,memory_limits_bytes,memory_requests_share,memory_limits_share,gpus_requested,gpus_used,quota_requests_cpu_used_cores,quota_requests_cpu_hard_cores,quota_requests_memory_used_bytes,quota_requests_memory_hard_bytes,volumes_requested_bytes,volumes_used_bytes,nodes,restarts,source
team-a,vc1,Running,1,5,0.250006032,0.125003,126005248,0.005006,0.038632436,357285888,0.08,0.6,3.125075,,150994944,603979776,0.8345,,0,,0.98,1,0,1073741824,1073741824,36806295552,1,0,host
team-b,vc2,Running,1,5,0.254195731,0.127098,125661184,0.004993,0.041631406,348061696,0.08,0.6,3.177447,,150994944,603979776,0.832221,,0,,,,1073741824,2147483648,1073741824,36805783552,1,0,host
,,,,2,0.095878863,0.047939,1531904,6.1e-05,,,0.02,0.2,4.793943,,33554432,134217728,0.045654,,0,,,,,,0,,1,0,host
,,,,12,0.600080626,,253198336,,0.080263842,705347584,0.18,1.4,,,335544320,1342177280,,,0,,,,,,2147483648,73612079104,,0,
""",
    "top pods --vcluster vc1 -n shop -l app=cart -o csv --sum": """\
host_namespace,host_name,vcluster_namespace,vcluster,virtual_namespace,virtual_name,cpu_cores,memory_bytes,swap_bytes,cpu_requests_cores,cpu_limits_cores,memory_requests_bytes,memory_limits_bytes,cpu_requests_share,cpu_limits_share,memory_requests_share,memory_limits_share,node
team-a,cart-785676477c-69n6q-x-shop-x-vc1,team-a,vc1,shop,cart-785676477c-69n6q,0.054559358,31178752,,0.01,,16777216,,5.455936,,1.858398,,vm
team-a,cart-785676477c-rwnqt-x-shop-x-vc1,team-a,vc1,shop,cart-785676477c-rwnqt,0.056294351,31621120,,0.01,,16777216,,5.629435,,1.884766,,vm
,,,,,,0.110853709,62799872,,,,,,,,,,
""",
    "top nodes -o csv": """\
name,cpu_cores,cpu_allocatable_share,memory_bytes,memory_allocatable_share,cpu_capacity_cores,cpu_allocatable_cores,cpu_requests_cores,cpu_requests_of_allocatable_share,cpu_limits_cores,memory_capacity_bytes,memory_allocatable_bytes,memory_requests_bytes,memory_requests_of_allocatable_share,memory_limits_bytes,pods,pods_allocatable,restarts
vm,0.782025925,0.391013,3421577216,0.135939,2,2,0.18,0.09,1.4,25274793984,25169936384,335544320,0.013331,1342177280,14,250,0
""",
    "top nodes --vcluster vc1 -o csv": """\
name,pods,cpu_cores,cpu_allocatable_share,memory_bytes,memory_allocatable_share,cpu_requests_cores,cpu_limits_cores,cpu_requests_share,cpu_limits_share,memory_requests_bytes,memory_limits_bytes,memory_requests_share,memory_limits_share,restarts
vm,5,0.250006032,0.125003,126005248,0.005006,0.08,0.6,3.125075,,150994944,603979776,0.8345,,0
""",
    "top namespaces --vcluster vc1 -o csv": """\
host_namespace,vcluster_namespace,vcluster,virtual_namespace,pods,cpu_cores,cpu_allocatable_share,memory_bytes,memory_allocatable_share,cpu_requests_cores,cpu_limits_cores,cpu_requests_share,cpu_limits_share,memory_requests_bytes,memory_limits_bytes,memory_requests_share,memory_limits_share,gpus_requested,gpus_used,quota_requests_cpu_used_cores,quota_requests_cpu_hard_cores,quota_requests_memory_used_bytes,quota_requests_memory_hard_bytes,volumes_requested_bytes,volumes_used_bytes,nodes,restarts
team-a,team-a,vc1,default,1,0.040242648,0.020121,31174656,0.001239,0.01,0.1,4.024265,,16777216,134217728,1.858154,,0,,,,,,0,,1,0
team-a,team-a,vc1,shop,4,0.209763384,0.104882,94830592,0.003768,0.07,0.5,2.99662,,134217728,469762048,0.706543,,0,,,,,,1073741824,36806295552,1,0
""",
}


@pytest.mark.parametrize("command", WIDE)
def test_wide(command: str, on_host: Cli, host: Replay) -> None:
    host.override["/api/v1/resourcequotas"] = Reply(200, json.dumps({"items": QUOTAS}).encode())
    host.override["/api/v1/namespaces/team-a/resourcequotas"] = Reply(200, json.dumps({"items": QUOTAS[:3]}).encode())

    result = on_host(*command.split())

    assert result.stdout.replace(" ", "·") == WIDE[command]
    assert (result.code, result.stderr) == (0, "")


def test_quotas_in_a_document_are_as_they_are_written(on_host: Cli, host: Replay) -> None:
    host.override["/api/v1/resourcequotas"] = Reply(200, json.dumps({"items": QUOTAS}).encode())

    found = json.loads(on_host("top", "vclusters", "-o", "json").stdout)["items"]

    assert [item.get("quota") for item in found] == [
        {
            "hard": {"pods": "9", "requests.cpu": "1", "requests.memory": "1Gi"},
            "used": {"pods": "6", "requests.cpu": "980m", "requests.memory": "0"},
        },
        {"hard": {"requests.memory": "2Gi"}, "used": {"requests.memory": "1Gi"}},
        None,
    ]


def test_what_cannot_be_listed_costs_its_own_columns(on_host: Cli, host: Replay) -> None:
    for path in ("resourcequotas", "persistentvolumeclaims", "pods"):
        host.override[f"/api/v1/{path}"] = Refusal(403, "Forbidden", f"{path} is forbidden")
    plain = on_host("top", "vclusters").stdout.splitlines()

    result = on_host("top", "vclusters", "-o", "wide")

    assert result.code == 0
    assert [line.split()[:11] for line in result.stdout.splitlines()] == [line.split() for line in plain]
    assert {cell for line in result.stdout.splitlines()[1:] for cell in line.split()[11:]} == {"-"}
    assert result.stderr.splitlines() == [
        "Warning: nodes, restarts, requests and limits are not available: pods is forbidden",
        "Warning: volumes are not available: persistentvolumeclaims is forbidden",
        "Warning: quotas are not available: resourcequotas is forbidden",
    ]


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
        assert item.pop("node") == "vm"
        for field in ("requests", "limits", "requestsShare", "limitsShare"):
            item.pop(field)
        for container in item["containers"]:
            container.pop("requests"), container.pop("limits")

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
        "allocatableShare": {"cpu": 0.125003, "memory": 0.005006},
        "requests": {"cpu": "80m", "memory": "144Mi"},
        "limits": {"cpu": "600m", "memory": "576Mi"},
        "requestsShare": {"cpu": 3.125075, "memory": 0.834500},
        "limitsShare": {},
        "nodes": ["vm"],
        "restarts": 0,
        "volumes": {"count": 1, "requestedBytes": 1073741824, "usedBytes": 36806295552},
        "source": "host",
        "controlPlane": {
            "usage": {"cpu": "38632436n", "memory": "348912Ki"},
            "requests": {},
            "limits": {},
            "requestsShare": {},
            "limitsShare": {},
            "nodes": ["vm"],
            "restarts": 0,
        },
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
