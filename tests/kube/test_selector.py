"""Selectors."""

from __future__ import annotations

import pytest

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.kube.selector import parse_fields, parse_labels

LABELS = {"app": "cart", "tier": "front", "replicas": "5", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=cart", True),
        ("app==cart", True),
        ("app = cart", True),
        ("app!=cart", False),
        ("missing!=anything", True),
        ("app=cart,tier=back", False),
        ("app in (cart, web)", True),
        ("app in (web)", False),
        ("app notin (web)", True),
        ("missing notin (web)", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("!app", False),
        ("! app", False),
        ("replicas>4", True),
        ("replicas<5", False),
        ("app>4", False),
        ("empty=", True),
        ("app=", False),
        ("empty in ()", True),
        ("app in (,cart)", True),
        ("app,tier in (front),!missing", True),
    ],
)
def test_labels(text: str, matches: bool) -> None:
    assert parse_labels(text).matches(LABELS.get) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # Messages of kubectl 1.33 for the same words.
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_labels(text)

    assert caught.value.message == message


@pytest.mark.parametrize("text", ["-a=b", "a/b/c=d", "!", "a,", "a b", "a>b", "a=" + "x" * 64, "=b", "(", "a=b c"])
def test_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_labels(text)


def test_fields() -> None:
    assert parse_fields("metadata.name=a,metadata.namespace!=b,x==c\\,d") == (
        ("metadata.name", True, "a"),
        ("metadata.namespace", False, "b"),
        ("x", True, "c,d"),
    )
    with pytest.raises(UsageError, match="invalid selector: 'foo'; can't understand 'foo'"):
        parse_fields("foo")
