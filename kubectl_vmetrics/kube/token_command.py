"""A program that prints a token: bare, as an ExecCredential, or as the command lines of clouds print one in JSON."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .errors import ConfigError

LIMIT = 120.0
"""Seconds; the user may have to log in first."""
MOST = 1 << 20
KEPT = 3600.0
"""Seconds for which a token without an expiry is used, unless the server refuses it before."""
_INFO = {"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "spec": {"interactive": False}}
_NAMES = ("accessToken", "access_token", "token")
"""Of `az account get-access-token`, of OAuth (RFC 6749, 5.1), of `gcloud auth print-access-token --format=json`."""


class Token(NamedTuple):
    """A token.

    Attributes:
        expires: seconds since the epoch.
    """

    value: str
    expires: float

    def __repr__(self) -> str:
        """Never the token."""
        return "Token(…)"


def run(command: Sequence[str], environ: Mapping[str, str] | None = None) -> Token:
    """Run a program for its token. Its stderr is the terminal's: it may ask the user to log in.

    Args:
        command: the program and its arguments.
        environ: its variables, to which KUBERNETES_EXEC_INFO is added (k8s.io/client-go, plugin/pkg/client/auth/exec).

    Raises:
        ConfigError: it cannot be run, fails, or prints no token. The message holds nothing that it printed.
    """
    name = command[0]
    variables = {**(os.environ if environ is None else environ), "KUBERNETES_EXEC_INFO": json.dumps(_INFO)}
    try:
        done = subprocess.run(  # noqa: S603
            list(command), check=False, stdout=subprocess.PIPE, timeout=LIMIT, env=variables
        )
    except FileNotFoundError:
        raise ConfigError(f"token command: executable {name} not found") from None
    except subprocess.TimeoutExpired:
        raise ConfigError(f"token command: {name} did not finish within {LIMIT:.0f}s") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "cannot be run"
        raise ConfigError(f"token command: {name}: {reason.lower()}") from None
    if done.returncode:
        hint = f"run it manually to see why: {name}"
        raise ConfigError(f"token command: {name} failed with exit code {done.returncode}", hint=hint)
    return _parsed(done.stdout[:MOST], name)


def _parsed(printed: bytes, name: str) -> Token:
    none = ConfigError(f"token command: {name} printed no token: expected one line, or an ExecCredential as JSON")
    try:
        text = printed.decode().strip()
        found: Any = json.loads(text) if text.startswith("{") else text
    except (ValueError, RecursionError):
        raise none from None
    later = time.time() + KEPT
    if isinstance(found, str):
        value, expiry = found, None
    else:
        status = found.get("status") if found.get("kind") == "ExecCredential" else found
        status = status if isinstance(status, dict) else {}
        value = next((status[key] for key in _NAMES if status.get(key)), "")
        expiry = status.get("expirationTimestamp") or status.get("expires_on")
    if not isinstance(value, str) or not value or len(value.split()) != 1:
        raise none
    return Token(value, _moment(expiry) or later)


def _moment(expiry: object) -> float | None:
    """Seconds since the epoch of an RFC 3339 time, or of such a number; None for anything else."""
    if isinstance(expiry, (int, float)) and not isinstance(expiry, bool):
        return float(expiry)
    if isinstance(expiry, str):
        try:
            found = datetime.datetime.fromisoformat(expiry.replace("Z", "+00:00"))
        except ValueError:
            return None
        return found.timestamp()
    return None
