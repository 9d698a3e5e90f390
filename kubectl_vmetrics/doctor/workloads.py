"""What runs the monitoring of the host: Deployments, StatefulSets and DaemonSets, by the images of their pods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.core import ObjectMeta
from kubectl_vmetrics.kube.errors import VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.kube.lists import ObjectList, decoder, list_all

from .check import Session

STATE_METRICS = ("kube-state-metrics",)
"""In the name of the image of kube-state-metrics."""
COLLECTORS = ("opentelemetry-collector", "otel-collector", "otelcol")
"""In the name of images of OpenTelemetry collectors."""


class _Named(msgspec.Struct):
    name: str = ""


class _Source(msgspec.Struct):
    config_map: _Named | None = msgspec.field(default=None, name="configMap")


class _Projected(msgspec.Struct):
    sources: list[_Source] = []


class _Volume(msgspec.Struct):
    config_map: _Named | None = msgspec.field(default=None, name="configMap")
    projected: _Projected | None = None


class Container(msgspec.Struct):
    """A container: what it runs. Its environment is not read: that may hold credentials."""

    image: str = ""
    command: list[str] = []
    args: list[str] = []

    @property
    def words(self) -> list[str]:
        """Its command line, as far as the pod has one."""
        return [*self.command, *self.args]

    def is_one(self, images: Sequence[str]) -> bool:
        """Whether the name of its image contains one of these."""
        name = self.image.partition("@")[0].rpartition("/")[2].partition(":")[0]
        return any(part in name for part in images)


class _PodSpec(msgspec.Struct):
    containers: list[Container] = []
    volumes: list[_Volume] = []


class _Template(msgspec.Struct):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _Spec(msgspec.Struct):
    template: _Template = msgspec.field(default_factory=_Template)


class Workload(msgspec.Struct):
    """A Deployment, StatefulSet or DaemonSet."""

    metadata: ObjectMeta
    spec: _Spec = msgspec.field(default_factory=_Spec)

    @property
    def path(self) -> str:
        """namespace/name."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    def containers(self, images: Sequence[str]) -> list[Container]:
        """Those with one of these images."""
        return [item for item in self.spec.template.spec.containers if item.is_one(images)]

    @property
    def config_maps(self) -> list[str]:
        """The names of the ConfigMaps that its pods mount."""
        found: list[str] = []
        for volume in self.spec.template.spec.volumes:
            maps = [volume.config_map, *(item.config_map for item in (volume.projected or _Projected()).sources)]
            found += [item.name for item in maps if item]
        return list(dict.fromkeys(name for name in found if name))


def with_images(session: Session, images: Sequence[str]) -> list[Workload]:
    """The workloads that run one of these images, by namespace and name. Raises as Client.get."""
    return [item for item in _monitoring(session) if item.containers(images)]


def _monitoring(session: Session) -> list[Workload]:
    def read() -> list[Workload]:
        kinds = ("deployments", "statefulsets", "daemonsets")
        found: list[Workload] = []
        for listed in gather([partial(_list, session.client, kind, _wanted) for kind in kinds]):
            if isinstance(listed, VmetricsError):
                raise listed
            found += listed
        return sorted(found, key=lambda item: (item.metadata.namespace, item.metadata.name))

    return session.once("monitoring workloads", read)


def _wanted(item: Workload) -> bool:
    return bool(item.containers((*STATE_METRICS, *COLLECTORS)))


def _list(client: Client, kind: str, keep: Callable[[Workload], bool]) -> list[Workload]:
    return list_all(client, f"/apis/apps/v1/{kind}", decoder(ObjectList[Workload]), keep=keep)
