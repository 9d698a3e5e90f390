"""Completion: what is offered, by the protocol that the real kubectl speaks, and in a real bash."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest

from kubectl_vmetrics.cli import completion
from kubectl_vmetrics.cli.completion import SHIM
from tests.cli.test_documented import ALL
from tests.clients.test_kubectl import KUBECTL
from tests.conftest import Cli, invoke, write_kubeconfig
from tests.installed import SCRIPT
from tests.kube.test_credentials import plugin

INSTALLED = pytest.mark.skipif(SCRIPT is None, reason="kubectl-vmetrics is not installed here")


@pytest.fixture
def complete(on_demo: Cli, tmp_path: Path) -> Cli:
    return lambda *words, **more: on_demo("__complete", *words, **{"HOME": str(tmp_path), **more})


def values(complete: Cli, *words: str) -> list[str]:
    result = complete(*words)
    assert (result.code, result.stderr) == (0, "")
    *lines, last = result.stdout.splitlines()
    assert last == ":4"
    return [line.partition("\t")[0] for line in lines]


def test_commands_with_descriptions(complete: Cli) -> None:
    found = complete("").stdout.splitlines()

    assert "top\tDisplay resource usage of pods, nodes, virtual clusters, namespaces and volumes." in found
    assert "doctor\tFind out why metrics are missing." in found
    assert values(complete, "to") == ["top"]
    assert values(complete, "top", "v") == ["vclusters", "volumes"]
    assert values(complete, "nope", "") == values(complete, "top", "nope", "") == []


def test_an_empty_word_of_powershell(complete: Cli) -> None:
    assert complete("top", '""') == complete("top", "")
    assert complete() == complete("")


def test_flags(complete: Cli) -> None:
    assert values(complete, "top", "pods", "--sort") == ["--sort-by"]
    assert {"--context", "--namespace", "--vcluster", "--help"} <= set(values(complete, "top", "pods", "-"))
    assert values(complete, "top", "pods", "--sort-by", "") == ["cpu", "memory", "vcluster", "vnamespace", "name"]
    assert values(complete, "vmi", "--sort-by=n") == ["--sort-by=network"]
    assert values(complete, "targets", "-o", "http") == ["http-sd"]
    assert values(complete, "manifests", "kubevirt", "-o", "") == ["yaml", "json"]
    assert "log-ip-sans" in values(complete, "demo", "--break", "log-")


def test_names_of_the_kubeconfig_and_of_the_cluster(complete: Cli) -> None:
    assert values(complete, "--context", "") == ["vmetrics-demo"]
    assert values(complete, "top", "pods", "--context=") == ["--context=vmetrics-demo"]
    assert {"team-a", "kube-system"} <= set(values(complete, "top", "pods", "-n", ""))
    assert values(complete, "top", "pods", "--vcluster", "team-a/") == ["team-a/shop"]
    assert "shop-0" in values(complete, "top", "pods", "-n", "team-a", "")
    assert values(complete, "top", "pods", "-n", "team-a", "shop-0", "shop-0") == []
    assert values(complete, "top", "nodes", "") == ["worker-1", "worker-2", "worker-3"]
    assert values(complete, "vmi", "-n", "prod", "d") == ["db-0"]
    assert values(complete, "controlplanes", "-n", "tenants", "a") == ["acme"]
    assert values(complete, "cp", "-n", "tenants", "") == ["acme", "globex"]
    assert values(complete, "doctor", "ku") == ["kubelets", "kubevirt"]
    assert values(complete, "components", "virt-h") == ["virt-handler"]


def test_in_a_virtual_cluster_names_are_those_inside(complete: Cli, on_demo: Cli) -> None:
    """Namespaces and pods as --vcluster means them, whichever form the flags have."""
    table = on_demo("top", "namespaces", "--vcluster", "shop", "--no-headers").stdout
    inside = {line.split()[0] for line in table.splitlines()}
    assert "batch" in inside
    for words in (
        ["--vcluster", "shop", "-n", ""],
        ["--vcluster=team-a/shop", "--namespace", ""],
        ["top", "pods", "--vcluster", "shop", "-n", ""],
    ):
        line = words if words[0] == "top" else ["top", "pods", *words]
        assert set(values(complete, *line)) == inside
    assert values(complete, "vmi", "--vcluster", "shop", "--namespace=b") == ["--namespace=batch"]
    assert {"team-a", "team-b"}.isdisjoint(values(complete, "top", "volumes", "--vcluster", "shop", "-n", ""))
    names = values(complete, "top", "pods", "--vcluster", "shop", "-n", "batch", "")
    assert names
    assert not any("-x-" in name for name in names)
    assert names == values(complete, "top", "pods", "-nbatch", "--vcluster=shop", "")
    assert set(names) < set(values(complete, "top", "pods", "--vcluster", "shop", ""))
    assert values(complete, "top", "pods", "--vcluster", "nosuch", "-n", "") == []
    assert values(complete, "top", "pods", "--vcluster", "dev", "-n", "") == []  # there are two


def test_all_namespaces(complete: Cli) -> None:
    everywhere = values(complete, "top", "pods", "-A", "")
    assert {"shop-0", "dev-0"} <= set(everywhere)
    assert len(set(everywhere)) == len(everywhere)
    assert values(complete, "top", "pods", "--all-namespaces=true", "shop-") == ["shop-0"]


def test_rights_dashboards_checks_and_paths(complete: Cli) -> None:
    assert {"top pods", "controlplanes", "proxy"} <= set(values(complete, "manifests", "rbac", "--for", ""))
    assert values(complete, "manifests", "rbac", "--for=top v") == [
        "--for=top vclusters",
        "--for=top vclusters --private-nodes",
        "--for=top vclusters -o wide",
        "--for=top vclusters --network",
        "--for=top volumes",
    ]
    assert values(complete, "manifests", "dashboards", "vmetrics-m") == ["vmetrics-machines"]
    assert {"VM101", "VM102", "VM404", "VM601"} <= set(values(complete, "doctor", "VM"))
    assert "VM101\t" in complete("doctor", "VM101").stdout
    assert values(complete, "raw", "/api/v1/nodes/worker-1/proxy/metrics/c") == [
        "/api/v1/nodes/worker-1/proxy/metrics/cadvisor"
    ]
    assert values(complete, "manifests", "metrics-server", "--kubelet-preferred-address-types", "InternalIP,Host") == [
        "InternalIP,Hostname"
    ]
    assert values(complete, "controlplanes", "-A", "") == ["acme", "globex", "shop", "dev"]
    assert values(complete, "controlplanes", "") == []
    assert values(complete, "manifests", "kamaji", "") == ["tenants/acme", "tenants/globex"]
    assert values(complete, "manifests", "kamaji", "-n", "tenants", "") == ["acme", "globex"]
    assert values(complete, "manifests", "vcluster", "team-a") == ["team-a/shop"]
    assert {"monitoring"} <= set(values(complete, "manifests", "kamaji", "--prometheus-namespace", ""))


def test_the_demo_is_no_cluster_of_the_kubeconfig(complete: Cli) -> None:
    """Flags and fixed values are completed behind `demo`; names of another cluster are not offered."""
    assert values(complete, "demo", "top", "po") == ["pods"]
    assert values(complete, "demo", "--pods", "9", "top", "pods", "--sort-by", "") == [
        "cpu",
        "memory",
        "vcluster",
        "vnamespace",
        "name",
    ]
    assert values(complete, "demo", "vmi", "--sort-by=n") == ["--sort-by=network"]
    assert "--containers" in values(complete, "demo", "top", "pods", "--co")
    assert values(complete, "demo", "top", "pods", "-n", "") == values(complete, "demo", "top", "nodes", "") == []
    assert values(complete, "demo", "doctor", "ku") == ["kubelets", "kubevirt"]
    assert values(complete, "demo", "--br") == ["--break"]


# ---------------------------------------------------------------------------------------------- the whole tree


COMMANDS = {path: command for path, command in ALL if not isinstance(command, click.Group)}
OPTIONS = [
    (path, option)
    for path, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option) and not option.is_flag
]
FREE = {
    "as_user": "a user that the cluster need not know",
    "as_group": "likewise",
    "as_uid": "likewise",
    "as_user_extra": "likewise",
    "server": "a URL",
    "token": "a secret",
    "tls_server_name": "a host name",
    "selector": "a label selector",
    "accept_hosts": "a regular expression",
    "port": "a number",
    "max_connections_per_client": "a number",
    "image": "a name in a registry",
    "targets": "a namespace and a virtual cluster in one word",
    "name": "a name for what is made",
    "replicas": "a number",
    "token_secret": "the name of a Secret, which need not be listed",
    "tls_secret": "likewise",
    "endpoint": "a URL",
    "remote_write": "a URL",
    "issuer": "an issuer of cert-manager",
    "labels": "what the user's Prometheus looks for",
    "folder": "a folder of Grafana",
    "user": "a user that the cluster need not know",
    "group": "likewise",
    "nodes": "a number",
    "pods": "a number",
    "vclusters": "a number",
    "vms": "a number",
    "tenants": "a number",
    "gpu_nodes": "a number",
    "private": "a number",
    "seed": "a number",
}
"""Options that may be given anything, and what they are."""


def _id(case: Any) -> str:
    return " ".join(case) if isinstance(case, tuple) else max(case.opts, key=len)


@pytest.mark.parametrize(("path", "option"), OPTIONS, ids=_id)
def test_no_option_is_without_completion(path: tuple[str, ...], option: click.Option, complete: Cli) -> None:
    """Each has candidates in a cluster that has everything, is a file, or may be given anything."""
    result = complete(*path, max(option.opts, key=len), "")
    lines = result.stdout.splitlines()
    name = str(option.name)
    free = (
        name in FREE and not (name == "user" and path[0] != "manifests") and (name, path[0]) != ("folder", "completion")
    )

    assert result.code == 0
    assert free == (lines == [":4"]), f"{name} of {' '.join(path)} is offered nothing"
    if "file" in name or name in ("kubeconfig", "cache_dir"):
        assert lines == [":0"]


LISTS = re.compile(
    r"(?:accepts only|there are|choose from|allowed formats are:) ((?:[\w, =\-%]|/[rl]\b)+)$", re.MULTILINE
)
NEEDED = {"manifests rbac": ["--user=x"], "raw": ["/api/v1/nodes/x/proxy/metrics"]}


def test_completion_offers_what_the_error_about_a_wrong_value_lists(complete: Cli, on_demo: Cli) -> None:
    """Of every option with a fixed set of values: what is offered is accepted, and what is accepted is offered."""
    compared = set()
    for path, option in OPTIONS:
        flag = max(option.opts, key=len)
        if option.hidden or path[0] == "completion" or option.name == "vcluster":
            continue
        more = [arg for arg in NEEDED.get(" ".join(path), []) if not arg.startswith(flag)]
        error = on_demo(*path, *more, flag, "zzz", "--server=http://127.0.0.1:1").stderr
        if (listed := LISTS.search(error)) and not listed[1].startswith("numbers "):
            known = set(re.split(r",\s*(?:or )?| or ", listed[1].strip()))
            offered = {value.rstrip("=") for value in values(complete, *path, flag, "")} - {"list", "table"}
            assert offered <= known, (path, flag)
            # Formats of tabulate are many; those that are offered will do.
            assert known <= offered or option.name == "output", (path, flag)
            compared.add(str(option.name))
    assert compared >= {"output", "sort_by", "source", "kind", "fail_on", "commands", "addresses"}


WHERE = {("top", "pods"): ["-A"], ("vmi",): ["-A"], ("controlplanes",): ["-A"]}
"""The default namespace has none."""


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_no_argument_is_without_completion(path: tuple[str, ...], complete: Cli) -> None:
    argument = any(isinstance(param, click.Argument) for param in COMMANDS[path].params)

    assert bool(values(complete, *path, *WHERE.get(path, []), "")) == argument


def test_virtual_clusters_by_the_name_that_a_command_takes(complete: Cli) -> None:
    assert complete("top", "vclusters", "").stdout == "shop\tteam-a\ndev\tteam-b, team-c\n:4\n"
    assert values(complete, "manifests", "vcluster", "-n", "team-b", "") == ["dev"]
    assert values(complete, "top", "vclusters", "shop", "s") == []


def test_the_pod_to_explain(complete: Cli) -> None:
    assert values(complete, "explain", "") == ["pod"]
    assert "orders-db-0" in values(complete, "explain", "pod", "--vcluster", "shop", "-n", "shop", "")


def test_help(complete: Cli) -> None:
    assert values(complete, "help", "n") == ["names"]
    assert values(complete, "help", "t") == ["troubleshooting", "top", "targets"]
    assert values(complete, "help", "top", "no") == ["nodes"]
    assert "security\tWhat is read" in complete("help", "").stdout


def test_files_are_the_shells_business(complete: Cli) -> None:
    assert complete("top", "pods", "--kubeconfig", "").stdout == ":0\n"
    assert complete("targets", "--to", "").stdout == ":0\n"


def test_errors_are_silent_and_soon(complete: Cli, tmp_path: Path) -> None:
    started = time.monotonic()
    for words in (
        ["top", "pods", "-s", "http://192.0.2.1", ""],
        ["top", "pods", "--kubeconfig=/nowhere", ""],
        ["--context=", ""],
    ):
        result = invoke("__complete", *words, HOME=str(tmp_path))
        assert (result.code, result.stderr) == (0, "")
        assert result.stdout.splitlines()[-1] == ":4"
    assert time.monotonic() - started < 6


def test_a_login_that_takes_long_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, which must end though the plugin goes on."""
    exec_ = plugin(tmp_path, 'echo $$ > "$0.pid"; exec sleep 30')
    path = write_kubeconfig(tmp_path, "http://127.0.0.1:1", exec={**exec_, "interactiveMode": "Never"})
    command = [sys.executable, "-m", "kubectl_vmetrics", "__complete", "--kubeconfig", str(path), "top", "nodes", ""]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    os.kill(int((tmp_path / "plugin.pid").read_text()), signal.SIGTERM)
    assert (done.returncode, done.stdout, done.stderr) == (0, ":4\n", "")
    assert time.monotonic() - began < 10


def test_answers_are_kept_for_a_moment(complete: Cli, tmp_path: Path) -> None:
    values(complete, "top", "nodes", "")
    (kept,) = (tmp_path / ".kube" / "cache" / "vmetrics").glob("complete-*")

    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    kept.write_text('[["another-node", ""]]')
    assert values(complete, "top", "nodes", "") == ["another-node"]
    os.utime(kept, (1, 1))
    assert values(complete, "top", "nodes", "") == ["worker-1", "worker-2", "worker-3"]
    kept.write_text("not json")
    assert values(complete, "top", "nodes", "") == ["worker-1", "worker-2", "worker-3"]


def test_commands_need_no_imports_of_what_they_are() -> None:
    program = "import sys; from kubectl_vmetrics.cli.main import run; run(['__complete', 'top', 'p']); print(sorted(sys.modules), file=sys.stderr)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert found.stdout.startswith("pods\t")
    for module in ("requests", "kubernetes", "yaml", "msgspec", "kubectl_vmetrics.demo"):
        assert f"'{module}'" not in found.stderr


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on the PATH")
@INSTALLED
def test_the_real_kubectl(tmp_path: Path) -> None:
    folder = tmp_path / "krew" / "bin"
    folder.mkdir(parents=True)
    result = invoke("completion", "kubectl", "--install", KREW_ROOT=str(tmp_path / "krew"))
    assert (result.code, result.stdout, result.stderr) == (0, "", f"{folder / SHIM} written\n")
    environment = {"PATH": f"{folder}:{Path(str(SCRIPT)).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}

    def asked(*words: str) -> list[str]:
        command = [str(KUBECTL), "__complete", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.splitlines()

    assert [line.partition("\t")[0] for line in asked("vmetrics", "top", "v")] == ["vclusters", "volumes", ":4"]
    assert asked("vmetrics", "vmi", "--sort-by", "d") == ["disk", ":4"]
    assert "vmetrics" in "".join(asked("vmetri"))


@INSTALLED
def test_a_real_bash(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(invoke("completion", "bash").stdout)
    line = (
        f"source {tmp_path}/script; COMP_WORDS=(kubectl-vmetrics top v); COMP_CWORD=2; _kubectl_vmetrics; "
        'printf "%s\\n" "${COMPREPLY[@]}"; complete -p kubectl-vmetrics'
    )
    path = f"{Path(str(SCRIPT)).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-c", line],
        env={"PATH": path, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.splitlines() == [
        "vclusters",
        "volumes",
        "complete -o default -F _kubectl_vmetrics kubectl-vmetrics",
    ]


@INSTALLED
@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("vmi --sort-by n", "vmi --sort-by network "),
        ("vmi --sort-by=n", "vmi --sort-by=network "),
        ("vmi --disks --sort-by=n", "vmi --disks --sort-by=network "),
        ("manifests rbac --for top\\ n", "manifests rbac --for top\\ n"),  # two of them
        ("manifests rbac --for top\\ no", "manifests rbac --for top\\ nodes"),
        ("manifests rbac --for=top\\ vo", "manifests rbac --for=top\\ volumes "),
        ("manifests rbac --for 'top vo", "manifests rbac --for 'top volumes' "),
        ('manifests rbac --for "top vo', 'manifests rbac --for "top volumes" '),
        ("manifests rbac --for 'raw' --for 'top vo", "manifests rbac --for 'raw' --for 'top volumes' "),
        ("top pods --no-h", "top pods --no-headers "),
    ],
)
def test_a_line_in_a_real_bash(typed: str, line: str, tmp_path: Path) -> None:
    """What stands on the line after the Tab key, quotes, blanks and equals signs included."""
    import pty

    (tmp_path / "rc").write_text(
        f"PS1='$ '; bind 'set enable-bracketed-paste off'; {invoke('completion', 'bash').stdout}\n"
        "show() { printf '<%s>\\n' \"$READLINE_LINE\"; exit; }; bind -x '\"\\C-g\": show'\n"
    )
    path = f"{Path(str(SCRIPT)).parent}:/usr/bin:/bin"
    parent, child = pty.openpty()
    with subprocess.Popen(
        ["bash", "--noprofile", "--rcfile", str(tmp_path / "rc"), "-i"],
        stdin=child,
        stdout=child,
        stderr=child,
        env={"PATH": path, "HOME": str(tmp_path), "TERM": "dumb"},
        start_new_session=True,
    ) as shell:
        os.close(child)
        os.write(parent, f"kubectl-vmetrics {typed}\t\x07".encode())
        output = b""
        try:
            while b">" not in output.rpartition(b"<")[2] or b"<" not in output:
                output += os.read(parent, 1024)
        except OSError:
            pass
        finally:
            os.close(parent)
        shell.wait(20)
    assert f"<kubectl-vmetrics {line}>" in output.decode()


@INSTALLED
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_real_shells(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not on the PATH (Debian: {shell})")
    script = tmp_path / "script"
    script.write_text(invoke("completion", shell).stdout)
    lines = {
        "zsh": f"autoload -Uz compinit; compinit -u -D; source {script}; _describe() {{ print -l -- $found }}; "
        "words=(kubectl-vmetrics top v); CURRENT=3; _kubectl_vmetrics",
        "fish": f"source {script}; complete -C 'kubectl-vmetrics top v'",
    }
    path = f"{Path(str(SCRIPT)).parent}:/usr/bin:/bin"
    environment = {"PATH": path, "HOME": str(tmp_path)}
    done = subprocess.run(
        [program, "-c", lines[shell]], env=environment, capture_output=True, text=True, timeout=60, check=True
    )

    assert [line.replace("\t", ":").partition(":")[0] for line in done.stdout.splitlines()] == ["vclusters", "volumes"]


@pytest.mark.parametrize("shell", ["zsh", "fish", "powershell"])
def test_the_other_shells_have_a_script(shell: str) -> None:
    result = invoke("completion", shell)
    assert (result.code, result.stderr) == (0, "")
    assert "kubectl-vmetrics __complete" in result.stdout
    program = shutil.which(shell)
    if program and shell != "powershell":
        subprocess.run([program, "-n"], input=result.stdout, text=True, check=True, timeout=60)


@pytest.mark.parametrize(
    ("args", "stderr"),
    [
        ([], "error: shell not specified; choose from bash, zsh, fish, powershell, kubectl\n"),
        (
            ["tcsh"],
            'error: unsupported shell type "tcsh"; choose from bash, zsh, fish, powershell, kubectl\n',
        ),
        (["bash", "zsh"], "error: too many arguments: expected only the shell type\n"),
        (["bash", "--install"], "error: --install and --to are for kubectl only; "),
        (
            ["kubectl", "--install"],
            "error: --install: .krew/bin does not exist; specify a directory on the PATH with --to\n",
        ),
        (["kubectl", "--to=/nowhere"], f"error: /nowhere/{SHIM}: no such file or directory\n"),
    ],
)
def test_bad_input(args: list[str], stderr: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("completion", *args)
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith(stderr)


def test_windows_runs_files_by_their_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "_WINDOWS", True)

    assert invoke("completion", "kubectl", f"--to={tmp_path}").code == 0
    assert (tmp_path / f"{SHIM}.cmd").read_bytes() == b"@kubectl-vmetrics __complete %*\r\n"
