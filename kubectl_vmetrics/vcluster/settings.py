"""One setting of a virtual cluster, from the values that its chart keeps in the Secret vc-config-NAME (since v0.20)."""

from __future__ import annotations

import base64

import msgspec

from kubectl_vmetrics.kube.client import Client, escape
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.lists import decoder

from . import naming
from .identity import VClusterRef

LARGEST = 1 << 20
"""Bytes of a Secret, as etcd takes them; more is not read."""
_DEEPEST = 64


class _Labels(msgspec.Struct):
    managed_by: str | None = msgspec.field(default=None, name=naming.MANAGED_BY)


class _Meta(msgspec.Struct):
    labels: _Labels = msgspec.field(default_factory=_Labels)


class _Secret(msgspec.Struct):
    data: dict[str, str] = {}
    metadata: _Meta = msgspec.field(default_factory=_Meta)


def read(client: Client, ref: VClusterRef, path: tuple[str, ...]) -> str | None:
    """A setting as text; None if it is not there, or cannot be read.

    Args:
        client: the host.
        ref: the virtual cluster.
        path: the keys that lead to it.
    """
    where = f"/api/v1/namespaces/{escape(ref.host_namespace)}/secrets/{escape(f'vc-config-{ref.name}')}"
    try:
        secret: _Secret = client.decode(where, decoder(_Secret))
    except VmetricsError:
        return None  # it is optional, and everything that it could say the user can say as well
    if secret.metadata.labels.managed_by is not None:
        return None  # a tenant's own Secret that was synced here
    try:
        text = base64.b64decode(secret.data.get("config.yaml", "")[:LARGEST], validate=True)
    except ValueError:
        return None
    return _scalar(text, path)


def _scalar(text: bytes, path: tuple[str, ...]) -> str | None:
    """One value of a YAML document. The rest may hold passwords and is not even built."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    keys: list[str | None] = []  # of each open collection the key that is being read; None where none is, or in a list
    mappings: list[bool] = []
    try:
        for event in yaml.parse(text, loader):
            if isinstance(event, yaml.CollectionStartEvent):
                if mappings and mappings[-1] and keys[-1] is None:
                    return None  # a key that is no word
                mappings.append(isinstance(event, yaml.MappingStartEvent))
                keys.append(None)
                if len(keys) > _DEEPEST:
                    return None
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                mappings.pop()
                keys.pop()
            elif isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent)):
                value = event.value if isinstance(event, yaml.ScalarEvent) else ""
                if mappings and mappings[-1] and keys[-1] is None:
                    keys[-1] = value
                    continue
                if all(mappings) and tuple(keys) == path:
                    return value
            else:
                continue
            if keys and mappings[-1]:
                keys[-1] = None
    except yaml.YAMLError:
        return None
    return None
