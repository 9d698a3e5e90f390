"""What users and contributors read is plain, idiomatic English: no misspellings, and none of the turns in words.tsv."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITTEN = (
    "*.md",
    "docs/**/*.md",
    ".github/**/*.md",
    ".github/**/*.yml",
    "kubectl_vmetrics/**/*",
    "krew/*",
    "release/*.py",
)
KINDS = (".py", ".md", ".yml", ".yaml", ".txt", ".json", ".toml")


def written() -> list[Path]:
    """Every file with words for people in it."""
    found = {path for pattern in WRITTEN for path in ROOT.glob(pattern) if path.is_file() and path.suffix in KINDS}
    return sorted(found - {ROOT / "LICENSE", ROOT / "CONTRIBUTING.md"})  # which quotes what to avoid


def rules() -> Iterator[tuple[re.Pattern[str], str]]:
    """The turns that are not used, and what to write instead."""
    for line in (Path(__file__).parent / "words.tsv").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pattern, instead = line.split("\t")
            yield re.compile(pattern, re.IGNORECASE), instead


@pytest.mark.parametrize(("rule", "instead"), [pytest.param(*rule, id=rule[0].pattern) for rule in rules()])
def test_a_turn_is_not_used(rule: re.Pattern[str], instead: str) -> None:
    hits = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:160]}"
        for path in written()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if rule.search(line)
    ]

    assert not hits, f"write: {instead}\n" + "\n".join(hits)


def test_the_rules_find_what_they_are_for() -> None:
    found = [
        rule for rule, _ in rules() if rule.search("The aggregation layer believes certificates; look again and again.")
    ]

    assert len(found) >= 2


def test_nothing_is_misspelled() -> None:
    files = [str(path) for path in written()]
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib", *files], capture_output=True, text=True, check=False, cwd=ROOT
    )

    assert (done.returncode, done.stdout) == (0, "")
