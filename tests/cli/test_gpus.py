"""`top gpus`: whole tables of the demo's GPUs, and exporters that are down, forged, doubled or mute."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.changes import alter, refuse, say, substitute, together
from kubectl_vmetrics.demo.cluster import Shape, build
from tests.conftest import Cli, invoke, write_kubeconfig
from tests.demo.asking import answer, ask

EXPORTERS = "/api/v1/namespaces/gpu-operator/pods/nvidia-dcgm-exporter-[^/]+/proxy/metrics"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Apiserver, str]]:
    apiserver = Apiserver(build(Shape(pods=20, machines=0, tenants=0, gpu_nodes=2)), clock=lambda: 1_700_000_000.0)
    with server.serving(apiserver) as url:
        yield apiserver, url


@pytest.fixture
def host(served: tuple[Apiserver, str]) -> Iterator[Apiserver]:
    yield served[0]
    served[0].change = None


@pytest.fixture
def run(served: tuple[Apiserver, str], tmp_path: Path) -> Cli:
    path = write_kubeconfig(tmp_path, served[1])
    return lambda *args, **more: invoke(*args, kubeconfig=path, **more)


def table(text: str) -> list[list[str]]:
    """Cells; those of kubectl's tables are three spaces apart."""
    return [re.split(r" {3,}", line.rstrip()) for line in text.splitlines()]


HOST = """\
NODE    GPU   MODEL                   MIG            GPU(%)   MEMORY(bytes)   MEMORY(%)   POWER(W)   STATE   NAMESPACE     VCLUSTER   VNAMESPACE   POD
gpu-1   0     NVIDIA A100-SXM4-80GB   -              0.0%     1214Mi          1.5%        62         Idle    team-a        shop       ml           notebook-0
gpu-1   1     NVIDIA A100-SXM4-80GB   -              97%      72640Mi         89%         384        Busy    team-a        shop       ml           trainer-0
gpu-1   2     NVIDIA A100-SXM4-80GB   -              97%      72640Mi         89%         384        Busy    team-a        shop       ml           trainer-0
gpu-1   3     NVIDIA A100-SXM4-80GB   -              0.0%     4Mi             0.0%        62         Free    <none>        <none>     <none>       <none>
gpu-2   0     NVIDIA H100 80GB HBM3   3g.40gb (1)    39%      33110Mi         82%         189        Busy    team-b        dev        serving      chat-0
gpu-2   0     NVIDIA H100 80GB HBM3   2g.20gb (3)    67%      15872Mi         79%         189        Busy    team-c        dev        default      scoring-0
gpu-2   0     NVIDIA H100 80GB HBM3   1g.10gb (9)    18%      6390Mi          65%         189        Busy    ml-platform   <none>     <none>       embedder-0
gpu-2   0     NVIDIA H100 80GB HBM3   1g.10gb (10)   0.0%     4Mi             0.0%        189        Free    <none>        <none>     <none>       <none>
"""


def test_all_gpus(run: Cli) -> None:
    result = run("top", "gpus")

    assert (result.code, result.stderr) == (0, "")
    assert [line.rstrip() for line in result.stdout.splitlines()] == HOST.splitlines()


def test_numbers_are_those_of_the_exporters(host: Apiserver, run: Cli) -> None:
    """Each against the text itself, by regular expressions of this test."""
    exporters = [pod["metadata"]["name"] for pod in answer(host, "/api/v1/namespaces/gpu-operator/pods")["items"]]
    text = "".join(
        ask(host, f"/api/v1/namespaces/gpu-operator/pods/{name}:9400/proxy/metrics")[2].decode() for name in exporters
    )
    items = json.loads(run("top", "gpus", "-o", "json").stdout)["items"]

    def of(name: str, item: dict[str, Any]) -> float:
        uuid, mig = item["device"]["uuid"], item["device"].get("mig")
        part = f'GPU_I_ID="{mig["instance"]}"' if mig else ""
        found = re.findall(rf'^{name}{{[^}}]*UUID="{uuid}"[^}}]*{part}[^}}]*}} (\S+)$', text, re.MULTILINE)
        assert len(found) == 1
        return float(found[0])

    assert len(items) == 8
    for item in items:
        usage, used = item["usage"], of("DCGM_FI_DEV_FB_USED", item)
        assert usage["memoryBytes"] == used * 1024 * 1024
        assert usage["memoryTotalBytes"] == (used + of("DCGM_FI_DEV_FB_FREE", item)) * 1024 * 1024
        assert usage["powerWatts"] == of("DCGM_FI_DEV_POWER_USAGE", item)
        assert usage["temperatureCelsius"] == of("DCGM_FI_DEV_GPU_TEMP", item)
        active = of("DCGM_FI_PROF_GR_ENGINE_ACTIVE", item) * 100
        whole = None if "mig" in item["device"] else of("DCGM_FI_DEV_GPU_UTIL", item)
        assert usage["gpuPercent"] == (active if whole is None else whole)


def test_from_inside(run: Cli) -> None:
    result = run("top", "gpus", "--vcluster", "team-b/dev", "-o", "wide")

    assert (result.code, result.stderr) == (0, "")
    header, row = table(result.stdout)
    shown = dict(zip(header, row, strict=False))
    assert shown.pop("UUID").startswith("GPU-")
    assert shown == {
        "NODE": "gpu-2",
        "GPU": "0",
        "MODEL": "NVIDIA H100 80GB HBM3",
        "MIG": "3g.40gb (1)",
        "GPU(%)": "39%",
        "MEMORY(bytes)": "33110Mi",
        "MEMORY(%)": "82%",
        "POWER(W)": "189",
        "STATE": "Busy",
        "NAMESPACE": "serving",
        "POD": "chat-0",
        "CONTAINER": "main",
        "TEMPERATURE(C)": "49",
        "HOST-NAME": "chat-0-x-serving-x-dev",
    }
    # Nothing of the other tenants on the same device, in any format.
    document = run("top", "gpus", "--vcluster", "team-b/dev", "-o", "json").stdout
    assert not re.search("shop|scoring|embedder|team-a|team-c", document)


def test_sorted_and_named(run: Cli) -> None:
    by_power = [row[7] for row in table(run("top", "gpus", "--sort-by=power").stdout)[1:]]
    names = run("top", "gpus", "-o", "name").stdout.splitlines()

    assert by_power == sorted(by_power, key=int, reverse=True)
    assert len(set(names)) == 8
    assert all(re.fullmatch(r"gpu/GPU-[0-9a-f-]{36}(/\d+)?", name) for name in names)


def test_a_namespace(run: Cli) -> None:
    assert [row[-1] for row in table(run("top", "gpus", "-n", "team-c").stdout)] == ["POD", "scoring-0"]
    assert run("top", "gpus", "-n", "monitoring") == (
        0,
        "",
        "No resources found: no pod in namespace monitoring has a GPU\n",
    )


# ------------------------------------------------------------------------------------------------- what can go wrong


def test_one_exporter_is_down(host: Apiserver, run: Cli) -> None:
    one = re.escape(
        next(pod.name for pod in host.world.pods if pod.node == "gpu-1" and pod.namespace == "gpu-operator")
    )
    host.change = say(
        rf"/api/v1/namespaces/gpu-operator/pods/{one}:9400/proxy/metrics", "error trying to reach service: x", 503
    )

    result = run("top", "gpus")

    assert result.code == 1
    assert [row[0] for row in table(result.stdout)[1:]] == ["gpu-2"] * 4
    assert result.stderr == "Warning: the GPUs of gpu-1 could not be read: error trying to reach service: x\n"


@pytest.mark.parametrize("body", ["<html>login</html>", "", "DCGM_FI_DEV_GPU_UTIL{gpu=", '{"a":1}'])
def test_an_exporter_that_answers_something_else(body: str, host: Apiserver, run: Cli) -> None:
    host.change = say(EXPORTERS, body)

    result = run("top", "gpus")

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: the GPUs of gpu-1, gpu-2 could not be read: ")
    assert "instead of metrics" in result.stderr


def pods(edit: Any) -> Any:
    """A change of each pod in lists of pods."""

    def each(body: Any) -> None:
        for item in body.get("items", []):
            edit(item)

    return alter("/api/v1/pods", each)


def test_a_pod_of_a_tenant_is_no_exporter(host: Apiserver, run: Cli) -> None:
    """It has the labels, it even listens at the port; nobody asks it."""
    asked: list[str] = []

    label = {"app": "nvidia-dcgm-exporter"}

    def edit(body: Any) -> None:
        for item in body["items"]:
            if "vcluster.loft.sh/managed-by" in item["metadata"]["labels"]:
                item["metadata"]["labels"] |= label
        body["items"] = [item for item in body["items"] if item["metadata"]["labels"].items() >= label.items()]

    def change(request: Any, answer: Any) -> Any:
        if "/proxy/metrics" in request.path:
            asked.append(request.path)
        if request.query.get("labelSelector") != "app=nvidia-dcgm-exporter":
            return answer(request)
        return alter("/api/v1/pods", edit)(request._replace(query={}), answer)

    host.change = change

    assert [line.rstrip() for line in run("top", "gpus").stdout.splitlines()] == HOST.splitlines()
    assert len(asked) == 2
    assert all("/namespaces/gpu-operator/" in path for path in asked)


@pytest.mark.parametrize(
    "how",
    [
        lambda item: item["metadata"]["ownerReferences"][0].update(kind="ReplicaSet"),
        lambda item: item["metadata"]["ownerReferences"][0].update(controller=False),
        lambda item: item["metadata"].pop("ownerReferences"),
        lambda item: item["metadata"].update(namespace="team-a"),
        lambda item: item["metadata"]["labels"].update({"vcluster.loft.sh/managed-by": "shop"}),
        lambda item: item["status"].update(phase="Pending"),
    ],
)
def test_exporters_are_those_of_a_daemon_set_of_the_host(how: Any, host: Apiserver, run: Cli) -> None:
    def edit(item: Any) -> None:
        if item["metadata"]["labels"].get("app") == "nvidia-dcgm-exporter":
            how(item)

    host.change = pods(edit)

    result = run("top", "gpus")

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr == (
        "error: GPU metrics not available: 2 nodes have GPUs, but no DaemonSet runs dcgm-exporter\n"
    )


def test_pods_are_not_reported(host: Apiserver, run: Cli) -> None:
    """As the template of vCluster's platform runs it."""
    host.change = substitute(EXPORTERS, rb',container="[^}]*"}', b"}")

    result = run("top", "gpus")

    assert {(row[8], row[9], row[-1]) for row in table(result.stdout)[1:]} == {("Unknown", "<none>", "<none>")}
    assert result.stderr == (
        "Warning: the dcgm-exporter on gpu-1, gpu-2 does not report pods: set DCGM_EXPORTER_KUBERNETES=true and mount "
        "/var/lib/kubelet/pod-resources\n"
    )


def test_a_pod_that_does_not_run_there_holds_nothing(host: Apiserver, run: Cli) -> None:
    host.change = substitute(EXPORTERS, rb'pod="trainer-0-x-ml-x-shop"', b'pod="shop-0"')

    shown = table(run("top", "gpus").stdout)[1:]

    assert [(row[8], row[-1]) for row in shown[:4]] == [
        ("Idle", "notebook-0"),
        ("Free", "<none>"),
        ("Free", "<none>"),
        ("Free", "<none>"),
    ]


def test_both_families_and_two_exporters_count_once(host: Apiserver, run: Cli) -> None:
    def doubled(request: Any, answer: Any) -> Any:
        reply = answer(request)
        if re.fullmatch(EXPORTERS, request.path):
            old = re.sub(rb"DCGM_FI_\w+", lambda found: found[0].lower(), reply.body)
            old = (
                old.replace(b"UUID=", b"uuid=")
                .replace(b",pod=", b",pod_name=")
                .replace(b",namespace=", b",pod_namespace=")
            )
            return reply._replace(body=old + reply.body)
        return reply

    def second(body: Any) -> None:
        for item in list(body.get("items", [])):
            if item["metadata"]["labels"].get("app") == "nvidia-dcgm-exporter":
                copied = json.loads(json.dumps(item))
                copied["metadata"]["namespace"] = "another"
                body["items"].append(copied)

    def elsewhere(request: Any, answer: Any) -> Any:
        return answer(request._replace(path=request.path.replace("/namespaces/another/", "/namespaces/gpu-operator/")))

    host.change = together(elsewhere, doubled, alter("/api/v1/pods", second))

    result = run("top", "gpus")
    assert result.stderr == ""
    assert [line.rstrip() for line in result.stdout.splitlines()] == HOST.splitlines()


def test_a_cluster_without_gpus(on_demo: Cli) -> None:
    assert on_demo("top", "gpus") == (0, "", "No resources found: no node has GPUs\n")


def test_missing_rights(host: Apiserver, run: Cli) -> None:
    host.change = refuse(
        EXPORTERS, 403, "Forbidden", 'pods "x" is forbidden: User "u" cannot get resource "pods/proxy"'
    )

    result = run("top", "gpus")

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr == (
        'error: the GPUs of gpu-1, gpu-2 could not be read: pods "x" is forbidden: User "u" cannot get resource '
        '"pods/proxy"\n'
    )


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["--sort-by=x"], "error: --sort-by accepts only gpu, memory or power\n"),
        (["-n", ""], "error: --namespace: the value is empty; leave the option out to see everything\n"),
        (["--vcluster", "nope"], 'error: virtual cluster "nope" not found'),
        (["NAME"], "error: "),
    ],
)
def test_bad_input(args: list[str], stderr: str, run: Cli) -> None:
    result = run("top", "gpus", *args)

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith(stderr)


# ------------------------------------------------------------------------------------------------------ top pods --gpu


def test_pods_with_gpus(run: Cli) -> None:
    """Requests as in the pods, utilization as the mean of a pod's devices, memory as their sum."""
    result = run("top", "pods", "-A", "--gpu", "--sort-by=gpus")

    assert (result.code, result.stderr) == (0, "")
    header, *rows = table(result.stdout)
    assert header == [
        "NAMESPACE",
        "VCLUSTER",
        "VNAMESPACE",
        "NAME",
        "CPU(cores)",
        "MEMORY(bytes)",
        "GPUS",
        "GPU(%)",
        "GPU-MEMORY(bytes)",
    ]
    assert [(row[3], *row[6:]) for row in rows if row[6] != "-"] == [
        ("trainer-0", "2", "97%", "145280Mi"),
        ("embedder-0", "1", "18%", "6390Mi"),
        ("notebook-0", "1", "0.0%", "1214Mi"),
        ("chat-0", "1", "39%", "33110Mi"),
        ("scoring-0", "1", "67%", "15872Mi"),
    ]
    assert {tuple(row[6:]) for row in rows[5:]} == {("-", "-", "-")}


def test_pods_inside_with_gpus(run: Cli) -> None:
    inside = ("top", "pods", "--vcluster", "team-b/dev", "--gpu", "-n", "serving")

    items = json.loads(run(*inside, "-o", "json").stdout)["items"]
    assert [row[-3:] for row in table(run(*inside).stdout)[1:]] == [["1", "39%", "33110Mi"]]
    assert [item["gpu"] for item in items] == [
        {
            "requested": 1,
            "devices": 1,
            "percent": pytest.approx(38.7, abs=0.1),
            "memoryBytes": 33110 * 1024 * 1024,
            "memoryTotalBytes": 40448 * 1024 * 1024,
        }
    ]


def test_a_shared_device_counts_in_equal_parts(host: Apiserver, run: Cli) -> None:
    """Two pods have one device: what each uses of it is an estimate."""
    lines = (
        rb'(?m)^(\w+{gpu="0",UUID="GPU-0[^}]*,namespace="team-a",)pod="notebook-0-x-ml-x-shop"}( \S+)$',
        rb'\1pod="notebook-0-x-ml-x-shop"}\2\n\1pod="trainer-0-x-ml-x-shop",vgpu="1"}\2',
    )
    host.change = substitute(EXPORTERS, *lines)

    shown = {row[3]: row[6:] for row in table(run("top", "pods", "-A", "--gpu").stdout)}
    devices = [row for row in table(run("top", "gpus").stdout) if row[:2] == ["gpu-1", "0"]]

    assert shown["notebook-0"] == ["1", "~0.0%", "~607Mi"]
    assert shown["trainer-0"] == ["2", "~65%", "~145887Mi"]
    assert [row[-1] for row in devices] == ["notebook-0", "trainer-0"]


def test_pods_without_exporters(host: Apiserver, run: Cli) -> None:
    host.change = say(EXPORTERS, "<html>")

    result = run("top", "pods", "-n", "team-b", "--gpu")

    assert result.code == 1
    assert {tuple(row[-3:]) for row in table(result.stdout)[1:]} == {("-", "-", "-")}
    assert result.stderr.startswith("Warning: usage of GPUs is not known: the GPUs of gpu-1, gpu-2 could not be read: ")


def test_fields_for_programs(run: Cli) -> None:
    header, first, *_ = run("top", "gpus", "-o", "csv").stdout.splitlines()
    inside = run("top", "gpus", "--vcluster", "shop", "-o", "csv").stdout.splitlines()

    assert header == (
        "node,gpu,uuid,model,mig_profile,mig_instance,gpu_share,memory_bytes,memory_total_bytes,power_watts,"
        "temperature_celsius,state,host_namespace,host_name,container,vcluster_namespace,vcluster,virtual_namespace,"
        "virtual_name"
    )
    assert inside[:2] == [header, first]
    assert first.endswith(",Idle,team-a,notebook-0-x-ml-x-shop,main,team-a,shop,ml,notebook-0")


@pytest.mark.parametrize("other", ["--source=prometheus", "--private-nodes"])
def test_gpus_of_other_sources(other: str, run: Cli) -> None:
    result = run("top", "pods", "--vcluster", "shop", "--gpu", other)

    assert result == (1, "", f"error: --gpu and {other} cannot be used together\n")
