"""Errors in the words of a view. The host's own may name what a tenant must not see: they stay in the log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kubectl_vmetrics.kube.errors import NotFound, StatusError

from .identity import VClusterRef

_REASONS = {
    "BadRequest",
    "Expired",
    "Forbidden",
    "InternalError",
    "MethodNotAllowed",
    "NotFound",
    "ServiceUnavailable",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
}


class Missing(NotFound):
    """Something that a view does not have."""

    def __init__(self, message: str = "the server could not find the requested resource") -> None:
        super().__init__(message, code=404, reason="NotFound")


class Unclear(StatusError):
    """A question that makes no sense."""

    def __init__(self, message: str = "the request is invalid") -> None:
        super().__init__(message, code=400, reason="BadRequest")


@contextlib.contextmanager
def own_words(vcluster: VClusterRef | None) -> Iterator[None]:
    """In a tenant's view, let no 404 or 400 of the host pass as it is; the caller hides all others but their reason."""
    try:
        yield
    except (Missing, Unclear):
        raise
    except StatusError as error:
        if vcluster is None:
            raise
        if error.code in (400, 404):
            raise (Missing if error.code == 404 else Unclear)() from None
        if error.reason not in _REASONS:
            error.reason = ""
        raise
