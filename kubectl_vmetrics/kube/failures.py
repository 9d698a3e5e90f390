"""From what `requests` raises, and from what an apiserver refuses, to the error tree: kubectl's words."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from .errors import BY_CODE, ConnectionFailed, StatusError, TimedOut
from .response import HeadTooLarge

_UNABLE = "Unable to connect to the server: "

# k8s.io/apimachinery/pkg/api/errors/errors.go, NewGenericServerResponse: the message if the body is not a Status.
_GENERIC = {
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    403: ("Forbidden", ""),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    406: ("NotAcceptable", ""),
    410: ("Expired", ""),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    500: ("InternalError", ""),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: (
        "Timeout",
        "the server was unable to return a response in the time allotted, but may still be processing the request",
    ),
}


class _Status(msgspec.Struct):
    kind: str = ""
    message: str = ""
    reason: str = ""


def refused(code: int, body: bytes, path: str) -> StatusError:
    """The error of an answer of 400 or more.

    Args:
        code: the HTTP status.
        body: the answer: a metav1.Status, or whatever the aggregator, a kubelet or a load balancer wrote.
        path: what was asked for, to name it where the answer does not.
    """
    kind = BY_CODE.get(code, StatusError)
    try:
        status = msgspec.json.decode(body, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        status = _Status()
    if status.kind == "Status" and (status.message or status.reason):
        return kind(status.message or status.reason, code=code, reason=status.reason)
    text = " ".join(body[:2000].decode("utf-8", "replace").split())[:500]
    if text.startswith("<"):
        text = "an HTML page instead of a Kubernetes API response"
    reason, message = _GENERIC.get(code, ("", ""))
    if not message:
        if code >= 500:
            reason = "InternalError"
            message = f'an error on the server ("{text or "unknown"}") has prevented the request from succeeding'
        else:
            message = text or f"the server responded with the status code {code} but did not return more details"
    what = _resource(path)
    return kind(f"{message} (get {what})" if what else message, code=code, reason=reason, body=text)


def _resource(path: str) -> str:
    """What a path is about, as kubectl names it: "pods.metrics.k8s.io web-0"."""
    parts = [unquote(part) for part in urlsplit(path).path.split("/") if part]
    if parts[:1] == ["api"]:
        group, rest = "", parts[2:]
    elif parts[:1] == ["apis"]:
        group, rest = "".join(parts[1:2]), parts[3:]
    else:
        return ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    if not rest:
        return ""
    resource = f"{rest[0]}.{group}" if group else rest[0]
    return " ".join([resource, *rest[1:2]])


def unreachable(error: BaseException, server: str) -> ConnectionFailed:
    """The error of a request without an answer.

    Args:
        error: what was raised.
        server: the URL of the server.
    """
    url = urlsplit(server)
    host = url.netloc.rpartition("@")[2]
    for cause in _causes(error):
        message = _why(cause, host, url.hostname or host)
        if message:
            return ConnectionFailed(message)
    name = type(error).__name__
    if "ProxyError" in name:
        return ConnectionFailed(
            _UNABLE + "the proxy refused or is unreachable",
            hint="see proxy-url in the kubeconfig, HTTPS_PROXY and NO_PROXY",
        )
    if "ReadTimeout" in name:
        return timed_out("awaiting headers")
    if "Timeout" in name:
        return ConnectionFailed(f"{_UNABLE}dial tcp {host}: i/o timeout")
    return ConnectionFailed(f"{_UNABLE}{name}")


def timed_out(doing: str) -> TimedOut:
    """The error of a request that outlived its limit while `doing` something."""
    return TimedOut(
        f"{_UNABLE}net/http: request canceled (Client.Timeout exceeded while {doing})",
        hint="increase --request-timeout (0 means no timeout)",
    )


def _why(cause: BaseException, host: str, hostname: str) -> str | None:
    if isinstance(cause, ConnectionRefusedError):
        return f"The connection to the server {host} was refused - did you specify the right host or port?"
    if isinstance(cause, ssl.SSLError):
        return _UNABLE + tls_reason(cause, hostname)
    if isinstance(cause, socket.gaierror):
        return f"{_UNABLE}dial tcp: lookup {hostname}: no such host"
    if isinstance(cause, http.client.RemoteDisconnected):  # is a ConnectionResetError, too
        return f"{_UNABLE}EOF"
    if isinstance(cause, ConnectionResetError):
        return f"{_UNABLE}read tcp {host}: connection reset by peer"
    if isinstance(cause, http.client.IncompleteRead):
        return f"{_UNABLE}unexpected EOF"
    if isinstance(cause, HeadTooLarge):
        return f"{_UNABLE}{cause}"
    if isinstance(cause, http.client.BadStatusLine):
        return f"{_UNABLE}malformed HTTP response"
    if isinstance(cause, OSError) and cause.errno and cause.strerror and not isinstance(cause, TimeoutError):
        return f"{_UNABLE}dial tcp {host}: {cause.strerror.lower()}"
    return None


def tls_reason(cause: ssl.SSLError, hostname: str) -> str:
    """Why TLS did not come about, in Go's words."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"tls: failed to verify certificate: x509: {_x509(cause, hostname)}"
    return _tls(cause)


def _x509(cause: ssl.SSLCertVerificationError, hostname: str) -> str:
    if cause.verify_code in (9, 10):  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
        return "certificate has expired or is not yet valid"
    if cause.verify_code in (62, 64) or "ostname" in cause.verify_message:
        found = re.search(r"not valid for '([^']*)'", cause.verify_message)
        return f"certificate is not valid for {found[1] if found else hostname}"
    if cause.verify_code in (7, 18, 19, 20, 21):
        return "certificate signed by unknown authority"
    return cause.verify_message


def _tls(cause: ssl.SSLError) -> str:
    reason = cause.reason or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "http: server gave HTTP response to HTTPS client"
    if "EOF" in reason or isinstance(cause, ssl.SSLEOFError):
        return "EOF"
    found = re.search(r"ALERT_(.+)", reason)
    return (
        f"remote error: tls: {found[1].replace('_', ' ').lower()}"
        if found
        else f"tls: {reason.replace('_', ' ').lower() or 'handshake failed'}"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exceptions wrapped in one, outermost first: urllib3 keeps them in args, reason, cause or context."""
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [*current.args, getattr(current, "reason", None), current.__cause__, current.__context__]
