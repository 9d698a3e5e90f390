"""Numbers and times as the page shows them: short, with units that those who get a bill know."""

from __future__ import annotations

from datetime import datetime, timezone

NONE = "–"
HOUR = 3600.0
GIB = 1 << 30
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def decimal(value: float | None) -> str:
    """A number with as many digits as say something: 1,234; 12.3; 0.05.

    >>> [decimal(value) for value in (1234.4, 12.34, 1.234, 0.0512, 0.0, 0.00004)]
    ['1,234', '12.3', '1.23', '0.05', '0', '<0.01']
    """
    if value is None:
        return NONE
    size = abs(value)
    if 0 < size < 0.005:
        return "<0.01" if value > 0 else ">-0.01"
    if size >= 99.95:
        return f"{value:,.0f}"
    text = f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".") or "0"


def size(count: float | None) -> str:
    """Bytes with a binary unit.

    >>> [size(value) for value in (0, 1023, 1536, 5 << 30)]
    ['0 B', '1,023 B', '1.5 KiB', '5 GiB']
    """
    if count is None:
        return NONE
    value, unit = count, 0
    while abs(value) >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{decimal(value) if unit else f'{value:,.0f}'} {_UNITS[unit]}"


def percent(share: float | None) -> str:
    """A share in percent; one decimal below 10 %.

    >>> [percent(value) for value in (0.5, 0.0123, 0.0, 1.3, None)]
    ['50%', '1.2%', '0%', '130%', '–']
    """
    if share is None:
        return NONE
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{share * 100:.1f}%" if 0 < share < 0.0995 else f"{share * 100:,.0f}%"


def moment(seconds: float) -> str:
    """A time in UTC, to the minute.

    >>> moment(0)
    '1970-01-01 00:00 UTC'
    """
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M} UTC"


def day(seconds: float) -> str:
    """A day in UTC."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d}"


def period(start: float, end: float) -> str:
    """From one time to another."""
    return f"{moment(start).removesuffix(' UTC')} to {moment(end)}"


def span(seconds: float) -> str:
    """A length of time in words.

    >>> [span(value) for value in (90, 5400, 7200, 86400 * 30)]
    ['2 minutes', '1.5 hours', '2 hours', '30 days']
    """
    for unit, name in ((86400.0, "day"), (HOUR, "hour")):
        if seconds >= unit * (2 if name == "day" else 1):
            return _counted(seconds / unit, name)
    return _counted(float(round(seconds / 60)), "minute")


def _counted(value: float, name: str) -> str:
    text = decimal(value)
    return f"{text} {name}" if text == "1" else f"{text} {name}s"


def plural(count: int, name: str, many: str = "") -> str:
    """A count and what is counted.

    >>> plural(1, "tenant"), plural(2, "tenant")
    ('1 tenant', '2 tenants')
    """
    return f"{count:,} {name if count == 1 else many or f'{name}s'}"
