"""Files of caches: nobody else's are used, and nobody else reads ours."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kubectl_vmetrics.kube import private

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners and modes")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "vmetrics" / "a.json"
    assert private.read(path) is None
    private.write(path, b"one")
    private.write(path, b"two")

    found = private.read(path)
    assert found is not None
    assert (found.data, found.at) == (b"two", path.stat().st_mtime)
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert [item.name for item in path.parent.iterdir()] == ["a.json"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"theirs")
    target.chmod(0o600)
    folder = tmp_path / "vmetrics"
    folder.mkdir(0o700)
    link = folder / "a.json"
    link.symlink_to(target)

    assert private.read(link) is None
    private.write(link, b"ours")
    assert target.read_bytes() == b"theirs"
    assert not link.is_symlink()
    assert link.read_bytes() == b"ours"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604, 0o666])
def test_a_file_that_others_may_read_or_write_is_not_used(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "vmetrics" / "a.json"
    private.write(path, b"x")
    path.chmod(mode)
    assert private.read(path) is None


def test_a_file_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vmetrics" / "a.json"
    private.write(path, b"x")
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    assert private.read(path) is None
    private.write(path, b"y")
    assert path.read_bytes() == b"x"


def test_a_folder_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "vmetrics" / "a.json"
    private.write(path, b"x")
    path.parent.chmod(0o777)
    assert private.read(path) is None
    private.write(path, b"y")
    assert path.read_bytes() == b"x"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "vmetrics" / "a.json"
    path.parent.mkdir(0o700)
    os.mkfifo(path, 0o600)
    assert private.read(path) is None
    path.unlink()
    path.mkdir(0o700)
    assert private.read(path) is None


def test_a_file_that_is_too_large_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private, "LARGEST", 3)
    path = tmp_path / "vmetrics" / "a.json"
    private.write(path, b"xyz")
    assert private.read(path) is not None
    private.write(path, b"xyzz")
    assert private.read(path) is None


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "vmetrics").write_text("a file")
    private.write(tmp_path / "vmetrics" / "a.json", b"x")
    assert private.read(tmp_path / "vmetrics" / "a.json") is None
