"""Files of thresholds: what they change, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kubectl_vmetrics.manifests.rules import thresholds
from kubectl_vmetrics.manifests.rules.alert import Threshold
from kubectl_vmetrics.manifests.rules.render import ALERTS
from tests.conftest import invoke

USUAL = thresholds.usual(ALERTS)


def test_what_is_shown_is_what_is_used() -> None:
    shown = invoke("manifests", "rules", "--show-thresholds")

    assert (shown.code, shown.stderr) == (0, "")
    assert thresholds.parse(shown.stdout, ALERTS) == USUAL
    assert list(yaml.safe_load(shown.stdout)) == [alert.name for alert in ALERTS]
    assert "VmetricsQuotaNearLimit:\n  above: 0.9  # share of the quota, 0 to 1\n  for: 15m\n  severity: warning\n" in (
        shown.stdout
    )


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ("VmetricsQuotaNearLimit: {above: 0.8}", "VmetricsQuotaNearLimit", Threshold(0.8, "15m", "warning")),
        ("VmetricsQuotaNearLimit: {for: 1h30m}", "VmetricsQuotaNearLimit", Threshold(0.9, "1h30m", "warning")),
        ("VmetricsQuotaNearLimit: {above: 1}", "VmetricsQuotaNearLimit", Threshold(1, "15m", "warning")),
        ("VmetricsControlPlaneSlow: {above: 30}", "VmetricsControlPlaneSlow", Threshold(30, "15m", "warning")),
        ("VmetricsMachineMemoryLow: {below: 0}", "VmetricsMachineMemoryLow", Threshold(0, "15m", "warning")),
        ("VmetricsProxyDown: {severity: critical}", "VmetricsProxyDown", Threshold(None, "5m", "critical")),
        ("VmetricsProxyDown: {}", "VmetricsProxyDown", Threshold(None, "5m", "warning")),
        ("VmetricsProxyDown: false", "VmetricsProxyDown", None),
        ("VmetricsProxyDown: off", "VmetricsProxyDown", None),
    ],
)
def test_what_a_file_changes(text: str, name: str, found: Threshold | None) -> None:
    assert thresholds.parse(text, ALERTS) == {**USUAL, name: found}


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_an_empty_file_changes_nothing(text: str) -> None:
    assert thresholds.parse(text, ALERTS) == USUAL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML (line 1)"),
        ("a: &a [*a, *b]", "not YAML (line 1)"),
        ("[" * 2000, "not YAML"),
        ("- 1", "expected alerts by name; --show-thresholds prints an example"),
        ("text", "expected alerts by name; --show-thresholds prints an example"),
        ("Quota: {above: 1}", "unknown alert 'Quota'; --show-thresholds prints all of them"),
        ("1: {above: 1}", "unknown alert 1; --show-thresholds prints all of them"),
        (
            "VmetricsQuotaNearLimit: 0.8",
            "VmetricsQuotaNearLimit: expected above, for, severity, or false to turn the alert off",
        ),
        (
            "VmetricsProxyDown: true",
            "VmetricsProxyDown: expected for, severity, or false to turn the alert off",
        ),
        (
            "VmetricsQuotaNearLimit: {below: 0.8}",
            "VmetricsQuotaNearLimit: unknown key 'below'; choose from above, for, severity",
        ),
        (
            "VmetricsProxyDown: {above: 1}",
            "VmetricsProxyDown: unknown key 'above'; choose from for, severity",
        ),
        *(
            (
                f"VmetricsQuotaNearLimit: {{above: {value}}}",
                f"VmetricsQuotaNearLimit: above: {shown} is not a number from 0 to 1",
            )
            for value, shown in (
                ("80", "80"),
                ("1.01", "1.01"),
                ("high", "'high'"),
                ("true", "True"),
                (".nan", "nan"),
                (".inf", "inf"),
                ("-1", "-1"),
                ("90%", "'90%'"),
                ("[1]", "[1]"),
                ("'" + "9" * 99 + "'", "'" + "9" * 56 + "..."),
            )
        ),
        (
            "VmetricsControlPlaneSlow: {above: -1}",
            "VmetricsControlPlaneSlow: above: -1 is not a number of 0 or more",
        ),
        *(
            (
                f"VmetricsQuotaNearLimit: {{for: {value}}}",
                f"VmetricsQuotaNearLimit: for: {shown} is not a duration (example: 15m)",
            )
            for value, shown in (("15", "15"), ("15 m", "'15 m'"), ("m", "'m'"), ("''", "''"), ("1.5h", "'1.5h'"))
        ),
        (
            "VmetricsQuotaNearLimit: {severity: page}",
            "VmetricsQuotaNearLimit: severity: choose from critical, warning, info",
        ),
        (
            "VmetricsQuotaNearLimit: {severity: [warning]}",
            "VmetricsQuotaNearLimit: severity: choose from critical, warning, info",
        ),
        ("#" * (thresholds.LARGEST + 1), "larger than 64 KiB"),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_wrong_is_one_clear_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^") as error:
        thresholds.parse(text, ALERTS)
    assert str(error.value) == message

    path = tmp_path / "thresholds.yaml"
    path.write_text(text, encoding="utf-8")
    result = invoke("manifests", "rules", "--thresholds", str(path))
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0] == f"error: --thresholds {path}: {message}"


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "thresholds.yaml"
    path.write_bytes(b"\xff\xfe")
    result = invoke("manifests", "rules", "--thresholds", str(path))

    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0] == f"error: --thresholds {path}: not text in UTF-8"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9, "0.9"), (0, "0"), (120, "120"), (1.5e9, "1500000000"), (0.99999999, "0.99999999"), (0.00001, "1e-05")],
)
def test_numbers(value: float, text: str) -> None:
    assert thresholds.number(value) == text
