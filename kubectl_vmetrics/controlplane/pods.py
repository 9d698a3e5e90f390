"""The pods of control planes: their addresses, and the flags of their containers."""

from __future__ import annotations

import re

import msgspec

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.core import ContainerCommand, ObjectMeta
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all, pods_path


class _Spec(msgspec.Struct):
    containers: list[ContainerCommand] = []


class _Status(msgspec.Struct):
    phase: str = ""
    ip: str = msgspec.field(default="", name="podIP")


class Pod(msgspec.Struct):
    """A pod."""

    metadata: ObjectMeta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)

    def container(self, name: str) -> ContainerCommand | None:
        """One of its containers."""
        return next((item for item in self.spec.containers if item.name == name), None)

    def has(self, name: str) -> bool:
        """Whether it has a container with this name."""
        return self.container(name) is not None

    def flag(self, container: str, flag: str) -> str:
        """The value of a container's flag, the last one if it is repeated; "" if it is not set."""
        found = self.container(container)
        words = [*found.command, *found.args] if found else []
        value = ""
        for index, word in enumerate(words):
            if word.startswith(f"{flag}="):
                value = word.partition("=")[2]
            elif word == flag and index + 1 < len(words):
                value = words[index + 1]
        return value

    def port(self, container: str, flag: str, default: int) -> int:
        """The port in a flag's value, with or without an address."""
        found = re.search(r"(\d+)$", self.flag(container, flag))
        return int(found[1]) if found and 0 < int(found[1]) < 65536 else default

    def version(self, container: str) -> tuple[int, ...]:
        """The version in the tag of a container's image; empty if the tag is not a version."""
        found = self.container(container)
        return version(found.image.partition("@")[0].rpartition("/")[2].partition(":")[2] if found else "")


def version(text: str) -> tuple[int, ...]:
    """Parse a version.

    >>> version("v0.37.1-rc.2")
    (0, 37, 1)
    """
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def find(client: Client, namespace: str | None, labels: str) -> list[Pod]:
    """Pods by label, without those that have terminated. Raises as Client.get."""
    listed: list[Pod] = list_all(client, pods_path(namespace), decoder(ObjectList[Pod]), {"labelSelector": labels})
    return [pod for pod in listed if pod.status.phase not in ("Succeeded", "Failed")]
