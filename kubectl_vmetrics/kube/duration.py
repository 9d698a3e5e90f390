"""Go's durations, as flags and metrics.k8s.io write them: "1m30s", "15.064s", "500ms"."""

from __future__ import annotations

import re

from .errors import UsageError

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


def parse(text: str) -> float:
    """Seconds of a Go duration. Raises ValueError (https://pkg.go.dev/time#ParseDuration)."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    seconds, end = 0.0, 0
    while end < len(rest) and (part := _PART.match(rest, end)):
        seconds += float(part[1]) * _SECONDS[part[2]]
        end = part.end()
    if not rest or end != len(rest):
        raise ValueError(f"invalid duration {text!r}")
    return sign * seconds


def parse_timeout(text: str) -> float:
    """Seconds of --request-timeout: a whole number of seconds or a Go duration; 0 means no limit.

    Raises:
        UsageError: with kubectl's words (k8s.io/client-go/tools/clientcmd/helpers.go, ParseTimeout).
    """
    try:
        seconds = float(int(text)) if re.fullmatch(r"[+-]?\d+", text) else parse(text)
    except ValueError:
        raise UsageError(
            "Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a "
            "corresponding time unit (e.g. 1s | 2m | 3h)"
        ) from None
    if seconds < 0:
        raise UsageError(f"--request-timeout must not be negative: {text}")
    return seconds


def render(seconds: float) -> str:
    """A duration as Go prints one: "22h29m11.238478174s", "1m0s", "850ms"."""
    nanos = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 and nanos else ""
    if nanos < 1_000_000_000:
        for unit, size in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
            if nanos >= size:
                return f"{sign}{_decimal(nanos, size)}{unit}"
        return "0s"
    minutes, nanos = divmod(nanos, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(nanos, 1_000_000_000)}s"


def human(seconds: float) -> str:
    """A duration as kubectl prints ages (k8s.io/apimachinery pkg/util/duration, HumanDuration).

    >>> [human(text) for text in (-5, 0, 119, 125, 600, 3 * 3600 + 60, 30 * 3600, 7 * 86_400 + 3600, 100 * 86_400)]
    ['<invalid>', '0s', '119s', '2m5s', '10m', '3h1m', '30h', '7d1h', '100d']
    >>> [human(days * 86_400) for days in (729, 730, 731, 2524, 2920, 9999)]
    ['729d', '2y', '2y1d', '6y334d', '8y', '27y']
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(0, whole)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _both(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _both(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _both(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _both(days // 365, "y", days % 365 if days < 2920 else 0, "d")


def _both(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large}{unit}{small}{smaller}" if small else f"{large}{unit}"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
