"""`manifests rules`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kubectl_vmetrics.cli.cluster import flags
from kubectl_vmetrics.cli.command import Command
from kubectl_vmetrics.kube.errors import UsageError

from .write import check, check_labels, check_name, output_option, write

if TYPE_CHECKING:
    from kubectl_vmetrics.manifests.rules.thresholds import Thresholds

# https://prometheus.io/docs/prometheus/latest/querying/basics/#time-series-selectors
_MATCHER = r'[A-Za-z_]\w*\s*(=~|!~|!=|=)\s*"(?:[^"\\\n]|\\.)*"'
_MATCHERS = re.compile(rf"{_MATCHER}(\s*,\s*{_MATCHER})*")


@click.command(
    "rules",
    cls=Command,
    help="""Print recording rules and alerts for Prometheus: CPU, memory, network, volumes, requests, limits, quotas,
restarts and GPUs by virtual cluster, virtual namespace and pod.

The rules join what Prometheus already scrapes from kubelets and kube-state-metrics with the names of tenants. --names
selects where these come from:

  pod-info            vcluster_pod_info, from the proxy's /metrics/names (see: proxy)
  kube-state-metrics  labels and annotations; a comment prints the options that kube-state-metrics needs
  proxy-labels        kubelets scraped through the proxy (see: targets, proxy)
  pod-owner           owners of pods; needs nothing else, but has no names inside virtual clusters

They are a PrometheusRule for the Prometheus Operator; --raw prints a rule file.""",
    examples=[
        ("For kube-prometheus-stack", "manifests rules -n monitoring --label release=kube-prometheus-stack"),
        ("A rule file, with names from kube-state-metrics", "manifests rules --names kube-state-metrics --raw"),
        ("Thresholds of alerts, to change and pass to --thresholds", "manifests rules --show-thresholds"),
    ],
)
@click.option(
    "--names",
    default="pod-info",
    show_default=True,
    help="Where names come from: pod-info, kube-state-metrics, proxy-labels or pod-owner.",
)
@click.option("--only", default="", help="Print only these rules: recording or alerts.")
@click.option("--thresholds", "file", metavar="FILE", help="YAML file with thresholds of alerts.")
@click.option("--show-thresholds", is_flag=True, help="Print the default thresholds.")
@click.option(
    "--cadvisor-selector",
    "cadvisor",
    default="",
    metavar="MATCHERS",
    help='Matchers of cAdvisor series (default: job="kubelet",metrics_path="/metrics/cadvisor").',
)
@click.option(
    "--kubelet-selector",
    "kubelet",
    default="",
    metavar="MATCHERS",
    help='Matchers of volume series of kubelets (default: job="kubelet").',
)
@click.option(
    "--kube-state-metrics-selector",
    "state",
    default="",
    metavar="MATCHERS",
    help='Matchers of kube-state-metrics (default: job="kube-state-metrics").',
)
@click.option(
    "--dcgm-selector",
    "dcgm",
    default="",
    metavar="MATCHERS",
    help='Matchers of NVIDIA\'s dcgm-exporter (default: job=~"(nvidia-)?dcgm-exporter").',
)
@click.option(
    "--kubevirt-selector",
    "kubevirt",
    default="",
    metavar="MATCHERS",
    help='Matchers of virt-handler (default: job="kubevirt-prometheus-metrics").',
)
@click.option("--raw", is_flag=True, help="Print a rule file for Prometheus' rule_files.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="KEY=VALUE",
    help="Label for the PrometheusRule, by which Prometheus selects it; can be repeated.",
)
@output_option
@click.pass_context
def rules(
    context: click.Context,
    /,
    names: str,
    only: str,
    file: str | None,
    show_thresholds: bool,
    cadvisor: str,
    kubelet: str,
    state: str,
    dcgm: str,
    kubevirt: str,
    raw: bool,
    labels: tuple[str, ...],
    output: str,
) -> int:
    """Check the options, print."""
    from kubectl_vmetrics.manifests.rules import render, thresholds
    from kubectl_vmetrics.manifests.rules.names import WAYS
    from kubectl_vmetrics.manifests.rules.sources import Sources

    if show_thresholds:
        context.obj.stdout.write(thresholds.example(render.ALERTS))
        return 0
    check(output)
    if names not in WAYS:
        raise UsageError(f'--names: unknown "{names}"; choose from {", ".join(WAYS)}')
    if only and only not in render.PARTS:
        raise UsageError(f'--only: unknown "{only}"; choose from {", ".join(render.PARTS)}')
    given = {"cadvisor": cadvisor, "kubelet": kubelet, "state": state, "dcgm": dcgm, "kubevirt": kubevirt}
    chosen = {key: _matchers(key, text) for key, text in given.items() if text}
    settings = render.Settings(
        WAYS[names], Sources()._replace(**chosen), _thresholds(file), (only,) if only else render.PARTS
    )
    added = check_labels(labels)
    if raw:
        if output != "yaml" or added:
            raise UsageError("--raw prints a rule file in YAML, without labels")
        context.obj.stdout.write(render.rule_file(settings))
        return 0
    made = render.bundle(settings, check_name("-n", flags(context).namespace or "monitoring"), added)
    if output == "yaml":
        context.obj.stdout.write(render.to_yaml(made))
        return 0
    return write(context.obj, made, output)


def _matchers(key: str, text: str) -> str:
    option = {"state": "kube-state-metrics"}.get(key, key)
    if not _MATCHERS.fullmatch(text.strip()):
        raise UsageError(f'--{option}-selector: {text!r} is not a list of matchers such as job="kubelet",node!=""')
    return text.strip()


def _thresholds(file: str | None) -> Thresholds:
    from kubectl_vmetrics.manifests.rules import render, thresholds

    if file is None:
        return thresholds.usual(render.ALERTS)
    if not file:  # an empty variable: as a path, it would be the current folder
        raise UsageError('the path "" does not exist')
    try:
        with Path(file).open("rb") as opened:
            text = opened.read(thresholds.LARGEST + 1).decode()
        return thresholds.parse(text, render.ALERTS)
    except FileNotFoundError:
        raise UsageError(f'the path "{file}" does not exist') from None
    except OSError as error:
        raise UsageError(f"--thresholds {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--thresholds {file}: not text in UTF-8") from None
    except ValueError as error:
        raise UsageError(f"--thresholds {file}: {error}") from None
