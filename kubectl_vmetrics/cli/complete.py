"""What may come next on a command line, for shells and for kubectl.

The protocol is Cobra's, as kubectl speaks it to plugins: the words so far, the last one being the one under the cursor;
a candidate a line, a tab and a description behind it, and a last line with what the shell may do besides
(k8s.io/kubectl pkg/cmd/plugin/plugin_completion.go). Whatever goes wrong: no candidates, and not a word.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.output.terminal import Environment

if TYPE_CHECKING:
    from kubectl_vmetrics.kube.kubeconfig import Connection

NO_FILES, FILES = 4, 0
LIMIT = 1.0
"""Seconds that a cluster is asked: who presses a key does not wait."""
LOGIN = 3.0
"""Seconds where a program logs in first, which has limits of its own or none."""
KEPT = 15.0
"""Seconds for which an answer is kept."""

Candidates = list[tuple[str, str]]
_FILES = ("kubeconfig", "cache_dir", "certificate_authority", "client_certificate", "client_key", "file", "token_file")


def run(words: Sequence[str], environment: Environment, root: click.Command) -> int:
    """Print the candidates for the last word of a command line below `root`; returns 0."""
    found: Candidates = []
    files = False
    with contextlib.suppress(Exception):
        # PowerShell before 7.3 passes no empty words to programs, so its script says "" instead.
        asked = [*words[:-1], words[-1] if words and words[-1] != '""' else ""]
        found, files = candidates(asked, environment, root)
    lines = [f"{value}\t{text}" if text else value for value, text in found if value.isprintable()]
    environment.stdout.write("".join(f"{line}\n" for line in [*lines, f":{FILES if files else NO_FILES}"]))
    return 0


def candidates(words: list[str], environment: Environment, root: click.Command) -> tuple[Candidates, bool]:
    """Candidates for the last word, with their descriptions, and whether files may be offered instead."""
    from .help import TOPICS

    *before, last = words
    command = root
    context = click.Context(root, info_name="vmetrics", obj=environment)
    path: list[str] = []
    pending: click.Option | None = None
    given: dict[str, str] = {}
    arguments: list[str] = []
    for word in before:
        if pending is not None:
            given[str(pending.name)] = word
            pending = None
            continue
        name, equals, value = word.partition("=")
        option = _options(command).get(name) if word.startswith("-") else None
        if option is not None:
            if equals:
                given[str(option.name)] = value
            elif not option.is_flag:
                pending = option
        elif isinstance(command, click.Group) and not word.startswith("-"):
            following = command.get_command(context, word)
            if following is None:
                return [], False
            command, path = following, [*path, following.name or word]
        else:
            arguments.append(word)
    ask = _Asked(environment, given)
    if pending is not None:
        return _starting(last, _values(pending, path, ask)), pending.name in _FILES
    name, equals, value = last.partition("=")
    if equals and (option := _options(command).get(name)):
        return [(f"{name}={item}", text) for item, text in _starting(value, _values(option, path, ask))], False
    if last.startswith("-"):
        return _starting(last, _flags(command)), False
    if isinstance(command, click.Group):
        lazy: dict[str, tuple[str, str]] = getattr(command, "lazy", {})
        return _starting(last, [(name, text) for name, (_, text) in lazy.items()]), False
    if path[:1] == ["demo"]:
        return candidates([*arguments, last], environment, root)
    if path == ["help"]:
        topics = TOPICS if not arguments else {}
        return _starting(last, topics.items()) + candidates([*arguments, last], environment, root)[0], False
    return [item for item in _starting(last, _arguments(path, ask)) if item[0] not in arguments], False


def _options(command: click.Command) -> dict[str, click.Option]:
    return {name: param for param in command.params if isinstance(param, click.Option) for name in param.opts}


def _flags(command: click.Command) -> Candidates:
    options = [param for param in command.params if isinstance(param, click.Option)]
    return sorted((max(option.opts, key=len), (option.help or "").partition(". ")[0]) for option in options)


def _starting(text: str, found: Iterable[tuple[str, str]]) -> Candidates:
    return [item for item in found if item[0].startswith(text)]


# -------------------------------------------------------------------------------------------------- values, arguments

_FORMATS = {
    "manifests": ("yaml", "json"),
    "targets": ("table", "wide", "json", "yaml", "csv", "name", "http-sd", "file-sd", "scrape-config"),
    "": ("wide", "json", "yaml", "csv", "name", "github", "html"),
}
_SORTS = {"vmi": ("cpu", "memory", "network", "disk"), "": ("cpu", "memory")}


def _values(option: click.Option, path: list[str], ask: _Asked) -> Candidates:
    """What an option may be given."""
    name, top = str(option.name), path[0] if path else ""
    plain: dict[str, Sequence[str]] = {
        "output": _FORMATS.get(top, _FORMATS[""]),
        "sort_by": _SORTS.get(top, _SORTS[""]),
        "kind": ("kamaji", "vcluster"),
        "fail_on": ("fail", "warning", "never"),
        "interval": ("5s", "15s", "30s", "1m"),
    }
    known: dict[str, Callable[[], Candidates]] = {
        "context": ask.contexts,
        "cluster": lambda: ask.named("clusters"),
        "user": lambda: ask.named("users"),
        "namespace": lambda: ask.objects("/api/v1/namespaces", spaces=False),
        "vcluster": ask.vclusters,
        "node": lambda: ask.objects("/api/v1/nodes", spaces=False),
        "broken": _breaks,
        "source": lambda: (
            [(item, "") for item in ("metrics-api", "kubelet", "auto") if top == "top"]
            + [(item, "") for item in ("pods", "endpointslices", "endpoints") if top == "targets"]
        ),
    }
    return [(item, "") for item in plain[name]] if name in plain else known[name]() if name in known else []


def _breaks() -> Candidates:
    from kubectl_vmetrics.demo.breakage import BREAKS

    return [(name, item.text) for name, item in BREAKS.items()]


def _arguments(path: list[str], ask: _Asked) -> Candidates:
    """What a command may be given."""
    from kubectl_vmetrics.doctor.check import AREAS

    kubevirt = ("virt-api", "virt-controller", "virt-handler", "virt-operator")
    known: dict[str, Callable[[], Candidates]] = {
        "top pods": lambda: ask.objects("/apis/metrics.k8s.io/v1beta1/{}pods"),
        "top nodes": lambda: ask.objects("/api/v1/nodes", spaces=False),
        "top vclusters": ask.vclusters_by_name,
        "manifests vcluster": ask.vclusters_by_name,
        "vmi": lambda: ask.objects("/apis/kubevirt.io/v1/{}virtualmachineinstances"),
        "controlplanes": lambda: ask.objects("/apis/kamaji.clastix.io/v1alpha1/{}tenantcontrolplanes"),
        "manifests kamaji": lambda: ask.objects("/apis/kamaji.clastix.io/v1alpha1/{}tenantcontrolplanes"),
        "components": lambda: [(kind, "") for kind in kubevirt],
        "targets": lambda: [(kind, "") for kind in ("kubevirt", "kubelet", "controlplanes", "all")],
        "doctor": lambda: [(area, "") for area in AREAS],
        "completion": lambda: [(shell, "") for shell in ("bash", "zsh", "fish", "powershell", "kubectl")],
    }
    read = known.get(" ".join(path))
    return read() if read else []


class _Asked:
    """Names out of the kubeconfig and of the cluster that the line so far leads to."""

    def __init__(self, environment: Environment, given: dict[str, str]) -> None:
        self._environment = environment
        self._given = given

    def _flags(self) -> Any:
        import msgspec

        from kubectl_vmetrics.kube.kubeconfig import Flags

        names = ("kubeconfig", "context", "cluster", "user", "namespace", "server", "token")
        known = {name: self._given[name] for name in names if name in self._given}
        return msgspec.convert(known, Flags)

    def contexts(self) -> Candidates:
        """Of the kubeconfig."""
        return self.named("contexts")

    def named(self, kind: str) -> Candidates:
        """Contexts, clusters or users of the kubeconfig."""
        from kubectl_vmetrics.kube import kubeconfig

        return [(name, "") for name in kubeconfig.names(self._flags(), self._environment.variables, kind)]

    def objects(self, path: str, *, spaces: bool = True) -> Candidates:
        """The names of objects, in the namespace of the line or in all."""
        import msgspec

        from kubectl_vmetrics.kube import kubeconfig
        from kubectl_vmetrics.kube.client import PARTIAL_LIST, Client, escape

        connection = msgspec.structs.replace(
            kubeconfig.connection(self._flags(), self._environment.variables), timeout=LIMIT
        )
        scope = f"namespaces/{escape(connection.namespace)}/" if spaces else ""
        full = path.format(scope) if spaces else path

        def read() -> Candidates:
            answer = Client(connection).get(full, {"limit": 500}, accept=PARTIAL_LIST, limit=LIMIT)
            return [(item["metadata"]["name"], "") for item in json.loads(answer.body).get("items") or []]

        return self._look_up(connection, full, read)

    def vclusters_by_name(self) -> Candidates:
        """Those of the line's namespace, or of all where it names none; each name once, and where it is."""
        found: dict[str, list[str]] = {}
        for value, _ in self.vclusters():
            namespace, _, name = value.rpartition("/")
            if self._given.get("namespace") in (None, namespace):
                found.setdefault(name, []).append(namespace)
        return [(name, ", ".join(namespaces)) for name, namespaces in found.items()]

    def vclusters(self) -> Candidates:
        """The virtual clusters of the host, by namespace and name."""
        import msgspec

        from kubectl_vmetrics.kube import kubeconfig
        from kubectl_vmetrics.kube.client import Client
        from kubectl_vmetrics.vcluster import discovery

        connection = msgspec.structs.replace(
            kubeconfig.connection(self._flags(), self._environment.variables), timeout=LIMIT
        )

        def read() -> Candidates:
            return [(item.ref.path, item.status) for item in discovery.find(Client(connection), None)]

        return self._look_up(connection, "vclusters", read)

    def _look_up(self, connection: Connection, what: str, read: Callable[[], Candidates]) -> Candidates:
        limit = LOGIN if connection.user.exec or connection.user.auth_provider else LIMIT
        key = f"{connection.server} {connection.user.name} {what}"
        return _kept(self._environment, key, lambda: _within(limit, read))


def _within(seconds: float, read: Callable[[], Candidates]) -> Candidates:
    """What `read` gives, in a thread that is left behind where it takes longer.

    Raises:
        TimeoutError: it does; and whatever `read` raises.
    """
    import queue
    import threading

    found: queue.Queue[Candidates | Exception] = queue.Queue()

    def run() -> None:
        try:
            found.put(read())
        except Exception as error:
            found.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        result = found.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(result, Exception):
        raise result
    return result


def _kept(environment: Environment, key: str, read: Callable[[], Candidates]) -> Candidates:
    """What `read` gives, from a file that only the user can read where it was asked a moment ago."""
    variables = environment.variables
    home = variables.get("HOME") or variables.get("USERPROFILE")
    folder = variables.get("KUBECACHEDIR") or (f"{home}/.kube/cache" if home else None)
    if not folder:
        return read()
    path = Path(folder, "vmetrics", f"complete-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json")
    with contextlib.suppress(OSError, ValueError):
        if time.time() - path.stat().st_mtime < KEPT:
            return [(str(value), str(text)) for value, text in json.loads(path.read_text(encoding="utf-8"))]
    found = read()
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(found, file)
    return found
