"""Reads a page as a browser does, without one: by html.parser, which shares nothing with what wrote it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import NamedTuple

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Node(NamedTuple):
    """An element: its name, attributes, and what is in it."""

    name: str
    attributes: dict[str, str | None]
    children: list[Node | str]

    def all(self, name: str) -> list[Node]:
        """All elements of a name, in order."""
        found = [self] if self.name == name else []
        for child in self.children:
            if isinstance(child, Node):
                found += child.all(name)
        return found

    def everything(self) -> list[Node]:
        """All elements."""
        return [self, *(item for child in self.children if isinstance(child, Node) for item in child.everything())]

    @property
    def text(self) -> str:
        """All text in it."""
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class Reader(HTMLParser):
    """A tree; raises AssertionError where elements are not closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Node("document", {}, [])]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        node = Node(tag, dict(attrs), [])
        self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Node(tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().name == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read(text: str) -> Node:
    """The tree of a page."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert len(reader.open) == 1, reader.open[-1].name
    return reader.open[0]


def _cell(node: Node) -> str:
    below = [item.text for item in node.everything() if item.attributes.get("class") == "below"]
    said = "".join(
        child if isinstance(child, str) else "" if child.attributes.get("class") == "below" else child.text
        for child in node.children
    )
    return f"{said} [{below[0]}]" if below else said


def tables(page: Node) -> dict[str, list[list[str]]]:
    """Each table that can be sorted, by its caption: rows of text, headers and sums included."""
    found: dict[str, list[list[str]]] = {}
    for table in page.all("table"):
        if table.attributes.get("class") != "sortable":
            continue
        caption = table.all("caption")[0].text
        assert caption not in found
        rows = [[child for child in row.children if isinstance(child, Node)] for row in table.all("tr")]
        found[caption] = [[_cell(cell) for cell in row] for row in rows]
    return found
