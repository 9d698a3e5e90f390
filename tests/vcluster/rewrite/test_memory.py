"""A node that makes up pods and cgroups in each scrape takes no more memory than one that does not."""

from __future__ import annotations

import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator

import pytest

from kubectl_vmetrics.metrics.exposition import Rewriter
from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import Origins
from kubectl_vmetrics.vcluster.rewrite import exposition

VIEWS: list[Callable[[Origins], Rewriter]] = [
    exposition.host,
    lambda origins: exposition.tenant(origins, VClusterRef("team-a", "vc1")),
]


def long_names() -> Iterator[bytes]:
    for number in range(1500):
        yield b'a{id="/x",namespace="%s",pod="p%d"} 1\n' % (b"n" * 200_000, number)


def many_names() -> Iterator[bytes]:
    for number in range(60):
        yield b"".join(b'a{id="/x",namespace="n%d",pod="%d%s"} 1\n' % (number, pod, b"p" * 250) for pod in range(2000))


@pytest.mark.parametrize("view", VIEWS, ids=["host", "tenant"])
@pytest.mark.parametrize("lines", [long_names, many_names])
def test_names_that_are_made_up(lines: Callable[[], Iterator[bytes]], view: Callable[[Origins], Rewriter]) -> None:
    rewriter = view(Origins())
    tracemalloc.start()
    deque(rewriter.rewrite(lines()), maxlen=0)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 60 << 20
