"""The layout of tables."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubectl_vmetrics.output import table


def test_upstreams_own_example() -> None:
    """From k8s.io/kubectl's tests of `top node`."""
    rows = [
        ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"],
        ["node1", "1000m", "10%", "1024Mi", "10%"],
        ["node2", "<unknown>", "<unknown>", "<unknown>", "<unknown>"],
    ]

    assert table.render(rows).replace(" ", "·") == (
        "NAME····CPU(cores)···CPU(%)······MEMORY(bytes)···MEMORY(%)···\n"
        "node1···1000m········10%·········1024Mi··········10%·········\n"
        "node2···<unknown>····<unknown>···<unknown>·······<unknown>···\n"
    )


def test_rows_of_different_length() -> None:
    """A node that has metrics but no allocatable lacks two cells: columns beyond are counted anew, never narrower."""
    rows = [["NAME", "CPU", "CPU(%)", "MEMORY(bytes)"], ["a", "1m"], ["b", "1m", "2%", "3Mi"]]

    assert table.render(rows).replace(" ", "·") == (
        "NAME···CPU···CPU(%)···MEMORY(bytes)···\na······1m····\nb······1m····2%·······3Mi·············\n"
    )


def test_nothing() -> None:
    assert table.render([]) == ""


cells = st.text(st.characters(categories=["L", "N", "P"], max_codepoint=127), max_size=12)


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=8)))
def test_the_short_way_is_the_general_way(rows: list[list[str]]) -> None:
    assert table.render(rows) == table._ragged(rows)


@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=4), min_size=1, max_size=6))
def test_no_cell_can_break_a_line_or_steer_a_terminal(rows: list[list[str]]) -> None:
    text = table.render(rows)

    assert text.count("\n") == len(rows)
    assert text.replace("\n", "").isprintable()
