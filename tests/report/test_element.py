"""Markup is made by construction: whatever a text holds, it stays text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_vmetrics.output import safe
from kubectl_vmetrics.report.element import LONGEST, Markup, constant, element, joined, text
from tests.report.read import read


@given(st.text(max_size=60), st.text(max_size=60))
def test_text_stays_text(inside: str, attribute: str) -> None:
    """A parser of HTML that is not ours reads back one element, with these words and nothing else."""
    made = element("p", inside, title=attribute)
    [node] = read(made).children
    assert not isinstance(node, str)
    assert (node.name, node.attributes) == ("p", {"title": safe.line(attribute)})
    assert node.children == ([safe.line(inside)] if inside else [])


def test_hostile_texts() -> None:
    assert element("b", '"><img src=x onerror=alert(1)>', title='"><script>') == (
        '<b title="&quot;&gt;&lt;script&gt;">&quot;&gt;&lt;img src=x onerror=alert(1)&gt;</b>'
    )
    assert text("a\u202eb\x1b[31m\x00\n") == r"a\u202eb^[[31m\x00\n"


def test_markup_is_not_escaped_again_and_loses_its_mark_when_it_is_changed() -> None:
    bold = element("b", "a&b")
    assert element("p", bold, " & ", None, "c") == "<p><b>a&amp;b</b> &amp; c</p>"
    assert not isinstance(bold + "<script>", Markup)
    assert joined(bold + "<script>") == "&lt;b&gt;a&amp;amp;b&lt;/b&gt;&lt;script&gt;"


def test_attributes() -> None:
    made = element("th", "A", scope="col", class_="n", data_v="1", hidden=True, title=None, inert=False)
    assert made == '<th scope="col" class="n" data-v="1" hidden>A</th>'
    assert element("path", d="M0 0") == '<path d="M0 0"/>'


def test_long_texts_are_cut() -> None:
    assert text("x" * (LONGEST + 1)) == "x" * LONGEST + "…"


@pytest.mark.parametrize("name", ["", "p onclick", "a>b", "1"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of an element or attribute"):
        element(name)
    with pytest.raises(ValueError, match="is no name of an element or attribute"):
        element("p", **{name: "x"})


@pytest.mark.parametrize("source", ["a</script>", "<!-- a"])
def test_scripts_that_end_their_element(source: str) -> None:
    with pytest.raises(ValueError, match="must not hold the end of an element"):
        constant(source)
