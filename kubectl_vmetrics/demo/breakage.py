"""What may be broken in the demo cluster, for trying the doctor and for its tests.

The breaks themselves are data, `breaks/*.yaml`: messages there are those of the real thing, of kube-aggregator,
metrics-server, kubelets and the apiserver's proxy. This is the schema, and what each kind of change does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import resources
from typing import Any

import msgspec

from . import changes
from .changes import Answer
from .cluster import Cluster, paused
from .edits import Edit, edited
from .exchange import Change, Reply, Request, User

_POD = "metrics-server*"
_PODS = "/api/v1/namespaces/kube-system/pods"
_LOG = rf"{_PODS}/metrics-server-[^/]+/log"
_REGISTERED = r"/apis/apiregistration\.k8s\.io/v1/apiservices/v1(?:beta1)?\.metrics\.k8s\.io"
_METRICS = r"/apis/metrics\.k8s\.io/v1(?:beta1)?/.*"


class Step(msgspec.Struct, forbid_unknown_fields=True, rename="kebab"):
    """A change. The first field that is set says of which kind; it is a pattern of paths unless said otherwise.

    Attributes:
        alter: edit a JSON answer, by `edits`; where `query` is in the request's.
        say: answer with the text `body` and `status`.
        json: answer with the document `body`; where `query` is in the request's.
        refuse: answer with a Status: `code`, `reason`, `message`; {1} there is the pattern's first group.
        replace: replace what matches `pattern` in an answer by `with`.
        count: add `step` to the number behind the pattern's group with each request.
        certificate: put a client certificate of `user`, without groups, into a Secret, as `key`.crt and `key`.key.
        alias: answer for this part of a path as for `of`.
        unavailable: the APIService is not available, for this reason, with `message`.
        metrics_server: edits of metrics-server's pod, which is not ready then.
        log: a line of metrics-server's log; its pod is not ready then.
        pause: a virtual cluster, NAMESPACE/NAME.
        as_: every client is this user.
    """

    alter: str = ""
    say: str = ""
    json: str = ""
    refuse: str = ""
    replace: str = ""
    count: str = ""
    certificate: str = ""
    alias: str = ""
    unavailable: str = ""
    metrics_server: list[Edit] | None = None
    log: str = ""
    pause: str = ""
    as_: str = msgspec.field(default="", name="as")

    edits: list[Edit] = []
    query: dict[str, str] = {}
    body: Any = ""
    status: int = 200
    code: int = 0
    reason: str = ""
    message: str = ""
    pattern: str = ""
    with_: str = msgspec.field(default="", name="with")
    step: int = 0
    user: str = ""
    key: str = ""
    of: str = ""


class Break(msgspec.Struct, forbid_unknown_fields=True, dict=True):
    """Something that is broken.

    Attributes:
        name: for --break.
        text: what it is.
        finds: the identifier of the check that finds it, a slash, and which of its causes it is.
        changes: what is otherwise.
    """

    name: str
    text: str
    finds: str
    changes: list[Step]

    @property
    def check(self) -> str:
        """The identifier of the check that finds it."""
        return self.finds.partition("/")[0]

    @property
    def cause(self) -> str:
        """Which of its causes it is."""
        return self.finds.partition("/")[2]

    @cached_property
    def change(self) -> Broken:
        """For `Apiserver.change`."""
        return Broken(self.changes)


class Broken:
    """The changes of a break as one. Those of the cluster itself are `applied` to it; see `Apiserver.change`."""

    def __init__(self, steps: list[Step]) -> None:
        self._change = changes.together(*(change for step in steps for change in _changes(step)))
        self._paused = [step.pause.partition("/")[::2] for step in steps if step.pause]

    def __call__(self, request: Request, answer: Answer) -> Reply:
        """Answer."""
        return self._change(request, answer)

    def applied(self, cluster: Cluster) -> Cluster:
        """The cluster as it is then."""
        for namespace, name in self._paused:
            cluster = paused(cluster, namespace, name)
        return cluster


def _changes(step: Step) -> Iterator[Change]:
    if step.alter:
        yield changes.alter(step.alter, lambda body: edited(step.edits, body), step.query)
    elif step.say:
        yield changes.say(step.say, step.body, step.status)
    elif step.json:
        yield changes.answer(step.json, step.body, step.query)
    elif step.refuse:
        yield changes.refuse(step.refuse, step.code, step.reason, step.message)
    elif step.replace:
        yield changes.substitute(step.replace, step.pattern.encode(), step.with_.encode())
    elif step.count:
        yield changes.count(step.count, step.pattern.encode(), step.step)
    elif step.certificate:
        yield changes.certificate(step.certificate, step.user, step.key)
    elif step.alias:
        yield changes.alias(step.alias, step.of)
    elif step.unavailable:
        yield from _unavailable(step.unavailable, step.message)
    elif step.metrics_server is not None:
        yield from _unready(step.metrics_server)
    elif step.log:
        yield from _unready([])
        yield changes.say(_LOG, f"I1121 08:00:00.1       1 serving.go:1] start\nE1121 08:00:01.2       1 {step.log}\n")
    elif step.as_:
        yield changes.impersonate(User(step.as_, ("system:authenticated",)))


def _unavailable(reason: str, message: str) -> Iterator[Change]:
    condition = {"status": "False", "reason": reason, "message": message}
    edit = Edit(set={f"status.conditions.0.{key}": value for key, value in condition.items()})
    yield changes.alter(_REGISTERED, lambda body: edited([edit], body))
    yield changes.say(_METRICS, "service unavailable\n", 503)


def _unready(edits: list[Edit]) -> Iterator[Change]:
    """metrics-server's pod is not ready, so nothing is served by it."""
    unready = Edit(set={"status.conditions.0.status": "False", "status.containerStatuses.0.ready": False})
    own = [msgspec.structs.replace(edit, items=_POD) for edit in (unready, *edits)]
    yield changes.alter(_PODS, lambda body: edited(own, body))
    yield from _unavailable("MissingEndpoints", "endpointslices have no addresses with port name")


def _load() -> Mapping[str, Break]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: list[Break] = []
    folder = resources.files(__package__) / "breaks"
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        if file.name.endswith(".yaml"):
            known = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)
            found += msgspec.convert(known, list[Break])
    return {item.name: item for item in found}


BREAKS = _load()
