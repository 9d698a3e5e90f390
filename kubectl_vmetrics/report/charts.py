"""Charts as SVG: paths alone, which stretch; what is read is HTML beside them and keeps its size on every screen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from .element import Markup, element
from .numbers import decimal
from .page import Line, Stack, Whole

POINTS = 48
"""Points of a sparkline; more of them are averaged."""
STEPS = 200
"""Steps of a stack; likewise."""
_WIDTH, _HEIGHT = 96, 20
_WIDE, _HIGH = 600, 200


def sparkline(line: Line) -> Markup:
    """A line from the left to the right, from 0 to the largest value; a gap where there is no data."""
    values = averaged(line.values, POINTS)
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    across = max(len(values) - 1, 1)
    path = ""
    pen = "M"
    for index, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        x = round(index * _WIDTH / across)
        y = round((_HEIGHT - 2) * (1 - max(value, 0.0) / top)) + 1
        alone = pen == "M" and (index + 1 == len(values) or values[index + 1] is None)
        path += f"{pen}{x} {y}" + ("h1" if alone else "")
        pen = "L"
    return element(
        "svg",
        element("title", line.text),
        element("path", d=Markup(path)) if path else None,
        class_="spark",
        role="img",
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
    )


def averaged(values: Sequence[float | None], most: int) -> list[float | None]:
    """As many values as `most` at most: means of as many neighbours each; None where none of them has data."""
    if len(values) <= most:
        return list(values)
    found: list[float | None] = []
    for index in range(most):
        some = values[index * len(values) // most : (index + 1) * len(values) // most]
        there = [value for value in some if value is not None]
        found.append(sum(there) / len(there) if there else None)
    return found


def share(value: float) -> Markup:
    """A small bar, full at 1; the number stands beside it."""
    filled = round(100 * min(max(value, 0.0), 1.0))
    return element(
        "svg",
        element("rect", class_="track", width="100", height="8"),
        element("rect", class_="fill", width=str(filled), height="8") if filled else None,
        class_="share",
        aria_hidden="true",
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
    )


def whole(bar: Whole) -> Markup:
    """One bar of parts, with its legend."""
    total = sum(part.value for part in bar.parts)
    rects: list[Markup] = []
    at = 0.0
    for part in bar.parts:
        width = 1000 * part.value / total if total else 0.0
        if width >= 0.5:
            rects.append(
                element("rect", class_=part.colour, x=f"{at:.1f}", width=f"{width:.1f}", height="24", stroke="none")
            )
        at += width
    said = "; ".join(f"{part.name}: {part.text}" for part in bar.parts)
    picture = element(
        "svg",
        element("title", bar.title),
        element("desc", said),
        *rects,
        class_="whole",
        role="img",
        viewBox="0 0 1000 24",
        preserveAspectRatio="none",
    )
    return _figure(bar.title, picture, [(part.name, part.text, part.colour) for part in bar.parts])


def stack(chart: Stack) -> Markup:
    """Areas over time, one upon the other, with axes, legend and the same numbers as a table."""
    count = min(len(chart.times), STEPS)
    times = [chart.times[index * len(chart.times) // count] for index in range(count)]
    layers = [layer._replace(values=averaged(layer.values, STEPS)) for layer in chart.layers]
    sums = [sum(layer.values[index] or 0.0 for layer in layers) for index in range(count)]
    top = _round_up(max([*sums, chart.whole or 0.0], default=0.0))
    below = [0.0] * count
    areas = []
    for layer in layers:
        above = [low + max(value or 0.0, 0.0) for low, value in zip(below, layer.values, strict=True)]
        areas.append(element("path", class_=layer.colour, d=Markup(_area(below, above, top))))
        below = above
    lines = [element("path", class_="grid", d=f"M0 {_HIGH * part // 4}H{_WIDE}") for part in range(5)]
    if chart.whole is not None:
        lines.append(element("path", class_="limit", d=f"M0 {_y(chart.whole, top)}H{_WIDE}"))
    means = [(layer.name, f"{decimal(layer.mean)} {chart.unit} on average", layer.colour) for layer in layers]
    picture = element(
        "svg",
        element("title", chart.title),
        element("desc", "; ".join(f"{name}: {mean}" for name, mean, _ in means)),
        *areas,
        *lines,
        class_="stack",
        role="img",
        viewBox=f"0 0 {_WIDE} {_HIGH}",
        preserveAspectRatio="none",
    )
    scale = [element("span", decimal(top * part / 4)) for part in (4, 3, 2, 1, 0)]
    dates = [element("span", _date(times[index], times)) for index in _ticks(count)]
    plot = element(
        "div",
        element("div", *scale, class_="y", aria_hidden="true"),
        element("div", picture, class_="plot"),
        element("div", *dates, class_="x", aria_hidden="true"),
        class_="axes",
    )
    if chart.whole is not None:
        means.append(("Available (dashed line)", f"{decimal(chart.whole)} {chart.unit}", "limit-mark"))
    return _figure(f"{chart.title}, {chart.unit}", plot, means)


def _figure(title: str, picture: Markup, legend: Sequence[tuple[str, str, str]]) -> Markup:
    def swatch(colour: str) -> Markup:
        mark = element("rect", class_=colour, width="10", height="10")
        return element("svg", mark, class_="swatch", aria_hidden="true", viewBox="0 0 10 10")

    items = [
        element("li", swatch(colour), element("span", name), " ", element("span", said, class_="said"))
        for name, said, colour in legend
    ]
    return element(
        "figure", element("figcaption", title), picture, element("ul", *items, class_="legend"), class_="chart"
    )


def _area(below: Sequence[float], above: Sequence[float], top: float) -> str:
    # Each step is as wide as the others: an area of steps, so that what it covers is the amount.
    count = len(above)
    edges = [round(index * _WIDE / count) for index in range(count + 1)]
    forth = "".join(
        f"{'L' if index else 'M'}{edges[index]} {_y(value, top)}H{edges[index + 1]}"
        for index, value in enumerate(above)
    )
    back = "".join(f"L{edges[index + 1]} {_y(below[index], top)}H{edges[index]}" for index in range(count - 1, -1, -1))
    return f"{forth}{back}Z"


def _y(value: float, top: float) -> str:
    return f"{_HIGH * (1 - value / top):.1f}".removesuffix(".0") if top else str(_HIGH)


def _round_up(value: float) -> float:
    """The next round number: a scale whose quarters read well."""
    if value <= 0:
        return 1.0
    power = 10.0 ** (len(f"{value:.0f}") - 1) if value >= 1 else 0.001
    while True:
        for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10):
            if value <= step * power:
                return step * power
        power *= 10


def _ticks(count: int) -> list[int]:
    return sorted({round(part * (count - 1) / 3) for part in range(4)}) if count else []


def _date(seconds: float, times: Sequence[float]) -> str:
    found = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{found:%H:%M}" if times[-1] - times[0] < 2 * 86400 else f"{found:%m-%d}"


def numbers(chart: Stack) -> list[tuple[str, list[str]]]:
    """The same numbers as rows of text, for those who do not see the chart: a time, and an amount for each layer."""
    few = 24
    count = min(len(chart.times), few)
    rows = [averaged(layer.values, few) for layer in chart.layers]
    times = [chart.times[index * len(chart.times) // count] for index in range(count)]
    return [
        (f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%d %H:%M}", [decimal(row[index]) for row in rows])
        for index, at in enumerate(times)
    ]
