"""The program as a process: start-up, signals, closed pipes, terminals."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pyte
import pytest

from tests.conftest import write_kubeconfig

PROGRAM = [sys.executable, "-m", "kubectl_vmetrics"]


@pytest.fixture
def environment(demo_url: str, tmp_path: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")}
    return {**kept, "KUBECONFIG": str(write_kubeconfig(tmp_path, demo_url)), "TERM": "xterm-256color"}


def run(environment: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *args], env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_version(environment: dict[str, str]) -> None:
    from kubectl_vmetrics import __version__

    done = run(environment, "--version")

    assert (done.returncode, done.stdout, done.stderr) == (0, f"kubectl vmetrics {__version__}\n", "")


@pytest.mark.parametrize(
    ("args", "unused"),
    [
        (["--version"], ["requests", "yaml", "msgspec", "kubernetes", "tabulate", "cheroot", "ssl", "http.client"]),
        (["--help"], ["requests", "yaml", "msgspec", "kubernetes", "tabulate", "cheroot"]),
        (
            ["top", "pods", "-A"],
            [
                "kubernetes",
                "tabulate",
                "cheroot",
                "kubectl_vmetrics.demo",
                "kubectl_vmetrics.vcluster.discovery",
                "json.tool",
            ],
        ),
    ],
)
def test_what_a_command_does_not_need_is_not_imported(
    args: list[str], unused: list[str], environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "kubectl_vmetrics", *args],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint(unused)


def python(environment: dict[str, str], code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


MAIN = "from kubectl_vmetrics.__main__ import main; main()"


@pytest.mark.parametrize(("args", "code"), [(["--version"], 0), (["top", "nodes", "--sort-by=x"], 1)])
def test_exit_handlers_run(args: list[str], code: int, environment: dict[str, str]) -> None:
    """Login libraries leave files with keys to them."""
    done = python(environment, f"import atexit, sys; atexit.register(print, 'bye'); sys.argv[1:] = {args}; {MAIN}")

    assert done.returncode == code
    assert done.stdout.splitlines()[-1] == "bye"


def test_threads_are_waited_for(environment: dict[str, str]) -> None:
    # On a busy machine the command may take longer than the thread: the order of the lines is not what is held.
    late = "threading.Thread(target=lambda: (time.sleep(0.5), print('late'))).start()"
    done = python(environment, f"import sys, threading, time; {late}; sys.argv[1:] = ['--version']; {MAIN}")

    assert done.returncode == 0
    assert "late" in done.stdout.splitlines()


def test_the_interpreter_is_not_taken_apart(environment: dict[str, str]) -> None:
    code = f"class Last:\n  def __del__(self): print('gone')\nlast = Last()\nimport sys; sys.argv[1:] = ['--version']\n{MAIN}"

    assert "gone" not in python(environment, code).stdout


def test_home_may_be_missing(environment: dict[str, str]) -> None:
    environment.pop("HOME", None)

    assert run(environment, "top", "nodes").returncode == 0


def test_a_closed_pipe_is_silent(environment: dict[str, str]) -> None:
    program = " ".join(PROGRAM)
    done = subprocess.run(
        ["bash", "-c", f"{program} top pods -A | head -n 1; echo ${{PIPESTATUS[0]}}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # 40 rows fit into the pipe's buffer: the reader may be gone before or after they are written.
    assert done.stderr == ""
    assert done.stdout.splitlines()[1] in ("0", "141")


def test_a_pipe_that_is_closed_from_the_start(environment: dict[str, str]) -> None:
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [*PROGRAM, "top", "pods", "-A"], env=environment, stdout=write, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(write)
        assert process.stderr is not None
        assert (process.wait(60), process.stderr.read()) == (141, "")


def test_a_full_disk_is_one_line(environment: dict[str, str]) -> None:
    with (
        Path("/dev/full").open("w") as full,
        subprocess.Popen(
            [*PROGRAM, "top", "nodes"], env=environment, stdout=full, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr is not None
        assert (process.wait(60), process.stderr.read()) == (1, "error: No space left on device\n")


def test_ctrl_c_ends_a_watch(environment: dict[str, str]) -> None:
    command = [*PROGRAM, "top", "nodes", "-w", "--interval", "500ms"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(9)]
        process.send_signal(signal.SIGINT)
        rest, stderr = process.communicate(timeout=10)

    assert [line.split()[0] if line.split() else "" for line in lines] == [
        "NAME",
        "worker-1",
        "worker-2",
        "worker-3",
        "",
        "NAME",
        "worker-1",
        "worker-2",
        "worker-3",
    ]
    assert (process.returncode, stderr) == (130, "")
    assert "Traceback" not in rest


def test_ctrl_c_during_a_request_that_hangs(environment: dict[str, str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [*PROGRAM, "top", "vclusters", "-s", url]  # several requests at once, in threads
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            peer, _ = listener.accept()
            time.sleep(0.3)
            started = time.monotonic()
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=10)
            peer.close()

    assert (process.returncode, stdout, stderr) == (130, "", "")
    assert time.monotonic() - started < 3


def test_ctrl_c_ends_the_demo(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [*PROGRAM, "demo", "--nodes=1", "--pods=1", "--vclusters=1", "--gpu-nodes=0", "--private=0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(7)]
        kubeconfig = Path(lines[2].strip().removeprefix("export KUBECONFIG="))
        assert kubeconfig.stat().st_mode & 0o777 == 0o600
        served = run({**environment, "KUBECONFIG": str(kubeconfig)}, "top", "nodes", "--no-headers")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=10)

    assert re.sub(r":\d+: 1 node", ":PORT: 1 node", lines[0]) == (
        "The demo cluster listens at http://127.0.0.1:PORT: 1 node, 17 pods, 1 virtual cluster. In another terminal:\n"
    )
    assert served.stdout.count("\n") == 1
    assert (process.returncode, stderr) == (130, "")
    assert not kubeconfig.exists()


class TerminalProcess:
    """A process on a terminal that pyte emulates."""

    def __init__(self, command: list[str], environment: dict[str, str], columns: int, lines: int) -> None:
        self.master, slave = pty.openpty()
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.resize(columns, lines)
        self.process = subprocess.Popen(
            command, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def until(self, text: str, seconds: float = 10) -> list[str]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    self.stream.feed(os.read(self.master, 65536))
            shown = [line.rstrip() for line in self.screen.display]
            if any(text in line for line in shown):
                return shown
        raise AssertionError(f"{text!r} never came: {self.screen.display}")


@pytest.fixture
def watching(environment: dict[str, str]) -> Iterator[TerminalProcess]:
    environment.pop("COLUMNS", None)
    environment.pop("LINES", None)
    terminal = TerminalProcess([*PROGRAM, "top", "pods", "-A", "-w", "--interval", "1s"], environment, 120, 80)
    yield terminal
    terminal.process.kill()
    terminal.process.wait()
    os.close(terminal.master)


def test_a_watch_on_a_terminal_survives_resizing(watching: TerminalProcess) -> None:
    shown = watching.until("team-c")
    assert shown[0].startswith("Every 1s: top pods -A") or shown[0].startswith("Every 1s: top pods")
    assert shown[2].startswith("NAMESPACE")

    watching.resize(80, 40)
    watching.process.send_signal(signal.SIGWINCH)
    shown = watching.until("MEMORY(bytes)")  # at the next refresh
    assert shown[2].split() == ["NAMESPACE", "VCLUSTER", "VNAMESPACE", "NAME", "CPU(cores)", "MEMORY(bytes)"]

    watching.resize(60, 12)
    watching.process.send_signal(signal.SIGWINCH)
    shown = watching.until("more lines")
    assert len(shown) == 12
    assert all(len(line) <= 60 for line in shown)

    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(10) == 130
