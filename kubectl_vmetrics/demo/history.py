"""What a Prometheus that scrapes the demo cluster has kept.

Series of the past come from the same functions of time as the live numbers. Names and labels are those of kubelet 1.36
and kube-state-metrics 2.20, as kube-prometheus-stack scrapes them.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import history_containers, history_machines, history_nodes, history_state
from .past import DAYS, Lived, lives
from .remote_write import Series
from .usage import DAY, WINDOW
from .world import World

SAMPLES = 30_000_000
"""At most about so many: 300 MB on disk. A large cluster has a shorter history."""
_PER_POD, _LEAST = 26.0, 60
"""About how many series a pod has; how many scrapes there are at least."""
_FINE, _LATELY = 3600.0, 26 * 3600.0
_MINUTE, _COARSE = 60.0, 300.0


def first(world: World) -> float:
    """When it begins, in seconds since the start: of a few pods all of it is kept, of many pods the newest part."""
    return begin(world)[0]


def begin(world: World) -> list[float]:
    """When there were scrapes, up to now, in seconds since the start of the demo.

    Every 15 s of the last hour, every minute of the last day, and every 5 min before.
    """
    until = world.metrics().until
    # A whole number of windows, so that samples are those that the live numbers are made of.
    moment = until - round(DAYS * DAY / WINDOW) * WINDOW
    found = []
    while moment < until:
        found.append(moment)
        ago = until - moment
        moment += _COARSE if ago > _LATELY else _MINUTE if ago > _FINE else WINDOW
    most = int(SAMPLES / (_PER_POD * max(1, len(world.pods))))
    return [*found, until][-max(_LEAST, most) :]


def after(last: float, until: float) -> list[float]:
    """The scrapes since `last`."""
    return [last + WINDOW * index for index in range(1, round((until - last) / WINDOW) + 1)]


def series(world: World, moments: list[float]) -> Iterator[Series]:
    """All series over these moments: what `begin` or `after` gives.

    Args:
        world: whose; all its parts have signed up.
        moments: seconds since its start.
    """
    nodes = history_nodes.Nodes(world, moments)
    for life in lives(world):
        lived = Lived(life, moments)
        nodes.add(lived)
        if lived.count:
            yield from history_containers.series(lived)
            yield from history_state.of_pod(lived)
    yield from nodes.series()
    yield from history_nodes.up(world, len(moments))
    yield from history_state.of_cluster(world, len(moments))
    yield from history_machines.series(world, moments)
    yield from history_machines.of_gpus(world, moments)
