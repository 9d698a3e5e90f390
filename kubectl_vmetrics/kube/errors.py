"""Every error that users can see, and the line it prints.

    VmetricsError                 "error: …"
    ├── UsageError                a flag or argument that cannot be used
    ├── ConfigError               kubeconfig files, contexts, credentials
    ├── ConnectionFailed          no answer: refused, unknown host, TLS, reset
    │   └── TimedOut              no answer in time
    ├── BadAnswer                 an answer that cannot be read: not JSON, cut short, another kind
    │   ├── TooLarge              more of it than is read
    │   └── Redirected            a redirect: none is followed, since credentials would go along
    ├── MetricsNotAvailable       metrics.k8s.io is not served, or has nothing to say yet
    └── StatusError               the apiserver said no: "Error from server (Reason): …"
        ├── BadRequest            400
        ├── Unauthorized          401, "error: You must be logged in to the server (…)"
        ├── Forbidden             403
        ├── NotFound              404
        ├── Expired               410, a list that took too long between two pages
        └── Unavailable           429, 503, 504

The wording is kubectl's, so that scripts and search engines that know kubectl's know ours
(k8s.io/kubectl/pkg/cmd/util/helpers.go, StandardErrorMessage; k8s.io/apimachinery/pkg/api/errors).
"""

from __future__ import annotations


class VmetricsError(Exception):
    """An error with a message for the user.

    Attributes:
        message: what went wrong, one line where possible, without the prefix.
        hint: what to do about it; shown to a person at a terminal, None where the message says it.
    """

    prefix = "error: "

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def line(self) -> str:
        """The text for stderr, prefix included."""
        return self.prefix + self.message


class UsageError(VmetricsError):
    """A flag, an argument or a combination of them that makes no sense."""


class ConfigError(VmetricsError):
    """The kubeconfig cannot be read, or does not say enough to reach a cluster."""

    def __init__(self, message: str, *, hint: str | None = None, prefix: str = "error: ") -> None:
        super().__init__(message, hint=hint)
        self.prefix = prefix


class ConnectionFailed(VmetricsError):
    """The apiserver gave no answer. The message is complete: kubectl prints these without "error:"."""

    prefix = ""


class TimedOut(ConnectionFailed):
    """The server did not answer, or did not finish its answer, within the time limit."""


class BadAnswer(VmetricsError):
    """The apiserver's answer cannot be read."""


class TooLarge(BadAnswer):
    """An answer goes beyond its limits: see `limits`."""


class Redirected(BadAnswer):
    """The server refers to another address."""


class MetricsNotAvailable(VmetricsError):
    """The metrics API is not served, is served by something broken, or has no numbers yet."""


class StatusError(VmetricsError):
    """An answer with an HTTP status of 400 or more.

    Attributes:
        code: the HTTP status.
        reason: metav1.StatusReason, "" where the answer gives none.
        body: the beginning of an answer that was no metav1.Status but something behind the apiserver's own words.
    """

    def __init__(self, message: str, *, code: int, reason: str = "", hint: str | None = None, body: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.reason = reason
        self.body = body

    @property
    def line(self) -> str:
        """The text for stderr: with the reason where there is one."""
        return (
            f"Error from server ({self.reason}): {self.message}"
            if self.reason
            else f"Error from server: {self.message}"
        )


class BadRequest(StatusError):
    """400: the request is invalid, and retrying does not help."""


class Unauthorized(StatusError):
    """401: the credentials are missing, wrong or expired."""

    @property
    def line(self) -> str:
        """Kubectl drops the reason here and says what to do."""
        return f"error: You must be logged in to the server ({self.message})"


class Forbidden(StatusError):
    """403: the user is authenticated, but lacks the right."""


class NotFound(StatusError):
    """404: no such object, or no such resource at all."""


class Expired(StatusError):
    """410: the continue token of a paged list is too old."""


class Unavailable(StatusError):
    """429, 503, 504: the server, or what it asks in turn, is overloaded or down."""


BY_CODE: dict[int, type[StatusError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    410: Expired,
    429: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
