"""Arithmetic on two scrapes: what PromQL would say. Held against a real Prometheus with the control planes."""

from __future__ import annotations

import math

import pytest

from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Pair, Snapshot, quantile


def snapshot(text: str, at: float = 0.0) -> Snapshot:
    return Snapshot(Reader(lambda _: True).read([text.encode()]), at)


def pair(before: str, after: str) -> Pair:
    return Pair(snapshot(before, 100.0), snapshot(after, 110.0))


def test_rates_are_made_series_by_series() -> None:
    found = pair('c{a="1"} 10\nc{a="2"} 500\nc{a="gone"} 7\n', 'c{a="2"} 20\nc{a="1"} 40\nc{a="new"} 1000\n')

    # 30 of the first; the second began anew and counted to 20; what is in one of them only has no rate.
    assert found.rate("c") == 5.0
    assert found.rate("c", lambda labels: labels["a"] == "1") == 3.0
    assert found.rate("c", lambda labels: labels["a"] == "new") is None
    assert found.rate("other") is None


def test_without_an_earlier_scrape_there_is_no_rate() -> None:
    alone = Pair(None, snapshot("c 5\n"))

    assert (alone.rate("c"), alone.increase("c"), alone.seconds) == (None, None, 0.0)
    assert Pair(snapshot("c 5\n", 1.0), snapshot("c 6\n", 1.0)).rate("c") is None


def test_gauges() -> None:
    found = snapshot('g{x="a",y="1"} 2\ng{x="b"} 3\ninfo{v="1.2"} 1\n')

    assert found.total("g") == 5
    assert found.total("g", lambda labels: labels.get("x") == "c") is None
    assert found.value("info") == 1
    assert (found.label("info", "v"), found.label("info", "w"), found.label("none", "v")) == ("1.2", "", "")


def buckets(*counts: float) -> str:
    bounds = ["0.1", "0.5", "1", "+Inf"]
    return "".join(f'h_bucket{{le="{bound}"}} {count}\n' for bound, count in zip(bounds, counts, strict=True))


@pytest.mark.parametrize(
    ("q", "grown", "expected"),
    [
        (0.5, (0, 10, 10, 10), 0.3),
        (0.99, (100, 100, 100, 100), 0.099),
        (0.5, (0, 0, 5, 10), 1.0),
        (0.9, (0, 0, 5, 10), 1.0),
        (0.5, (0, 0, 0, 0), None),
        (0.5, (4, 3, 8, 8), 0.1),
        (1.0, (1, 2, 3, 3), 1.0),
    ],
)
def test_quantiles(q: float, grown: tuple[float, ...], expected: float | None) -> None:
    found = pair(buckets(10, 20, 30, 40), buckets(*[a + b for a, b in zip((10, 20, 30, 40), grown, strict=True)]))

    assert found.quantile(q, "h_bucket") == (None if expected is None else pytest.approx(expected))


def test_no_quantile_without_infinity() -> None:
    assert quantile(0.5, [(1.0, 2.0), (2.0, 4.0)]) is None
    assert quantile(0.5, [(math.inf, 4.0)]) is None
    assert quantile(0.5, [(-1.0, 4.0), (math.inf, 4.0)]) == -1.0
    assert pair('h_bucket{le="x"} 1\n', 'h_bucket{le="x"} 2\n').quantile(0.5, "h_bucket") is None
