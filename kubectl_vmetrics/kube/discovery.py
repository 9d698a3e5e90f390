"""Discovery documents: the resources a server serves.

Both forms: the one that every client knows, and the aggregated one that kubectl asks for first
(https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = ("get", "list")

Document = dict[str, Any]


class ApiResource(NamedTuple):
    """A kind of object that a server has, for reading."""

    group: str
    version: str
    name: str
    kind: str
    namespaced: bool
    short: tuple[str, ...] = ()

    @property
    def group_version(self) -> str:
        """As in apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        """The singular name; aggregated servers leave it empty, which kubectl knows how to take."""
        return "" if self.group == "metrics.k8s.io" else self.name[:-1]


def document(resources: Sequence[ApiResource], path: str, accept: str) -> tuple[Document, str] | None:
    """The discovery document of a path and its content type; None for a path that has none."""
    path = path.rstrip("/")
    if path in ("/api", "/apis"):
        wanted = [resource for resource in resources if bool(resource.group) == (path == "/apis")]
        if "as=APIGroupDiscoveryList" in accept:
            return _aggregated(wanted), AGGREGATED
        if path == "/api":
            return {
                "kind": "APIVersions",
                "versions": [version for _, version in _versions(wanted)],
            }, "application/json"
        groups = [_group(group, versions) for group, versions in _groups(wanted).items()]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}, "application/json"
    for group, version in _versions(resources):
        if path == (f"/apis/{group}/{version}" if group else f"/api/{version}"):
            listed = [resource for resource in resources if (resource.group, resource.version) == (group, version)]
            return _resource_list(listed), "application/json"
        if group and path == f"/apis/{group}":
            versions = _groups(resources)[group]
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions)}, "application/json"
    return None


def _versions(resources: Iterable[ApiResource]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((resource.group, resource.version) for resource in resources))


def _groups(resources: Iterable[ApiResource]) -> dict[str, list[str]]:
    """The versions of each group, stable ones first, as an apiserver orders those of one priority."""
    found: dict[str, list[str]] = {}
    for group, version in _versions(resources):
        found.setdefault(group, []).append(version)
    return {
        group: sorted(versions, key=lambda version: not version[1:].isdecimal()) for group, versions in found.items()
    }


def _group(group: str, versions: Sequence[str]) -> Document:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _resource_list(resources: Sequence[ApiResource]) -> Document:
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": resources[0].group_version,
        "resources": [
            {
                "name": resource.name,
                "singularName": resource.singular,
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": list(VERBS),
            }
            for resource in resources
        ],
    }


def _aggregated(resources: Sequence[ApiResource]) -> Document:
    items = []
    for group, versions in _groups(resources).items():
        listed = [_version(resources, group, version) for version in versions]
        items.append({"metadata": {"name": group} if group else {}, "versions": listed})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _version(resources: Sequence[ApiResource], group: str, version: str) -> Document:
    listed = [
        {
            "resource": resource.name,
            "responseKind": {"group": group, "version": version, "kind": resource.kind},
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": resource.singular,
            "verbs": list(VERBS),
            "shortNames": list(resource.short),
        }
        for resource in resources
        if (resource.group, resource.version) == (group, version)
    ]
    return {"version": version, "resources": listed, "freshness": "Current"}
