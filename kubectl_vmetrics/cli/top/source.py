"""--source: where metrics come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kubectl_vmetrics.cli.engine import given, prometheus_options
from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.metrics import metrics_api
from kubectl_vmetrics.output.terminal import Environment

if TYPE_CHECKING:
    from kubectl_vmetrics.metrics.kubelet import Pod
    from kubectl_vmetrics.metrics.sources import Kubelets, Source
    from kubectl_vmetrics.metrics.usage import HostPod


PROMETHEUS = "prometheus"
_AT, _SOURCE = f"{__name__}.at", f"{__name__}.source"


def _keep(context: click.Context, option: click.Parameter, value: str | None) -> None:
    """Remember an option that only `recorded` reads."""
    if context.get_parameter_source(option.name or "") is not ParameterSource.DEFAULT:
        context.meta[f"{__name__}.{option.name}"] = value


def source_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --source, --at, and the options that lead to a Prometheus."""
    return click.option(
        "--source",
        default="metrics-api",
        show_default=True,
        help="Where metrics come from: metrics-api, kubelet (needs get on nodes/proxy), auto (one of these), or "
        "prometheus.",
    )(at_option(command))


def recorded_option(usual: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the same to a command that has one other source only."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        return click.option(
            "--source",
            default=usual,
            show_default=True,
            expose_value=False,
            callback=_checked(usual),
            help=f"Where metrics come from: {usual}, or prometheus.",
        )(at_option(command))

    return add


def at_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --at, and the options that lead to a Prometheus."""
    return click.option(
        "--at",
        metavar="TIME",
        expose_value=False,
        callback=_keep,
        help="Show a moment in the past, from Prometheus: 2h (ago), yesterday, or an RFC 3339 time.",
    )(prometheus_options(command))


def _checked(usual: str) -> Callable[[click.Context, click.Parameter, str], None]:
    def check(context: click.Context, option: click.Parameter, value: str) -> None:
        if value not in (usual, PROMETHEUS):
            raise UsageError(f"--source accepts only {usual} or {PROMETHEUS}")
        _keep(context, option, value)

    return check


def recorded(context: click.Context, source: str = "") -> bool:
    """Whether a Prometheus is asked: by --source, or because of --at.

    Args:
        context: of the command.
        source: the value of --source where it is an argument of the command.

    Raises:
        UsageError: options that do not go together.
    """
    explicit = context.get_parameter_source("source") is not ParameterSource.DEFAULT
    name = context.meta.get(_SOURCE) or source
    at = context.meta.get(_AT)
    if at is not None and explicit and name != PROMETHEUS:
        raise UsageError(f"--at requires --source={PROMETHEUS}: other sources know the present only")
    if at is not None or name == PROMETHEUS:
        return True
    if given(context):
        raise UsageError(f"--prometheus requires --source={PROMETHEUS} or --at")
    return False


def moment(context: click.Context) -> str | None:
    """The value of --at."""
    value: str | None = context.meta.get(_AT)
    return value


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
            raise UsageError("--source accepts only metrics-api, kubelet, auto or prometheus")
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
