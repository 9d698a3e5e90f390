"""Plugins for k9s: what k9s makes of them, and that names stay arguments."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from kubectl_vmetrics.manifests import k9s
from tests.conftest import invoke

# What k9s validates plugins against (internal/config/json/schemas/plugins.json), as far as this file uses it.
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["plugins"],
    "properties": {
        "plugins": {
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["shortCut", "description", "scopes", "command"],
                "properties": {
                    "shortCut": {"type": "string"},
                    "description": {"type": "string"},
                    "scopes": {"type": "array", "items": {"type": "string"}},
                    "command": {"type": "string"},
                    "background": {"type": "boolean"},
                    "args": {"type": "array", "items": {"type": "string"}},
                },
            }
        }
    },
}


def substituted(argument: str, variables: dict[str, str]) -> str:
    """As k9s replaces variables: the longest first, and none that it does not know (internal/view/env.go)."""
    for found in sorted(re.findall(r"\$!?[\w|\-]+", argument), key=len, reverse=True):
        argument = argument.replace(found, variables[found[1:].upper()])
    return argument


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_k9s_accepts_the_file(form: str) -> None:
    found = yaml.safe_load(invoke("manifests", "k9s", "-o", form).stdout)
    jsonschema.validate(found, SCHEMA)
    keys = [(scope, item["shortCut"]) for item in found["plugins"].values() for scope in item["scopes"]]
    assert len(set(keys)) == len(keys) == len(k9s.PLUGINS)


def test_names_stay_arguments(tmp_path: Path) -> None:
    """Each plugin, run as k9s runs it, with a kubectl that prints how it was called."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        "#!/usr/bin/env python3\nimport json, os, sys\nprint(json.dumps([os.environ['KUBECONFIG'], *sys.argv[1:]]))\n"
    )
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)
    hostile = "x; touch pwned $(touch pwned) `touch pwned` 'a' \"b\""
    variables = {"NAME": "web-0", "NAMESPACE": "team-a", "CONTEXT": hostile, "KUBECONFIG": "/a b:/c"}
    calls = {}
    for name, item in k9s.document(k9s.VERBS)["plugins"].items():
        done = subprocess.run(
            [item["command"], *(substituted(argument, variables) for argument in item["args"])],
            cwd=tmp_path,
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        called = json.loads(done.stdout)
        assert called[0] == "/a b:/c"
        assert called[-2:] == ["--context", hostile]
        calls[name] = " ".join(called[1:-2])
    assert not (tmp_path / "pwned").exists()
    assert calls == {
        "vmetrics-pods-usage": "vmetrics top pods -n team-a -w",
        "vmetrics-pods-explain": "vmetrics explain pod web-0 -n team-a",
        "vmetrics-namespaces-usage": "vmetrics top namespaces -n web-0 -w",
        "vmetrics-namespaces-history": "vmetrics history pods -n web-0",
        "vmetrics-nodes-usage": "vmetrics top vclusters --node web-0 -w",
        "vmetrics-nodes-history": "vmetrics history nodes web-0",
        "vmetrics-machines-usage": "vmetrics vmi web-0 -n team-a -w",
        "vmetrics-machines-history": "vmetrics history vmi web-0 -n team-a",
        "vmetrics-vclusters-usage": "vmetrics top pods --vcluster team-a/web-0 -A -w",
        "vmetrics-vclusters-history": "vmetrics history pods --vcluster team-a/web-0 -A",
    }


def test_shortcuts() -> None:
    done = invoke(
        "manifests", "k9s", "--shortcut", "usage=F5", "--shortcut", "history=", "--shortcut", "explain=Ctrl-E"
    )
    found = yaml.safe_load(done.stdout)["plugins"]
    assert {item["shortCut"] for item in found.values()} == {"F5", "Ctrl-E"}
    assert not any("history" in name for name in found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["usage"], "error: --shortcut: 'usage' is not VERB=KEY; verbs are usage, history, explain\n"),
        (["usage=Shift-ü"], "error: --shortcut: 'Shift-ü' is not a key of k9s: Shift-U, Ctrl-U, F5, u\n"),
        (["usage=Shift-H"], "error: --shortcut: two verbs have the same key\n"),
        (["usage=", "history=", "explain="], "error: --shortcut: no plugin is left to print\n"),
    ],
)
def test_bad_shortcuts(given: list[str], message: str) -> None:
    done = invoke("manifests", "k9s", *(word for text in given for word in ("--shortcut", text)))
    assert (done.code, done.stdout, done.stderr) == (1, "", message)
