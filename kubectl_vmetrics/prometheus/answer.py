"""Answers of Prometheus' HTTP API, decoded into types (prometheus.io/docs/prometheus/latest/querying/api)."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Envelope(msgspec.Struct, Generic[T]):
    """What every successful answer is wrapped in."""

    data: T
    status: str = ""


class Sample(msgspec.Struct, frozen=True):
    """An element of an instant vector.

    Attributes:
        labels: the series'; `__name__` among them where the expression keeps it.
        value: seconds since the epoch, and the number as text: "NaN" and "+Inf" are no JSON.
    """

    labels: dict[str, str] = msgspec.field(name="metric")
    value: tuple[float, str]

    @property
    def number(self) -> float:
        """The value; NaN for what is no number."""
        try:
            return float(self.value[1])
        except ValueError:
            return float("nan")


class Vector(msgspec.Struct):
    """The result of an instant query whose expression is a vector."""

    result: list[Sample]


class Build(msgspec.Struct):
    """status/buildinfo. VictoriaMetrics answers with the version of Prometheus that it is compatible with."""

    version: str = ""
    application: str = ""


class Runtime(msgspec.Struct):
    """status/runtimeinfo.

    Attributes:
        retention: "15d", "100GiB" or "15d or 100GiB"; "" where it is not reported.
    """

    retention: str = msgspec.field(default="", name="storageRetention")
