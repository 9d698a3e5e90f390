"""What a pod uses: the sum over its containers, in whatever form the numbers are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_vmetrics.metrics.metrics_api import Container, PodMeta, PodMetrics, Quantities, pod_usage
from kubectl_vmetrics.metrics.quantity import ceil_div, nanos
from kubectl_vmetrics.metrics.usage import Usage

quantities = st.builds(
    lambda number, suffix: f"{number}{suffix}",
    st.integers(0, 10**12),
    st.sampled_from(["n", "u", "m", "", "k", "Ki", "Mi", "e3"]),
)


def pod(*used: tuple[str, str, str | None]) -> PodMetrics:
    containers = [Container(str(index), Quantities(*texts)) for index, texts in enumerate(used)]
    return PodMetrics(PodMeta("a", "b"), containers)


@given(st.lists(st.tuples(quantities, quantities, st.none() | quantities), max_size=4))
def test_it_is_the_sum(used: list[tuple[str, str, str | None]]) -> None:
    assert pod_usage(pod(*used)) == Usage(
        sum(nanos(cpu) for cpu, _, _ in used),
        sum(ceil_div(nanos(memory), 10**9) for _, memory, _ in used),
        sum(ceil_div(nanos(swap), 10**9) for _, _, swap in used if swap),
    )


@pytest.mark.parametrize("text", ["", "n", "Ki", "-", "1_0", " 1", "1 ", "+ 1", "\u0665", "\u00b2", "0x1", "1.2.3"])
@pytest.mark.parametrize("suffix", ["", "n", "Ki"])
def test_what_is_no_quantity_is_refused(text: str, suffix: str) -> None:
    for used in ((text + suffix, "0", None), ("0", text + suffix, None), ("0", "0", text + suffix)):
        with pytest.raises(ValueError, match="not a quantity"):
            pod_usage(pod(used))
