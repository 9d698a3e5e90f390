"""`completion`: shell completion scripts, and the executable kubectl runs to complete a plugin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.output.terminal import Environment

from .command import Command
from .main import VERB

NAME = "kubectl-vmetrics"
SHIM = "kubectl_complete-vmetrics"
"""What kubectl runs for the words behind `kubectl vmetrics` (k8s.io/kubectl, since v1.26)."""

# Bash splits words at = and : as well, and leaves quotes and backslashes in them.
_BASH = f"""_kubectl_vmetrics() {{
    local line value part at=-1 joined="" cut="" quote="" words=()
    for part in "${{COMP_WORDS[@]:1:$COMP_CWORD}}"; do
        case "$part" in [\\"\\']*) quote="${{part:0:1}}" ;; *) quote="" ;; esac
        case "$part" in
            =|:) if [ $at -ge 0 ]; then words[$at]+="$part"; joined=1; cut="${{words[$at]}}"; continue; fi ;;
        esac
        if [ -n "$joined" ]; then
            cut="${{words[$at]}}"
        else
            at=$((at + 1)); cut=""
        fi
        joined=""
        part="${{part//\\\\/}}"
        words[$at]+="${{part#[\\"\\']}}"
        if [ -n "$quote" ]; then words[$at]="${{words[$at]%"$quote"}}"; fi
    done
    COMPREPLY=()
    while IFS= read -r line; do
        case "$line" in :*) continue ;; esac
        value="${{line%%$'\\t'*}}"
        value="${{value#"$cut"}}"
        if [ -z "$quote" ]; then printf -v value %q "$value"; fi
        COMPREPLY+=("$value")
    done < <({NAME} {VERB} "${{words[@]}}" 2>/dev/null)
}}
complete -o default -F _kubectl_vmetrics {NAME}
"""
_ZSH = f"""#compdef {NAME}
_kubectl_vmetrics() {{
    local -a found
    local line
    for line in "${{(@f)$({NAME} {VERB} "${{(@Q)words[2,$CURRENT]}}" 2>/dev/null)}}"; do
        [[ "$line" == :* ]] && continue
        found+=("${{${{line%%$'\\t'*}}//:/\\\\:}}${{${{(M)line:#*$'\\t'*}}:+:${{line#*$'\\t'}}}}")
    done
    _describe -t values value found
}}
compdef _kubectl_vmetrics {NAME}
"""
_FISH = f"""function __kubectl_vmetrics
    set -l words (commandline -opc) (commandline -ct)
    {NAME} {VERB} $words[2..-1] 2>/dev/null | string match -v ':*'
end
complete -c {NAME} -f -a '(__kubectl_vmetrics)'
"""
_POWERSHELL = f"""Register-ArgumentCompleter -Native -CommandName '{NAME}', '{NAME}.exe' -ScriptBlock {{
    param($word, $line, $cursor)
    $words = @($line.CommandElements | Where-Object {{ $_.Extent.StartOffset -lt $cursor }} |
        Select-Object -Skip 1 | ForEach-Object {{ "$_" }})
    if ($word -eq '') {{ $words += '""' }}
    & {NAME} {VERB} @words 2>$null | Where-Object {{ $_ -notlike ':*' }} | ForEach-Object {{
        $value, $text = $_ -split "`t", 2
        $tip = if ($text) {{ $text }} else {{ $value }}
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $tip)
    }}
}}
"""
_KUBECTL = f"""#!/usr/bin/env sh
exec {NAME} {VERB} "$@"
"""
_KUBECTL_WINDOWS = f"@{NAME} {VERB} %*\r\n"
_WINDOWS = sys.platform == "win32"
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL, "kubectl": _KUBECTL}


@click.command(
    "completion",
    cls=Command,
    arguments="bash|zsh|fish|powershell|kubectl",
    help=f"""Print a shell completion script.

`completion kubectl --install` writes {SHIM} to krew's bin directory (or to --to). kubectl's own completion then also
completes `kubectl vmetrics`. krew does not remove that file when you uninstall the plugin. The other scripts complete
{NAME} itself.""",
    examples=[
        ("For `kubectl vmetrics`, once", "completion kubectl --install"),
        ("For the executable itself, in ~/.bashrc", "completion bash"),
    ],
)
@click.argument("shells", nargs=-1)
@click.option("--install", is_flag=True, help=f"Write {SHIM} instead of printing it.")
@click.option("--to", "folder", default="", metavar="FOLDER", help="Directory to write to; must be on the PATH.")
@click.pass_context
def completion(context: click.Context, /, shells: tuple[str, ...], install: bool, folder: str) -> int:
    """Print or write."""
    environment: Environment = context.obj
    known = f"choose from {', '.join(SCRIPTS)}"
    if not shells:
        raise UsageError(f"shell not specified; {known}")
    if len(shells) > 1:
        raise UsageError("too many arguments: expected only the shell type")
    if shells[0] not in SCRIPTS:
        raise UsageError(f'unsupported shell type "{shells[0]}"; {known}')
    if (install or folder) and shells[0] != "kubectl":
        raise UsageError(
            "--install and --to are for kubectl only; for a shell, redirect the output to a file it reads at startup"
        )
    if not install and not folder:
        environment.stdout.write(SCRIPTS[shells[0]])
        return 0
    # Windows runs a file by its ending (PATHEXT), and knows nothing of #!.
    name, text = (f"{SHIM}.cmd", _KUBECTL_WINDOWS) if _WINDOWS else (SHIM, _KUBECTL)
    path = Path(folder or _krew(environment), name)
    try:
        with open(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o755), "w", encoding="utf-8", newline=""
        ) as file:
            file.write(text)
        path.chmod(0o755)
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or 'cannot be written').lower()}") from None
    environment.say(f"{path} written")
    return 0


def _krew(environment: Environment) -> Path:
    variables = environment.variables
    home = variables.get("HOME") or variables.get("USERPROFILE") or ""
    root = Path(variables.get("KREW_ROOT") or Path(home, ".krew"), "bin")
    if not root.is_dir():
        raise UsageError(f"--install: {root} does not exist; specify a directory on the PATH with --to")
    return root
