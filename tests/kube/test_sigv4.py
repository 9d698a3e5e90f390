"""Requests signed for AWS: its published example, and where the credentials come from."""

from __future__ import annotations

import datetime
import importlib.util
import json
from pathlib import Path

import pytest

from kubectl_vmetrics.kube import sigv4
from kubectl_vmetrics.kube.errors import ConfigError
from kubectl_vmetrics.kube.sigv4 import Keys, find, signature

EXAMPLE = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
MOMENT = datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.timezone.utc)
BOTOCORE = pytest.mark.skipif(importlib.util.find_spec("botocore") is None, reason="botocore is not installed")


def test_the_published_example() -> None:
    """get-vanilla of AWS' Signature Version 4 test suite."""
    assert signature(EXAMPLE, "us-east-1", "GET", "https://example.amazonaws.com/", b"", MOMENT, "service") == {
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        "X-Amz-Date": "20150830T123600Z",
    }


def test_the_order_of_a_query_does_not_matter() -> None:
    """get-vanilla-query-order-key-case of the same."""
    url = "https://example.amazonaws.com/?Param2=value2&Param1=value1"
    found = signature(EXAMPLE, "us-east-1", "GET", url, b"", MOMENT, "service")["Authorization"]
    assert found.endswith("Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500")


@BOTOCORE
@pytest.mark.parametrize("token", ["", "T0K/EN+="])
@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("GET", "https://h.example/workspaces/ws-1/api/v1/labels?start=0&a=b%20c", b""),
        ("POST", "https://h.example:8443/workspaces/ws-1/api/v1/query", b"query=up%7B%7D"),
    ],
)
def test_the_same_as_botocore(method: str, url: str, body: bytes, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    auth = importlib.import_module("botocore.auth")
    request = importlib.import_module("botocore.awsrequest").AWSRequest(method=method, url=url, data=body)
    keys = importlib.import_module("botocore.credentials").Credentials("AKID", "s/K7", token or None)
    auth.SigV4Auth(keys, "aps", "eu-west-1").add_auth(request)
    stamp = datetime.datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    found = signature(Keys("AKID", "s/K7", token), "eu-west-1", method, url, body, stamp)
    assert found["Authorization"] == request.headers["Authorization"]


def test_credentials_of_the_environment() -> None:
    given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    assert find(given) == Keys("a", "b", "c")
    assert "b" not in repr(find(given)).removeprefix("Keys")


def aws(folder: Path, text: str) -> dict[str, str]:
    path = folder / "aws"
    path.write_text(f'#!/bin/sh\n[ "$*" = "configure export-credentials" ] || exit 9\n{text}\n')
    path.chmod(0o700)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def test_credentials_of_the_cli(tmp_path: Path) -> None:
    printed = {
        "Version": 1,
        "AccessKeyId": "a",
        "SecretAccessKey": "b",
        "SessionToken": "c",
        "Expiration": "2026-11-24T16:00:00+00:00",
    }
    environ = aws(tmp_path, f"echo '{json.dumps(printed)}'")
    assert find(environ) == Keys("a", "b", "c", 1795536000.0)


@pytest.mark.parametrize("text", ["exit 1", "echo s3cr3t", "echo '[1]'", 'echo \'{"AccessKeyId": "s3cr3t"}\''])
def test_none(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sigv4, "_from_botocore", lambda: None)
    with pytest.raises(ConfigError) as caught:
        find(aws(tmp_path, text))
    assert caught.value.message == (
        "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, sign in by AWS CLI 2, or "
        "pip install 'kubectl-vmetrics[aws]'"
    )
