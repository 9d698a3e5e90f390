"""An install as krew does it (sigs.k8s.io/krew internal/download, internal/installation), and what is installed then."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.clients.test_kubectl import KUBECTL

ROOT = Path(__file__).parents[2]
PAIRS = {(system, arch) for system in ("linux", "darwin", "windows") for arch in ("amd64", "arm64", "386")} | {
    ("linux", "arm"),
    ("linux", "ppc64le"),
}


def build_module() -> Any:
    spec = importlib.util.spec_from_file_location("build", ROOT / "krew" / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUILD = build_module()


# ----------------------------------------------------------------------------------------------------- the manifest


@pytest.fixture
def manifest(tmp_path: Path) -> dict[str, Any]:
    """As a release has it: with an archive for each platform."""
    template = yaml.safe_load((ROOT / "krew" / "vmetrics.yaml").read_text())
    archives = []
    for item in template["spec"]["platforms"]:
        labels = item["selector"]["matchLabels"]
        path = tmp_path / BUILD.archive_name(labels["os"], labels["arch"])
        path.write_bytes(path.name.encode())
        archives.append(path)
    BUILD.write(BUILD.manifest(archives), tmp_path / "vmetrics.yaml")
    found: dict[str, Any] = yaml.safe_load((tmp_path / "vmetrics.yaml").read_text())
    return found


def test_structure(manifest: dict[str, Any]) -> None:
    assert manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert manifest["kind"] == "Plugin"
    assert re.fullmatch(r"[\w-]+", manifest["metadata"]["name"])
    assert manifest["metadata"]["name"] == "vmetrics"
    assert re.fullmatch(r"v\d+\.\d+\.\d+(-[\w.]+)?", manifest["spec"]["version"])


def test_texts(manifest: dict[str, Any]) -> None:
    spec = manifest["spec"]

    assert 0 < len(spec["shortDescription"]) <= 50
    assert "\n" not in spec["shortDescription"]
    assert not spec["shortDescription"].endswith(".")
    assert "kubernetes" not in spec["shortDescription"].lower()
    assert all(len(line) <= 80 for text in ("description", "caveats") for line in spec[text].splitlines())
    assert "--" not in spec["description"]  # neither flags nor examples
    # What other plugins and `kubectl top` do not do is said, and what it could be taken for by its name.
    for word in ("`kubectl top`", "vCluster", "KubeVirt", "Kamaji"):
        assert word in spec["description"]
    assert spec["homepage"].startswith("https://")


def test_platforms_are_known_and_do_not_overlap(manifest: dict[str, Any]) -> None:
    pairs = [
        tuple(item["selector"]["matchLabels"][key] for key in ("os", "arch")) for item in manifest["spec"]["platforms"]
    ]

    assert set(pairs) <= PAIRS
    assert len(set(pairs)) == len(pairs) == 5
    for item in manifest["spec"]["platforms"]:
        assert set(item["selector"]["matchLabels"]) == {"os", "arch"}
        assert re.fullmatch(r"[a-f0-9]{64}", item["sha256"])
        assert re.fullmatch(r"https://\S+\.tar\.gz", item["uri"])
        assert manifest["spec"]["version"] in item["uri"]
        assert item["bin"] == (
            "kubectl-vmetrics.exe" if item["selector"]["matchLabels"]["os"] == "windows" else "kubectl-vmetrics"
        )
        assert item.get("files") is None  # krew's default takes all


def test_archives_that_are_missing_are_left_out(tmp_path: Path) -> None:
    one = tmp_path / BUILD.archive_name("linux", "amd64")
    one.write_bytes(b"x")

    platforms = BUILD.manifest([one])["spec"]["platforms"]
    assert [item["selector"]["matchLabels"] for item in platforms] == [{"os": "linux", "arch": "amd64"}]
    assert platforms[0]["sha256"] == hashlib.sha256(b"x").hexdigest()


def test_packing_is_reproducible_and_without_links(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    (folder / "_internal").mkdir(parents=True)
    (folder / "kubectl-vmetrics").write_text("#!/bin/sh\n")
    (folder / "kubectl-vmetrics").chmod(0o700)
    (folder / "_internal" / "lib.so.1").write_text("code")
    (folder / "_internal" / "lib.so").symlink_to("lib.so.1")
    packed = []
    for name in ("a", "b"):
        os.utime(folder / "_internal" / "lib.so.1", (1, 1) if name == "a" else (2, 2))
        BUILD.pack(folder, tmp_path / name)
        packed.append((tmp_path / name).read_bytes())

    assert packed[0] == packed[1]
    with tarfile.open(tmp_path / "a") as tar:
        items = {item.name: item for item in tar.getmembers()}
    assert set(items) == {"LICENSE", "kubectl-vmetrics", "_internal", "_internal/lib.so", "_internal/lib.so.1"}
    assert all(item.isreg() or item.isdir() for item in items.values())
    assert items["kubectl-vmetrics"].mode & 0o111
    assert {item.uid for item in items.values()} == {0}


# ------------------------------------------------------------------------------------------------------ the archive


class Krew(NamedTuple):
    """A krew: its folder, the manifest, the archive that it would have downloaded."""

    root: Path
    manifest: dict[str, Any]
    archive: Path

    def install(self) -> Path:
        """Verify, extract, link; gives the link."""
        system, arch = BUILD.target()
        (platform,) = [
            item
            for item in self.manifest["spec"]["platforms"]
            if item["selector"]["matchLabels"] == {"os": system, "arch": arch}
        ]
        assert hashlib.sha256(self.archive.read_bytes()).hexdigest() == platform["sha256"]
        store = self.root / "store" / "vmetrics" / self.manifest["spec"]["version"]
        shutil.rmtree(store, ignore_errors=True)
        with tarfile.open(self.archive, "r:gz") as tar:
            for item in tar:
                assert ".." not in item.name
                assert not item.name.startswith("/")
                assert item.isdir() or item.isreg(), "unable to handle file type"
                path = store / item.name
                if item.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(item)
                assert source
                path.write_bytes(source.read())
                path.chmod(item.mode)
        link = self.root / "bin" / "kubectl-vmetrics"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(store / platform["bin"])
        return link

    def uninstall(self) -> None:
        """Remove the link and the store."""
        (self.root / "bin" / "kubectl-vmetrics").unlink()
        shutil.rmtree(self.root / "store" / "vmetrics")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive and its manifest, made as the README of a release would say."""
    if importlib.util.find_spec("PyInstaller") is None:
        pytest.skip("PyInstaller is not installed (pip install '.[build]')")
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, str(ROOT / "krew" / "build.py"), "--output", str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=500)
    return folder


@pytest.fixture
def krew(built: Path, tmp_path: Path) -> Krew:
    (archive,) = built.glob("*.tar.gz")
    return Krew(tmp_path / "krew", yaml.safe_load((built / "vmetrics.yaml").read_text()), archive)


@pytest.fixture
def link(krew: Krew) -> Iterator[Path]:
    yield krew.install()
    krew.uninstall()
    assert [path for path in krew.root.rglob("*") if not path.is_dir()] == []


def call(link: Path, *args: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run it, with nothing on PATH but what is beside it, and no home."""
    environment = {"PATH": str(link.parent), **more}
    return subprocess.run(
        [str(link), *args], env=environment, capture_output=True, text=True, timeout=120, check=False, cwd="/"
    )


def test_the_archive_is_small_and_holds_a_license(krew: Krew) -> None:
    assert krew.archive.stat().st_size <= BUILD.LARGEST
    with tarfile.open(krew.archive) as tar:
        top = {item.name.partition("/")[0] for item in tar}
    assert top == {"LICENSE", "kubectl-vmetrics", "_internal"}


def test_it_needs_no_python(link: Path) -> None:
    assert shutil.which("python3", path=str(link.parent)) is None
    result = call(link, "--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"kubectl vmetrics {BUILD.version()[1:]}\n", "")


@pytest.mark.parametrize(
    "line",
    [
        "demo top pods -A",
        "demo top pods -A -o github",
        "demo top pods -A -o yaml",
        "demo --tenants 1 controlplanes -A --interval 1s --summary",
        "demo targets -o scrape-config",
        "demo --break list",
        "demo --tenants 1 doctor",
        "demo manifests kubevirt --check",
        "manifests dashboards",
        "manifests metrics-server",
        "completion fish",
        "help names",
        "options",
    ],
)
def test_everything_is_in_it(line: str, link: Path) -> None:
    """What is imported late, and what a package brings along: nothing of it may be missing."""
    result = call(link, *line.split())

    assert result.returncode == 0, result.stderr
    assert result.stdout
    assert "error" not in result.stderr


def test_from_anywhere_and_without_a_home(link: Path, tmp_path: Path) -> None:
    """krew links it from another folder; HOME may be unset, missing, or not writable, and so may the caches' folder."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    gone = tmp_path / "gone"
    gone.mkdir()
    homes: list[dict[str, str]] = [
        {},
        {"HOME": str(tmp_path / "none")},
        {"HOME": "/proc"},
        {"HOME": str(closed)},
        {"HOME": ""},
    ]
    homes += [{"HOME": str(tmp_path), "KUBECACHEDIR": "/proc/none"}]
    with ThreadPoolExecutor() as pool:  # each waits for five seconds
        machines = pool.map(lambda more: call(link, "demo", "vmi", "-A", "--interval", "5s", **more), homes)
    for variables, result in zip(homes, machines, strict=True):
        assert (result.returncode, result.stderr) == (0, ""), variables
        assert "windows" in result.stdout
        nowhere = call(link, "top", "pods", **variables)
        assert (nowhere.returncode, nowhere.stdout) == (1, "")
        assert nowhere.stderr.startswith("The connection to the server localhost:8080 was refused")
    # A working directory that somebody removed.
    text = f"cd {gone} && rmdir {gone} && exec {link} --version"
    done = subprocess.run(["/bin/sh", "-c", text], env={}, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_logging_in_by_a_plugin(link: Path, tmp_path: Path) -> None:
    """Which is done by the kubernetes package, without its models."""
    plugin = tmp_path / "login"
    plugin.write_text(
        '#!/bin/sh\necho \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t"}}\'\n'
    )
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    config = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [
            {
                "name": "u",
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1",
                        "command": str(plugin),
                        "interactiveMode": "Never",
                    }
                },
            }
        ],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    result = call(link, "top", "pods", f"--kubeconfig={tmp_path}/config")

    assert "The connection to the server 127.0.0.1:1 was refused" in result.stderr


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH")
def test_as_kubectl_runs_it(link: Path, tmp_path: Path) -> None:
    environment = {"PATH": f"{link.parent}", "HOME": str(tmp_path / "none")}

    def kubectl(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(KUBECTL), *args], env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    assert kubectl("vmetrics", "--version").stdout == f"kubectl vmetrics {BUILD.version()[1:]}\n"
    shown = kubectl("vmetrics", "demo", "top", "pods", "-A")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "recommendations-for-the-landing-page" in shown.stdout
    listed = kubectl("plugin", "list")
    assert "kubectl-vmetrics" in listed.stdout
    assert "warning" not in (listed.stdout + listed.stderr).lower()
    failed = kubectl("vmetrics", "top", "pods", "--kubeconfig=/nowhere")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")


def test_an_upgrade_leaves_nothing_behind(krew: Krew) -> None:
    older = krew._replace(manifest={**krew.manifest, "spec": {**krew.manifest["spec"], "version": "v0.0.9"}})
    first = older.install()
    krew_link = krew.install()
    shutil.rmtree(krew.root / "store" / "vmetrics" / "v0.0.9")  # as krew does once the new one is linked

    assert first == krew_link
    assert call(krew_link, "--version").returncode == 0
    krew.uninstall()
    assert [path for path in krew.root.rglob("*") if not path.is_dir()] == []
