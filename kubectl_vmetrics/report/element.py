"""HTML by construction: what is no `Markup` is text, and text is escaped; there is no other way to make markup."""

from __future__ import annotations

import html
import re

from kubectl_vmetrics.output import safe

LONGEST = 512
"""Characters of one text of a cluster; names of Kubernetes have 253 at most."""
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_EMPTY = frozenset({"meta", "path", "rect"})
"""Elements without content that this page uses."""


class Markup(str):
    """HTML that `element`, `joined` or `constant` made. Adding strings to it makes a plain string, which is escaped."""

    __slots__ = ()


Content = str | None
"""A `Markup` is taken as it is, every other text is escaped, None is nothing."""


def text(content: str) -> Markup:
    r"""Text of whatever origin, harmless in an element and in an attribute.

    >>> text('"><img onerror=x>\x1b')
    '&quot;&gt;&lt;img onerror=x&gt;^['
    """
    if isinstance(content, Markup):
        return content
    cut = content if len(content) <= LONGEST else f"{content[:LONGEST]}…"
    return Markup(html.escape(safe.line(cut), quote=True))


def element(name: str, /, *content: Content, **attributes: str | bool | None) -> Markup:
    """An element.

    Args:
        name: of the element; of this program, never of a cluster.
        content: see `Content`.
        attributes: `class_` is class, `data_v` is data-v; True is an attribute without a value, and None and False are
            none.

    Raises:
        ValueError: a name that is none.
    """
    opening = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        _check(attribute)
        opening.append(attribute if value is True else f'{attribute}="{text(value)}"')
    _check(name)
    inner = joined(*content)
    # A path inside SVG needs its end; to HTML's own empty elements the slash means nothing.
    return Markup(f"<{' '.join(opening)}/>" if name in _EMPTY else f"<{' '.join(opening)}>{inner}</{name}>")


def joined(*content: Content) -> Markup:
    """One after the other."""
    return Markup("".join(text(part) for part in content if part is not None))


def constant(source: str) -> Markup:
    """Script or style of this program, as it is: inside those elements nothing is escaped.

    Raises:
        ValueError: it would end its element.
    """
    if "</" in source or "<!--" in source:
        raise ValueError("a script or style must not hold the end of an element")
    return Markup(source)


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an element or attribute")
