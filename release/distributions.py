"""Build the wheel and the source distribution: the same bytes from the same sources, whenever and wherever.

    python release/distributions.py --output dist

The build backend writes times, owners and the umask of the machine into a source distribution; they are made the same
ones here, and the wheel is built from that.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EPOCH = 1_700_000_000
"""The time of everything in them."""


def build(kind: str, sources: Path, output: Path) -> Path:
    """Run the build backend in this environment, which is as it was locked."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(output), str(sources)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "PYTHONHASHSEED": "1"}
    # In another folder: `build/` of the sources would be taken for the program.
    done = subprocess.run(
        command, cwd=output, env=environment, umask=0o022, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}error: the {kind} could not be built")
    (made,) = output.iterdir()
    return made


def same(sdist: Path) -> bytes:
    """A source distribution without what depends on time and machine."""
    packed = io.BytesIO()
    with tarfile.open(sdist) as source, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for item in sorted(source.getmembers(), key=lambda item: item.name):
            item.mtime, item.uid, item.gid, item.uname, item.gname, item.pax_headers = EPOCH, 0, 0, "", "", {}
            item.mode = 0o755 if item.isdir() or item.mode & 0o100 else 0o644
            tar.addfile(item, source.extractfile(item) if item.isreg() else None)
    return gzip.compress(packed.getvalue(), 9, mtime=EPOCH)


def main() -> int:
    """Build both; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="where to (dist)")
    output: Path = parser.parse_args().output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="vmetrics-sdist-") as first, tempfile.TemporaryDirectory() as second:
        made = build("sdist", ROOT, Path(first))
        sdist = output / made.name
        sdist.write_bytes(same(made))
        with tarfile.open(sdist) as tar:
            # Made right here; the filter is of Python 3.11.4, and asked for from 3.12 on.
            tar.extractall(first, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # noqa: S202
        sources = Path(first) / sdist.name.removesuffix(".tar.gz")
        wheel = build("wheel", sources, Path(second))
        (output / wheel.name).write_bytes(wheel.read_bytes())
    print(f"{sdist}\n{output / wheel.name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
