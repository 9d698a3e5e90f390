"""A recording rule."""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """A series and the expression that makes it.

    Attributes:
        name: as level:metric:operations (https://prometheus.io/docs/practices/rules/).
        expression: PromQL.
    """

    name: str
    expression: str
