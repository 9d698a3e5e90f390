"""`vmi` on what KubeVirt's own collectors served, held against the formulas worked out here from the parsed text."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kubectl_vmetrics.kubevirt import guests, rates, series
from kubectl_vmetrics.metrics.samples import Reader
from tests.conftest import Result, Scripted, invoke, write_kubeconfig
from tests.kubevirt.cluster import Clock, cluster, machine, recorded, scrapes

Serve = Callable[[dict[str, Any]], tuple[Scripted, str]]
T0, T15 = recorded("kv-handler-t0.prom"), recorded("kv-handler-t15.prom")
MACHINES = [
    machine("dev", "tiny-noballoon", "node-a", 1),
    machine("dev", "batch-restarted", "node-a", 2),
    machine("dev", "win-nodriver", "node-a", 2),
    machine("prod", "db-0", "node-a", 8, guestOSInfo={"prettyName": "Debian GNU/Linux 13"}),
    machine("prod", "web-migrating", "node-a", 2, migrationState={"sourceNode": "node-a", "targetNode": "node-b"}),
]


@pytest.fixture
def run(scripted: Serve, tmp_path: Path) -> Callable[..., Result]:
    def command(answers: dict[str, Any], *args: str, **more: Any) -> Result:
        path = write_kubeconfig(tmp_path, scripted(answers)[1])
        return invoke("vmi", *args, kubeconfig=path, **more)

    return command


def table(text: str) -> dict[str, dict[str, str]]:
    """Rows by NAME; columns are cut where the headers stand, since cells may hold blanks."""
    head, *lines = text.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", head)]
    names = head.split()
    rows = {}
    for line in lines:
        ends = [*starts[1:], None]
        cells = [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
        row = dict(zip(names, cells, strict=True))
        rows[row["NAME"]] = row
    return rows


def two() -> dict[tuple[str, str], Any]:
    return {("virt-handler-a", "node-a"): scrapes(T0, T15)}


# ------------------------------------------------------------------------------------------------ the formulas


def series_of(text: bytes) -> dict[str, dict[str, dict[frozenset[tuple[str, str]], float]]]:
    """By machine and series name: value by the labels that are its own. The newest of several timestamps wins."""
    found: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
    for family in text_string_to_metric_families(text.decode()):
        for sample in sorted(family.samples, key=lambda s: float(s.timestamp or 0)):
            labels = dict(sample.labels)
            name = labels.pop("name", None)
            if name is None or not sample.name.startswith("kubevirt_vmi_"):
                continue
            own = {k: v for k, v in labels.items() if k in ("id", "drive", "interface", "mount_point", "type")}
            found[name][sample.name.removeprefix("kubevirt_vmi_")][frozenset(own.items())] = sample.value
    return found


def gone(name: str, what: str) -> float | None:
    before, after = series_of(T0)[name].get(what, {}), series_of(T15)[name].get(what, {})
    if not after or any(after[key] < before[key] for key in after):
        return None
    return sum(after[key] - before[key] for key in after)


@pytest.mark.parametrize("item", MACHINES, ids=lambda item: str(item["metadata"]["name"]))
def test_every_number_is_what_the_formulas_give(item: dict[str, Any], clock: Clock, run: Any, tmp_path: Path) -> None:
    name, vcpus = item["metadata"]["name"], item["spec"]["domain"]["cpu"]["cores"]
    found = run(cluster(two(), MACHINES), "-A", "-o", "json", f"--cache-dir={tmp_path}")
    shown = {i["metadata"]["name"]: i for i in json.loads(found.stdout)["items"]}[name]
    now = {what: sum(values.values()) for what, values in series_of(T15)[name].items()}

    def rate(what: str) -> float | None:
        difference = gone(name, what)
        return None if difference is None else difference / 15

    def latency(way: str) -> float | None:
        took, count = gone(name, f"storage_{way}_times_seconds_total"), gone(name, f"storage_iops_{way}_total")
        return took / count if took is not None and count else None

    assert sum(clock.slept) == pytest.approx(15)
    assert shown["intervalSeconds"] == pytest.approx(15)
    assert shown["vcpus"] == vcpus
    steal = rate("vcpu_delay_seconds_total")
    expected = {
        ("cpu", "cores"): rate("cpu_usage_seconds_total"),
        ("cpu", "steal"): None if steal is None else steal / len(series_of(T15)[name]["vcpu_seconds_total"]),
        ("network", "rx_bytes"): rate("network_receive_bytes_total"),
        ("network", "tx_bytes"): rate("network_transmit_bytes_total"),
        ("disk", "reads"): rate("storage_iops_read_total"),
        ("disk", "writes"): rate("storage_iops_write_total"),
        ("disk", "read_bytes"): rate("storage_read_traffic_bytes_total"),
        ("disk", "write_bytes"): rate("storage_write_traffic_bytes_total"),
        ("disk", "read_latency"): latency("read"),
        ("disk", "write_latency"): latency("write"),
    }
    for (group, field), value in expected.items():
        assert shown[group].get(field) == (None if value is None else pytest.approx(value)), (group, field)
    if "memory_usable_bytes" in now:
        assert shown["memory"] == {
            **(
                {"dirtyBytesPerSecond": now["dirty_rate_bytes_per_second"]}
                if "dirty_rate_bytes_per_second" in now
                else {}
            ),
            "usedBytes": now["memory_available_bytes"] - now["memory_usable_bytes"],
            "totalBytes": now["memory_available_bytes"],
        }
    else:
        assert shown["memory"]["estimated"] is True
        assert shown["memory"]["usedBytes"] == now["memory_resident_bytes"]


def test_the_table(clock: Clock, run: Any, tmp_path: Path) -> None:
    rows = table(run(cluster(two(), MACHINES), "-A", "-o", "wide", f"--cache-dir={tmp_path}").stdout)

    assert list(rows) == ["batch-restarted", "tiny-noballoon", "win-nodriver", "db-0", "web-migrating"]
    restarted = rows["batch-restarted"]
    assert [restarted[c] for c in ("CPU(cores)", "CPU(%)", "NET-RX", "DISK-READ")] == ["-"] * 4
    assert restarted["MEMORY(bytes)"] == "351Mi"  # a gauge has no past
    assert rows["win-nodriver"]["CPU(cores)"] == "400m"  # although a vCPU changed its state
    assert rows["win-nodriver"]["MEMORY(bytes)"].startswith("~")
    assert rows["db-0"]["OS"] == "Debian GNU/Linux 13"
    assert rows["db-0"]["FILESYSTEMS"] == "/:21%,/boot:30%,/var/lib/postgresql:75%"
    assert (rows["db-0"]["CPU(cores)"], rows["db-0"]["CPU(%)"], rows["db-0"]["LOAD"]) == ("1500m", "19%", "1.62")
    moving = rows["web-migrating"]
    assert (moving["NODE"], moving["STATUS"], moving["MIGRATED(%)"]) == ("node-a->node-b", "Migrating", "86%")


def test_devices(clock: Clock, run: Any, tmp_path: Path) -> None:
    cache = f"--cache-dir={tmp_path}"
    disks = run(cluster(two(), MACHINES), "db-0", "-n", "prod", "--disks", cache).stdout.splitlines()
    vcpus = run(cluster(two(), MACHINES), "win-nodriver", "-n", "dev", "--per-vcpu", cache).stdout.splitlines()
    cards = run(cluster(two(), MACHINES), "db-0", "-n", "prod", "--interfaces", cache, "-o", "csv").stdout

    assert len(disks) == 1 + len(series_of(T15)["db-0"]["storage_iops_read_total"])
    assert disks[0].split()[:3] == ["NAME", "NODE", "DISK"]
    assert [line.split()[2] for line in vcpus[1:]] == ["0", "1"]
    drops = gone("db-0", "network_receive_packets_dropped_total")
    assert drops is not None
    assert len(cards.splitlines()) == 1 + len(series_of(T15)["db-0"]["network_receive_bytes_total"])


def test_old_names_and_units(clock: Clock, run: Any, tmp_path: Path) -> None:
    before = recorded("virt-handler-sample-v0.26.prom")
    after = before.replace(b'state="1"} 19', b'state="1"} 27').replace(b"} 8431", b"} 23431")
    after = after.replace(b'type="read"} 11104', b'type="read"} 11119').replace(b"3.642065293e+09", b"3.657065293e+09")
    handlers = {("virt-handler-a", "node01"): scrapes(before, after)}

    row = json.loads(run(cluster(handlers), "-A", "-o", "json", f"--cache-dir={tmp_path}").stdout)["items"][0]
    shown = table(run(cluster({("h", "node01"): scrapes(before, after)}), "-A", f"--cache-dir={tmp_path}/2").stdout)

    assert row["cpu"]["cores"] == pytest.approx(8 / 15)
    assert row["network"]["rx_bytes"] == pytest.approx(1000)
    assert row["disk"]["reads"] == pytest.approx(1)
    assert row["disk"]["read_latency"] == pytest.approx(0.001)  # nanoseconds, although they are called milliseconds
    assert shown["vm-test-01"]["CPU(cores)"] == "~534m"  # of whole seconds
    assert shown["vm-test-01"]["MEMORY(bytes)"] == "~24Mi"


# ---------------------------------------------------------------------------------------------- one trap at a time

LABELS = 'name="a",namespace="x",node="n"'


def guest(text: str, at: float = 0.0) -> guests.Guest:
    return guests.read(Reader(series.wanted).read([text.encode()]), at).guests["x", "a"]


def vmi_series(name: str, value: float, labels: str = "", stamp: str = "") -> str:
    return f"kubevirt_vmi_{name}{{{LABELS}{',' if labels else ''}{labels}}} {value} {stamp}\n"


def test_the_state_of_a_vcpu_is_not_part_of_its_name() -> None:
    before = guest(vmi_series("vcpu_seconds_total", 10, 'id="0",state="running"'))
    after = guest(vmi_series("vcpu_seconds_total", 16, 'id="0",state="blocked"'), 15)
    found = rates.between(before, after)
    assert found is not None
    assert found.cores == pytest.approx(0.4)


def test_milliseconds_under_the_name_of_seconds() -> None:
    def at(process: float, vcpu: float, when: float) -> guests.Guest:
        text = vmi_series("cpu_usage_seconds_total", process) + vmi_series("vcpu_seconds_total", vcpu, 'id="0"')
        return guest(text, when)

    found = rates.between(at(100, 90_000, 0), at(110, 99_000, 15))
    assert found is not None
    assert found.vcpus["0"].running == pytest.approx(0.6)
    right = rates.between(at(100, 90, 0), at(110, 99, 15))
    assert right is not None
    assert right.vcpus["0"].running == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("name", "version", "factor"),
    [
        ("vcpu_wait_seconds", "v0.50.0", 1000),
        ("vcpu_wait_seconds_total", "v1.2.1", 1000),
        ("vcpu_wait_seconds_total", "v1.2.0", 1),
        ("vcpu_wait_seconds_total", "v1.4.0", 1),
    ],
)
def test_waiting_in_milliseconds(name: str, version: str, factor: int) -> None:
    info = f'kubevirt_info{{goversion="g",kubeversion="{version}"}} 1\n'
    before, after = (info + vmi_series(name, value * factor, 'id="0"') for value in (5.0, 6.5))
    found = rates.between(guest(before), guest(after, 15))
    assert found is not None
    assert found.wait == pytest.approx(0.1)


def test_storage_milliseconds_that_are_milliseconds() -> None:
    def at(count: float, took: float, when: float) -> guests.Guest:
        text = vmi_series("storage_iops_read_total", count, 'drive="d"')
        return guest(text + vmi_series("storage_read_times_ms_total", took, 'drive="d"'), when)

    found = rates.between(at(0, 0, 0), at(10, 50, 15))
    assert found is not None
    assert found.disk.read_latency == pytest.approx(0.005)


def test_network_totals_are_not_counted_twice_in_whatever_order() -> None:
    def at(value: float, when: float, *, old_first: bool) -> guests.Guest:
        old = vmi_series("network_traffic_bytes_total", value * 9, 'interface="i",type="rx"')
        new = vmi_series("network_receive_bytes_total", value, 'interface="i"')
        return guest(old + new if old_first else new + old, when)

    for old_first in (True, False):
        found = rates.between(at(0, 0, old_first=old_first), at(150, 15, old_first=old_first))
        assert found is not None
        assert found.network.rx_bytes == pytest.approx(10)


def test_the_newest_of_several_samples_of_a_migration() -> None:
    text = "".join(
        vmi_series("migration_data_processed_bytes", value, stamp=stamp)
        for value, stamp in ((1, "1000"), (3, "3000"), (2, "2000"))
    )
    migration = guest(text).migration
    assert migration is not None
    assert migration.processed == 3


def test_whole_seconds_are_marked_until_there_are_enough_of_them() -> None:
    before, after = (vmi_series("cpu_usage_seconds", value) for value in (10, 20))
    short, long = rates.between(guest(before), guest(after, 15)), rates.between(guest(before), guest(after, 40))
    assert short is not None
    assert long is not None
    assert (short.coarse, long.coarse) == (True, False)


@pytest.mark.parametrize("text", ["", "garbage", vmi_series("memory_resident_bytes", 5)])
def test_missing_families_are_not_zero(text: str) -> None:
    found = guests.read(Reader(series.wanted).read([text.encode()]), 0).guests.get(("x", "a"))
    if found:
        assert found.cpu_seconds is None
        assert rates.memory(found).share is None


def test_the_same_cached_answer_twice_is_no_rate() -> None:
    text = vmi_series("cpu_usage_seconds_total", 10)
    assert rates.between(guest(text), guest(text, 5)) is None
    idle = rates.between(guest(text), guest(text, 15))
    assert idle is not None
    assert idle.cores == 0


def test_another_node_is_another_process() -> None:
    before = guest(vmi_series("cpu_usage_seconds_total", 10))
    after = guest(vmi_series("cpu_usage_seconds_total", 20).replace('node="n"', 'node="m"'), 15)
    assert rates.between(before, after) is None


# ------------------------------------------------------------------------------------------------- what goes wrong


def busy(times: int, text: bytes) -> Callable[[Any], Any]:
    left = [times]

    def answer(_: Any) -> tuple[int, bytes]:
        left[0] -= 1
        if left[0] >= 0:
            return 503, b"Limit of concurrent requests reached (3), try again later.\n"
        return 200, text

    return answer


def test_a_busy_handler_is_asked_again(clock: Clock, run: Any, tmp_path: Path) -> None:
    handlers = {("virt-handler-a", "node-a"): busy(2, T0)}
    found = run(cluster(handlers, MACHINES), "-n", "dev", f"--cache-dir={tmp_path}")

    assert found.stderr == ""
    assert table(found.stdout)["tiny-noballoon"]["MEMORY(bytes)"] != "<unknown>"
    assert all(1 <= seconds <= 3 for seconds in clock.slept[:2])


def test_ten_handlers_of_which_one_hangs_and_one_refuses(
    clock: Clock, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    from kubectl_vmetrics.kubevirt import components

    monkeypatch.setattr(components.scrape, "__kwdefaults__", {"limit": 1.0, "done": None})
    machines = [machine("dev", f"m{i}", f"n{i}", 1) for i in range(10)]

    def of(i: int) -> Any:
        text = b'kubevirt_vmi_memory_resident_bytes{name="m%d",namespace="dev",node="n%d"} 1048576\n' % (i, i)
        if i == 3:
            return lambda _: (time.sleep(3), (200, text))[1]
        return (lambda _: (500, b"boom")) if i == 5 else scrapes(text)

    started = time.monotonic()
    found = run(
        cluster({(f"h{i}", f"n{i}"): of(i) for i in range(10)}, machines), "-n", "dev", f"--cache-dir={tmp_path}"
    )

    assert time.monotonic() - started < 8
    rows = table(found.stdout)
    assert {name for name, row in rows.items() if row["MEMORY(bytes)"] == "<unknown>"} == {"m3", "m5"}
    assert "Warning: h3 on node n3 could not be scraped, so its machines have no metrics: " in found.stderr
    assert "Warning: h5 on node n5 could not be scraped, so its machines have no metrics: 500: boom" in found.stderr
    assert found.code == 1


BUSY = b"Limit of concurrent requests reached (3), try again later.\n"


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (200, b"<!doctype html><title>Sign in\x1b[2J</title>", 'an HTML page ("Sign in^[[2J") instead of metrics'),
        (200, b"", "an empty response instead of metrics"),
        (200, b"it works", 'other text ("it works") instead of metrics'),
        (200, b"\x00\xff" * 5000, "binary data instead of metrics"),
        (503, BUSY, "503: Limit of concurrent requests reached (3), try again later."),
        (503, b"\x1b]0;pwned\x07" + b"x" * 9000, "503: ^[]0;pwned\\x07" + "x" * 189 + "…"),
        (503, b"<html>down</html>", "503: an HTML page instead of a Kubernetes API response"),
        (500, b"boom", "500: boom"),
        (503, b"", "the server is currently unable to handle the request (get pods h:8443)"),
    ],
)
def test_what_a_handler_answered_instead_of_metrics(
    status: int, body: bytes, why: str, clock: Clock, run: Any, tmp_path: Path
) -> None:
    """Whatever it is: as text, in one line, at most 200 characters of it."""
    answers = cluster({("h", "node-a"): lambda _: (status, body)}, [machine("dev", "vm", "node-a", 1)])
    found = run(answers, "-n", "dev", f"--cache-dir={tmp_path}")

    said = f"h on node node-a could not be scraped, so its machines have no metrics: {why}"
    assert (found.code, found.stderr) == (1, f"Warning: {said.replace('pods h', 'pods https:h')}\n")
    assert table(found.stdout)["vm"]["CPU(cores)"] == "<unknown>"


def test_what_a_handler_answered_where_nothing_else_is_known(clock: Clock, run: Any, tmp_path: Path) -> None:
    handlers = {("h", "node-a"): lambda _: (200, b"<html>")}
    found = run(cluster(handlers), "-n", "dev", f"--cache-dir={tmp_path}")

    assert (found.code, found.stdout) == (1, "")
    assert found.stderr == "error: h on node node-a could not be scraped: an HTML page instead of metrics\n"


def test_metrics_followed_by_something_else(clock: Clock, run: Any, tmp_path: Path) -> None:
    """What could be read is shown, and what could not be read is reported."""
    handlers = {("h", "node-a"): scrapes(T0 + b"<html>\n502\n", T15 + b"<html>\n\x1b[2J502\n</html>")}
    found = run(cluster(handlers, MACHINES), "-n", "prod", f"--cache-dir={tmp_path}")

    assert table(found.stdout)["db-0"]["CPU(cores)"] == "1500m"
    assert found.code == 1
    assert found.stderr == (
        'Warning: h on node node-a: 3 lines of its response could not be parsed as metrics, starting with "<html>"\n'
    )


def test_machines_without_metrics_say_why(clock: Clock, run: Any, tmp_path: Path) -> None:
    machines = [machine("dev", "young", "node-a", 1), machine("dev", "lost", "node-z", 1)]
    pending = machine("dev", "pending", "", 1)
    pending["status"] = {"phase": "Pending"}
    found = run(cluster(two(), [*machines, pending]), "-n", "dev", f"--cache-dir={tmp_path}")

    rows = table(found.stdout)
    assert {row["CPU(cores)"] for row in rows.values()} == {"<unknown>"}
    assert rows["pending"]["STATUS"] == "Pending"
    assert "no virt-handler runs on node-z" in found.stderr
    assert "virt-handler does not report dev/young:" in found.stderr
    assert "pending" not in found.stderr


def test_without_the_right_to_list_machines(clock: Clock, run: Any, tmp_path: Path) -> None:
    found = run(cluster(two()), "-n", "prod", f"--cache-dir={tmp_path}")

    rows = table(found.stdout)
    assert set(rows) == {"db-0", "web-migrating"}
    assert rows["web-migrating"]["NODE"] == "node-a->node-b"
    assert "Warning: names, states and vCPUs come from metrics only" in found.stderr
    by_label = run(cluster(two()), "-n", "prod", "-l", "app=db", f"--cache-dir={tmp_path}/2")
    assert set(table(by_label.stdout)) == {"db-0"}


def test_no_kubevirt(run: Any) -> None:
    found = run({"/apis/kubevirt.io/v1/kubevirts": {"items": []}})
    assert (found.code, found.stderr) == (1, "error: KubeVirt was not found: no KubeVirt object in this cluster\n")


def test_what_guests_write_is_harmless(clock: Clock, run: Any, tmp_path: Path) -> None:
    evil = "\x1b]0;pwned\x07\n" + "x" * 10_000
    label = json.dumps(evil)[1:-1].replace("\\u001b", "\x1b").replace("\\u0007", "\x07")
    text = vmi_series("filesystem_capacity_bytes", 10, f'mount_point="{label}",file_system_type="ext4"')
    text += vmi_series("filesystem_used_bytes", 5, f'mount_point="{label}",file_system_type="ext4"')
    text += vmi_series("network_receive_bytes_total", 5, f'interface="{label}"')
    handlers = {("h", "n"): scrapes(text.encode())}
    machines = [machine("dev", "a", "n", 1, guestOSInfo={"prettyName": evil})]
    answers = cluster(handlers, machines)
    answers["/api/v1/namespaces/kubevirt/pods"]["items"][0]["spec"]["nodeName"] = "n"
    text_dev = text.replace('namespace="x"', 'namespace="dev"').encode()
    answers["/api/v1/namespaces/kubevirt/pods/https:h:8443/proxy/metrics"] = scrapes(text_dev)

    for args in (["-o", "wide"], ["--interfaces"]):
        found = run(answers, "-n", "dev", *args, f"--cache-dir={tmp_path}/{args[-1]}")
        assert "\x1b" not in found.stdout
        assert "\x07" not in found.stdout
        assert len(found.stdout.splitlines()) == 2
        assert max(map(len, found.stdout.splitlines())) < 1000


# --------------------------------------------------------------------------------------------------- recall


def test_another_server_has_another_file(clock: Clock, run: Any, tmp_path: Path) -> None:
    run(cluster(two(), MACHINES), "-A", f"--cache-dir={tmp_path}")
    waited = sum(clock.slept)
    clock.now += 20
    shown = run(cluster({("h", "node-a"): scrapes(T15)}, MACHINES), "-A", f"--cache-dir={tmp_path}")

    files = list((tmp_path / "vmetrics").iterdir())
    assert sum(clock.slept) == pytest.approx(2 * waited)
    assert len(files) == 2
    for file in files:
        assert re.fullmatch(r"[0-9a-f]{32}\.json", file.name)
        assert file.stat().st_mode & 0o777 == 0o600
    assert shown.code == 0


def cpu_at(at: float, name: str = "a") -> guests.Guest:
    """A machine whose CPU seconds are the time."""
    text = vmi_series("cpu_usage_seconds_total", at).replace('name="a"', f'name="{name}"')
    return guests.read(Reader(series.wanted).read([text.encode()]), at).guests["x", name]


def test_the_file_of_samples(tmp_path: Path) -> None:
    """Only its owner's own file is read, and only samples that can still be used are kept."""
    from kubectl_vmetrics.kubevirt.recall import Recall
    from kubectl_vmetrics.metrics.recall import REACH, SPACING

    def times(now: float, of: Recall) -> list[float]:
        return [guest.at for guest in of.load(now).get(("x", "a"), ())]

    one = Recall(tmp_path, "https://a")
    one.save({("x", "a"): [cpu_at(100.0), cpu_at(115.0)]}, 115.0, 15.0)
    assert times(116.0, one) == [100.0, 115.0]
    assert times(110.0, one) == [100.0]  # a clock that was put back
    assert Recall(tmp_path, "https://b").load(120.0) == {}
    one.save({("x", "a"): [cpu_at(115.0 + SPACING - 1)], ("x", "b"): [cpu_at(124.0, "b")]}, 124.0, 15.0)
    assert times(124.0, one) == [100.0, 115.0]  # a third one so soon is of no use
    assert set(one.load(124.0)) == {("x", "a"), ("x", "b")}
    one.save({("x", "a"): [cpu_at(101.0 + 15 + REACH)]}, 101.0 + 15 + REACH, 15.0)
    assert times(200.0, one) == [115.0, 186.0]

    [file] = (tmp_path / "vmetrics").iterdir()
    assert b"kubernetes_vmi_label" not in file.read_bytes()
    good = file.read_bytes()
    for bad in (b"{", good.replace(b"[3,", b"[2,", 1), b"\xff", b"[]"):
        file.write_bytes(bad)
        assert one.load(200.0) == {}
    file.write_bytes(good)
    os.chmod(file, 0o644)  # noqa: PTH101
    assert one.load(200.0) == {}  # somebody else could have written it


def cpu_text(seconds: float, *names: str) -> bytes:
    """Each machine at half a core."""
    return "".join(
        f'kubevirt_vmi_cpu_usage_seconds_total{{name="{name}",namespace="dev",node="node-a"}} {seconds / 2}\n'
        for name in names
    ).encode()


@pytest.mark.parametrize(
    ("calls", "waits"),
    [
        # seconds after the end of the call before; how long each call then waits
        ([0, 0], [15, 0]),
        ([0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [15] + [0] * 20),
        ([0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9], [15] + [0] * 11),
        ([0, 14, 14, 14, 14, 14, 14], [15] + [0] * 6),
        ([0, 20], [15, 0]),
        ([0, 60, 1, 60, 9, 60, 14, 59, 1], [15] + [0] * 8),
        ([0, 58, 8, 60, 3, 9, 60, 2], [15] + [0] * 7),
        ([0, 86], [15, 15]),
    ],
)
def test_a_call_within_a_minute_of_another_answers_at_once(
    calls: list[int], waits: list[int], clock: Clock, scripted: Serve, tmp_path: Path
) -> None:
    """With a rate over at least --interval, of a sample as old as the help says at most."""
    from kubectl_vmetrics.metrics.recall import REACH

    def handler(_: Any) -> tuple[int, bytes]:
        return 200, cpu_text(clock.now - 1_700_000_000, "vm")

    answers = cluster({("h", "node-a"): handler}, [machine("dev", "vm", "node-a", 1)])
    path = write_kubeconfig(tmp_path, scripted(answers)[1])
    for after, wait in zip(calls, waits, strict=True):
        clock.now += after
        clock.slept.clear()
        found = invoke("vmi", "-n", "dev", "-o", "json", f"--cache-dir={tmp_path}", kubeconfig=path)
        [item] = json.loads(found.stdout)["items"]
        assert sum(clock.slept) == pytest.approx(wait)
        assert item["cpu"]["cores"] == pytest.approx(0.5)
        assert 15 <= round(item["intervalSeconds"], 3) <= 15 + REACH


def test_a_call_takes_no_sample_that_is_younger_than_its_interval(
    clock: Clock, scripted: Serve, tmp_path: Path
) -> None:
    def handler(_: Any) -> tuple[int, bytes]:
        return 200, cpu_text(clock.now - 1_700_000_000, "vm")

    answers = cluster({("h", "node-a"): handler}, [machine("dev", "vm", "node-a", 1)])
    path = write_kubeconfig(tmp_path, scripted(answers)[1])
    waited = []
    for interval in ("5s", "5s", "30s", "5s"):
        clock.slept.clear()
        invoke("vmi", "-n", "dev", f"--interval={interval}", f"--cache-dir={tmp_path}", kubeconfig=path)
        waited.append(round(sum(clock.slept), 3))
    assert waited == [5, 0, 30, 0]


@pytest.mark.parametrize("second", ["another machine", "a machine on another node"])
def test_a_call_that_asks_for_more_than_the_one_before_waits(
    second: str, clock: Clock, scripted: Serve, tmp_path: Path
) -> None:
    names, node = ["vm"], ["node-a"]

    def handler(_: Any) -> tuple[int, bytes]:
        return 200, cpu_text(clock.now - 1_700_000_000, *names).replace(b"node-a", node[0].encode())

    answers = cluster({("h", "node-a"): handler}, [machine("dev", "vm", "node-a", 1)])
    path = write_kubeconfig(tmp_path, scripted(answers)[1])
    invoke("vmi", "-n", "dev", f"--cache-dir={tmp_path}", kubeconfig=path)
    if second == "another machine":
        names.append("vm2")
    else:
        node[0] = "node-b"
    clock.slept.clear()
    found = invoke("vmi", "-n", "dev", "-o", "json", f"--cache-dir={tmp_path}", kubeconfig=path)

    assert sum(clock.slept) == pytest.approx(15)
    assert json.loads(found.stdout)["items"][0]["intervalSeconds"] == pytest.approx(15)


def test_a_call_about_one_namespace_keeps_what_another_call_kept(clock: Clock, scripted: Serve, tmp_path: Path) -> None:
    def handler(_: Any) -> tuple[int, bytes]:
        text = cpu_text(clock.now - 1_700_000_000, "vm")
        return 200, text

    def other(_: Any) -> tuple[int, bytes]:
        return 200, cpu_text(clock.now - 1_700_000_000, "pm").replace(b'"dev"', b'"prod"').replace(b"node-a", b"node-b")

    machines = [machine("dev", "vm", "node-a", 1), machine("prod", "pm", "node-b", 1)]
    answers = cluster({("h", "node-a"): handler, ("i", "node-b"): other}, machines)
    path = write_kubeconfig(tmp_path, scripted(answers)[1])
    waited = []
    for args in (["-A"], ["-n", "dev"], ["-n", "prod"], ["-A"]):
        clock.slept.clear()
        invoke("vmi", *args, f"--cache-dir={tmp_path}", kubeconfig=path)
        waited.append(round(sum(clock.slept), 3))
    assert waited == [15, 0, 0, 0]


# --------------------------------------------------------------------------------------------- virtual clusters


def test_machines_of_a_virtual_cluster(clock: Clock, run: Any, tmp_path: Path) -> None:
    owned = machine("team-a", "db-x-shop-x-vc1", "node-a", 2)
    owned["metadata"]["labels"] = {"vcluster.loft.sh/managed-by": "vc1", "vcluster.loft.sh/namespace": "shop"}
    answers = cluster(two(), [owned, machine("team-a", "plain", "node-a", 1)])
    workload = {"metadata": {"name": "vc1", "namespace": "team-a", "labels": {"app": "vcluster", "release": "vc1"}}}
    answers["/apis/apps/v1/statefulsets"] = {"items": [workload]}
    answers["/apis/apps/v1/deployments"] = {"items": []}

    host = table(run(answers, "-n", "team-a", f"--cache-dir={tmp_path}").stdout)
    inside = run(answers, "--vcluster=vc1", f"--cache-dir={tmp_path}")

    assert (host["db"]["VCLUSTER"], host["db"]["VNAMESPACE"]) == ("vc1", "shop")
    assert host["plain"]["VCLUSTER"] == "<none>"
    assert inside.stdout.splitlines()[1].split()[:2] == ["shop", "db"]
    assert "plain" not in inside.stdout


@pytest.mark.parametrize("annotations", ["v0.20", "a pre-release of v0.21", "v0.21", "of another", "none"])
def test_machines_whose_names_were_hashed(annotations: str, clock: Clock, run: Any, tmp_path: Path) -> None:
    """The annotations of each version of vCluster lead to the virtual name; those of another object do not."""
    from kubectl_vmetrics.vcluster import naming

    long = "a-virtual-machine-with-a-name-that-is-too-long-for-its-host"
    host = naming.host_name(long, "shop", "vc1")
    owned = machine("team-a", host, "node-a", 2)
    owned["metadata"]["labels"] = {"vcluster.loft.sh/managed-by": "vc1", "vcluster.loft.sh/namespace": "shop"}
    old = {"vcluster.loft.sh/object-name": long, "vcluster.loft.sh/object-namespace": "shop"}
    between = {**old, "vcluster.loft.sh/object-kind": "kubevirt.io/v1, Kind=VirtualMachineInstance"}
    new = {
        **between,
        "vcluster.loft.sh/object-host-name": host,
        "vcluster.loft.sh/object-host-namespace": "team-a",
    }
    owned["metadata"]["annotations"] = {
        "v0.20": old,
        "a pre-release of v0.21": between,
        "v0.21": new,
        "of another": {**between, "vcluster.loft.sh/object-name": "another"},
        "none": {},
    }[annotations]
    found = run(cluster(two(), [owned]), "-n", "team-a", f"--cache-dir={tmp_path}")

    if annotations in ("of another", "none"):
        assert list(table(found.stdout)) == [host]
        assert found.stderr.splitlines()[0] == (
            f"Warning: team-a/{host} keeps its host name: "
            "the annotations with the virtual names are missing or belong to another object"
        )
    else:
        row = table(found.stdout)[long]
        assert (row["VCLUSTER"], row["VNAMESPACE"]) == ("vc1", "shop")
        assert "keeps its host name" not in found.stderr


@pytest.mark.parametrize(
    ("args", "code", "stderr", "scraped"),
    [
        (
            ["nosuch", "-n", "prod"],
            1,
            'Error from server (NotFound): virtualmachineinstances.kubevirt.io "nosuch" not found\n',
            set(),
        ),
        (["-A", "-l", "app=nosuch"], 0, "No resources found\n", set()),
        (["-A", "--node", "nosuch"], 0, "No resources found on node nosuch\n", set()),
        (["lonely", "-n", "dev"], 0, "", {"b"}),
        (["-A", "-l", "app=lonely"], 0, "", {"b"}),
        (["-A", "--node", "node-b"], 0, "", {"b"}),
    ],
)
def test_only_what_is_asked_for_is_scraped_and_waited_for(
    args: list[str], code: int, stderr: str, scraped: set[str], clock: Clock, scripted: Serve, tmp_path: Path
) -> None:
    lonely = b'kubevirt_vmi_cpu_usage_seconds_total{name="lonely",namespace="dev",node="node-b"} 1\n'
    handlers = {("virt-handler-a", "node-a"): scrapes(T0, T15), ("virt-handler-b", "node-b"): scrapes(lonely)}
    application, url = scripted(cluster(handlers, [*MACHINES, machine("dev", "lonely", "node-b", 1)]))
    path = write_kubeconfig(tmp_path, url)
    found = invoke("vmi", *args, f"--cache-dir={tmp_path}", kubeconfig=path)

    asked = {name[-1] for name, _ in handlers if any(name in seen for seen, _, _ in application.seen)}
    assert (found.code, found.stderr, asked) == (code, stderr, scraped)
    assert sum(clock.slept) == pytest.approx(15 if scraped else 0)


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        (["--sort-by=age"], "error: --sort-by accepts only cpu, memory, network, disk\n"),
        (["--disks", "--interfaces"], "error: only one of --per-vcpu, --disks and --interfaces can be provided\n"),
        (["--interval=100ms"], "error: --interval must be 5s or more: virt-handler's numbers can be 3 seconds old\n"),
        (["--interval=1s"], "error: --interval must be 5s or more: virt-handler's numbers can be 3 seconds old\n"),
    ],
)
def test_bad_input(args: list[str], stderr: str) -> None:
    assert invoke("vmi", *args) == (1, "", stderr)


def test_the_demo(clock: Clock, on_demo: Any, tmp_path: Path) -> None:
    rows = table(on_demo("vmi", "-A", f"--cache-dir={tmp_path}").stdout)

    assert set(rows) == {"db-0", "web", "appliance", "windows", "build"}
    assert rows["web"]["STATUS"] == "Migrating"
    assert rows["appliance"]["MEMORY(bytes)"].startswith("~")
    inside = on_demo("vmi", "--vcluster=shop", f"--cache-dir={tmp_path}").stdout
    assert inside.splitlines()[1].split()[:2] == ["batch", "build"]


def test_sums(clock: Clock, run: Any, tmp_path: Path) -> None:
    found = run(cluster(two(), MACHINES), "-A", "--sum", "--sort-by=cpu", f"--cache-dir={tmp_path}").stdout.splitlines()

    assert found[1].split()[1] == "db-0"
    # 1500 + 800 + 400 + 50m, one was reset: so a share of the other 13 vCPUs, and two memories are estimates.
    used = 0.0
    for name in (item["metadata"]["name"] for item in MACHINES):
        now = {what: sum(values.values()) for what, values in series_of(T15)[name].items()}
        usable = now.get("memory_usable_bytes")
        used += now["memory_resident_bytes"] if usable is None else now["memory_available_bytes"] - usable
    received = sum(gone(item["metadata"]["name"], "network_receive_bytes_total") or 0 for item in MACHINES) / 15
    assert found[-1].split()[:5] == ["15", "2750m", "21%", f"~{int(used) >> 20}Mi", f"{received / (1 << 20):.1f}Mi/s"]


SERIES = 'name="{name}",namespace="dev",node="node-a"'


def counted(name: str, cpu: float | None, memory: str = "") -> str:
    """One machine: its CPU seconds, and its memory in exact numbers ("balloon") or as its process has it ("process")."""
    labels = SERIES.format(name=name)
    text = "" if cpu is None else f"kubevirt_vmi_cpu_usage_seconds_total{{{labels}}} {cpu}\n"
    sizes = {"balloon": {"available": 4, "usable": 3}, "process": {"resident": 2}}.get(memory, {})
    return text + "".join(
        f"kubevirt_vmi_memory_{what}_bytes{{{labels}}} {size << 30}\n" for what, size in sizes.items()
    )


@pytest.mark.parametrize(
    ("machines", "sums"),
    [
        # name, vCPUs, phase, CPU seconds then and 15 s later, memory
        ([("a", 2, "Running", (0, 15), "balloon")], ["2", "1000m", "50%", "1024Mi"]),
        (
            [("a", 2, "Running", (0, 15), "balloon"), ("new", 30, "Scheduling", None, "")],
            ["32", "1000m", "50%", "1024Mi"],
        ),
        (
            [("a", 2, "Running", (0, 15), "balloon"), ("reset", 6, "Running", (9, 0), "balloon")],
            ["8", "1000m", "50%", "2048Mi"],
        ),
        (
            [("a", 2, "Running", (0, 15), "balloon"), ("b", 2, "Running", (0, 15), "process")],
            ["4", "2000m", "50%", "~3072Mi"],
        ),
        ([("new", 4, "Scheduling", None, "")], ["4", "-", "-", "-"]),
        ([("reset", 6, "Running", (9, 0), "balloon")], ["6", "-", "-", "1024Mi"]),
    ],
    ids=["one", "one that is scheduling", "one that was reset", "one that is estimated", "none runs", "no rate"],
)
def test_sums_are_of_what_is_known(
    machines: list[tuple[str, int, str, Any, str]], sums: list[str], clock: Clock, run: Any, tmp_path: Path
) -> None:
    """CPU(%) is of the vCPUs of those machines whose CPU is known; a sum with an estimate in it is one."""
    texts = [
        "".join(counted(name, cpu[at] if cpu else None, memory) for name, _, _, cpu, memory in machines)
        for at in (0, 1)
    ]
    known = [machine("dev", name, "node-a", vcpus, phase=phase) for name, vcpus, phase, _, _ in machines]
    handlers = {("virt-handler-a", "node-a"): scrapes(*(text.encode() for text in texts))}
    found = run(cluster(handlers, known), "-n", "dev", "--sum", f"--cache-dir={tmp_path}")

    assert found.stdout.splitlines()[-1].split()[:4] == sums


def test_a_sum_of_whole_seconds_is_marked(clock: Clock, run: Any, tmp_path: Path) -> None:
    labels = SERIES.format(name="old")
    texts = [f"kubevirt_vmi_cpu_usage_seconds{{{labels}}} {value}\n".encode() for value in (0, 15)]
    answers = cluster({("h", "node-a"): scrapes(*texts)}, [machine("dev", "old", "node-a", 2)])
    found = run(answers, "-n", "dev", "--sum", f"--cache-dir={tmp_path}")

    assert found.stdout.splitlines()[-1].split()[:3] == ["2", "~1000m", "~50%"]
