"""The ways in which a Prometheus knows the virtual names of host pods and claims, each read by one query per day.

Nothing is joined in the server: one duplicate series, as of two kube-state-metrics, would cost the whole answer. What a
way says is a claim; `names` decides what counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from kubectl_vmetrics.prometheus.answer import Sample
from kubectl_vmetrics.prometheus.api import Prometheus
from kubectl_vmetrics.vcluster import naming

from .jobs import Jobs, quoted
from .window import Window

PODS, CLAIMS = "pod", "persistentvolumeclaim"
"""Kinds of host objects, by the label of their names."""
REMEMBERED = 600.0
"""Seconds before a window in which names are looked for as well, as rules do: what serves them may restart."""
_DAY = 86_400.0

_MANAGED_BY, _SPACE = "label_vcluster_loft_sh_managed_by", "label_vcluster_loft_sh_namespace"
_OBJECT = "annotation_vcluster_loft_sh_object_"
_SAID = tuple(_OBJECT + key for key in ("name", "namespace", "kind", "host_name", "host_namespace"))
_KINDS = {PODS: "/v1, Kind=Pod", CLAIMS: "/v1, Kind=PersistentVolumeClaim"}
_OWNER = ("vcluster_host_namespace", "vcluster_name")
HASHED = ".+-[0-9a-f]{10}"
"""Matches host names that are cut and hashed."""


class Said(NamedTuple):
    """What a way says about one host object.

    Attributes:
        namespace: of the host.
        name: on the host.
        home: the host namespace of the virtual cluster's control plane.
        vcluster: its name.
        space: the virtual namespace; "" if it is not known.
        virtual: the virtual name; "" if it is not known.
        at_home: whether the object is owned by the Service of a control plane in its own namespace.
    """

    namespace: str
    name: str
    home: str
    vcluster: str
    space: str = ""
    virtual: str = ""
    at_home: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Which host object."""
        return self.namespace, self.name

    @property
    def owner(self) -> tuple[str, str, str, bool]:
        """Whose it would be."""
        return self.namespace, self.home, self.vcluster, self.at_home


class Asked(NamedTuple):
    """A server, and what is asked of it."""

    server: Prometheus
    jobs: Jobs
    window: Window

    def labels(self, chosen: str, by: Sequence[str]) -> Iterator[dict[str, str]]:
        """The labels that the series of a selector had at any time of the window."""
        listed = ", ".join(by)
        for start, end in days(self.window):
            seconds = max(1, round(end - start))
            yield from map(
                _labels, self.server.query(f"group by ({listed}) (max_over_time({chosen}[{seconds}s]))", at=end)
            )

    def within(self, namespace: str) -> Asked:
        """The same, of one host namespace."""
        only = f',namespace="{quoted(namespace)}"'
        jobs = self.jobs
        return self._replace(
            jobs=jobs._replace(
                state=jobs.state + only,
                names=jobs.names + only,
                labeled=jobs.labeled + only,
                recorded=jobs.recorded + only,
            )
        )

    def last(self) -> Asked:
        """The same, at the end of the window only."""
        return self._replace(window=Window(self.window.end - 1, self.window.end))

    def now(self, chosen: str, by: Sequence[str], at: float) -> list[dict[str, str]]:
        """The labels that the series of a selector had at one moment."""
        return [_labels(sample) for sample in self.server.query(f"group by ({', '.join(by)}) ({chosen})", at=at)]

    def covered(self, chosen: str, start: float) -> bool:
        """Whether a selector has series at the start of what is wanted."""
        return bool(self.server.query(f"group({chosen})", at=start))


def _labels(sample: Sample) -> dict[str, str]:
    return sample.labels


def days(window: Window) -> Iterator[tuple[float, float]]:
    """A window in parts that a server bears: a query over a range reads every sample of it."""
    end = window.end
    while end > window.start:
        start = max(window.start, end - _DAY)
        yield start, end
        end = start


class Way(NamedTuple):
    """A way to learn names.

    Attributes:
        name: as it is told to users.
        read: what it says about the objects of a kind.
        witness: a selector of series that exist as long as it works.
        proven: whether what it says is proven by the program that made the series, which sees the whole host.
        virtual: whether it knows more than the virtual cluster.
    """

    name: str
    read: Callable[[Asked, str], Iterator[Said]]
    witness: Callable[[Jobs], str]
    proven: bool
    virtual: bool = True


def _info(asked: Asked, kind: str) -> Iterator[Said]:
    family = "vcluster_pod_info" if kind == PODS else "vcluster_persistentvolumeclaim_info"
    return _plain(asked, kind, f"{family}{{{asked.jobs.names}}}")


def _recorded(asked: Asked, kind: str) -> Iterator[Said]:
    series = "vcluster_pod:names:max" if kind == PODS else "vcluster_claim:names:max"
    return _plain(asked, kind, f"{series}{{{asked.jobs.recorded}}}")


def _labeled(asked: Asked, kind: str) -> Iterator[Said]:
    # A tenant's view of the proxy has no vcluster_virtual_namespace: its namespace and pod are not the host's.
    if kind == PODS:
        chosen = f'container_memory_working_set_bytes{{{asked.jobs.labeled},vcluster_virtual_namespace!=""}}'
    else:
        chosen = f'kubelet_volume_stats_used_bytes{{{asked.jobs.labeled},vcluster_virtual_{CLAIMS}!=""}}'
    return _plain(asked, kind, chosen)


def _plain(asked: Asked, kind: str, chosen: str) -> Iterator[Said]:
    """Series with the labels of our own."""
    space, virtual = "vcluster_virtual_namespace", f"vcluster_virtual_{kind}"
    for labels in asked.labels(chosen, ("namespace", kind, *_OWNER, space, virtual)):
        home, name = (labels.get(key, "") for key in _OWNER)
        if home and name:
            said = Said(labels.get("namespace", ""), labels.get(kind, ""), home, name, labels.get(space, ""))
            yield said._replace(virtual=labels.get(virtual, "") or _stripped(said))


def _state(asked: Asked, kind: str) -> Iterator[Said]:
    """Labels of kube-state-metrics, and its annotations for names that are hashed.

    vCluster overwrites at each sync what is read here. Annotations that host controllers copied to another object do
    not make the name of that object.
    """
    hashed: list[Said] = []
    chosen = f'kube_{kind}_labels{{{asked.jobs.state},{_MANAGED_BY}!="",{_SPACE}!=""}}'
    for labels in asked.labels(chosen, ("namespace", kind, _MANAGED_BY, _SPACE)):
        namespace, name, vcluster, space = (labels.get(key, "") for key in ("namespace", kind, _MANAGED_BY, _SPACE))
        said = Said(namespace, name, namespace, vcluster, space)
        if virtual := _stripped(said):
            yield said._replace(virtual=virtual)
        else:
            hashed.append(said)
    if hashed:
        chosen = f'kube_{kind}_annotations{{{asked.jobs.state},{_SAID[0]}!="",{kind}=~"{HASHED}"}}'
        found: dict[tuple[str, str], list[dict[str, str]]] = {}
        for labels in asked.labels(chosen, ("namespace", kind, *_SAID)):
            found.setdefault((labels.get("namespace", ""), labels.get(kind, "")), []).append(labels)
        for said in hashed:
            origins = {origin for labels in found.get(said.key, ()) if (origin := _origin(labels, said, kind))}
            space, virtual = origins.pop() if len(origins) == 1 else (said.space, "")
            yield said._replace(space=space, virtual=virtual)


def _origin(labels: dict[str, str], said: Said, kind: str) -> tuple[str, str] | None:
    """Virtual namespace and name of annotations; None if they are those of another object.

    kube-state-metrics exports only what its allowlist names, so that the name itself must do as a proof: its hash is
    that of the virtual names.
    """
    virtual, space, own, host, home = (labels.get(key, "") for key in _SAID)
    space = space or said.space
    if own not in ("", _KINDS[kind]) or host not in ("", said.name) or home not in ("", said.namespace):
        return None
    return (space, virtual) if naming.host_name(virtual, space, said.vcluster) == said.name else None


def _stripped(said: Said) -> str:
    return naming.virtual_name(said.name, said.space, said.vcluster) or "" if said.space else ""


def _owned(asked: Asked, kind: str) -> Iterator[Said]:
    """Owners: vCluster lets its own Service own what it syncs, which no controller of Kubernetes does."""
    if kind != PODS:
        return
    chosen = f'kube_pod_owner{{{asked.jobs.state},owner_kind="Service",owner_name!=""}}'
    for labels in asked.labels(chosen, ("namespace", "pod", "owner_name")):
        namespace = labels.get("namespace", "")
        yield Said(namespace, labels.get("pod", ""), namespace, labels["owner_name"], at_home=True)


WAYS = (
    Way("vcluster_pod_info", _info, lambda jobs: f"vcluster_pod_info{{{jobs.names}}}", proven=True),
    Way("recorded rules", _recorded, lambda jobs: f"vcluster_pod:names:max{{{jobs.recorded}}}", proven=False),
    Way(
        "kube-state-metrics",
        _state,
        lambda jobs: f'kube_pod_labels{{{jobs.state},{_MANAGED_BY}!=""}}',
        proven=False,
    ),
    Way(
        "proxy labels",
        _labeled,
        lambda jobs: f'container_memory_working_set_bytes{{{jobs.labeled},vcluster_virtual_namespace!=""}}',
        proven=True,
    ),
    Way(
        "pod owners",
        _owned,
        lambda jobs: f'kube_pod_owner{{{jobs.state},owner_kind="Service"}}',
        proven=False,
        virtual=False,
    ),
)
"""In order of preference."""
