"""Answers of Prometheus' HTTP API, decoded into types (prometheus.io/docs/prometheus/latest/querying/api)."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import msgspec

T = TypeVar("T")


class Envelope(msgspec.Struct, Generic[T]):
    """What every successful answer is wrapped in.

    Attributes:
        warnings: of Prometheus about an expression, or of Thanos about stores that did not answer.
        partial: VictoriaMetrics: some of its storage nodes did not answer.
    """

    data: T
    status: str = ""
    warnings: list[str] | None = None
    partial: bool = msgspec.field(default=False, name="isPartial")

    @property
    def incomplete(self) -> bool:
        """Whether series may be missing; what Prometheus says of an expression is no reason to think so."""
        return self.partial or any(not text.startswith("PromQL ") for text in self.warnings or ())


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


class Series(msgspec.Struct, frozen=True):
    """An element of a range vector, or of the result of a range query.

    Attributes:
        labels: as those of a sample.
        values: in order of time: seconds since the epoch, and the number as text. Steps without a value are left out.
    """

    labels: dict[str, str] = msgspec.field(name="metric")
    values: list[tuple[float, str]]


class Part(NamedTuple):
    """A part of a range. No step is in two of them, none is missing, and they come in order of time.

    Attributes:
        start: the first step, seconds since the epoch.
        end: the last step.
        series: those with a value at any of its steps.
    """

    start: float
    end: float
    series: list[Series]


class Vector(msgspec.Struct):
    """The result of an instant query whose expression is a vector."""

    result: list[Sample]


class Matrix(msgspec.Struct):
    """The result of a range query."""

    result: list[Series]


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
