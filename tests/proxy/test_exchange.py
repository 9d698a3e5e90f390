"""Paths are encoded in one way, or are none."""

from __future__ import annotations

import pytest

from kubectl_vmetrics.proxy.exchange import plain


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("/", "/"),
        ("/api/v1/nodes/", "/api/v1/nodes/"),
        ("/api/v1/nodes/vm/proxy/metrics", "/api/v1/nodes/vm/proxy/metrics"),
        ("/api/v1/nodes/v%6d/proxy", "/api/v1/nodes/vm/proxy"),
        ("/a:b/%3a", "/a:b/:"),
        ("/a%252fb", "/a%252fb"),
        ("/gr%C3%BC%C3%9Fe", "/gr%C3%BC%C3%9Fe"),
        ("/a%0ab%1b", "/a%0Ab%1B"),
        ("/a\x1bb", "/a%1Bb"),
        ("", ""),
        ("*", ""),
        ("api", ""),
        ("http://elsewhere/", ""),
        ("//elsewhere/", ""),
        ("/a//b", ""),
        ("/a/../b", ""),
        ("/a/%2e%2E/b", ""),
        ("/a/./b", ""),
        ("/a%2Fb", ""),
        ("/a/%ff", ""),
    ],
)
def test_paths(sent: str, path: str) -> None:
    assert plain(sent) == path
