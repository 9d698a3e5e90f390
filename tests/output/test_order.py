"""Sorting as Go sorts; what a real kubectl makes of ties is in tests/clients."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubectl_vmetrics.output import order


@given(st.lists(st.integers(0, 20), max_size=300))
def test_sorted_and_nothing_lost(keys: list[int]) -> None:
    items = list(enumerate(keys))

    found = order.descending(items, lambda item: item[1])

    assert [key for _, key in found] == sorted(keys, reverse=True)
    assert sorted(found) == items


@given(st.lists(st.integers(0, 3), max_size=12))
def test_few_items_keep_their_order(keys: list[int]) -> None:
    items = list(enumerate(keys))

    assert order.descending(items, lambda item: item[1]) == sorted(items, key=lambda item: -item[1])


@given(st.sampled_from([13, 50, 51, 64, 500]), st.sampled_from(["up", "down", "saw", "same", "organ"]))
def test_patterns_that_quicksorts_fear(size: int, pattern: str) -> None:
    keys = {
        "up": list(range(size)),
        "down": list(range(size, 0, -1)),
        "saw": [i % 7 for i in range(size)],
        "same": [1] * size,
        "organ": [min(i, size - i) for i in range(size)],
    }[pattern]

    found = order.descending(list(enumerate(keys)), lambda item: item[1])

    assert [key for _, key in found] == sorted(keys, reverse=True)
