"""Files that may change while the proxy runs: the token, the certificate and its key."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from kubectl_vmetrics.kube.changes import Changes
from kubectl_vmetrics.kube.errors import UsageError

from . import tls

SHORTEST = 16

_log = logging.getLogger("kubectl_vmetrics.proxy")


class Token:
    """What clients must present, read again when its file changes. While that holds none, nobody is let in.

    Args:
        path: of the file.
        clock: seconds.

    Raises:
        UsageError: there is no token in the file that could be used.
    """

    def __init__(self, path: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._changed = Changes(path, clock=clock)
        self._token = _read(path)

    def __call__(self) -> str:
        """The token; "" while there is none."""
        if self._changed():
            try:
                self._token = _read(self._path)
                _log.warning("%s changed: using the new token", self._path)
            except UsageError as error:
                self._token = ""
                _log.error("%s: all requests are rejected until it can be read", error.message)
        return self._token


class Certificate:
    """What is served with, read again when one of its files changes; what cannot be used does not replace what can.

    Args:
        certificate: as tls.context.
        key: as tls.context.
        clock: seconds.

    Raises:
        UsageError: as tls.context.
    """

    def __init__(self, certificate: str, key: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._files = certificate, key
        self._changed = Changes(certificate, key, clock=clock)
        self.context: ssl.SSLContext = tls.context(certificate, key)

    def renewed(self) -> bool:
        """Whether `context` is another one now."""
        if not self._changed():
            return False
        try:
            self.context = tls.context(*self._files)
        except UsageError as error:
            _log.error("%s: still serving the previous certificate", error.message)
            return False
        _log.warning("%s changed: serving the new certificate", self._files[0])
        return True


def _read(path: str) -> str:
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError):
        raise UsageError(f"--token-file: {path} cannot be read") from None
    if len(token) < SHORTEST:
        raise UsageError(f"--token-file: the token must have at least {SHORTEST} characters")
    return token
