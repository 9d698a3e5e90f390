"""Objects as Tables: what kubectl get prints."""

from __future__ import annotations

import datetime

from .objects import Object


def table(resource: str, items: list[Object], include: str) -> Object:
    """Objects of a resource as a meta.k8s.io/v1 Table; `include` is the query's includeObject."""
    columns = ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node"] if resource == "pods" else ["Name", "Age"]
    if resource == "nodes":
        columns = ["Name", "Status", "Roles", "Age", "Version"]
    rows = []
    for item in items:
        meta = item["metadata"]
        cells = {"Name": meta["name"], "Age": _age(meta["creationTimestamp"]), "Status": "Ready", "Roles": "<none>"}
        if resource == "pods":
            count = len(item["spec"]["containers"])
            cells |= {"Ready": f"{count}/{count}", "Status": "Running", "Restarts": "0"}
            cells |= {"IP": item["status"]["podIP"], "Node": item["spec"]["nodeName"]}
        if resource == "nodes":
            cells["Version"] = item["status"]["nodeInfo"]["kubeletVersion"]
        row: Object = {"cells": [cells[column] for column in columns]}
        if include == "Object":
            row["object"] = item
        elif include != "None":
            row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
        rows.append(row)
    definitions = [
        {
            "name": name,
            "type": "string",
            "format": "name" if name == "Name" else "",
            "description": name,
            "priority": int(name in ("IP", "Node")),
        }
        for name in columns
    ]
    meta = {"resourceVersion": "1000"}
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": meta,
        "columnDefinitions": definitions,
        "rows": rows,
    }


def _age(stamp: str) -> str:
    created = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    minutes = int((datetime.datetime.now(datetime.timezone.utc) - created).total_seconds() // 60)
    return f"{minutes}m" if minutes < 180 else f"{minutes // 60}h" if minutes < 2880 else f"{minutes // 1440}d"
