"""The channels of a port-forward, pumped by the `kubernetes` package, within limits.

That package keeps whatever comes for a port until it is taken, however much it is; and websocket-client keeps a frame,
and the parts of a message, until it is whole. Here the other side waits while nobody takes what it sends.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from kubernetes.stream.ws_client import PortForward
from websocket import WebSocketConnectionClosedException, WebSocketProtocolException
from websocket._abnf import frame_buffer

WAITING = 1 << 20
"""Bytes that may wait for being taken; kubelets send frames of 32 KiB."""
FRAME = 4 << 20


class Channels(PortForward):
    """Ports of a pod, each a socket.

    Says nothing on stderr where the other side breaks the protocol; the ports are closed then.
    """

    def __init__(self, websocket: Any, ports: list[int]) -> None:
        self._receive = websocket.recv_data_frame
        websocket.recv_data_frame = self._next
        websocket.frame_buffer = _Frames(websocket._recv, True)
        super().__init__(websocket, ports)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the ports and the connection; the thread between them ends."""
        super().close()  # type: ignore[no-untyped-call]
        # A thread that reads from it would wait for ever at a socket that was only closed.
        with contextlib.suppress(Exception):
            socket.socket.shutdown(self.websocket.sock, socket.SHUT_RDWR)

    def _next(self, control_frame: bool = False) -> Any:
        self._hand_over(WAITING)
        try:
            return self._receive(control_frame)
        except WebSocketConnectionClosedException:
            self._hand_over(0)  # the ports are closed next, with what waits for being taken
            raise

    def _hand_over(self, more: int) -> None:
        """Give ports what has come for them, where it is more than so many bytes."""
        for port in self.local_ports.values():
            if len(port.data) > more:
                data, port.data = port.data, b""
                with contextlib.suppress(OSError):  # the port was closed here: what still comes is nobody's
                    port.python.sendall(data)

    def _proxy(self) -> None:
        try:
            super()._proxy()  # type: ignore[no-untyped-call]
        except Exception:
            for port in self.local_ports.values():
                port.python.close()
            with contextlib.suppress(Exception):
                self.websocket.shutdown()


class _Frames(frame_buffer):
    """Frames of a size that a kubelet sends, none of them a part of a message."""

    def recv_header(self) -> None:
        """Read how a frame begins."""
        super().recv_header()
        if self.header is not None and not self.header[0]:
            raise WebSocketProtocolException("a message in parts")

    def recv_length(self) -> None:
        """Read how long it is."""
        super().recv_length()
        if (self.length or 0) > FRAME:
            raise WebSocketProtocolException("a frame that is too large")
