"""From the cluster flags of a command line to a client."""

from __future__ import annotations

import logging

import click
import msgspec

from kubectl_vmetrics.kube import kubeconfig
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import UsageError
from kubectl_vmetrics.output import safe
from kubectl_vmetrics.output.terminal import Environment

from .command import cluster_flags


def flags(context: click.Context) -> kubeconfig.Flags:
    """The cluster flags that were given."""
    given = {name: value for name, value in cluster_flags(context).items() if name != "verbosity"}
    return msgspec.convert(given, kubeconfig.Flags)


def narrowed(context: click.Context, *, all_namespaces: bool) -> str | None:
    """The namespace given with -n; None, for all namespaces, without it.

    Raises:
        UsageError: it is empty, for example because a shell variable is not set.
    """
    namespace = flags(context).namespace
    if namespace is not None and not namespace.strip():
        raise UsageError("--namespace: the value is empty; leave the option out to see everything")
    return None if all_namespaces else namespace


def client(context: click.Context) -> Client:
    """A client for the cluster that flags and kubeconfig name. Raises ConfigError and UsageError."""
    environment: Environment = context.obj
    verbosity = cluster_flags(context).get("verbosity", 0)
    if verbosity >= 6:
        log(environment, {6: logging.INFO, 7: logging.DEBUG}.get(verbosity, logging.DEBUG - 1))
    return Client(kubeconfig.connection(flags(context), environment.variables))


def log(environment: Environment, level: int) -> None:
    """Log to stderr in klog's format, from a level of `logging` on; every record is one line."""

    class Safe(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            # A path, a header or a message may hold a line break, and behind it what looks like a line of the log.
            return ("W" if record.levelno >= logging.WARNING else "I") + safe.line(super().format(record))

    handler = logging.StreamHandler(environment.stderr)
    handler.setFormatter(Safe("%(asctime)s.%(msecs)03d %(message)s", "%m%d %H:%M:%S"))
    logger = logging.getLogger("kubectl_vmetrics")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(level)
