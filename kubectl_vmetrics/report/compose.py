"""From what was gathered to the page."""

from __future__ import annotations

from .given import Given, Made
from .numbers import moment, period
from .page import Page
from .sections import billing, coverage, machines, planes, pods, rightsizing, standing, summary, trends, usage, volumes

ORDER = (usage, standing, billing, trends, rightsizing, planes, machines, volumes, pods, coverage)


def compose(given: Given) -> Page:
    """The page; sections that have nothing to show are left out, and the last one says what is missing."""
    made: list[Made] = [found for module in ORDER if (found := module.make(given)) is not None]
    first, facts = summary.make(given, made)
    who = given.labels.name(given.tenant) if given.tenant else ""
    title = f"Usage report of {who}" if who else "Usage report"
    lines = [
        *([("Virtual cluster", who)] if who else []),
        ("Period", period(*given.window)),
        ("Source", given.source),
        ("Made", moment(given.now)),
    ]
    return Page(title, lines, facts, [first.section, *(item.section for item in made)])
