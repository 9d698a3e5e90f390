"""What commands print with -o json, against docs/schemas: every command, every example of its help."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator

from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.cli.demo import asks_history
from tests.cli.test_documented import ALL, SHOWN

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
SCHEMAS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
OTHERS = ("manifests", "demo", "report", "raw")
"""Commands whose -o is about something else: objects to apply, a page."""
MORE = {
    "top pods": ["top pods --vcluster shop -A", "top pods -A --source=kubelet --pressure", "top pods -A --containers"],
    "top nodes": ["demo --break nodes-missing top nodes"],
    "top vclusters": ["top vclusters --source=prometheus"],
    "history": [
        "history --points --step 6h",
        "history -n team-a --metric quota",
        "history volumes -A",
        "history nodes",
    ],
    "components": ["demo --break virt-handler-down components"],
    "doctor": ["demo --break kubelet-down --break virt-handler-down doctor", "demo --break no-rights doctor rbac"],
}
"""Lines that print fields which no example has."""


def lines() -> Iterator[tuple[str, list[str]]]:
    """Each command that prints documents, with its examples."""
    for path, command in ALL:
        printing = any(isinstance(param, click.Option) and param.name == "output" for param in command.params)
        if not isinstance(command, Command) or not printing or path[0] in OTHERS:
            continue
        name = " ".join(path)
        examples = [text for _, text in command.examples if not {"-o", "-w", "|", ">"} & set(shlex.split(text))]
        yield name, [text for text in examples if "--output" not in text and "--chart" not in text] + MORE.get(name, [])


PRINTING = dict(lines())


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with SHOWN.cluster() as found:
        yield found


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """The kinds that were printed."""
    return set()


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_schema_is_a_schema(kind: str) -> None:
    schema = SCHEMAS[kind]

    Draft202012Validator.check_schema(schema)
    assert (schema["$schema"], schema["title"]) == ("https://json-schema.org/draft/2020-12/schema", kind)
    assert schema["properties"]["kind"] == {"const": kind}
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("command", PRINTING)
def test_what_a_command_prints_is_as_its_schema_says(command: str, cluster: Any) -> None:
    examples = PRINTING[command]
    if any(asks_history(shlex.split(line)) for line in examples) and shutil.which("prometheus") is None:
        examples = [line for line in examples if not asks_history(shlex.split(line))]
        if not examples:
            pytest.skip("prometheus is not on the PATH (Debian: prometheus)")
    printed = 0
    with SHOWN.page(*cluster) as page:
        for line in examples:
            text = page.run(f"kubectl vmetrics {line} -o json")
            if "{\n" not in text:
                continue  # of an example that ends in an error, or writes something else
            document, _ = json.JSONDecoder().raw_decode(text[text.index("{\n") :])
            assert document["kind"] in SCHEMAS, f"{line}: write docs/schemas/{document['kind']}.json"
            errors = [
                f"{error.json_path}: {error.message[:300]}"
                for error in Draft202012Validator(SCHEMAS[document["kind"]]).iter_errors(document)
            ]
            assert errors == [], line
            printed += 1
    assert printed, f"no example of {command} prints a document"


def test_a_field_that_nobody_described_is_an_error() -> None:
    document = {"kind": "VolumeUsageList", "apiVersion": "vmetrics/v1", "metadata": {}, "items": []}
    validator = Draft202012Validator(SCHEMAS["VolumeUsageList"])

    assert validator.is_valid(document)
    assert not validator.is_valid({**document, "more": 1})
    assert not validator.is_valid({**document, "apiVersion": "vmetrics/v1alpha1"})
