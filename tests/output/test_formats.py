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
        match='unable to match a printer suitable for the output format "x", allowed formats are: csv,json,name,wide,yaml,',
    ):
        formats.check("x")
