"""Text of tenants."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from kubectl_vmetrics.output import safe


def test_examples() -> None:
    assert safe.line("plain ünïcode 漢字") == "plain ünïcode 漢字"
    assert safe.line("\x1b]0;title\x07") == "^[]0;title\\x07"
    assert safe.line("a\rb\u202ec\u200b\x9b") == "a\\rb\\u202ec\\u200b\\x9b"
    assert safe.lines("a\nb\x1b") == "a\nb^["


@given(st.text())
def test_lines_are_printable(text: str) -> None:
    assert safe.line(text).isprintable()


@given(
    st.recursive(
        st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
    )
)
def test_json_stays_the_same_json(value: object) -> None:
    text = safe.ascii_json(json.dumps(value, ensure_ascii=False, indent=1))

    assert json.loads(text) == value
    assert all(" " <= char <= "~" or char == "\n" for char in text)
