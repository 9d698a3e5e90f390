"""TLS as kubectl does it: only the cluster's own CA is trusted where it has one, and a client certificate logs in."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from .credentials import Credentials
from .errors import ConfigError
from .kubeconfig import Connection


def tls_context(connection: Connection, credentials: Credentials) -> ssl.SSLContext:
    """The TLS settings of a connection: its CA alone, or the system's, and the client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif (authority := credentials.authority()) is not None:
        trust(context, authority)
    else:
        context.load_default_certs()
        if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
            import certifi  # the bundle of `requests`

            context.load_verify_locations(certifi.where())
    if pair := credentials.certificate():
        load_certificate(context, *pair)
    return context


def trust(context: ssl.SSLContext, authorities: bytes) -> None:
    """Let a TLS context trust authorities, PEM. Raises ConfigError."""
    try:
        context.load_verify_locations(cadata=authorities.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise ConfigError("unable to load root certificates: unable to parse bytes as PEM block", prefix="") from None


def load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a client certificate and its key, both PEM, into a TLS context. Raises ConfigError."""
    import tempfile

    # The ssl module takes file names only: a private folder (0700), gone before the first request.
    with tempfile.TemporaryDirectory(prefix="vmetrics-") as folder:
        path = Path(folder, "pair.pem")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        try:
            context.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, ValueError, OSError):
            raise ConfigError(
                "tls: the client certificate and its key cannot be used: not PEM, encrypted, or not a pair", prefix=""
            ) from None


def _no_password() -> str:
    # Without this, OpenSSL would ask at the terminal.
    raise ValueError("the key is encrypted")
