"""Requests signed for Amazon Managed Service for Prometheus (docs.aws.amazon.com, "AWS Signature Version 4").

The credentials are those of the AWS tools: environment variables, else what the AWS CLI or botocore find: profiles,
SSO, the role of an instance or of a pod.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import importlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from .errors import ConfigError
from .transport import Reply, Timeouts, Transport

SERVICE = "aps"
_EARLY = 60.0
_ALGORITHM = "AWS4-HMAC-SHA256"


class Keys(NamedTuple):
    """AWS credentials.

    Attributes:
        token: of a session; "" for those of a user.
        expires: seconds since the epoch; 0 if they do not.
    """

    access: str
    secret: str
    token: str = ""
    expires: float = 0.0

    def __repr__(self) -> str:
        """Never a key."""
        return "Keys(…)"


class Signed:
    """Signs what another transport sends. See transport.Transport.

    Args:
        transport: sends.
        server: the URL that its paths are appended to.
        region: of AWS.
    """

    def __init__(self, transport: Transport, server: str, region: str) -> None:
        self._transport, self._server, self._region = transport, server, region
        self._lock = threading.Lock()
        self._keys: Keys | None = None

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeouts: Timeouts) -> Reply:
        """See transport.Transport. Raises ConfigError as well, without credentials."""
        with self._lock:
            if self._keys is None or 0 < self._keys.expires < time.time() + _EARLY:
                self._keys = find()
            keys = self._keys
        now = datetime.datetime.now(datetime.timezone.utc)
        more = signature(keys, self._region, method, self._server + path, body or b"", now)
        return self._transport.send(method, path, {**headers, **more}, body, timeouts)


def signature(
    keys: Keys,
    region: str,
    method: str,
    url: str,
    body: bytes,
    now: datetime.datetime,
    service: str = SERVICE,
) -> dict[str, str]:
    """The headers that sign a request.

    Args:
        keys: the credentials.
        region: of AWS.
        method: GET or POST.
        url: the whole of it, its path escaped.
        body: of the request.
        now: in UTC.
        service: of AWS.
    """
    parts = urlsplit(url)
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    signed = {"host": parts.netloc.rpartition("@")[2], "x-amz-date": stamp}
    if keys.token:
        signed["x-amz-security-token"] = keys.token
    pairs = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in _query(parts.query))
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        [
            method,
            quote(parts.path or "/", safe="/-_.~"),  # escaped twice, as for every service but S3
            "&".join(f"{key}={value}" for key, value in pairs),
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{keys.secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = _hmac(key, part)
    found = {
        "Authorization": f"{_ALGORITHM} Credential={keys.access}/{scope}, SignedHeaders={names}, "
        f"Signature={_hmac(key, text).hex()}",
        "X-Amz-Date": stamp,
    }
    return {**found, **({"X-Amz-Security-Token": keys.token} if keys.token else {})}


def find(environ: Mapping[str, str] | None = None) -> Keys:
    """The credentials of the environment.

    Raises:
        ConfigError: there are none. The message holds nothing that a program printed.
    """
    environ = os.environ if environ is None else environ
    access, secret = environ.get("AWS_ACCESS_KEY_ID", ""), environ.get("AWS_SECRET_ACCESS_KEY", "")
    if access and secret:
        return Keys(access, secret, environ.get("AWS_SESSION_TOKEN", ""))
    if (keys := _from_cli(environ)) or (keys := _from_botocore()):
        return keys
    raise ConfigError(
        "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, sign in by AWS CLI 2, or "
        "pip install 'kubectl-vmetrics[aws]'"
    )


def _from_cli(environ: Mapping[str, str]) -> Keys | None:
    """What `aws configure export-credentials` prints, which resolves all that the CLI knows."""
    program = shutil.which("aws", path=environ.get("PATH"))
    if program is None:
        return None
    command = [program, "configure", "export-credentials"]
    try:
        done = subprocess.run(  # noqa: S603
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60, env=dict(environ)
        )
        found = json.loads(done.stdout) if done.returncode == 0 else {}
        expiry = found.get("Expiration") or ""
        expires = datetime.datetime.fromisoformat(expiry.replace("Z", "+00:00")).timestamp() if expiry else 0.0
        return Keys(found["AccessKeyId"], found["SecretAccessKey"], found.get("SessionToken") or "", expires)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def _from_botocore() -> Keys | None:
    """What botocore finds where it is installed; it renews them itself, so they are asked for again after a minute."""
    try:
        session: Any = importlib.import_module("botocore.session").Session()
        credentials = session.get_credentials()
        found = credentials.get_frozen_credentials() if credentials else None
    except Exception:  # not installed, or whatever a source of credentials raises
        return None
    if found is None:
        return None
    return Keys(found.access_key, found.secret_key, found.token or "", time.time() + 2 * _EARLY)


def _query(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
