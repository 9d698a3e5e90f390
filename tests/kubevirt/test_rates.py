"""From two samples to what a virtual machine uses: the formulas of KubeVirt's rules and dashboards, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_vmetrics.kubevirt import rates
from kubectl_vmetrics.kubevirt.guests import Drive, Filesystem, Guest, Interface, Vcpu
from kubectl_vmetrics.kubevirt.rates import DriveRates, InterfaceRates, Memory, Rates, VcpuRates

SECONDS = 10.0


def guest(**held: Any) -> Guest:
    return Guest(namespace="prod", name="db-0", **{"node": "node-a", **held})


def between(before: Guest, after: Guest, seconds: float = SECONDS) -> Rates:
    before.at, after.at = 1000.0, 1000.0 + seconds
    found = rates.between(before, after)
    assert found is not None
    return found


# ------------------------------------------------------------------------------------------------ when there is a rate


@pytest.mark.parametrize(
    ("changed", "seconds", "there"),
    [
        ({}, 10.0, True),
        ({}, 0.0, False),
        ({"cpu_seconds": 2.0}, 0.0, False),
        ({}, -10.0, False),
        ({"node": "node-b"}, 10.0, False),
        # virt-launcher remembers an answer for 3.25 s: what is the same that soon after may be the same answer.
        ({}, 6.9, False),
        ({}, 7.0, True),
        *(
            (changed, seconds, True)
            for seconds in (0.5, 6.9)
            for changed in (
                {"cpu_seconds": 2.0},
                {"vcpus": {"0": Vcpu(seconds=2.0)}},
                {"interfaces": {"eth0": Interface(rx_bytes=2.0)}},
                {"drives": {"vda": Drive(reads=2.0)}},
            )
        ),
        # What the balloon tells is of another cache.
        ({"usable": 7.0}, 6.9, False),
    ],
)
def test_when_two_samples_give_a_rate(changed: dict[str, Any], seconds: float, there: bool) -> None:
    held = {
        "cpu_seconds": 1.0,
        "vcpus": {"0": Vcpu(seconds=1.0)},
        "interfaces": {"eth0": Interface(rx_bytes=1.0)},
        "drives": {"vda": Drive(reads=1.0)},
    }
    found = rates.between(guest(**held, at=1000.0), guest(**{**held, **changed}, at=1000.0 + seconds))

    assert (found is not None) is there
    assert found is None or found.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("whole", "seconds", "coarse"),
    [(True, 15.0, True), (True, 29.9, True), (True, 30.0, False), (False, 15.0, False), (False, 30.0, False)],
)
def test_whole_seconds_are_coarse_below_half_a_minute(whole: bool, seconds: float, coarse: bool) -> None:
    assert between(guest(whole=whole), guest(whole=whole), seconds).coarse is coarse


# ----------------------------------------------------------------------------------------------------------------- CPU


def test_cores_are_of_the_whole_process() -> None:
    before = guest(cpu_seconds=100.0, vcpus={"0": Vcpu(seconds=50.0)})
    after = guest(cpu_seconds=125.0, vcpus={"0": Vcpu(seconds=60.0)})

    assert between(before, after).cores == 2.5


@pytest.mark.parametrize(
    ("before", "after", "cores"),
    [
        # Where the process is not told of, the sum of the vCPUs.
        (None, None, 1.5),
        # A counter that went back, or that was not there before, gives no rate, and the sum of vCPUs is no substitute.
        (100.0, 99.0, None),
        (None, 99.0, None),
        (100.0, 100.0, 0.0),
    ],
)
def test_cores_without_the_process(before: float | None, after: float | None, cores: float | None) -> None:
    found = between(
        guest(cpu_seconds=before, vcpus={"0": Vcpu(seconds=1.0), "1": Vcpu(seconds=20.0)}),
        guest(cpu_seconds=after, vcpus={"0": Vcpu(seconds=11.0), "1": Vcpu(seconds=25.0)}),
    )

    assert found.cores == cores


def test_each_vcpu_and_the_share_of_all_that_waits() -> None:
    """Per vCPU: rate(kubevirt_vmi_vcpu_delay_seconds_total) / vCPUs is the share of steal."""
    before = {"0": Vcpu(seconds=1.0, wait=2.0, delay=3.0), "1": Vcpu(seconds=10.0, wait=20.0, delay=30.0)}
    after = {"0": Vcpu(seconds=6.0, wait=4.0, delay=4.0), "1": Vcpu(seconds=20.0, wait=24.0, delay=33.0)}
    found = between(guest(vcpus=before), guest(vcpus=after))

    assert found.vcpus == {"0": VcpuRates(0.5, 0.2, 0.1), "1": VcpuRates(1.0, 0.4, 0.3)}
    assert (found.wait, found.steal) == (pytest.approx(0.3), pytest.approx(0.2))


@pytest.mark.parametrize(
    ("delays", "steal"),
    [
        # Of one that is not known nothing is made up, and half a sum would pass for a whole one.
        (((None, None), (1.0, 2.0)), None),
        (((1.0, None), (1.0, 2.0)), None),
        (((2.0, 1.0), (1.0, 2.0)), None),
        (((1.0, 1.0), (1.0, 1.0)), 0.0),
        ((), None),
    ],
)
def test_steal_is_of_all_vcpus_or_not_known(delays: tuple[tuple[float, float], ...], steal: float | None) -> None:
    before, after = ({str(index): Vcpu(delay=pair[moment]) for index, pair in enumerate(delays)} for moment in (0, 1))
    found = between(guest(vcpus=before), guest(vcpus=after))

    assert (found.steal, found.wait) == (steal, None)


# --------------------------------------------------------------------------------------------------- network and disks

ETH0 = (
    Interface(10.0, 20.0, 1.0, 2.0, rx_errors=3.0, tx_errors=4.0, rx_drops=5.0, tx_drops=6.0),
    Interface(110.0, 220.0, 31.0, 42.0, rx_errors=4.0, tx_errors=6.0, rx_drops=9.0, tx_drops=12.0),
)
ETH1 = (Interface(1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0), Interface(11.0, 21.0, 6.0, 11.0, 0.0, 0.0, 10.0, 0.0))


def test_interfaces_and_their_sum() -> None:
    names = ("eth0", "eth1")
    before, after = (dict(zip(names, (ETH0[moment], ETH1[moment]), strict=True)) for moment in (0, 1))
    found = between(guest(interfaces=before), guest(interfaces=after))

    eth0 = InterfaceRates(rx_bytes=10.0, tx_bytes=20.0, rx_packets=3.0, tx_packets=4.0, drops=1.0, errors=0.3)
    eth1 = InterfaceRates(rx_bytes=1.0, tx_bytes=2.0, rx_packets=0.5, tx_packets=1.0, drops=1.0, errors=0.0)
    assert {name: _near(item) for name, item in found.interfaces.items()} == {"eth0": _near(eth0), "eth1": _near(eth1)}
    assert _near(found.network) == _near(InterfaceRates(11.0, 22.0, 3.5, 5.0, 2.0, 0.3))


def test_an_interface_that_was_plugged_in_since_has_no_rate_yet() -> None:
    found = between(guest(interfaces={"eth0": ETH0[0]}), guest(interfaces={"eth0": ETH0[1], "eth1": ETH1[1]}))

    assert list(found.interfaces) == ["eth0"]
    assert found.network == found.interfaces["eth0"]


@pytest.mark.parametrize("field", ["rx_drops", "tx_drops", "rx_errors", "tx_errors"])
def test_drops_and_errors_are_of_both_ways_or_not_known(field: str) -> None:
    before, after = Interface(0, 0, 0, 0, 0, 0, 0, 0), Interface(1, 1, 1, 1, 1, 1, 1, 1)
    setattr(before, field, None)
    found = between(guest(interfaces={"eth0": before}), guest(interfaces={"eth0": after})).network

    unknown = field.partition("_")[2]
    assert {name for name in ("drops", "errors") if getattr(found, name) is None} == {unknown}


VDA = (
    Drive(100.0, 200.0, 10.0, 1000.0, 2000.0, 1.0, 2.0, 0.5),
    Drive(110.0, 240.0, 15.0, 6000.0, 4000.0, 1.5, 3.0, 0.75),
)
VDB = (Drive(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), Drive(30.0, 0.0, 0.0, 1000.0, 0.0, 0.5, 0.0, 0.0))
OF_VDA = DriveRates(
    reads=1.0,
    writes=4.0,
    read_bytes=500.0,
    write_bytes=200.0,
    read_latency=0.05,
    write_latency=0.025,
    flush_latency=0.05,
)


def test_drives_and_their_sum() -> None:
    """A latency is the time of all operations by their number; without any there is none, which is not one of 0."""
    before, after = ({"vda": VDA[moment], "vdb": VDB[moment]} for moment in (0, 1))
    found = between(guest(drives=before), guest(drives=after))

    vdb = DriveRates(3.0, 0.0, 100.0, 0.0, read_latency=0.5 / 30)
    assert {name: _near(item) for name, item in found.drives.items()} == {"vda": _near(OF_VDA), "vdb": _near(vdb)}
    assert _near(found.disk) == _near(DriveRates(4.0, 4.0, 600.0, 200.0, 1.0 / 40, 0.025, 0.05))


def test_a_drive_that_was_plugged_in_since_has_no_rate_yet() -> None:
    found = between(guest(drives={"vda": VDA[0]}), guest(drives={"vda": VDA[1], "vdb": VDB[1]}))

    assert {name: _near(item) for name, item in found.drives.items()} == {"vda": _near(OF_VDA)}
    assert found.disk == found.drives["vda"]


def test_without_devices_nothing_is_known_of_them() -> None:
    found = between(guest(), guest())

    assert found == Rates(SECONDS)
    assert (found.network, found.disk) == (InterfaceRates(), DriveRates())


def test_latency_is_not_known_where_its_time_is_not_told() -> None:
    untimed = (Drive(reads=1.0), Drive(reads=3.0))
    found = between(guest(drives={"vda": untimed[0]}), guest(drives={"vda": untimed[1]})).disk

    assert (found.reads, found.read_latency) == (0.2, None)


def _near(found: Any) -> list[Any]:
    values = [getattr(found, name) for name in found.__struct_fields__]
    return [None if value is None else pytest.approx(value) for value in values]


# ----------------------------------------------------------------------------------------------------------- of a guest


@pytest.mark.parametrize(
    ("held", "current", "memory"),
    [
        # vmi:kubevirt_vmi_memory_used_bytes:sum is available less usable.
        (
            {"available": 100.0, "usable": 30.0, "unused": 1.0, "cached": 1.0, "resident": 5.0},
            None,
            Memory(70.0, 100.0),
        ),
        ({"available": 100.0, "usable": 130.0}, None, Memory(0.0, 100.0)),
        ({"available": 100.0, "usable": 0.0}, None, Memory(100.0, 100.0)),
        # Older guests tell what is free and what is cached instead.
        ({"available": 100.0, "unused": 30.0, "cached": 20.0}, None, Memory(50.0, 100.0)),
        ({"available": 100.0, "unused": 90.0, "cached": 20.0}, None, Memory(0.0, 100.0)),
        # Without either, what the process has, of what the machine was given.
        ({"available": 100.0, "unused": 30.0, "resident": 5.0}, None, Memory(5.0, 100.0, True)),
        ({"available": 100.0, "cached": 30.0, "resident": 5.0}, None, Memory(5.0, 100.0, True)),
        ({"usable": 30.0, "resident": 5.0, "domain": 80.0}, None, Memory(5.0, 80.0, True)),
        ({"unused": 30.0, "cached": 1.0, "resident": 5.0, "domain": 80.0}, None, Memory(5.0, 80.0, True)),
        ({"available": 100.0, "resident": 5.0, "domain": 80.0}, 60.0, Memory(5.0, 60.0, True)),
        ({"available": 100.0, "resident": 5.0, "domain": 80.0}, None, Memory(5.0, 80.0, True)),
        ({}, None, Memory(None, None, True)),
    ],
)
def test_memory(held: dict[str, float], current: float | None, memory: Memory) -> None:
    assert rates.memory(guest(**held), current) == memory


@pytest.mark.parametrize(
    ("memory", "share"),
    [
        (Memory(25.0, 100.0), 0.25),
        (Memory(0.0, 100.0), 0.0),
        (Memory(None, 100.0), None),
        (Memory(25.0, None), None),
        (Memory(25.0, 0.0), None),
    ],
)
def test_the_share_of_memory(memory: Memory, share: float | None) -> None:
    assert memory.share == share


# Those that the alert GuestFilesystemAlmostOutOfSpace leaves out.
LEFT_OUT = "CDFS iso9660 udf squashfs cramfs tmpfs devtmpfs overlay proc sysfs cgroup cgroup2 fuse fuse.lxcfs"


def test_filesystems_that_can_fill_up() -> None:
    held = {f"/{kind}": Filesystem(kind, 100.0, 100.0) for kind in LEFT_OUT.split()}
    held |= {
        "System Reserved": Filesystem("NTFS", 100.0, 90.0),
        "/": Filesystem("ext4", 200.0, 50.0),
        "C:\\": Filesystem("NTFS", 100.0, 75.0),
        "/empty": Filesystem("xfs", 100.0, 0.0),
        "/nameless": Filesystem("", 100.0, 10.0),
        "/without": Filesystem("xfs", 0.0, 0.0),
        "/unknown": Filesystem("xfs", None, 10.0),
        "/untold": Filesystem("xfs", 100.0, None),
        "/last": Filesystem("btrfs", 4.0, 3.0),
    }

    assert rates.filesystems(guest(filesystems=held)) == {
        "/": 0.25,
        "C:\\": 0.75,
        "/empty": 0.0,
        "/nameless": 0.1,
        "/last": 0.75,
    }
