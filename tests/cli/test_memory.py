"""One answer cannot take the memory of a command: each in a process of its own, against servers that do not stop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.kube import limits
from tests.conftest import write_kubeconfig
from tests.hostile import Attack, Hostile, bomb, endless, large, measured

MIB = 1 << 20
SUMMARY = f"more than {limits.readable(limits.SUMMARY.size or 0)}"
ALLOWED = 100 * MIB
NODE = "/api/v1/nodes/worker-1/proxy/"
SERIES = b'kubevirt_vmi_cpu_usage_seconds_total{namespace="a",name="b",node="c"} 1.25\n'


@contextlib.contextmanager
def hostile(shape: Shape = Shape(pods=12, vclusters=1, machines=4)) -> Iterator[tuple[Hostile, str]]:  # noqa: B008
    found = Hostile(Apiserver(build(shape)))
    with server.serving(found) as url:
        yield found, url


@pytest.mark.parametrize(
    ("args", "endpoint", "attack", "said"),
    [
        (("top", "volumes", "-A"), "stats/summary", bomb(b" "), SUMMARY),
        (("top", "volumes", "-A"), "stats/summary", endless(b" "), SUMMARY),
        (
            ("top", "volumes", "-A"),
            "stats/summary",
            bomb(b'{"pods":[' + b"{}," * 9999, 9 << 20),
            "more than 200,000 objects",
        ),
        (("top", "pods", "-A", "--source=kubelet"), "stats/summary", bomb(b" "), SUMMARY),
        (("raw", NODE + "metrics"), "metrics", bomb(), "more than 256 KiB in one line"),
        (("raw", NODE + "metrics"), "metrics", endless(b"# HELP a " + b"a" * 99_999 + b"\n"), "more than 256 MiB"),
        (("raw", NODE + "metrics"), "metrics", bomb(b"# HELP a a\n"), "more than 2,000,000 lines"),
    ],
    ids=["bomb", "endless", "objects", "pods", "no lines", "long comments", "many comments"],
)
def test_a_kubelet(args: tuple[str, ...], endpoint: str, attack: Attack, said: str, tmp_path: Path) -> None:
    attack()  # made once, before somebody waits for it
    with hostile() as (host, url):
        host.attacks[NODE + endpoint] = attack
        found = measured(tmp_path, write_kubeconfig(tmp_path, url), *args)

    assert f'the kubelet of node "worker-1" sent {said}' in found.stderr
    assert found.peak < ALLOWED


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (bomb(SERIES), "more than 100,000 series"),
        (large(SERIES, 200 * MIB), "more than 100,000 series"),
        (bomb(b"a" * 99 + b"\n"), "more than 400,000 lines"),
        (large(b"a" * 999 + b"\n", 200 * MIB), "more than 64 MiB"),
        (endless(b"a"), "more than 256 KiB in one line"),
        (
            lambda: ({}, (b'%s{namespace="a",name="b%d"} 1\n' % (SERIES[:36], n) for n in range(10**6))),
            "more than 5,000 virtual machines",
        ),
    ],
    ids=["bomb", "200 MB of series", "bomb of others", "200 MB", "a line without end", "many machines"],
)
def test_a_virt_handler(attack: Attack, said: str, tmp_path: Path) -> None:
    attack()  # made once, before somebody waits for it
    with hostile() as (host, url):
        host.attacks[".*/https:virt-handler-.*/proxy/metrics"] = attack
        found = measured(tmp_path, write_kubeconfig(tmp_path, url), "vmi", "-A", "--node=worker-1", "--interval=5s")

    # On a machine with much else to do it is the time that ends first; a node's machines are without metrics either way.
    assert said in found.stderr or "Client.Timeout exceeded while reading body" in found.stderr
    assert found.peak < ALLOWED
