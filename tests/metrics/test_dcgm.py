"""What a dcgm-exporter reports, in the shape of its template: both families, MIG slices, shared devices, forged labels."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_vmetrics.metrics import dcgm
from kubectl_vmetrics.metrics.dcgm import MEBI, Gpu, Holder
from kubectl_vmetrics.metrics.samples import Reader

A, B = "GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c", "GPU-4404041a-04cf-1ccf-9e70-f139a9b1e23c"
HELP = {
    "DCGM_FI_DEV_GPU_TEMP": "GPU temperature (in C).",
    "DCGM_FI_DEV_POWER_USAGE": "Power draw (in W).",
    "DCGM_FI_DEV_GPU_UTIL": "GPU utilization (in %).",
    "DCGM_FI_DEV_FB_FREE": "Framebuffer memory free (in MiB).",
    "DCGM_FI_DEV_FB_USED": "Framebuffer memory used (in MiB).",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": "Ratio of time the graphics engine is active.",
}
POD = {"container": "main", "namespace": "team-a", "pod": "trainer-0-x-ml-x-shop"}


def line(name: str, value: str, gpu: str = "0", uuid: str = A, **more: str) -> str:
    """A sample as render_metrics.go writes it, with pod labels and attributes behind the device's own labels."""
    index = f'gpu="{gpu}",UUID="{uuid}",pci_bus_id="00000000:07:00.0",device="nvidia{gpu}",modelName="NVIDIA A100"'
    mig = "".join(f',{key}="{more.pop(key)}"' for key in ("GPU_I_PROFILE", "GPU_I_ID") if key in more)
    return f'{name}{{{index}{mig},Hostname="gpu-1"' + "".join(f',{k}="{v}"' for k, v in more.items()) + f"}} {value}"


def text(*lines: str) -> str:
    """An exposition, with the comments of each family before its first sample."""
    found: list[str] = []
    for one in lines:
        name = one.partition("{")[0]
        if not any(other.startswith(f"# TYPE {name} ") for other in found):
            found += [f"# HELP {name} {HELP.get(name.upper(), '')}", f"# TYPE {name} gauge"]
        found.append(one)
    return "\n".join(found) + "\n"


def read(*lines: str) -> list[Gpu]:
    return dcgm.read(Reader(dcgm.wanted, dcgm.labels).read([text(*lines).encode()]))


def whole(gpu: str = "0", uuid: str = A, percent: str = "93", **more: str) -> list[str]:
    values = ("60", "302.206000", percent, "9280", "72640", "0.930000")
    return [line(name, value, gpu, uuid, **more) for name, value in zip(HELP, values, strict=True)]


DEVICE = Gpu(A, "0", "NVIDIA A100", "", "", 93.0, 72640 * MEBI, 81920 * MEBI, 302.206, 60.0, [])


def with_(**more: Any) -> Gpu:
    return Gpu(**{**{name: getattr(DEVICE, name) for name in DEVICE.__struct_fields__}, **more})


def test_a_device_and_its_pod() -> None:
    holder = Holder("team-a", "trainer-0-x-ml-x-shop", "main")

    assert read(*whole(**POD), *whole("1", B, "0")) == [
        with_(holders=[holder]),
        with_(uuid=B, index="1", percent=0.0),
    ]


def test_empty_labels_of_a_pod_are_none() -> None:
    """As older exporters write them for a device that is free."""
    assert read(*whole(container="", namespace="", pod="")) == [DEVICE]


def old(lines: list[str]) -> list[str]:
    """As --use-old-namespace writes them."""
    renamed = [(f"{name}{{", f"{name.lower()}{{") for name in HELP]
    renamed += [("UUID=", "uuid="), (",pod=", ",pod_name="), (",namespace=", ",pod_namespace=")]
    found = lines
    for before, after in (*renamed, (",container=", ",container_name=")):
        found = [one.replace(before, after) for one in found]
    return found


@pytest.mark.parametrize("order", [1, -1])
def test_both_families_are_one_device(order: int) -> None:
    current, before = whole(**POD), old(whole(percent="11", **POD))
    holder = Holder("team-a", "trainer-0-x-ml-x-shop", "main")

    assert read(*before) == [with_(percent=11.0, holders=[holder])]
    assert read(*[*current, *before][::order]) == [with_(holders=[holder])]


def test_slices_stand_for_their_device() -> None:
    """Utilization of a slice is that of its engines; power and temperature are the device's, whoever reports them."""
    first = {"GPU_I_PROFILE": "3g.40gb", "GPU_I_ID": "1"}
    second = {"GPU_I_PROFILE": "1g.10gb", "GPU_I_ID": "10"}
    found = read(
        *whole()[:2],
        line("DCGM_FI_DEV_FB_USED", "0"),
        line("DCGM_FI_DEV_FB_USED", "100", **second),
        line("DCGM_FI_DEV_FB_FREE", "9756", **second),
        line("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "0.250000", **first, **POD),
        line("DCGM_FI_DEV_GPU_UTIL", "77", **first, **POD),
    )

    common = {"watts": 302.206, "celsius": 60.0}
    holder = Holder("team-a", "trainer-0-x-ml-x-shop", "main")
    assert found == [
        with_(profile="3g.40gb", instance="1", percent=25.0, used=None, total=None, holders=[holder], **common),
        with_(profile="1g.10gb", instance="10", percent=None, used=100 * MEBI, total=9856 * MEBI, **common),
    ]


def test_a_shared_device_has_several_holders() -> None:
    """As --kubernetes-virtual-gpus reports a device with time-slicing: once for each container."""
    pods = [{**POD, "pod": name, "vgpu": str(index)} for index, name in enumerate(("a", "b"))]

    assert read(*whole(**pods[0]), *whole(**pods[1])) == [
        with_(holders=[Holder("team-a", "a", "main"), Holder("team-a", "b", "main")])
    ]


@pytest.mark.parametrize("blank", ["9223372036854775792", "9223372036854775794", "140737488355328.000000", "-1", "NaN"])
def test_what_is_not_supported_is_not_a_number(blank: str) -> None:
    found = read(
        line("DCGM_FI_DEV_POWER_USAGE", blank), line("DCGM_FI_DEV_FB_USED", "5"), line("DCGM_FI_DEV_GPU_UTIL", blank)
    )

    assert found == [with_(percent=None, used=5 * MEBI, total=None, watts=None, celsius=None)]


@pytest.mark.parametrize("style", [list, old])
def test_labels_of_a_pod_cannot_stand_for_those_of_the_device_or_another_pod(style: Any) -> None:
    """With --kubernetes-enable-pod-labels they stand in between, by the names that the tenant chose."""
    forged = {
        "UUID": B,
        "uuid": B,
        "gpu": "7",
        "modelName": "x",
        "GPU_I_ID": "3",
        "namespace": "kube-system",
        "pod": "victim",
        "pod_name": "victim",
        "pod_namespace": "kube-system",
        "exported_pod": "victim",
        "exported_namespace": "kube-system",
        "container_name": "x",
    }
    own = style(whole(**POD))
    inserted = "".join(f',{key}="{value}"' for key, value in forged.items())
    lines = [one.replace('Hostname="gpu-1"', f'Hostname="gpu-1"{inserted}', 1) for one in own]

    assert read(*lines) == [with_(holders=[Holder("team-a", "trainer-0-x-ml-x-shop", "main")])]


def test_labels_in_order_of_their_names() -> None:
    """As run-ai/fake-gpu-operator writes them."""
    labels = f'Hostname="x",UUID="{A}",container="c",device="nvidia0",gpu="0",modelName="M",namespace="n",pod="p"'
    found = read(f"DCGM_FI_DEV_FB_FREE{{{labels}}} 11441", f"DCGM_FI_DEV_FB_USED{{{labels}}} 7")

    assert found == [Gpu(A, "0", "M", used=7 * MEBI, total=11448 * MEBI, holders=[Holder("n", "p", "c")])]


def test_devices_are_in_order_of_their_numbers() -> None:
    lines = [line("DCGM_FI_DEV_GPU_UTIL", "1", str(number), f"GPU-{number}") for number in (10, 9, 2)]

    assert [gpu.index for gpu in read(*lines)] == ["2", "9", "10"]
