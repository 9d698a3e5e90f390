"""The page as HTML: one file that asks for nothing, runs one script of its own, and says so in its policy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from kubectl_vmetrics import __version__

from . import charts, tables
from .element import Markup, constant, element, joined
from .page import Block, Fact, Items, Page, Section, Stack, Table, Whole
from .script import SCRIPT
from .style import STYLE


def policy() -> str:
    """The content security policy: this script and this style, by their hashes, and nothing else."""
    return (
        f"default-src 'none'; script-src '{_hash(SCRIPT)}'; style-src '{_hash(STYLE)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def render(page: Page) -> str:
    """A report as a whole HTML document."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="generator", content=f"kubectl-vmetrics {__version__}"),
        element("title", page.title),
        element("style", constant(STYLE)),
    )
    body = element(
        "body",
        element("a", "Skip to the report", href="#main", class_="skip"),
        _header(page),
        element(
            "main",
            *(_section(section, page.facts if not index else ()) for index, section in enumerate(page.sections)),
            id="main",
        ),
        element("footer", f"Made by kubectl-vmetrics {__version__}. This page loads nothing."),
        element("script", constant(SCRIPT)),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def _hash(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _header(page: Page) -> Markup:
    pairs = [joined(element("dt", name), element("dd", said)) for name, said in page.lines]
    links = [element("li", element("a", section.title, href=f"#{section.key}")) for section in page.sections]
    return element(
        "header",
        element("div", id="tools"),
        element("h1", page.title),
        element("dl", *pairs),
        element("nav", element("ul", *links), aria_label="Sections"),
    )


def _section(section: Section, facts: Sequence[Fact]) -> Markup:
    key = section.key
    return element(
        "section",
        element("h2", section.title, id=key, tabindex="-1"),
        element("p", section.about, class_="about"),
        element("dl", *map(_fact, facts), class_="facts") if facts else None,
        *(_block(block, f"{key}-{index}") for index, block in enumerate(section.blocks)),
        aria_labelledby=key,
    )


def _fact(fact: Fact) -> Markup:
    return element(
        "div",
        element("dt", fact.label),
        element("dd", fact.text, class_="value"),
        element("dd", fact.note, class_="note") if fact.note else None,
    )


def _block(block: Block, key: str) -> Markup:
    if isinstance(block, Table):
        return tables.table(block, key)
    if isinstance(block, Whole):
        return charts.whole(block)
    if isinstance(block, Stack):
        return joined(charts.stack(block), _numbers(block, key))
    return _items(block)


def _items(block: Items) -> Markup:
    if not block.items:
        return element("p", block.empty, class_="empty")
    lines = [
        element("li", tables.marked(item.text, item.level), " " if item.below else None, item.below or None)
        for item in block.items
    ]
    return element("ul", *lines, class_="items")


def _numbers(chart: Stack, key: str) -> Markup:
    """What a chart shows, as numbers."""
    head = [element("th", name, scope="col") for name in ("Time (UTC)", *(layer.name for layer in chart.layers))]
    rows = [
        element("tr", element("th", at, scope="row"), *(element("td", amount, class_="n") for amount in amounts))
        for at, amounts in charts.numbers(chart)
    ]
    caption = element("caption", f"{chart.title}, {chart.unit}", id=f"{key}-numbers")
    made = element("table", caption, element("thead", element("tr", *head)), element("tbody", *rows))
    box = element("div", made, class_="box", role="region", tabindex="0", aria_labelledby=f"{key}-numbers")
    return element("details", element("summary", "The same numbers as a table"), box)
