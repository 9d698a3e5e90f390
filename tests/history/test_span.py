"""What is said where there is no data at a moment."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kubectl_vmetrics.history import span
from kubectl_vmetrics.prometheus import way
from kubectl_vmetrics.prometheus.answer import Part, Series
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.prometheus.login import Login

HOUR, DAY = 3600.0, 86_400.0
AT = 1_700_000_000.0


class Recorded(Prometheus):
    """A Prometheus with data between some times."""

    def __init__(self, *between: tuple[float, float]) -> None:
        super().__init__(way.by_url("http://127.0.0.1:1", Login()))
        self._between = between

    def parts(self, expression: str, start: float, end: float, step: float, *, series: int = 0) -> Iterator[Part]:
        assert expression.startswith("group({__name__=~")
        assert series == 1
        steps = [start + step * index for index in range(int((end - start) / step) + 1)]
        values = [(at, "1") for at in steps if any(first <= at <= last for first, last in self._between)]
        yield Part(start, end, [Series({}, values)] if values else [])


@pytest.mark.parametrize(
    ("between", "said"),
    [
        (
            [(AT - 2 * HOUR, AT - HOUR), (AT + HOUR, AT + 2 * HOUR)],
            "there is a gap between 2023-11-14T21:13:20Z and 2023-11-14T23:13:20Z",
        ),
        ([(AT + HOUR, AT + 2 * HOUR)], "it has data from 2023-11-14T23:13:20Z to 2023-11-15T00:13:20Z"),
        ([(AT + HOUR, AT + 900 * DAY)], "it has data from 2023-11-14T23:13:20Z on"),
        ([(AT + 9 * DAY, AT + 900 * DAY)], "it has data from 2023-11-23T22:13:20Z on"),
        ([(0, AT - HOUR)], "it has data until 2023-11-14T21:13:20Z"),
        ([(AT - 9 * DAY, AT - 8 * DAY)], "it has data from 2023-11-05T22:13:20Z to 2023-11-06T22:13:20Z"),
        (
            [],
            "it has none of the last days either; run `kubectl vmetrics doctor prometheus` to find out why",
        ),
    ],
)
def test_where_there_is_data(between: list[tuple[float, float]], said: str) -> None:
    text = span.explain(Recorded(*between), AT)
    assert text == f"http://127.0.0.1:1 has no container metrics at 2023-11-14T22:13:20Z: {said}"


def test_long_ago() -> None:
    """Before all that is looked at step by step: the oldest data there is."""
    now = time.time()
    text = span.explain(Recorded((now - DAY, now + HOUR)), now - 300 * DAY)
    assert text.endswith(" to now")
