"""Findings of checks: result, evidence and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

PASS, WARN, FAIL, SKIP = "PASS", "WARN", "FAIL", "SKIP"


class Finding(NamedTuple):
    """The result of one check.

    Attributes:
        check: its name, the same in every run.
        result: PASS, WARN, FAIL, or SKIP for a check that could not run or does not apply.
        found: one line about what was found.
        remedy: a command or a sentence; "" if there is nothing to do.
    """

    check: str
    result: str
    found: str
    remedy: str = ""


def some(names: Sequence[str]) -> str:
    """The first three of some names, and how many more there are.

    >>> some(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def either(alternatives: Sequence[str], most: int = 3) -> str:
    """Alternatives to choose from, and how many more there are.

    >>> either(["a", "b", "c"]), either(["a", "b", "c", "d"])
    ('a, b or c', 'a, b, c or 1 more')
    """
    if len(alternatives) > most:
        return f"{', '.join(alternatives[:most])} or {len(alternatives) - most} more"
    return " or ".join(filter(None, (", ".join(alternatives[:-1]), alternatives[-1])))


def counted(count: int, noun: str) -> str:
    """A number of things, whose noun agrees with it.

    >>> [counted(count, "datastore") for count in (0, 1, 2)]
    ['0 datastores', '1 datastore', '2 datastores']
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def is_(count: int) -> str:
    """The form of "to be" for a number of things.

    >>> is_(1), is_(2)
    ('is', 'are')
    """
    return "is" if count == 1 else "are"
