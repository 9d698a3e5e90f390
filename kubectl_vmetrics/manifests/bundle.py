"""What every manifest is made of: objects, notes above them, and the text of both."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import yaml

from kubectl_vmetrics.kube.names import SUBDOMAIN

Object = dict[str, Any]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Bundle(NamedTuple):
    """Objects that belong together.

    Attributes:
        objects: in the order in which they are applied.
        notes: what the user must know before applying them; comments in YAML.
    """

    objects: list[Object]
    notes: list[str]


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Labels stand where they belong, not as references to another place of the document."""
        return True


def _text(dumper: _Plain, text: str) -> yaml.Node:
    # Queries and dashboards are read by people: lines stay lines.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


def is_name(text: str) -> bool:
    """Whether this can be the name of an object or a namespace (RFC 1123 label)."""
    return bool(_NAME.fullmatch(text))


def is_subdomain(text: str) -> bool:
    """Whether this can be the name of any other object (RFC 1123 subdomain)."""
    return len(text) <= SUBDOMAIN and all(is_name(part) for part in text.split("."))


def to_yaml(bundle: Bundle) -> str:
    """One document for each object, the notes above them; text of several lines is a literal block."""
    notes = "".join(f"# {note}".rstrip() + "\n" for note in bundle.notes)
    documents = [
        yaml.dump(item, Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True) for item in bundle.objects
    ]
    return notes + "---\n" + "---\n".join(documents)


def to_json(bundle: Bundle) -> str:
    """A v1.List."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": bundle.objects}, indent=4) + "\n"
