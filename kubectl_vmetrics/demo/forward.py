"""Port-forward of the demo apiserver: a WebSocket that carries TCP to listeners that are functions.

k8s.io/kubelet pkg/cri/streaming/portforward/websocket.go: channel 2i is the data of the i-th port, 2i+1 its errors; the
first frame of each holds the port.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from websocket import ABNF, WebSocketException
from websocket._abnf import frame_buffer

from .exchange import User

PROTOCOL = "v4.channel.k8s.io"
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


Respond = Callable[[str, User], "tuple[int, bytes, str]"]
"""From a path and a user to status, body and content type."""


class Listener(NamedTuple):
    """What listens at a port of a pod; in plain text without TLS settings."""

    tls: ssl.SSLContext | None
    respond: Respond


def serve(connection: socket.socket, key: str, ports: Sequence[int], listeners: Mapping[int, Listener]) -> None:
    """Answer a client's handshake, and carry bytes until it goes.

    Args:
        connection: the client's.
        key: its Sec-WebSocket-Key.
        ports: those that it asked for.
        listeners: those that there are.
    """
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324
    connection.settimeout(60)
    connection.sendall(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n".encode()
    )
    lock = threading.Lock()

    def send(channel: int, data: bytes, opcode: int = ABNF.OPCODE_BINARY) -> None:
        frame = ABNF(1, 0, 0, 0, opcode, 0, bytes([channel]) + data if opcode == ABNF.OPCODE_BINARY else data)
        with lock:
            connection.sendall(frame.format())

    ends: dict[int, socket.socket] = {}
    over: set[int] = set()

    def back(end: socket.socket, channel: int) -> None:
        _back(end, channel, send)
        over.add(channel)
        if over >= ends.keys():  # a kubelet closes the connection with the last of its ports
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    for index, port in enumerate(ports):
        for channel in (2 * index, 2 * index + 1):
            send(channel, struct.pack("<H", port))
        listener = listeners.get(port)
        if listener is None:
            send(2 * index + 1, f"error forwarding port {port} to pod: connection refused".encode())
            continue
        ours, theirs = socket.socketpair()
        ends[2 * index] = ours
        threading.Thread(target=_listen, args=(theirs, listener), daemon=True).start()
    for channel, end in list(ends.items()):
        threading.Thread(target=back, args=(end, channel), daemon=True).start()
    try:
        _forth(connection, ends, send)
    finally:
        for end in ends.values():
            # A thread that reads from it would wait for ever at a socket that was only closed.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _forth(connection: socket.socket, ends: Mapping[int, socket.socket], send: Callable[..., None]) -> None:
    def receive(count: int) -> bytes:
        if data := connection.recv(count):
            return data
        raise ConnectionResetError  # frame_buffer would ask for ever

    frames = frame_buffer(receive, True)
    with contextlib.suppress(OSError, WebSocketException, AttributeError):
        while True:
            frame = frames.recv_frame()
            if frame.opcode == ABNF.OPCODE_CLOSE:
                send(0, frame.data, ABNF.OPCODE_CLOSE)
                return
            if frame.opcode == ABNF.OPCODE_BINARY and frame.data:
                data = frame.data if isinstance(frame.data, bytes) else frame.data.encode()
                end = ends.get(data[0])
                if end:
                    end.sendall(data[1:])


def _back(end: socket.socket, channel: int, send: Callable[..., None]) -> None:
    with contextlib.suppress(OSError):
        while data := end.recv(1 << 16):
            send(channel, data)


def _listen(stream: socket.socket, listener: Listener) -> None:
    with contextlib.suppress(OSError, ValueError):
        user = User()
        if listener.tls:
            secure = listener.tls.wrap_socket(stream, server_side=True)
            stream, user = secure, _user(secure.getpeercert() or {})
        with stream, stream.makefile("rb") as lines:
            while line := lines.readline(65536):
                path = line.split()[1].decode()
                while lines.readline(65536).strip():
                    pass
                status, body, kind = listener.respond(path, user)
                head = f"HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
                stream.sendall(head.encode() + body)


def _user(certificate: Mapping[str, Any]) -> User:
    parts = [pair for group in certificate.get("subject", ()) for pair in group]
    if not parts:
        return User()
    groups = tuple(value for key, value in parts if key == "organizationName")
    return User(next((value for key, value in parts if key == "commonName"), ""), groups)
