"""Draw the pictures that the pages show, by `python docs/pictures.py`; needs the extra `dev`.

Those of terminals are SVGs without fonts, scripts or addresses of their own: what commands print on the demo cluster.
That of `report` is a photograph of the page, taken with Debian's chromium; without it, the old one stays.
"""

from __future__ import annotations

import html
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import shown

FOLDER = Path(__file__).parent / "pictures"
PICTURES = {
    "top": ("kubectl vmetrics top pods -n team-a",),
    "machines": ("kubectl vmetrics vmi -n prod", "kubectl vmetrics vmi web -n prod --disks"),
    "doctor": ("kubectl vmetrics demo --break kubelet-down doctor metrics-api kubelets",),
}
"""The command lines of each."""
REPORT = "kubectl vmetrics report --since 7d"
SCREEN = "1100,1000"
"""Pixels of the photograph."""
WIDTH = 144
"""Columns that a picture has at most."""
_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px; \
line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-family: arial, sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>\
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


_MATRIX = 'xml:space="preserve">'  # above it are the window and its title


def session(name: str, runner: shown.Page) -> str:
    """What is on the terminal."""
    parts = []
    for line in PICTURES[name]:
        printed = "".join(f"{row.rstrip()}\n" for row in runner.run(line, terminal=True).splitlines())
        parts.append(f"$ {line.replace(' demo --break kubelet-down', '')}\n{printed}")
    return "\n".join(parts).rstrip("\n")


def plain(text: str) -> str:
    """The text that a picture of it has: without colours, long lines cut."""
    rows = re.sub(r"\033\[[\d;]*m", "", text).splitlines()
    return "\n".join(row if len(row) <= WIDTH else f"{row[: WIDTH - 1]}…" for row in rows)


def draw(name: str, text: str) -> str:
    """The picture."""
    from rich.console import Console
    from rich.text import Text

    rows = [Text.from_ansi(row, no_wrap=True) for row in text.split("\n")]
    for row in rows:
        row.truncate(WIDTH, overflow="ellipsis")
        if row.plain.startswith("$"):
            row.stylize("bold")
    width = max(len(row.plain) for row in rows) + 1
    console = Console(record=True, file=io.StringIO(), width=width, color_system="truecolor")
    for row in rows:
        console.print(row)
    return console.export_svg(title="kubectl vmetrics", code_format=_FORMAT, unique_id=f"vmetrics-{name}")


def told(picture: str) -> str:
    """The text in a picture."""
    # rich gives each run of one style an element, at a place of its own; rows have the same y.
    rows: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(
        r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', picture.partition(_MATRIX)[2]
    ):
        rows.setdefault(float(y), []).append((float(x), html.unescape(text)))
    lines = ["".join(text for _, text in sorted(rows[y])).replace("\xa0", " ").rstrip() for y in sorted(rows)]
    return "\n".join(lines).strip("\n")


def photograph(runner: shown.Page, folder: Path) -> None:
    """The beginning of the page that `report` writes, as on a screen."""
    browser = shutil.which("chromium")
    if browser is None:
        return
    page = folder / "report.html"
    runner.run(f"{REPORT} -o {page}")
    screen = [f"--screenshot={FOLDER / 'report.png'}", f"--window-size={SCREEN}", "--hide-scrollbars"]
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    subprocess.run([browser, *quiet, *screen, page.as_uri()], check=True, capture_output=True, timeout=120)


def main() -> None:
    """Draw all."""
    FOLDER.mkdir(exist_ok=True)
    with shown.cluster() as cluster:
        with shown.page(*cluster) as runner, tempfile.TemporaryDirectory() as folder:
            photograph(runner, Path(folder))
        for name in PICTURES:
            with shown.page(*cluster) as runner:
                (FOLDER / f"{name}.svg").write_text(draw(name, session(name, runner)), encoding="utf-8")


if __name__ == "__main__":
    main()
