"""The HTTP server under the proxy: cheroot, bounded, with TLS where asked for."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter

from kubectl_vmetrics.kube.errors import UsageError

THREADS = 32
QUEUE = 256
TIMEOUT = 10
"""Seconds that a client may take to send a request or to read a part of an answer; then others get its thread."""


class _Server(wsgi.Server):
    expiration_interval = 0.1

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Clients that hang up are nothing to talk about."""


@contextlib.contextmanager
def serving(application: Callable[..., Any], address: str, port: int, tls: tuple[str, str] | None) -> Iterator[str]:
    """Serve while the context lasts; gives the URL.

    Raises:
        UsageError: the address cannot be used, or the certificate.
    """
    server = _Server(
        (address, port), application, numthreads=THREADS, request_queue_size=QUEUE, timeout=TIMEOUT, shutdown_timeout=2
    )
    server.max_request_header_size = 16_384
    server.max_request_body_size = 1
    try:
        if tls:
            server.ssl_adapter = BuiltinSSLAdapter(*tls)
        server.prepare()
    except OSError as error:
        raise UsageError(f"cannot listen on {address} port {port}: {error.strerror or error}") from None
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://{f'[{address}]' if ':' in address else address}:{server.bind_addr[1]}"
    finally:
        server.stop()


def until_stopped() -> None:
    """Wait for SIGTERM, which ends it as it should, or Ctrl-C, which raises KeyboardInterrupt."""
    stopped = threading.Event()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    while not stopped.wait(0.5):
        pass
