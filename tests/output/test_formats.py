"""Formats."""

from __future__ import annotations

import json

import pytest
import yaml

from kubectl_vmetrics.output import formats
from kubectl_vmetrics.output.formats import View

VIEW = View(
    ["NAME", "NOTE"],
    [["a", 'quote " and, comma'], ["b\x1b[31m", "<b>\x9b"]],
    lambda: {"items": [{"name": "b\x1b[31m\x9b\u2028"}]},
    lambda: ["pod/a", "pod/b\x1b"],
)


def test_json() -> None:
    text = formats.render(VIEW, "json")

    assert json.loads(text) == VIEW.document()
    assert (
        text == '{\n    "items": [\n        {\n            "name": "b\\u001b[31m\\u009b\\u2028"\n        }\n    ]\n}\n'
    )


def test_yaml() -> None:
    text = formats.render(VIEW, "yaml")

    assert yaml.safe_load(text) == VIEW.document()
    assert text == 'items:\n- name: "b\\e[31m\\x9B\\L"\n'


def test_csv() -> None:
    assert formats.render(VIEW, "csv") == 'NAME,NOTE\na,"quote "" and, comma"\nb^[[31m,<b>\\x9b\n'
    assert formats.render(VIEW, "csv", headers=False).startswith("a,")


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1+1", "'+1+1"),
        ("-1+1", "'-1+1"),
        ("-a", "'-a"),
        ("@SUM(1)", "'@SUM(1)"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ('=HYPERLINK("http://x")', '"\'=HYPERLINK(""http://x"")"'),
        ("\uff1d1", "'\uff1d1"),
        ("\t=1", "\\t=1"),
        ("\r=1", "\\r=1"),
        ("-", "-"),
        ("-5", "-5"),
        ("-1.5", "-1.5"),
        ("-12%", "-12%"),
        ("-3Mi", "-3Mi"),
        ("-3 MiB/s", "-3 MiB/s"),
        ("-2+cmd", "'-2+cmd"),
        ("a=b", "a=b"),
        ("250m", "250m"),
    ],
)
def test_a_cell_of_csv_is_no_formula(cell: str, shown: str) -> None:
    assert formats.render(View(["A"], [[cell]], dict, list), "csv") == f"A\n{shown}\n"


@pytest.mark.parametrize("form", ["github", "pipe", "jira"])
def test_a_bar_ends_no_cell(form: str) -> None:
    last = formats.render(View(["A", "B"], [["x|y", "a\\|b"]], dict, list), form).splitlines()[-1]
    assert last.split() == ["|", r"x\|y", "|", r"a\\|b", "|"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_null(value: float) -> None:
    view = View(["A"], [["a"]], lambda: {"items": [{"a": value, "b": [value, 1.5, (value,)]}]}, list)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    expected = {"items": [{"a": None, "b": [None, 1.5, [None]]}]}
    assert json.loads(formats.render(view, "json"), parse_constant=refuse) == expected
    assert yaml.safe_load(formats.render(view, "yaml")) == expected


def test_name() -> None:
    assert formats.render(VIEW, "name") == "pod/a\npod/b^[\n"


def test_formats_of_tabulate() -> None:
    assert formats.render(VIEW, "github") == (
        "| NAME    | NOTE               |\n"
        "|---------|--------------------|\n"
        '| a       | quote " and, comma |\n'
        "| b^[[31m | <b>\\x9b            |\n"
    )
    assert "&lt;b&gt;" in formats.render(VIEW, "html")


@pytest.mark.parametrize("form", ["", "wide", "json", "yaml", "csv", "name", "github", "html"])
def test_known(form: str) -> None:
    formats.check(form)


def test_unknown() -> None:
    with pytest.raises(
        ValueError,
        match='unable to match a printer suitable for the output format "x", allowed formats are: csv,custom-columns,json,jsonpath,name,wide,yaml,',
    ):
        formats.check("x")
