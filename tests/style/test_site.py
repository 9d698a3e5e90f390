"""The documentation as a site: it builds without a warning, and nothing on it is fetched from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed: pip install '.[dev]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


def test_every_page_is_on_the_site_and_can_be_searched(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    built = {path.relative_to(site).with_suffix("").as_posix() for path in site.rglob("*.html")} - {"404"}
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")

    assert built == {page.replace("README", "index") for page in pages}
    assert all(f'"{page}.html"' in index for page in built)


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\ssrc=\"?(https?:)?//|<link\b[^>]*\shref=\"?(https?:)?//[^>]*>"
    )
    for path in site.rglob("*.html"):
        text = re.sub(r'<link rel="?canonical"?[^>]*>', "", path.read_text(encoding="utf-8"))
        assert not fetched.search(text), path
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )['\"]?https?://", path.read_text(encoding="utf-8")), path


def test_a_page_that_fetches_something_would_be_found(site: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<script src="https://cdn.example/x.js"></script>', encoding="utf-8")

    with pytest.raises(AssertionError):
        test_nothing_is_fetched_from_elsewhere(tmp_path)
