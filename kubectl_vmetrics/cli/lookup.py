"""Names for completion, from the kubeconfig and from the cluster that the command line so far selects.

Completion must be fast: requests have a short timeout, and answers are cached for a few seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kubectl_vmetrics.output.terminal import Environment

if TYPE_CHECKING:
    from kubectl_vmetrics.kube.kubeconfig import Connection

LIMIT = 1.0
"""Seconds that a cluster is asked."""
LOGIN = 3.0
"""Seconds where a program logs in first, which has limits of its own or none."""
KEPT = 15.0
"""Seconds for which an answer is kept."""

Candidates = list[tuple[str, str]]
"""What may be typed, and a line on each."""


class Lookup:
    """Looks up names that can continue a command line.

    Args:
        environment: for the paths of the kubeconfig and the cache.
        given: the options of the line so far, by parameter name.
        anywhere: whether the line is about all namespaces.
        closed: whether not to ask any cluster.
    """

    def __init__(
        self, environment: Environment, given: Mapping[str, str], *, anywhere: bool = False, closed: bool = False
    ) -> None:
        self._environment = environment
        self._given = given
        self._anywhere = anywhere
        self._closed = closed

    def _connection(self) -> Connection:
        import msgspec

        from kubectl_vmetrics.kube import kubeconfig

        names = ("kubeconfig", "context", "cluster", "user", "namespace", "server", "token")
        flags = msgspec.convert({name: self._given[name] for name in names if name in self._given}, kubeconfig.Flags)
        return msgspec.structs.replace(kubeconfig.connection(flags, self._environment.variables), timeout=LIMIT)

    def named(self, kind: str) -> Candidates:
        """Contexts, clusters or users of the kubeconfig."""
        import msgspec

        from kubectl_vmetrics.kube import kubeconfig

        given = {"kubeconfig": self._given["kubeconfig"]} if "kubeconfig" in self._given else {}
        flags = msgspec.convert(given, kubeconfig.Flags)
        return [(name, "") for name in kubeconfig.names(flags, self._environment.variables, kind)]

    def objects(self, path: str, *, spaces: bool = True) -> Candidates:
        """The names of objects.

        Args:
            path: of their list; {} is where a namespace may stand.
            spaces: whether they are namespaced; if so, those in the namespace of the command line, or all.
        """
        from kubectl_vmetrics.kube.client import PARTIAL_LIST, Client, escape

        connection = self._connection()
        scope = f"namespaces/{escape(connection.namespace)}/" if spaces and not self._anywhere else ""
        full = path.format(scope)

        def read() -> Candidates:
            answer = Client(connection).get(full, {"limit": 500}, accept=PARTIAL_LIST, limit=LIMIT)
            names = (item["metadata"]["name"] for item in json.loads(answer.body).get("items") or [])
            return [(name, "") for name in dict.fromkeys(names)]

        return self._look_up(connection, full, read)

    def paths(self, path: str) -> Candidates:
        """As `objects`; as NAMESPACE/NAME if the command line has no namespace."""
        if self._anywhere or "namespace" in self._given:
            return self.objects(path)
        return [(f"{space}/{name}", "") for name, space in self._with_namespaces(path.format(""))]

    def namespaces(self) -> Candidates:
        """Namespaces for -n: of the virtual cluster on the command line, or of the host."""
        if "vcluster" in self._given:
            return _unique((namespace, "") for namespace, _ in self._inside())
        return self.objects("/api/v1/namespaces", spaces=False)

    def pods(self) -> Candidates:
        """Pods for NAME: of the virtual cluster on the command line, or of a host namespace."""
        if "vcluster" in self._given:
            wanted = self._given.get("namespace")
            return _unique((name, space) for space, name in self._inside() if wanted in (None, space))
        return self.objects(f"/apis/metrics.k8s.io/{self.metrics_version()}/{{}}pods")

    def metrics_version(self) -> str:
        """The version of metrics.k8s.io to ask for: v1beta1, unless the cluster serves only another."""
        from kubectl_vmetrics.kube.client import Client
        from kubectl_vmetrics.metrics.metrics_api import GROUP, SUPPORTED

        connection = self._connection()

        def read() -> Candidates:
            answer = Client(connection).get(GROUP, limit=LIMIT)
            return [(item["version"], "") for item in json.loads(answer.body)["versions"]]

        served: list[str] = []
        with contextlib.suppress(Exception):
            served = [version for version, _ in self._look_up(connection, GROUP, read)]
        return next((version for version in SUPPORTED if version in served), SUPPORTED[0])

    def _inside(self) -> Candidates:
        """Virtual namespace and name of each pod of the virtual cluster."""
        from kubectl_vmetrics.kube.client import Client
        from kubectl_vmetrics.metrics.metrics_api import PodMetrics, Scope
        from kubectl_vmetrics.vcluster import discovery, pods
        from kubectl_vmetrics.vcluster.homes import Homes

        connection, text = self._connection(), self._given["vcluster"]

        def read() -> Candidates:
            client = Client(connection)
            known = discovery.look(client, text.partition("/")[0] if "/" in text else None)
            ref = discovery.select(known.clusters, text)
            found = pods.inside(client, ref, Homes(known), Scope(), PodMetrics)
            return sorted((pod.virtual.namespace, pod.virtual.name) for pod in found.pods if pod.virtual)

        return self._look_up(connection, f"pods of {text}", read)

    def accounts(self, namespace: str | None) -> Candidates:
        """Service accounts of one namespace or of all, each with its namespace."""
        from kubectl_vmetrics.kube.client import escape

        return self._with_namespaces(
            f"/api/v1/{f'namespaces/{escape(namespace)}/' if namespace else ''}serviceaccounts"
        )

    def _with_namespaces(self, path: str) -> Candidates:
        from kubectl_vmetrics.kube.client import PARTIAL_LIST, Client

        connection = self._connection()

        def read() -> Candidates:
            answer = Client(connection).get(path, {"limit": 500}, accept=PARTIAL_LIST, limit=LIMIT)
            items = (item["metadata"] for item in json.loads(answer.body).get("items") or [])
            return [(meta["name"], meta["namespace"]) for meta in items]

        return self._look_up(connection, f"{path} and namespaces", read)

    def vclusters(self) -> Candidates:
        """The virtual clusters of the host, by namespace and name."""
        from kubectl_vmetrics.kube.client import Client
        from kubectl_vmetrics.vcluster import discovery

        connection = self._connection()

        def read() -> Candidates:
            return [(item.ref.path, item.status) for item in discovery.find(Client(connection), None)]

        return self._look_up(connection, "vclusters", read)

    def prometheus(self) -> Candidates:
        """The Services that may lead to a Prometheus, by namespace and name."""
        from kubectl_vmetrics.kube.client import Client
        from kubectl_vmetrics.vcluster import monitoring

        connection = self._connection()

        def read() -> Candidates:
            return [(item.path, item.kind) for item in monitoring.candidates(Client(connection))]

        return self._look_up(connection, "prometheus", read)

    def vclusters_by_name(self, *, here: bool = False) -> Candidates:
        """Virtual clusters in the namespace of the command line; each name once, described by its namespace.

        Args:
            here: whether the default is the kubeconfig's namespace; otherwise it is all namespaces.
        """
        found: dict[str, list[str]] = {}
        given = self._connection().namespace if here else self._given.get("namespace")
        for value, _ in self.vclusters():
            namespace, _, name = value.rpartition("/")
            if self._anywhere or given in (None, namespace):
                found.setdefault(name, []).append(namespace)
        return [(name, ", ".join(namespaces)) for name, namespaces in found.items()]

    def _look_up(self, connection: Connection, what: str, read: Callable[[], Candidates]) -> Candidates:
        if self._closed:
            return []
        limit = LOGIN if connection.user.exec or connection.user.auth_provider else LIMIT
        key = f"{connection.server} {connection.user.name} {what}"
        return _kept(self._environment, key, lambda: _within(limit, read))


def _within(seconds: float, read: Callable[[], Candidates]) -> Candidates:
    """The result of `read`, called in a thread that is abandoned if it takes too long.

    Raises:
        TimeoutError: it takes too long; and whatever `read` raises.
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
    """The result of `read`, or a recent one from a cache file that only the user can read."""
    from kubectl_vmetrics.kube import private

    variables = environment.variables
    home = variables.get("HOME") or variables.get("USERPROFILE")
    folder = variables.get("KUBECACHEDIR") or (f"{home}/.kube/cache" if home else None)
    if not folder:
        return read()
    path = Path(folder, "vmetrics", f"complete-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json")
    kept = private.read(path)
    if kept and 0 <= time.time() - kept.at < KEPT:
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            return [(str(value), str(text)) for value, text in json.loads(kept.data)]
    found = read()
    private.write(path, json.dumps(found).encode())
    return found


def _unique(found: Iterable[tuple[str, str]]) -> Candidates:
    return list(dict(found).items())
