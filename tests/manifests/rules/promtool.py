"""`promtool test rules`: series over minutes, and what the rules make of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_vmetrics.manifests.rules import render
from kubectl_vmetrics.manifests.rules.render import Settings

MISSING = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not on the PATH (Debian: prometheus)"
)

Labels = Mapping[str, str]
Series = tuple[str, str]
"""A series as text, and its values in promtool's notation, one per minute."""
Samples = Sequence[tuple[Labels, float]]


def series(name: str, values: str, /, **labels: str) -> Series:
    """A series; labels with an empty value are left out."""
    return _text(labels, name), values


def _text(labels: Labels, name: str = "") -> str:
    inside = ", ".join(f'{key}="{value}"' for key, value in labels.items() if value)
    return f"{name}{{{inside}}}"


def query(expression: str, minute: int, expected: Samples) -> dict[str, Any]:
    """A query at a time, and all samples of its answer."""
    samples = [{"labels": _text(labels), "value": value} for labels, value in expected]
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples}


def alerts(name: str, minute: int, expected: Sequence[Mapping[str, Labels]]) -> dict[str, Any]:
    """An alert at a time, and all its instances: labels and annotations."""
    found = [{"exp_labels": dict(item["labels"]), "exp_annotations": dict(item["annotations"])} for item in expected]
    return {"alertname": name, "eval_time": f"{minute}m", "exp_alerts": found}


def check(folder: Path, settings: Settings, given: Sequence[Series], tests: Sequence[dict[str, Any]]) -> None:
    """Let promtool evaluate the rules on series, and compare."""
    rules, path = folder / "rules.yaml", folder / "test.yaml"
    rules.write_text(render.rule_file(settings), encoding="utf-8")
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in given],
        "promql_expr_test": [item for item in tests if "expr" in item],
        "alert_rule_test": [item for item in tests if "alertname" in item],
    }
    # In Prometheus, groups have no order; here they do, so that each alert has its minute.
    order = [group["name"] for group in render.groups(settings)]
    document = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "group_eval_order": order,
        "tests": [test],
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    done = subprocess.run(
        ["promtool", "test", "rules", str(path)], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
