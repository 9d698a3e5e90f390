"""The order of pods in tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_vmetrics.metrics.metrics_api import Owner, PodMeta, PodMetrics
from kubectl_vmetrics.metrics.usage import Usage
from kubectl_vmetrics.vcluster.identity import VClusterRef, VirtualPod
from kubectl_vmetrics.vcluster.pods import Pod
from kubectl_vmetrics.views import pods as view
from kubectl_vmetrics.views.names import Names
from kubectl_vmetrics.views.pods import Options

words = st.sampled_from(["a", "a-b", "a.b", "ab", "b", "ü", "z"])
refs = st.builds(VClusterRef, words, words) | st.builds(VClusterRef, words, words, st.builds(VClusterRef, words, words))


@st.composite
def pods(draw: st.DrawFn) -> Pod[Any]:
    metrics = PodMetrics(PodMeta(draw(words), draw(words)))
    usage = Usage(draw(st.integers(0, 10**10)), draw(st.integers(0, 2**40)))
    ref = draw(st.none() | refs)
    if ref is None:
        return Pod(metrics, usage, Owner())
    namespace = draw(words)
    known = draw(st.booleans())
    virtual = VirtualPod(ref, namespace, draw(words)) if known else None
    return Pod(metrics, usage, Owner(ref.name, namespace), ref, virtual)


def name(pod: Pod[Any]) -> str:
    own = pod.metrics.metadata.name
    return own if pod.vcluster is None else pod.virtual.name if pod.virtual else f"{own}*"


def space(pod: Pod[Any]) -> str:
    if pod.virtual:
        return pod.virtual.namespace
    return pod.owner.namespace or "" if pod.vcluster else "-"


def path(pod: Pod[Any]) -> str:
    return pod.vcluster.path if pod.vcluster else ""


KEYS: list[tuple[Options, Callable[[Pod[Any]], Any]]] = [
    (Options(Names.HOST, namespaces=True), lambda pod: (pod.metrics.metadata.namespace, pod.metrics.metadata.name)),
    (Options(Names.HOST), lambda pod: pod.metrics.metadata.name),
    (Options(Names.VIRTUAL, namespaces=True), lambda pod: (space(pod), name(pod))),
    (Options(Names.VIRTUAL), lambda pod: (space(pod), name(pod))),
    *[
        (
            Options(Names.BOTH, namespaces=shown),
            lambda pod: (pod.metrics.metadata.namespace, path(pod), space(pod), name(pod)),
        )
        for shown in (True, False)
    ],
]


@pytest.mark.parametrize(("options", "key"), KEYS)
@given(found=st.lists(pods(), max_size=12))
def test_the_order_is_that_of_the_cells_and_then_the_servers(
    options: Options, key: Callable[[Pod[Any]], Any], found: list[Pod[Any]]
) -> None:
    groups = view._ordered(found, options)

    expected = sorted(found, key=key)  # stable: what is equal stays in the server's order
    assert [id(pod) for group in groups for _, pod in group.pods] == [id(pod) for pod in expected]


@pytest.mark.parametrize("options", [options for options, _ in KEYS])
@given(found=st.lists(pods(), max_size=12))
def test_the_fast_rows_are_the_rows(options: Options, found: list[Pod[Any]]) -> None:
    """The table of 100,000 pods is made by column, others row by row."""
    groups = view._ordered(found, options)

    rows = [row for group in groups for _, pod in group.pods for row in view._rows(pod, options, ())]
    assert ([list(row) for row in view._simple_rows(groups)] if found else []) == rows
