"""Build the archive that krew installs on this platform, and the manifest that leads to it.

    python krew/build.py --output dist            one archive, and a manifest for it alone
    python krew/build.py --output dist --collect  a manifest for all archives that are in dist

The archive holds an executable that needs no Python, and the LICENSE; two builds of the same sources give the same
bytes, as far as the compiler of the interpreter does.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
NAME = "kubectl-vmetrics"
LARGEST = 20 << 20
"""Bytes that an archive may have."""
EPOCH = 1_700_000_000
"""The time of everything in the archive, so that it does not depend on when it was built."""

_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def version() -> str:
    """The version of the sources, as krew writes it."""
    found: dict[str, str] = {}
    exec((ROOT / "kubectl_vmetrics" / "__init__.py").read_text(encoding="utf-8"), found)  # noqa: S102
    return f"v{found['__version__']}"


def target() -> tuple[str, str]:
    """The platform on which this runs: system and architecture in Go's words."""
    return _SYSTEMS[sys.platform], _MACHINES[platform.machine().lower()]


def executable(folder: Path) -> Path:
    """Make the folder of the executable with PyInstaller."""
    command = [
        *(sys.executable, "-m", "PyInstaller", "--noconfirm", "--clean", "--log-level", "ERROR"),
        *("--distpath", str(folder / "dist"), "--workpath", str(folder / "work")),
        str(ROOT / "krew" / "vmetrics.spec"),
    ]
    fixed = {"PYTHONHASHSEED": "1", "SOURCE_DATE_EPOCH": str(EPOCH), "VMETRICS_SOURCES": str(ROOT)}
    fixed["PYINSTALLER_CONFIG_DIR"] = str(folder / "cache")  # nothing of another build, nor of one at the same time
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, **fixed})
    return folder / "dist" / NAME


def glibc(folder: Path) -> int:
    """The minor version of the oldest glibc on which the programs and libraries of a folder run; 0 without any."""
    found = [0]
    for path in folder.rglob("*"):
        if path.is_file() and path.open("rb").read(4) == b"\x7fELF":
            found += [int(minor) for minor in re.findall(rb"\bGLIBC_2\.(\d+)", path.read_bytes())]
    return max(found)


def pack(folder: Path, archive: Path) -> None:
    """A .tar.gz of a folder and the LICENSE: regular files and folders alone, since krew refuses links."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, dereference=True) as tar:
        tar.add(ROOT / "LICENSE", "LICENSE", filter=_plain)
        for path in sorted(folder.rglob("*")):
            tar.add(path, path.relative_to(folder).as_posix(), recursive=False, filter=_plain)
    archive.write_bytes(gzip.compress(packed.getvalue(), 9, mtime=EPOCH))


def _plain(item: tarfile.TarInfo) -> tarfile.TarInfo:
    item.mtime, item.uid, item.gid, item.uname, item.gname = EPOCH, 0, 0, "", ""
    item.mode = 0o755 if item.isdir() or item.mode & 0o100 else 0o644
    return item


def manifest(archives: Sequence[Path]) -> dict[str, Any]:
    """The manifest for archives that are named by version, system and architecture."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "krew" / "vmetrics.yaml").read_text(encoding="utf-8"))
    spec, tag = found["spec"], version()
    platforms = []
    for item in spec["platforms"]:
        labels = item["selector"]["matchLabels"]
        name = archive_name(labels["os"], labels["arch"])
        for archive in archives:
            if archive.name == name:
                item["uri"] = f"{spec['homepage']}/releases/download/{tag}/{name}"
                item["sha256"] = hashlib.sha256(archive.read_bytes()).hexdigest()
                platforms.append(item)
    spec["version"], spec["platforms"] = tag, platforms
    return found


def archive_name(system: str, machine: str) -> str:
    """What the archive of a platform is called."""
    return f"{NAME}_{version()}_{system}_{machine}.tar.gz"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as they are read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def write(found: dict[str, Any], path: Path) -> None:
    """Write a manifest."""
    path.write_text(yaml.dump(found, Dumper=_Dumper, sort_keys=False, width=200), encoding="utf-8")


def _minor(text: str) -> int:
    if not re.fullmatch(r"2\.\d+", text):
        raise argparse.ArgumentTypeError(f"{text} is no version of glibc (2.28)")
    return int(text.removeprefix("2."))


def main() -> int:
    """Build; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="where to (dist)")
    parser.add_argument("--collect", action="store_true", help="build nothing; a manifest of what is there")
    parser.add_argument(
        "--glibc", type=_minor, default=0, metavar="2.N", help="fail where it would need a newer one; Linux only"
    )
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.collect:
        archives = sorted(options.output.glob(f"{NAME}_{version()}_*.tar.gz"))
    else:
        archives = [options.output / archive_name(*target())]
        with tempfile.TemporaryDirectory(prefix="vmetrics-build-") as folder:
            made = executable(Path(folder))
            minor = glibc(made)
            pack(made, archives[0])
        size = archives[0].stat().st_size
        if size > LARGEST:
            print(
                f"error: {archives[0].name} has {size / (1 << 20):.1f} MiB, more than {LARGEST >> 20}", file=sys.stderr
            )
            return 1
        print(f"{archives[0]}: {size / (1 << 20):.1f} MiB{f', for glibc 2.{minor} and newer' if minor else ''}")
        if options.glibc and minor > options.glibc:
            print(f"error: it needs glibc 2.{minor}, newer than 2.{options.glibc}", file=sys.stderr)
            return 1
    if not archives:
        print(f"error: no archives of {version()} in {options.output}", file=sys.stderr)
        return 1
    write(manifest(archives), options.output / "vmetrics.yaml")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
