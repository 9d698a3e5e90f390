"""--source: where metrics come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.metrics import metrics_api
from kubectl_vmetrics.output.terminal import Environment

if TYPE_CHECKING:
    from kubectl_vmetrics.metrics.kubelet import Pod
    from kubectl_vmetrics.metrics.sources import Kubelets, Source
    from kubectl_vmetrics.metrics.usage import HostPod


def source_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --source."""
    return click.option(
        "--source",
        default="metrics-api",
        show_default=True,
        help="Where metrics come from: metrics-api, kubelet (needs get on nodes/proxy), or auto.",
    )(command)


class Chosen:
    """The source that --source names, and its warnings.

    Raises:
        UsageError: there is no source of that name.
    """

    def __init__(self, name: str, environment: Environment) -> None:
        self.source: Source = metrics_api
        self.kubelets: Kubelets | None = None
        self._warning: Callable[[], str | None] = lambda: None
        if name not in ("metrics-api", "kubelet", "auto"):
            raise UsageError("--source accepts only metrics-api, kubelet or auto")
        if name == "metrics-api":
            return
        from kubectl_vmetrics.metrics.sources import Auto, Kubelets
        from kubectl_vmetrics.output.progress import Progress

        self.kubelets = kubelets = Kubelets(Progress(environment, "nodes"))
        self.source = kubelets if name == "kubelet" else Auto(kubelets, environment.say)
        self._warning = kubelets.warning

    def warnings(self) -> list[str]:
        """Kubelets that did not respond."""
        warning = self._warning()
        return [warning] if warning else []

    @property
    def partial(self) -> bool:
        """Whether rows are missing because nodes did not respond."""
        return bool(self.kubelets and self.kubelets.failures)

    def reported(self) -> Mapping[HostPod, Pod] | None:
        """What kubelets report about pods besides CPU and memory; None if they were not asked."""
        return (self.kubelets.reported if self.kubelets else None) or None
