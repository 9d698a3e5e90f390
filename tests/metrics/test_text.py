"""What is a Prometheus text, and what is said of an answer that is none."""

from __future__ import annotations

import time

import pytest

from kubectl_vmetrics.kube.errors import BadAnswer
from kubectl_vmetrics.metrics import text
from kubectl_vmetrics.metrics.text import Broken


@pytest.mark.parametrize(
    "sample",
    [
        "up 1",
        "up{} 1",
        'up{a="b"} 1',
        'up {a="b"} 1 1700000000000',
        'up{a="}{\\\\"",} +1.5e+09',
        "a:b_total NaN",
        "a -Inf",
        "a .5",
        "a 5.",
        '{"a.b","c.d"="e"} 2.5',
        'a_total{b="c"} 3 # {trace_id="x"} 0.7',
        "  up\t1\r",
    ],
)
def test_samples_are_metrics(sample: str) -> None:
    assert text.check(f"# HELP up\n{sample}\n\n".encode()) == Broken()


@pytest.mark.parametrize(
    ("body", "content_type", "what"),
    [
        (b"", "text/plain", "an empty response"),
        (b" \n\n", "", "an empty response"),
        (b"<!DOCTYPE html><html><title>Sign in</title>", "text/html", 'an HTML page ("Sign in")'),
        (b"<HTML><body>blocked", "", "an HTML page"),
        (b"hello", "text/html; charset=utf-8", "an HTML page"),
        (b'{"kind": "PodList", "secret": "s3cret"}', "application/json", "JSON"),
        (b"[1]", "", "JSON"),
        (b"\x0a\x03abc\x12", "application/vnd.google.protobuf; proto=x", "protobuf"),
        (b"\x00\x01\x02\xff\xfe" * 100, "", "binary data"),
        (b"\x1f\x8b\x08\x00\x00", "text/plain", "binary data"),
        (b"# HELP a b\n# TYPE a gauge\n", "", "only comments"),
        (b"up\n", "", 'other text ("up")'),
        (b"garbage of   many words\nand lines 5", "text/plain", 'other text ("garbage of many words and lines 5")'),
        (b"Internal Server Error 500 " * 9, "", f'other text ("{("Internal Server Error 500 " * 9)[:59]}…")'),
        ("Zugriff verweigert für ü".encode(), "", 'other text ("Zugriff verweigert für ü")'),
    ],
)
def test_what_came_instead(body: bytes, content_type: str, what: str) -> None:
    """In a message of bounded length that quotes no JSON, which may hold anything."""
    with pytest.raises(BadAnswer) as found:
        text.check(bytearray(body), content_type)

    assert found.value.message == f"{what} instead of metrics"


@pytest.mark.parametrize(
    ("rest", "broken"),
    [
        ("up{a=\n", Broken(1, '"up{a="')),
        ("<html>\n<body>oops\n", Broken(2, '"<html>"')),
        ("x" * 500 + "\n", Broken(1, f'"{"x" * 59}…"')),
        ("up one\n", Broken(1, '"up one"')),
        ("\x1b[2J 1\n", Broken(1, '"\x1b[2J 1"')),
    ],
)
def test_text_followed_by_something_else(rest: str, broken: Broken) -> None:
    assert text.check(f"up 1\nup 2\n{rest}".encode()) == broken


def test_no_line_takes_long() -> None:
    many = 1_000_000
    for start, part in (
        (b"a{", b"}"),
        (b"a", b"{}"),
        (b"", b"{"),
        (b"", b"a"),
        (b"a", b" "),
        (b"a{}", b" "),
        (b"a 1", b"1"),
        (b"a 1.", b"1"),
        (b"a 1e", b"1"),
        (b"a", b"} "),
    ):
        line = start + part * many + b"x"
        began = time.monotonic()
        assert text.check(b"up 1\n" + line).lines == 1
        assert time.monotonic() - began < 2
