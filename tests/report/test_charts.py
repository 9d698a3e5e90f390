"""Charts: their paths cover what the numbers say."""

from __future__ import annotations

import re

import pytest

from kubectl_vmetrics.report import charts
from kubectl_vmetrics.report.page import Layer, Line, Part, Stack, Whole
from tests.report.read import Node, read


def paths(svg: Node, name: str) -> list[str]:
    return [str(item.attributes["d"]) for item in svg.all("path") if item.attributes.get("class") == name]


def area(path: str) -> float:
    """The area that a path of straight lines encloses, by the shoelace formula."""
    points: list[tuple[float, float]] = []
    for letter, numbers in re.findall(r"([MLHZ])([-\d. ]*)", path):
        found = [float(number) for number in numbers.split()]
        if letter in "ML":
            points.append((found[0], found[1]))
        elif letter == "H":
            points.append((found[0], points[-1][1]))
    pairs = zip(points, [*points[1:], points[0]], strict=True)
    return abs(sum(x * other_y - other_x * y for (x, y), (other_x, other_y) in pairs)) / 2


def test_a_stack_covers_the_amounts() -> None:
    one, other = [1.0, 2.0, None, 4.0], [3.0, 2.0, None, 0.0]
    chart = Stack(
        "CPU",
        "cores",
        [0.0, 3600.0, 7200.0, 10800.0],
        [Layer("a", one, "s0", 7 / 3), Layer("b", other, "s1", 5 / 3)],
        8.0,
    )
    made = read(charts.stack(chart))
    # The scale ends at 8: 600 wide and 200 high stand for four steps of eight cores.
    per_core_step = 600 / 4 * 200 / 8
    assert [area(path) for name in ("s0", "s1") for path in paths(made, name)] == [7 * per_core_step, 5 * per_core_step]
    assert paths(made, "limit") == ["M0 0H600"]
    [picture] = [item for item in made.all("svg") if item.attributes.get("role") == "img"]
    assert [item.text for item in picture.all("title")] == ["CPU"]
    assert picture.all("desc")[0].text == "a: 2.33 cores on average; b: 1.67 cores on average"
    assert [item.text for item in made.all("figcaption")] == ["CPU, cores"]
    labels = [item.text for item in made.all("div") if item.attributes.get("class") in ("x", "y")]
    assert labels == ["86420", "00:0001:0002:0003:00"]
    assert [item.text for item in made.all("li")] == [
        "a 2.33 cores on average",
        "b 1.67 cores on average",
        "Available (dashed line) 8 cores",
    ]


def test_numbers_of_a_stack() -> None:
    chart = Stack("CPU", "cores", [0.0, 3600.0], [Layer("a", [1.0, None]), Layer("b", [0.001, 2.5])])
    assert charts.numbers(chart) == [("1970-01-01 00:00", ["1", "<0.01"]), ("1970-01-01 01:00", ["–", "2.5"])]


def test_a_whole_is_filled_by_its_parts() -> None:
    made = read(charts.whole(Whole("All", [Part("a", 1.0, "1"), Part("b", 3.0, "3"), Part("c", 0.0, "0")])))
    rects = [item.attributes for item in made.all("svg")[0].all("rect")]
    assert [(item["x"], item["width"]) for item in rects] == [("0.0", "250.0"), ("250.0", "750.0")]


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ([0.0, 1.0, 2.0], "M0 19L48 10L96 1"),
        ([2.0, None, 1.0, 1.0], "M0 1h1M64 10L96 10"),
        ([None, None], None),
        ([], None),
        ([0.0, 0.0], "M0 19L96 19"),
    ],
)
def test_sparklines(values: list[float | None], path: str | None) -> None:
    made = read(charts.sparkline(Line(values, "what it says")))
    assert [item.attributes["d"] for item in made.all("path")] == ([path] if path else [])
    assert made.all("title")[0].text == "what it says"


def test_many_values_are_averaged() -> None:
    assert charts.averaged([1.0, 3.0, None, 5.0, None, None], 3) == [2.0, 5.0, None]
    assert charts.averaged([1.0, None], 3) == [1.0, None]


@pytest.mark.parametrize(("value", "width"), [(0.5, "50"), (1.7, "100"), (-1.0, None), (0.0, None)])
def test_shares(value: float, width: str | None) -> None:
    rects = read(charts.share(value)).all("rect")
    assert [item.attributes["width"] for item in rects[1:]] == ([width] if width else [])


def test_hostile_names_in_charts() -> None:
    evil = "</title><script>alert(1)</script>"
    made = read(charts.stack(Stack(evil, evil, [0.0], [Layer(evil, [1.0])])))
    assert made.all("script") == []
    assert made.all("title")[0].text == evil


def test_an_empty_stack() -> None:
    made = read(charts.stack(Stack("CPU", "cores", [], [], None)))
    assert [item.text for item in made.all("figcaption")] == ["CPU, cores"]
