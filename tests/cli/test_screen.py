"""Tables of the demo cluster on terminals of several widths: no line is broken, and no number is lost."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess

import pyte
import pytest

from tests.installed import SCRIPT

NUMBER = re.compile(r"~?\d[\d.]*(?:m|Mi|%|Ki/s|Mi/s)\b|~?\d[\d.]*%")


def captured(width: int, *args: str) -> list[str]:
    """The lines on a screen of that width after a command, as a terminal shows them."""
    return [line for line in on_screen(width, *args).display if line.strip()]


def shown_colours(width: int, *args: str, **variables: str) -> list[tuple[str, str]]:
    """The words on that screen, and the color of each."""
    screen = on_screen(width, *args, **variables)
    found = []
    for number, line in enumerate(screen.display):
        for word in re.finditer(r"\S+", line):
            (colour,) = {screen.buffer[number][column].fg for column in range(*word.span())}
            found.append((word[0], colour))
    return found


def on_screen(width: int, *args: str, **variables: str) -> pyte.Screen:
    """A screen of that width after a command."""
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 300, width, 0, 0))
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm", "HOME": "/nonexistent", "LANG": "C.UTF-8"} | variables
    with subprocess.Popen(
        [str(SCRIPT), *args], stdout=follower, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment
    ) as process:
        os.close(follower)
        written = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            written += part
        os.close(leader)
        assert process.wait(60) == 0, process.stderr.read() if process.stderr else ""
    screen = pyte.Screen(width, 300)
    pyte.ByteStream(screen).feed(written)
    return screen


def piped(*args: str) -> list[str]:
    done = subprocess.run([str(SCRIPT), *args], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize(
    "command",
    [
        "top pods -A",
        "top pods -A -o wide",
        "top vclusters",
        "top vclusters -o wide",
        "top nodes -o wide",
        "top namespaces",
        "targets",
    ],
)
def test_no_number_is_lost(command: str, width: int) -> None:
    args = ["demo", *command.split()]
    # Lines that are too long even so go on in the next row of the screen.
    assert re.findall(NUMBER, "".join(captured(width, *args))) == re.findall(NUMBER, "\n".join(piped(*args)))


def test_lines_are_not_broken_and_both_ends_of_names_stay() -> None:
    lines = captured(80, "demo", "top", "pods", "-n", "team-a")
    assert len(lines) == 15
    assert lines[0].split() == ["VCLUSTER", "VNAMESPACE", "NAME", "CPU(cores)", "MEMORY(bytes)"]
    assert [line.rstrip() for line in lines if "…" in line] == [
        "shop       batch         virt-launcher…-shop-f3c7b*   3214m        7062Mi",
        "shop       shop          recommendatio…fb8pbb-wqp6g   293m         800Mi",
    ]


@pytest.mark.parametrize("args", ["top pods --vcluster shop -A", "top pods -n team-a --host-names", "top nodes"])
def test_tables_of_kubectl_are_printed_as_kubectl_prints_them(args: str) -> None:
    assert "…" not in "".join(captured(40, "demo", *args.split()))


def test_no_fit_shows_everything() -> None:
    text = "".join(captured(80, "demo", "top", "pods", "-n", "team-a", "--no-fit"))
    assert "recommendations-for-the-landing-page-s995fb8pbb-wqp6g" in text


def test_shares_are_colored_on_a_terminal_and_only_there() -> None:
    args = ["demo", "top", "pods", "-n", "team-a", "-o", "wide"]
    assert "\x1b" not in "\n".join(piped(*args))
    assert "\x1b" in "\n".join(piped(*args, "--color", "always"))
    colours = shown_colours(200, *args)
    shares = {text: colour for text, colour in colours if text.endswith("%")}
    assert shares, "no share is on the screen"
    for text, colour in shares.items():
        share = float(text[:-1])
        assert colour == ("red" if share >= 90 else "brown" if share >= 70 else "default"), text
    assert {colour for _, colour in shown_colours(200, *args, "--color", "never")} == {"default"}
    assert {colour for _, colour in shown_colours(200, *args, NO_COLOR="")} == {"default"}
    assert {colour for _, colour in shown_colours(200, *args, "--color", "always", NO_COLOR="1")} > {"default", "red"}


def test_bars_are_the_first_to_give_way() -> None:
    args = ["demo", "top", "vclusters", "--bars"]
    assert "CPU-BAR" in captured(200, *args)[0]
    assert "BAR" not in captured(100, *args)[0]
    assert "CPU-BAR" in piped(*args)[0]
