"""Windows of time as people write them."""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

from kubectl_vmetrics.history import window
from kubectl_vmetrics.history.window import Window

BERLIN = ZoneInfo("Europe/Berlin")
NOW = "2026-11-29T16:40:24+00:00"
"""A Sunday."""


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def parsed(since: str, until: str | None = None, zone: tzinfo = timezone.utc, now: str = NOW) -> tuple[str, str]:
    found = window.parse(since, until, now=at(now) + 0.25, zone=zone)
    return tuple(datetime.fromtimestamp(edge, zone).isoformat() for edge in found)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("since", "until", "start", "end"),
    [
        ("7d", None, "2026-11-22T16:40:24+00:00", NOW),
        ("36h", None, "2026-11-28T04:40:24+00:00", NOW),
        ("1h30m", None, "2026-11-29T15:10:24+00:00", NOW),
        ("2w", "1w", "2026-11-15T16:40:24+00:00", "2026-11-22T16:40:24+00:00"),
        ("2w ago", "1w ago", "2026-11-15T16:40:24+00:00", "2026-11-22T16:40:24+00:00"),
        ("2026-11-24T16:00:00Z", "2026-11-24T18:00:00+01:00", "2026-11-24T16:00:00+00:00", "2026-11-24T17:00:00+00:00"),
        ("2026-11-24t16:00:00z", "now", "2026-11-24T16:00:00+00:00", NOW),
        ("2026-11-24", "2026-11-25", "2026-11-24T00:00:00+00:00", "2026-11-25T00:00:00+00:00"),
        ("2026-11-24T16:00,2026-11-24T17:00", None, "2026-11-24T16:00:00+00:00", "2026-11-24T17:00:00+00:00"),
        ("today", None, "2026-11-29T00:00:00+00:00", NOW),
        ("yesterday", None, "2026-11-28T00:00:00+00:00", "2026-11-29T00:00:00+00:00"),
        ("week", None, "2026-11-23T00:00:00+00:00", NOW),
        ("lastweek", None, "2026-11-16T00:00:00+00:00", "2026-11-23T00:00:00+00:00"),
        ("month", None, "2026-11-01T00:00:00+00:00", NOW),
        ("lastmonth", None, "2026-10-01T00:00:00+00:00", "2026-11-01T00:00:00+00:00"),
        ("lastmonth", "yesterday", "2026-10-01T00:00:00+00:00", "2026-11-28T00:00:00+00:00"),
        ("yesterday", "2027-01-01", "2026-11-28T00:00:00+00:00", NOW),
    ],
)
def test_windows(since: str, until: str | None, start: str, end: str) -> None:
    assert parsed(since, until) == (start, end)


def test_days_and_months_are_those_of_the_zone() -> None:
    """A day and a month in which the clocks change have an hour more."""
    october = parsed("lastmonth", zone=BERLIN)
    assert october == ("2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00")
    assert at(october[1]) - at(october[0]) == (31 * 24 + 1) * 3600
    day = parsed("yesterday", zone=BERLIN, now="2026-10-26T00:00:00+00:00")
    assert day == ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00")
    assert parsed("2026-06-01T12:00", zone=BERLIN)[0] == "2026-06-01T12:00:00+02:00"
    assert parsed("month", zone=BERLIN, now="2026-12-31T23:30:00+00:00")[0] == "2027-01-01T00:00:00+01:00"


@pytest.mark.parametrize(
    ("since", "until", "message"),
    [
        (
            "",
            None,
            "'' is not a time (examples: 7d, 36h, 1h30m, 2026-11-24T16:00:00Z, 2026-11-24, today, yesterday, week,",
        ),
        ("last tuesday", None, "'last tuesday' is not a time (examples: "),
        ("7x", None, "'7x' is not a time (examples: "),
        ("0d", None, "'0d' is not a duration (example: 7d, 36h, 1h30m)"),
        ("21y", None, "'21y' is not a duration (example: 7d, 36h, 1h30m)"),
        ("-7d", None, "'-7d' is not a time (examples: "),
        ("1d", "2d", "'1d' is not before '2d'"),
        ("1d", "1d", "'1d' is not before '1d'"),
        ("today", "today", "'today' is not before 'today'"),
        ("now", None, "'now' is not in the past"),
        ("2027-01-01", None, "'2027-01-01' is not in the past"),
        ("2026-01-01,2026-02-01", "now", "--until cannot be used with two times in --since"),
        ("59s", None, "the time range is too short: use 1m or more"),
        ("99999-01-01", None, "'99999-01-01' is not a time (examples: "),
    ],
)
def test_what_is_no_window(since: str, until: str | None, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        window.parse(since, until, now=at(NOW), zone=timezone.utc)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2h", "2026-11-29T14:40:24+00:00"),
        ("2h ago", "2026-11-29T14:40:24+00:00"),
        ("now", NOW),
        ("yesterday", "2026-11-28T00:00:00+00:00"),
        ("2026-11-24T16:00:00.5Z", "2026-11-24T16:00:00.500000+00:00"),
    ],
)
def test_moments(text: str, found: str) -> None:
    assert window.moment(text, now=at(NOW), zone=timezone.utc) == at(found)


@pytest.mark.parametrize(
    ("length", "wanted", "seconds"),
    [
        ("10m", None, 60),
        ("200m", None, 60),
        ("201m", None, 120),
        ("24h", None, 600),
        ("7d", None, 3600),
        ("30d", None, 10_800 + 10_800),
        ("200d", None, 86_400),
        ("2y", None, 4 * 86_400),
        ("1h", "15s", 15),
        ("1h", "7m", 420),
        ("86d", "15s", 15),
    ],
)
def test_steps(length: str, wanted: str | None, seconds: float) -> None:
    assert window.step(Window(0, window.duration(length)), wanted) == seconds


@pytest.mark.parametrize(
    ("length", "wanted", "message"),
    [
        ("1h", "often", "'often' is not a duration (example: 7d, 36h, 1h30m)"),
        ("1h", "0.5s", "'0.5s' is too short: use 1s or more"),
        ("1y", "15s", "'15s' makes more than 500000 steps: use a longer step or a shorter window"),
    ],
)
def test_what_is_no_step(length: str, wanted: str, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        window.step(Window(0, window.duration(length)), wanted)
    assert str(raised.value) == message
