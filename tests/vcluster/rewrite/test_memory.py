"""What the views of many tenants keep in memory of a host that has many pods."""

from __future__ import annotations

import gc
import tracemalloc

from kubectl_vmetrics.vcluster.identity import VClusterRef
from kubectl_vmetrics.vcluster.origins import Origins
from kubectl_vmetrics.vcluster.rewrite import exposition

VIEWS, PODS, CONTAINERS = 10, 2_000, 5
MOST = 1 << 20
"""Bytes per view: the names of the pods take a third of it, their label blocks would take three times as much."""


def test_a_view_does_not_remember_the_label_blocks_of_others() -> None:
    text = b"".join(
        b'container_threads{container="c%d",id="/kubepods/pod%d/%d",namespace="team-b",pod="web-%d"} 1\n'
        % (container, pod, container, pod)
        for pod in range(PODS)
        for container in range(CONTAINERS)
    )
    views = [exposition.tenant(Origins(), VClusterRef("team-a", f"vc-{at}")) for at in range(VIEWS)]
    tracemalloc.start()
    try:
        assert [b"".join(view.rewrite([text])) for view in views] == [b""] * VIEWS
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < VIEWS * MOST
