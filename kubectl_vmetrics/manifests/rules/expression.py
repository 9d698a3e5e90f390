"""PromQL laid out over several lines, so that a rule can be read where it is stored."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import indent

WIDTH = 100
"""Characters of a line up to which a call stays on one line."""


def call(head: str, *arguments: str) -> str:
    """A call: `head (a, b)`, or one argument per line if that is too long."""
    start = f"{head} (" if " by " in head else f"{head}("
    line = f"{start}{', '.join(arguments)})"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    lines = indent(",\n".join(arguments), "  ")
    return f"{start}\n{lines}\n)"


def over(operator: str, labels: Iterable[str], *arguments: str) -> str:
    """An aggregation: `operator by (labels) (arguments)`."""
    return call(f"{operator} by ({', '.join(labels)})", *arguments)


def rate(selector: str) -> str:
    """The rate of a counter per second, over 5 minutes.

    It is not written as `rate(…[5m])`, which is the same number in Prometheus. In VictoriaMetrics, `rate` divides by
    the time between the first and the last sample: a pod that lived for one minute of five would count five times.
    """
    # cAdvisor's samples are 10 to 25 s apart, whatever the scrape interval is: 5m holds enough of them.
    return f"increase({selector}[5m]) / 300"


def selector(family: str, *matchers: str) -> str:
    """Series of a family; empty matchers are left out."""
    chosen = ",".join(filter(None, matchers))
    return f"{family}{{{chosen}}}" if chosen else family


def operation(left: str, operator: str, right: str) -> str:
    """Two operands, one per line, with the operator in front of the second."""
    return f"{left}\n{operator}\n{right}"


def grouped(text: str) -> str:
    """An expression in parentheses."""
    return f"(\n{indent(text, '  ')}\n)"


def relabeled(vector: str, changes: Iterable[tuple[str, str]]) -> str:
    """A vector with labels copied to new names: pairs of new and old."""
    for new, old in changes:
        vector = call("label_replace", vector, f'"{new}", "$1", "{old}", "(.+)"')
    return vector
