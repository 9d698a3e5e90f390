"""The layout of tables."""

from __future__ import annotations

import pytest
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


blocks = st.tuples(st.integers(0, 3), st.integers(1, 3)).flatmap(
    lambda widths: st.lists(
        st.tuples(
            st.lists(cells, min_size=widths[0], max_size=widths[0]),
            st.lists(st.lists(cells, min_size=widths[1], max_size=widths[1]), min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=4,
    )
)


@given(blocks, st.booleans())
def test_rows_by_column_are_the_same_rows(blocks: list[tuple[list[str], list[list[str]]]], headed: bool) -> None:
    """Cells that many rows begin with are kept once; the text is made a few thousand rows at a time."""
    rows = [[*lead, *rest] for lead, block in blocks for rest in block]
    columns = [list(cells) for cells in zip(*[rest for _, block in blocks for rest in block], strict=True)]
    leads = [(lead, len(block)) for lead, block in blocks]
    kept = table.Columns(columns, leads if blocks[0][0] else ())
    headers = [f"HEADER{index}" for index in range(len(rows[0]))] if headed else []

    assert [list(row) for row in kept] == rows
    assert (len(kept), list(kept[-1]), [list(row) for row in kept[:2]]) == (len(rows), rows[-1], rows[:2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_AT_ONCE", 3)
        assert table.render(kept, headers) == table._ragged([*([headers] if headed else []), *rows])


def test_no_cell_that_rows_begin_with_can_break_a_line() -> None:
    rows = table.Columns([["c\n", "d"]], [(["a\x1b[2J"], 2)])

    assert table.render(rows, ["A\n", "B"]) == "A\\n      B     \na^[[2J   c\\n   \na^[[2J   d     \n"


@given(st.lists(st.lists(st.text(max_size=8), min_size=1, max_size=4), min_size=1, max_size=6))
def test_no_cell_can_break_a_line_or_steer_a_terminal(rows: list[list[str]]) -> None:
    text = table.render(rows)

    assert text.count("\n") == len(rows)
    assert text.replace("\n", "").isprintable()
