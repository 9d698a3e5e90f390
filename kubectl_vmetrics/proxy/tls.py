"""The certificate that the proxy serves with, from two files."""

from __future__ import annotations

import ssl

from kubectl_vmetrics.kube.errors import UsageError


def context(certificate: str, key: str) -> ssl.SSLContext:
    """What servers take.

    Args:
        certificate: file of a certificate and those between it and its authority, PEM.
        key: file of its private key, PEM, without a passphrase.

    Raises:
        UsageError: a file is missing, cannot be read or holds something else; the message names the flag and the file.
    """
    for flag, path in (("--tls-cert-file", certificate), ("--tls-private-key-file", key)):
        try:
            with open(path, "rb") as file:
                file.read(1)
        except OSError as error:
            raise UsageError(f"{flag}: {path}: {(error.strerror or 'cannot be read').lower()}") from None
        except ValueError:
            raise UsageError(f"{flag}: not a path: {path!r}") from None
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        found.load_cert_chain(certificate, key, password=_no_passphrase)
    except _Encrypted:
        raise UsageError(f"--tls-private-key-file: {key} is encrypted: save the key without a passphrase") from None
    except ssl.SSLError as error:
        raise UsageError(_why(error, certificate, key)) from None
    return found


class _Encrypted(Exception):
    pass


def _no_passphrase() -> str:
    # Without this, OpenSSL asks for it at the terminal.
    raise _Encrypted


def _why(error: ssl.SSLError, certificate: str, key: str) -> str:
    if "KEY_VALUES_MISMATCH" in (error.reason or ""):
        return f"--tls-private-key-file: {key} is not the key of the certificate in {certificate}"
    try:
        # A context of the certificate alone fails over the certificate alone: without a key in the file, later.
        ssl.create_default_context(cafile=certificate)
    except ssl.SSLError:
        return f"--tls-cert-file: {certificate} contains no certificate in PEM format"
    return f"--tls-private-key-file: {key} contains no private key in PEM format"
