"""How an OpenTelemetry collector finds virtual names: the rules of `vcluster.identity`, as OTTL statements.

Only what a syncer writes is read: the labels managed-by and namespace, and the annotations object-… if they are the
pod's own. A tenant can write `vcluster.loft.sh/name`. The collector does not know where control planes are, so labels
count for a virtual cluster in the pod's own host namespace, and for no other unless the user says so.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_vmetrics.vcluster import naming
from kubectl_vmetrics.vcluster.identity import NAMESPACE_KIND, POD_KIND, VClusterRef

from .bundle import Object
from .ottl import attribute, equal, given, head, joined, keep, longer, missing, put, quoted, remove, remove_all

POD, SPACE, UID, CLAIM = "k8s.pod.name", "k8s.namespace.name", "k8s.pod.uid", "k8s.persistentvolumeclaim.name"
"""Resource attributes of the kubeletstats receiver."""

NAME, HOME = "vcluster.name", "vcluster.host.namespace"
VIRTUAL_SPACE, VIRTUAL_POD = "vcluster.virtual.namespace", "vcluster.virtual.pod"
VIRTUAL_CLAIM = "vcluster.virtual.persistentvolumeclaim"
"""What is added; Prometheus writes underscores for dots, and has the labels of the proxy."""

_WORK = "vmetrics"
"""The first word of attributes that are removed in the end."""
_ANNOTATIONS = ("name", "namespace", "kind", "host-name", "host-namespace", "uid")
_SPACE_LABELS = {"vcluster": "vcluster-name", "home": "vcluster-namespace", "managed_by": "managed-by"}
_SHOWN = (SPACE, POD, UID, CLAIM, "k8s.container.name", "k8s.volume.name", "k8s.node.name")
"""What a tenant may know of its pods."""
_YES = quoted("yes")


def _own(name: str) -> str:
    return f"{_WORK}.{name}"


def extracted() -> dict[str, list[Object]]:
    """The labels and annotations to read, as the k8sattributes processor takes them: by their exact keys."""
    labels = [
        {"tag_name": _own("managed_by"), "key": naming.MANAGED_BY, "from": "pod"},
        {"tag_name": _own("namespace"), "key": naming.NAMESPACE, "from": "pod"},
        *(
            {"tag_name": _own(f"space.{tag}"), "key": f"vcluster.loft.sh/{key}", "from": "namespace"}
            for tag, key in _SPACE_LABELS.items()
        ),
    ]
    annotations = [
        {"tag_name": _own(f"{prefix}object.{part}"), "key": f"vcluster.loft.sh/object-{part}", "from": source}
        for prefix, source, parts in (
            ("", "pod", _ANNOTATIONS),
            ("space.", "namespace", ("name", "kind", "host-name")),
        )
        for part in parts
    ]
    return {"labels": labels, "annotations": annotations}


def clean() -> list[str]:
    """Before anything is read: what a sender claims. The k8sattributes processor keeps attributes that are there."""
    return [remove_all((_WORK, "vcluster"))]


def statements(targets: Iterable[tuple[str, VClusterRef]], *, volumes: bool) -> list[str]:
    """Set the names of virtual clusters, and of pods and claims inside of them.

    Args:
        targets: host namespaces, and the virtual cluster elsewhere that syncs its pods there.
        volumes: whether there are claims.
    """
    found = [*_whole(volumes), *_labelled(targets)]
    found += _stripped("pod", POD, VIRTUAL_POD)
    if volumes:
        found += _stripped("claim", CLAIM, VIRTUAL_CLAIM)
    return found + _annotated()


def _whole(volumes: bool) -> list[str]:
    """Host namespaces that were synced whole: names in them are the tenant's. The marker is no label of a tenant's."""
    home, name, virtual = _own("space.home"), _own("space.vcluster"), _own("space.object.name")
    kind, host = _own("space.object.kind"), _own("space.object.host-name")
    whole = equal(_own("whole"), _YES)
    found = [
        put(
            _own("whole"),
            _YES,
            given(home),
            given(name),
            given(virtual),
            equal(_own("space.managed_by"), joined([attribute(home), attribute(name)], "-x-")),
            f"({missing(kind)} or {equal(kind, quoted(NAMESPACE_KIND))})",
            f"({missing(host)} or {equal(host, attribute(SPACE))})",
        ),
        put(HOME, attribute(home), whole),
        put(NAME, attribute(name), whole),
        put(VIRTUAL_SPACE, attribute(virtual), whole),
        put(VIRTUAL_POD, attribute(POD), whole),
    ]
    if volumes:
        found.append(put(VIRTUAL_CLAIM, attribute(CLAIM), whole, given(CLAIM)))
    return found


def _labelled(targets: Iterable[tuple[str, VClusterRef]]) -> list[str]:
    """Pods that a syncer labelled, in host namespaces that were not synced whole."""
    synced = equal(_own("synced"), _YES)
    name, space = _own("managed_by"), _own("namespace")
    found = [
        put(_own("synced"), _YES, missing(_own("space.vcluster")), given(name), given(space)),
        put(NAME, attribute(name), synced),
        put(HOME, attribute(SPACE), synced),
        # Also of pods without a virtual name, such as those that run virtual machines.
        put(VIRTUAL_SPACE, attribute(space), synced),
    ]
    found += [
        put(HOME, quoted(ref.host_namespace), synced, equal(SPACE, quoted(place)), equal(name, quoted(ref.name)))
        for place, ref in targets
    ]
    return [*found, put(_own("suffix"), joined(['""', attribute(space), attribute(name)], "-x-"), synced)]


def _stripped(what: str, host: str, virtual: str) -> list[str]:
    """Names without the suffix that the labels call for, if joined again they are the host's."""
    candidate, suffix = _own(what), _own("suffix")
    whole = joined([attribute(candidate), attribute(suffix)], "")
    return [
        put(candidate, head(host, suffix), given(suffix), given(host), longer(host, suffix)),
        put(virtual, attribute(candidate), given(candidate), equal(host, whole)),
    ]


def _annotated() -> list[str]:
    """Names that were hashed, from annotations that are the pod's own: host controllers copy some to other objects."""
    claimed = equal(_own("claimed"), _YES)
    name, space, uid = (_own(f"object.{part}") for part in ("name", "namespace", "uid"))
    hashed = missing(_own("named"))
    return [
        put(
            _own("claimed"),
            _YES,
            equal(_own("synced"), _YES),
            given(name),
            given(space),
            equal(_own("object.kind"), quoted(POD_KIND)),
            equal(_own("object.host-name"), attribute(POD)),
            equal(_own("object.host-namespace"), attribute(SPACE)),
        ),
        put(_own("named"), _YES, given(VIRTUAL_POD)),
        put(VIRTUAL_POD, attribute(name), claimed, hashed),
        put(VIRTUAL_SPACE, attribute(space), claimed, hashed),
        put(_own("uid"), attribute(uid), claimed, given(uid)),
    ]


def dropped(vcluster: VClusterRef, *, replaced: bool) -> list[str]:
    """Conditions of what does not belong to a virtual cluster; and, for names to be replaced, of what has none."""
    others = [
        f"{attribute(NAME)} != {quoted(vcluster.name)}",
        f"{attribute(HOME)} != {quoted(vcluster.host_namespace)}",
    ]
    return [*others, missing(VIRTUAL_POD)] if replaced else others


def replaced(*, volumes: bool) -> list[str]:
    """The tenant's names in place of the host's, and nothing that only the host knows."""
    found = [
        put(SPACE, attribute(VIRTUAL_SPACE)),
        put(POD, attribute(VIRTUAL_POD)),
        remove(UID),
        put(UID, attribute(_own("uid")), given(_own("uid"))),
    ]
    if volumes:
        found += [remove(CLAIM), put(CLAIM, attribute(VIRTUAL_CLAIM), given(VIRTUAL_CLAIM))]
    return [*found, keep(_SHOWN)]


def tidy() -> list[str]:
    """In the end: what was read."""
    return [remove_all((_WORK,))]
