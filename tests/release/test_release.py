"""What a release is made with, as far as it can be looked at without making one."""

from __future__ import annotations

import configparser
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
WORKFLOWS = {path.stem: path for path in (ROOT / ".github" / "workflows").glob("*.yml")}
LOCKED = dict(re.findall(r"(?m)^([\w.-]+)==([\w.]+)", (ROOT / "release" / "requirements.txt").read_text()))


def module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "release" / f"{name}.py")
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


# ---------------------------------------------------------------------------------------------------------- workflows


def jobs(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOWS[name].read_text())["jobs"]
    return found


def test_there_are_two() -> None:
    assert set(WORKFLOWS) == {"ci", "release"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_commit_with_their_version(name: str) -> None:
    used = re.findall(r"uses: (.*)", WORKFLOWS[name].read_text())

    assert used
    pins: dict[str, str] = {}
    for line in used:
        found = re.fullmatch(r"([\w-]+/[\w-]+)@([0-9a-f]{40})  # v\d+\.\d+\.\d+", line)
        assert found, line
        assert pins.setdefault(found[1], found[2]) == found[2]
        assert found[1].split("/")[0] in ("actions", "pypa")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_no_job_has_more_rights_than_it_needs(name: str) -> None:
    whole = yaml.safe_load(WORKFLOWS[name].read_text())
    assert whole["permissions"] == {}
    assert "pull_request_target" not in whole[True]  # `on` is a truth in YAML 1.1
    writing = {
        job for job, item in whole["jobs"].items() if any(right == "write" for right in item["permissions"].values())
    }
    assert writing == ({"draft", "pypi", "push"} if name == "release" else set())
    for job, item in whole["jobs"].items():
        assert item["timeout-minutes"] <= 30
        for step in item["steps"]:
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False
            # What others write, a tag's name included, reaches shells by the environment alone.
            assert "${{" not in step.get("run", "")
            if job in writing:
                assert not re.search(r"pip|python|\.ci/run", step.get("run", ""))


def test_everything_that_is_installed_is_locked() -> None:
    text = WORKFLOWS["release"].read_text()

    installs = re.findall(r"pip install .*", text)
    assert len(installs) >= 4
    for line in installs:
        assert re.search(r"--require-hashes --only-binary :all:|--no-deps|--constraints", line), line


def test_each_platform_of_the_manifest_is_built_on_its_own_kind() -> None:
    runners = {"linux": "ubuntu", "darwin": "macos", "windows": "windows"}
    matrix = jobs("release")["archive"]["strategy"]["matrix"]["include"]
    platforms = yaml.safe_load((ROOT / "krew" / "vmetrics.yaml").read_text())["spec"]["platforms"]

    assert [(item["os"], item["arch"]) for item in matrix] == [
        (item["selector"]["matchLabels"]["os"], item["selector"]["matchLabels"]["arch"]) for item in platforms
    ]
    for item in matrix:
        assert item["runner"].startswith(runners[item["os"]])
    assert "--glibc 2.28" in WORKFLOWS["release"].read_text()
    caveats = yaml.safe_load((ROOT / "krew" / "vmetrics.yaml").read_text())["spec"]["caveats"]
    assert "glibc 2.28" in caveats


def test_ci_runs_on_every_python_that_is_promised() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    promised = re.findall(r"Python :: (3\.\d+)", config["metadata"]["classifiers"])

    assert jobs("ci")["run"]["strategy"]["matrix"]["python"] == promised


def test_updates_are_proposed_for_all_that_is_pinned() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]

    assert {(item["package-ecosystem"], item["directory"]) for item in updates} == {
        ("pip", "/"),
        ("pip", "/release"),
        ("github-actions", "/"),
        ("docker", "/"),
    }


def test_the_lock_fits_what_is_asked_for() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    wanted = "\n".join((config["options"]["install_requires"], extras["build"], extras["release"]))
    lines = [line for line in wanted.splitlines() if line and not line.startswith("#")]

    assert len(lines) > 12
    for line in lines:
        asked = Requirement(line)
        name = re.sub(r"[-_.]+", "-", asked.name).lower()
        assert asked.specifier.contains(LOCKED[name]), line
    text = (ROOT / "release" / "requirements.txt").read_text()
    blocks = re.split(r"(?m)^(?=[\w.-]+==)", text)[1:]
    assert len(blocks) == len(LOCKED)
    assert all("--hash=sha256:" in block for block in blocks)


# -------------------------------------------------------------------------------------------------------------- notes

CHANGELOG = """# Changelog

## 0.2.0 (2026-03-01)

- Two.

## 0.1.0 (not released yet)

- One.
"""


def test_notes_are_the_changelogs() -> None:
    found = module("notes").notes("v0.2.0", "0.2.0", CHANGELOG)

    assert found.startswith("- Two.\n\n## To check")
    assert "One" not in found


@pytest.mark.parametrize(
    ("tag", "version", "message"),
    [
        ("v0.2.1", "0.2.0", "the tag is v0.2.1, and the version of the sources 0.2.0"),
        ("v0.2", "0.2", "CHANGELOG.md says nothing of 0.2"),
        ("v0.3.0", "0.3.0", "CHANGELOG.md says nothing of 0.3.0"),
        ("v0.1.0", "0.1.0", "CHANGELOG.md: the heading of 0.1.0 has no date, as in `## 0.1.0 (2026-01-31)`"),
    ],
)
def test_what_is_no_release(tag: str, version: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        module("notes").notes(tag, version, CHANGELOG)


def test_the_changelog_has_the_version_of_the_sources() -> None:
    script = [sys.executable, str(ROOT / "release" / "notes.py")]
    done = subprocess.run([*script, "v9.9.9"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: the tag is v9.9.9, and the version of the sources [\d.]+\n", done.stderr)
    version = done.stderr.split()[-1]
    assert f"\n## {version} (" in (ROOT / "CHANGELOG.md").read_text()


# ------------------------------------------------------------------------------------------------------ wheel and sdist


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Twice: here, and from a copy elsewhere that somebody else made at another time."""
    try:
        importlib.metadata.distribution("build")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("build is not installed (pip install '.[build]')")
    folder = tmp_path_factory.mktemp("distributions")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if names.returncode:
        pytest.skip("not in a clone of the repository")
    outputs = []
    for kind, mask in (("one", 0o022), ("two", 0o077)):
        copy = folder / kind / "sources"
        for name in names.stdout.decode().split("\0"):
            if name and (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
                (copy / name).chmod(0o777 & ~mask if os.access(ROOT / name, os.X_OK) else 0o666 & ~mask)
        command = [sys.executable, str(copy / "release" / "distributions.py"), "--output", str(folder / kind / "dist")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, umask=mask, check=False)
        assert done.returncode == 0, done.stderr
        outputs.append(folder / kind / "dist")
    return outputs


def test_two_builds_have_the_same_bytes(built: list[Path]) -> None:
    one, two = ({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()} for out in built)

    assert len(one) == 2
    assert one == two


def test_the_wheel_holds_the_package_and_nothing_else(built: list[Path]) -> None:
    (wheel,) = built[0].glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
        script = archive.read(next(name for name in names if name.endswith("/entry_points.txt"))).decode()

    assert {re.split(r"[/-]", name)[0] for name in names} == {"kubectl_vmetrics"}
    assert {"kubectl_vmetrics/py.typed", "kubectl_vmetrics/cli/topics/names.txt"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "kubectl-vmetrics = kubectl_vmetrics.__main__:main" in script
    assert "License-Expression: Apache-2.0" in metadata or "License: Apache-2.0" in metadata
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_sdist_can_be_tested_and_packaged(built: list[Path]) -> None:
    (sdist,) = built[0].glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        names = {item.name.partition("/")[2] for item in tar}
        assert all(item.uid == item.gid == 0 and not item.uname for item in tar)

    needed = ("README.md", "LICENSE", "CHANGELOG.md", "krew/vmetrics.yaml", "docs/make.py", "release/requirements.txt")
    assert set(needed) <= names
    assert {"tests/conftest.py", "tests/replay.py", ".ci/run", "kubectl_vmetrics/py.typed"} <= names
    assert not any(name.endswith(".pyc") for name in names)
