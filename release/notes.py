"""Print the notes of a release: what CHANGELOG.md says of it, and how to check what is downloaded.

    python release/notes.py v0.1.0

Ends with 1 where the tag is not the version of the sources, or the changelog has nothing on it, or calls it unreleased.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_CHECK = """
## To check what you have downloaded

    sha256sum --check --ignore-missing SHA256SUMS
    gh attestation verify FILE --repo kubectl-vmetrics/kubectl-vmetrics

The image is `ghcr.io/kubectl-vmetrics/kubectl-vmetrics:VERSION`, for amd64 and arm64:

    gh attestation verify oci://ghcr.io/kubectl-vmetrics/kubectl-vmetrics:VERSION \\
      --repo kubectl-vmetrics/kubectl-vmetrics

`sbom.cdx.json` lists what is in it (CycloneDX). With krew: `kubectl krew install --manifest=vmetrics.yaml`.
"""


def notes(tag: str, version: str, changelog: str) -> str:
    """The notes. Raises ValueError with what is wrong."""
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, and the version of the sources {version}")
    found = re.search(rf"(?ms)^## {re.escape(version)}(?![.\w-])([^\n]*)\n(.*?)(?=^## |\Z)", changelog)
    if not found:
        raise ValueError(f"CHANGELOG.md says nothing of {version}")
    if not re.fullmatch(r" \(\d{4}-\d\d-\d\d\)", found[1]):
        raise ValueError(f"CHANGELOG.md: the heading of {version} has no date, as in `## {version} (2026-01-31)`")
    return f"{found[2].strip()}\n{_CHECK.replace('VERSION', version)}"


def main(arguments: Sequence[str]) -> int:
    """Print them; returns the exit code."""
    if len(arguments) != 1:
        print("usage: python release/notes.py TAG", file=sys.stderr)
        return 1
    found: dict[str, str] = {}
    exec((ROOT / "kubectl_vmetrics" / "__init__.py").read_text(encoding="utf-8"), found)  # noqa: S102
    try:
        print(notes(arguments[0], found["__version__"], (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")), end="")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
