"""Windows of time as people write them: `7d`, `yesterday`, `lastmonth`, RFC 3339; and the steps to cut them into.

Pure: the time of day comes from the caller. Days and months begin at midnight of a time zone, daylight saving included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

WORDS = ("today", "yesterday", "week", "lastweek", "month", "lastmonth")
"""Periods by name; weeks begin on Monday."""
MANY = 200
"""Steps of a window, if nobody asks for other ones: as many as a chart or a sparkline can show, and then some."""
MOST = 500_000
"""Steps of a window at all: 86 days every 15 seconds."""
SHORTEST = 1.0
"""Seconds: the shortest step."""

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdwy])")
_BRIEFEST = 60.0
"""Seconds of a window: scrapes are up to a minute apart."""
_LONGEST = 20 * _SECONDS["y"]
_LADDER = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_EXAMPLES = "7d, 36h, 1h30m, 2026-11-24T16:00:00Z, 2026-11-24, " + ", ".join(WORDS)


class Window(NamedTuple):
    """From one moment to another.

    Attributes:
        start: seconds since the epoch.
        end: seconds since the epoch, after `start`.
    """

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


def duration(text: str) -> float:
    """Seconds of a duration: Go's hours, minutes and seconds, and days, weeks and years of 365 days.

    Raises:
        ValueError: it is none, is 0, or has more than 20 years.

    >>> duration("1h30m"), duration("2w"), duration("1.5d")
    (5400.0, 1209600.0, 129600.0)
    """
    seconds, end = 0.0, 0
    while end < len(text) and (part := _PART.match(text, end)):
        seconds += float(part[1]) * _SECONDS[part[2]]
        end = part.end()
    if not text or end != len(text) or not 0 < seconds <= _LONGEST:
        raise ValueError(f"{text!r} is not a duration (example: 7d, 36h, 1h30m)")
    return seconds


def parse(since: str, until: str | None = None, *, now: float, zone: tzinfo | None = None) -> Window:
    """The window that --since and --until ask for.

    Args:
        since: where it begins: a duration before now, a time, a date, or one of WORDS. A word alone is that whole
            period, as far as it is over. With a comma, both ends: START,END.
        until: where it ends, as `since`: a word is where its period begins. None for now.
        now: seconds since the epoch.
        zone: of days and of times without an offset; None for that of this machine.

    Raises:
        ValueError: with what to write instead.
    """
    now = float(int(now))
    if "," in since:
        if until is not None:
            raise ValueError("--until cannot be used with two times in --since")
        since, _, until = since.partition(",")
    if until is None and since in WORDS:
        start, end = _period(since, now, zone)
        end = min(end, now)
    else:
        start, end = moment(since, now=now, zone=zone), now if until is None else moment(until, now=now, zone=zone)
        end = min(end, now)
    if start >= now:
        raise ValueError(f"{since!r} is not in the past")
    if start >= end:
        raise ValueError(f"{since!r} is not before {until!r}")
    if end - start < _BRIEFEST:
        raise ValueError("the time range is too short: use 1m or more")
    return Window(start, end)


def moment(text: str, *, now: float, zone: tzinfo | None = None) -> float:
    """A moment, in seconds since the epoch.

    It is a duration before now, `now`, a time, a date, or one of WORDS for where that period begins.

    Raises:
        ValueError: with what to write instead.
    """
    text = text.strip().removesuffix(" ago").rstrip()
    if text == "now":
        return now
    if text in WORDS:
        return _period(text, now, zone)[0]
    if _PART.match(text) and text[-1] in _SECONDS:
        return now - duration(text)
    try:
        # Python 3.10 knows no Z.
        found = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.replace("t", "T")))
        return _seconds(found, zone)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is not a time (examples: {_EXAMPLES})") from None


def step(window: Window, wanted: str | None = None) -> float:
    """Seconds of each step of a window: a round number that makes at most MANY of them, or what is wanted.

    Args:
        window: to cut; its last step may be shorter.
        wanted: a duration; None to choose one.

    Raises:
        ValueError: it is no duration, is shorter than SHORTEST, or makes more than MOST steps.
    """
    if wanted:
        seconds = duration(wanted)
        if seconds < SHORTEST:
            raise ValueError(f"{wanted!r} is too short: use 1s or more")
        if window.seconds / seconds > MOST:
            raise ValueError(f"{wanted!r} makes more than {MOST} steps: use a longer step or a shorter window")
        return seconds
    for seconds in _LADDER:
        if window.seconds / seconds <= MANY:
            return float(seconds)
    return _LADDER[-1] * float(-(-window.seconds // (_LADDER[-1] * MANY)))


def _period(word: str, now: float, zone: tzinfo | None) -> tuple[float, float]:
    """Where a period begins and ends."""
    day = datetime.fromtimestamp(now, zone).date()
    monday = day - timedelta(days=day.weekday())
    known: dict[str, Callable[[], Sequence[date]]] = {
        "today": lambda: (day, day + timedelta(days=1)),
        "yesterday": lambda: (day - timedelta(days=1), day),
        "week": lambda: (monday, monday + timedelta(days=7)),
        "lastweek": lambda: (monday - timedelta(days=7), monday),
        "month": lambda: (day.replace(day=1), (day.replace(day=1) + timedelta(days=32)).replace(day=1)),
        "lastmonth": lambda: ((day.replace(day=1) - timedelta(days=1)).replace(day=1), day.replace(day=1)),
    }
    start, end = (_seconds(datetime.combine(found, time()), zone) for found in known[word]())
    return start, end


def _seconds(found: datetime, zone: tzinfo | None) -> float:
    """A time, in seconds since the epoch; in a zone if it has no offset of its own."""
    if found.tzinfo is None and zone is not None:
        found = found.replace(tzinfo=zone)
    return found.timestamp()
