"""An apiserver whose objects change while it is watched, and whose watches can be cut, outdated and refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

from kubectl_vmetrics.kube.selector import parse_labels

Object = dict[str, Any]


def synced_pod(namespace: str, virtual_namespace: str, name: str, vcluster: str, uid: str, **more: Any) -> Object:
    """A pod as vCluster's syncer leaves it on the host."""
    host = f"{name}-x-{virtual_namespace}-x-{vcluster}"
    labels = {"vcluster.loft.sh/managed-by": vcluster, "vcluster.loft.sh/namespace": virtual_namespace}
    said = {
        "vcluster.loft.sh/object-name": name,
        "vcluster.loft.sh/object-namespace": virtual_namespace,
        "vcluster.loft.sh/object-uid": f"virtual-{uid}",
        "vcluster.loft.sh/object-kind": "/v1, Kind=Pod",
        "vcluster.loft.sh/object-host-name": host,
        "vcluster.loft.sh/object-host-namespace": namespace,
    }
    return {
        "metadata": {"name": host, "namespace": namespace, "uid": uid, "labels": labels, "annotations": said, **more}
    }


class Changing:
    """A WSGI application.

    Attributes:
        refuse: while set, everything is answered with this status.
        forbidden: these paths are answered with 403.
        lists, watches: the paths that were listed, and watched with the version they started from.
    """

    def __init__(self) -> None:
        self.refuse: int | None = None
        self.forbidden: set[str] = set()
        self.lists: list[str] = []
        self.watches: list[tuple[str, str]] = []
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._events: list[tuple[int, str, str, Object]] = []
        self._version = 100
        self._oldest = 0
        self._cuts = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, resource: str, item: Object) -> None:
        """Add an object, or change it."""
        meta = item["metadata"]
        key = (resource, meta.get("namespace", ""), meta["name"])
        self._event(resource, "MODIFIED" if key in self._objects else "ADDED", item, key)

    def delete(self, resource: str, namespace: str, name: str) -> None:
        """Delete an object."""
        key = (resource, namespace, name)
        self._event(resource, "DELETED", self._objects[key], key)

    def delete_unseen(self, resource: str, namespace: str, name: str) -> None:
        """Delete an object without telling the watches; they are outdated."""
        with self._changed:
            del self._objects[resource, namespace, name]
            self._version += 1
        self.outdate()

    def cut(self) -> None:
        """End all watches in the middle of an event."""
        with self._changed:
            self._cuts += 1
            self._changed.notify_all()

    def outdate(self) -> None:
        """Forget the history: watches end, and cannot be taken up again."""
        with self._changed:
            self._version += 1
            self._oldest = self._version
            self._changed.notify_all()

    def close(self) -> None:
        """End."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _event(self, resource: str, kind: str, item: Object, key: tuple[str, str, str]) -> None:
        with self._changed:
            self._version += 1
            item["metadata"]["resourceVersion"] = str(self._version)
            if kind == "DELETED":
                del self._objects[key]
            else:
                self._objects[key] = item
            self._events.append((self._version, resource, kind, item))
            self._changed.notify_all()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        query = {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        if refuse := 403 if path in self.forbidden else self.refuse:
            start_response(f"{refuse} Status", [("Content-Type", "text/plain")])
            return [b"not now"]
        parts = path.strip("/").split("/")[3 if path.startswith("/apis/") else 2 :]
        namespace, name = None, None
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        resource, name = parts[0], parts[1] if len(parts) > 1 else None
        labels = parse_labels(query.get("labelSelector", ""))

        def matches(item: Object) -> bool:
            meta = item["metadata"]
            return namespace in (None, meta.get("namespace")) and labels.matches(meta.get("labels", {}).get)

        if query.get("watch") == "1":
            self.watches.append((path, query["resourceVersion"]))
            start_response("200 OK", [("Content-Type", "application/json")])
            return self._follow(resource, matches, int(query["resourceVersion"]))
        start_response("200 OK", [("Content-Type", "application/json")])
        with self._changed:
            found = [item for (kind, *_), item in self._objects.items() if kind == resource and matches(item)]
            if name:
                found = [item for item in found if item["metadata"]["name"] == name]
                return [json.dumps(found[0] if found else {}).encode()]
            self.lists.append(path)
            return [json.dumps({"metadata": {"resourceVersion": str(self._version)}, "items": found}).encode()]

    def _follow(self, resource: str, matches: Any, version: int) -> Iterator[bytes]:
        cuts = self._cuts
        while True:
            with self._changed:
                if version < self._oldest:
                    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
                    yield json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
                    return
                new = [e for e in self._events if e[0] > version]
                if not new and not self._closed and cuts == self._cuts:
                    self._changed.wait(0.1)
                    new = [e for e in self._events if e[0] > version]
                if self._closed:
                    return
            if cuts != self._cuts:
                yield b'{"type":"MODIFIED","obj'
                raise ConnectionResetError
            for at, kind, what, item in new:
                version = at
                if kind == resource and matches(item):
                    line = json.dumps({"type": what, "object": item}).encode() + b"\n"
                    yield line[:10]  # events come in pieces
                    yield line[10:]
