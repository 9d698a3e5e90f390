"""The image: its Dockerfile is linted, and what it does is done here without a container engine, as far as that goes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import kubectl_vmetrics
from kubectl_vmetrics.demo import server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.manifests import image, proxy
from tests.proxy.test_proxy import get

from . import dockerfile

ROOT = Path(__file__).parents[2]
MACHINES = {"amd64": 62, "arm64": 183}
"""e_machine of ELF files, by the architecture's name in Docker."""
HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "")
BUILD, FINAL = dockerfile.stages()
IMAGES = re.search(r"(?m)^ARG PYTHON=(.*)$", dockerfile.PATH.read_text())[1]  # type: ignore[index]
"""The version of Python in the image."""


def test_a_linter_finds_nothing() -> None:
    program = Path(sysconfig.get_path("scripts"), "hadolint")
    if not program.is_file():
        pytest.skip("hadolint is not installed (pip install '.[dev]', on Linux and x86_64)")
    done = subprocess.run([str(program), str(dockerfile.PATH)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_image_runs_as_nobody_and_holds_no_build_tools() -> None:
    assert FINAL.of("RUN") == []
    assert [item.text for item in FINAL.of("USER")] == [f"{proxy.USER}:{proxy.USER}"]
    assert [item.text for item in FINAL.of("COPY")] == ["--from=build /opt/vmetrics /opt/vmetrics"]
    assert "ADD" not in {item.name for stage in (BUILD, FINAL) for item in stage.instructions}
    assert FINAL.of("ENTRYPOINT")[0].listed == ["python", "-P", "-m", "kubectl_vmetrics"]
    assert BUILD.source.startswith("--platform=$BUILDPLATFORM ")


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    sent = (ROOT / ".dockerignore").read_text().split()
    (copied,) = BUILD.of("COPY")

    assert sent == ["*", *(f"!{name}" for name in copied.text.split()[:-1])]


def test_the_image_is_the_one_that_manifests_name() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    push = next(step["run"] for step in jobs["push"]["steps"] if step.get("id") == "push")
    attest = next(step["with"] for step in jobs["push"]["steps"] if "attest" in step.get("uses", ""))

    # The tag is vX.Y.Z; release/notes.py holds it against the version.
    assert f'"docker://{image.REPOSITORY}:${{GITHUB_REF_NAME#v}}"' in push
    assert attest["subject-name"] == image.REPOSITORY
    assert image.of_release("0.1.0") == f"{image.REPOSITORY}:0.1.0"
    assert [image.of_release(version) for version in ("0.1.0.dev1", "0.1.0rc1", "0.1.0+local")] == [None] * 3
    build_step = next(
        step["run"] for step in jobs["image"]["steps"] if "buildx build --platform" in step.get("run", "")
    )
    assert "--platform linux/amd64,linux/arm64 --sbom true --provenance mode=max" in build_step
    assert jobs["image"]["permissions"] == {"contents": "read"}


def test_its_python_is_that_of_the_archives() -> None:
    release = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())

    assert release["env"]["PYTHON"] == IMAGES
    assert BUILD.source.endswith("python:${PYTHON}-slim-trixie AS build")
    assert FINAL.source == "python:${PYTHON}-slim-trixie"


def test_its_packages_are_those_of_the_release() -> None:
    """The same versions by the same hashes, and of the tools to build with none."""
    own, whole = (_locked(ROOT / "release" / name) for name in ("image.txt", "requirements.txt"))

    assert own.items() <= whole.items()
    assert {"click", "msgspec", "pyyaml", "tornado"} <= set(own)
    assert {"pyinstaller", "uv", "cyclonedx-bom", "build", "setuptools"}.isdisjoint(own)


def _locked(path: Path) -> dict[str, str]:
    blocks = re.split(r"(?m)^(?=[\w.-]+==)", path.read_text())[1:]
    return {block.partition("==")[0]: block.strip() for block in blocks}


# ------------------------------------------------------------------------------------------------ built and run here


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """That any user may look into, unlike pytest's."""
    path = Path(tempfile.mkdtemp(prefix="vmetrics-image-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def python() -> str:
    """An interpreter that a user without rights can run."""
    for path in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run([path, "-c", ""], check=False, **_nobody(), stderr=subprocess.DEVNULL)
        except OSError:
            continue
        if done.returncode == 0:
            return path
    pytest.skip("there is no Python that a user without rights can run (python3)")


def _nobody() -> dict[str, object]:
    return {"user": proxy.USER, "group": proxy.USER, "extra_groups": []} if os.geteuid() == 0 else {}


@pytest.fixture(scope="module")
def made(folder: Path, python: str) -> Callable[[str], Path]:
    """The step RUN, with the paths of the image inside of a folder and the version of the Python here."""
    (folder / "build").mkdir()
    shutil.copy(ROOT / "release" / "image.txt", folder / "build")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(folder / "build"), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    version = "import sys; print('{}.{}'.format(*sys.version_info))"
    number = subprocess.run([python, "-c", version], capture_output=True, text=True, check=True).stdout.strip()
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    (bin_folder / "python").symlink_to(sys.executable)

    def make(architecture: str) -> Path:
        target = folder / architecture
        (step,) = BUILD.of("RUN")
        script = step.text.replace("/opt/vmetrics", f"{target}/vmetrics").replace("/build/", f"{folder}/build/")
        script = script.replace(" --no-cache-dir", "")  # so that the second run of the tests is a quick one
        if architecture != HERE:
            script = script.partition("&& python -m compileall")[0]  # the same for all, and slow
        environment = {
            **os.environ,
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "TARGETARCH": architecture,
            "PYTHON": number,
        }
        done = subprocess.run(
            ["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode and re.search("NewConnectionError|Could not fetch URL|Temporary failure", done.stderr):
            pytest.skip("the package index cannot be reached")
        if "Requires-Python" in done.stderr and number != IMAGES:
            pytest.skip(f"what is locked for Python {IMAGES} does not run on Python {number}")
        assert done.returncode == 0, done.stderr
        for path in (target, *target.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)
        return target / "vmetrics"

    return make


@pytest.mark.parametrize("architecture", MACHINES)
def test_the_steps_make_a_tree_for_each_architecture(
    architecture: str, made: Callable[[str], Path], trees: dict[str, Path]
) -> None:
    tree = trees[architecture] = made(architecture)
    libraries = list(tree.rglob("*.so"))

    assert {_machine(path) for path in libraries} == {MACHINES[architecture]}
    assert len(libraries) > 10
    assert (tree / "kubectl_vmetrics" / "__main__.py").is_file()
    assert not (tree / "bin").exists()
    assert bool(list(tree.glob("kubectl_vmetrics/__pycache__/__main__.*.pyc"))) == (architecture == HERE)


def test_another_architecture_is_refused(made: Callable[[str], Path]) -> None:
    with pytest.raises(AssertionError, match="error: no image for 'riscv64': build for linux/amd64 or linux/arm64"):
        made("riscv64")


def _machine(path: Path) -> int:
    with path.open("rb") as file:
        head = file.read(20)
    assert head[:4] == b"\x7fELF"
    found: int = struct.unpack("<H", head[18:20])[0]
    return found


@pytest.fixture(scope="module")
def trees() -> dict[str, Path]:
    """Made once."""
    return {}


@pytest.fixture(scope="module")
def entry(python: str, made: Callable[[str], Path], trees: dict[str, Path]) -> tuple[list[str], dict[str, str]]:
    """The image's command line and environment, for the architecture of this machine."""
    if not HERE:
        pytest.skip("there is no image for the architecture of this machine")
    tree = trees[HERE] if HERE in trees else trees.setdefault(HERE, made(HERE))
    (given,) = FINAL.of("ENV")
    environment = {key: value.replace("/opt/vmetrics", str(tree)) for key, value in given.pairs.items()}
    command = FINAL.of("ENTRYPOINT")[0].listed
    if subprocess.run([python, "-P", "-c", ""], stderr=subprocess.DEVNULL, check=False).returncode:
        command.remove("-P")  # of Python 3.11 and newer
    return [python, *command[1:]], environment


def test_it_runs_as_a_user_without_rights_and_writes_nothing(
    entry: tuple[list[str], dict[str, str]], folder: Path
) -> None:
    """No home, no folder that it may write to."""
    command, environment = entry
    before = sorted(folder.rglob("*"))

    def run(*args: str) -> str:
        done = subprocess.run(
            [*command, *args],
            cwd="/",
            env={**environment, "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            **_nobody(),
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert run("--version") == f"kubectl vmetrics {kubectl_vmetrics.__version__}\n"
    assert run("demo", "top", "namespaces").splitlines()[0].split()[:2] == ["NAMESPACE", "VCLUSTER"]
    assert sorted(folder.rglob("*")) == before


def test_the_proxy_serves_on_a_read_only_file_system(entry: tuple[list[str], dict[str, str]], folder: Path) -> None:
    command, environment = entry
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("setpriv"):
        pytest.skip("a read-only file system takes root, unshare and setpriv")
    scratch = folder / "tmp"
    scratch.mkdir(exist_ok=True)
    mounts = (
        f"mount -o remount,bind,ro / && mount -t tmpfs -o size=16m,mode=1777 tmpfs {scratch} && ! touch /x 2>/dev/null"
    )
    probe = subprocess.run(["unshare", "--mount", "sh", "-c", mounts], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("file systems cannot be mounted read-only here (unshare --mount)")
    with server.serving(Apiserver(build(Shape(pods=10, vclusters=1)))) as host:
        rights = f"--reuid={proxy.USER} --regid={proxy.USER} --clear-groups --no-new-privs --bounding-set=-all"
        line = f'{mounts} && exec setpriv {rights} "$@"'
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", line, "sh", *command, "proxy", "--port=0", f"--server={host}"],
            env={**environment, "TMPDIR": str(scratch), "PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout
            first = process.stdout.readline()
            found = re.fullmatch(r"Serving the host and its virtual clusters at (http://\S+)\n", first)
            assert found, (first, process.stderr and process.stderr.read())
            assert get(f"{found[1]}/readyz")[0] == 200
            assert (
                b"container_cpu_usage_seconds_total"
                in get(f"{found[1]}/api/v1/nodes/worker-1/proxy/metrics/cadvisor")[1]
            )
        finally:
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
