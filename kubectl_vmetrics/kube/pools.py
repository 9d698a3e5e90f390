"""Pools of urllib3 whose connections tell the work that they wait for, so that it can be cancelled; see `response`."""

from __future__ import annotations

from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from . import cancel
from .cancel import CancelScope
from .response import Response


class _Watched(HTTPConnection):
    """A connection that belongs to a scope from a request until it is back in its pool."""

    response_class = Response
    _held: tuple[CancelScope, Any] | None = None

    def getresponse(self) -> Any:
        """Wait for the head of the answer."""
        scope = cancel.current()
        if scope is not None and self.sock is not None:
            self._held = (scope, self.sock)
            scope.watch(self.sock)
        return super().getresponse()

    def let_go(self) -> None:
        """The next request may be another scope's."""
        if self._held:
            scope, connection = self._held
            self._held = None
            scope.release(connection)


class _WatchedTls(_Watched, HTTPSConnection):
    """The same with TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.let_go()
        super()._put_conn(conn)


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.let_go()
        super()._put_conn(conn)


CLASSES = {"http": _Pool, "https": _TlsPool}
"""By scheme, for PoolManager.pool_classes_by_scheme."""
