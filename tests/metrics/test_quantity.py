"""Quantities, against a slow exact reading of the grammar."""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_vmetrics.metrics import quantity

_SUFFIX = {
    **{suffix: Fraction(10) ** power for suffix, power in zip("num", (-9, -6, -3), strict=True)},
    **{suffix: Fraction(10) ** power for suffix, power in zip("kMGTPE", (3, 6, 9, 12, 15, 18), strict=True)},
    **{f"{letter}i": Fraction(1024) ** (index + 1) for index, letter in enumerate("KMGTPE")},
    "": Fraction(1),
}


def exact(text: str) -> Fraction:
    found = re.fullmatch(r"([+-]?[0-9.]+)(?:([eE])([+-]?\d+)|([a-zA-Z]*))", text)
    assert found
    number = Fraction(found[1])
    return number * Fraction(10) ** int(found[3]) if found[2] and found[3] else number * _SUFFIX[found[4]]


def up(value: Fraction) -> int:
    return ceil(value) if value >= 0 else floor(value)


numbers = st.from_regex(r"[0-9]{1,7}(\.[0-9]{0,12})?", fullmatch=True) | st.from_regex(r"\.[0-9]{1,12}", fullmatch=True)
suffixes = st.sampled_from(sorted(_SUFFIX)) | st.integers(-12, 5).map(lambda power: f"e{power}")


@given(sign=st.sampled_from(["", "+", "-"]), number=numbers, suffix=suffixes)
def test_nanos_are_exact_or_rounded_away_from_zero(sign: str, number: str, suffix: str) -> None:
    text = f"{sign}{number}{suffix}"

    limit = (2**63 - 1) * 10**9

    assert quantity.nanos(text) == max(-limit, min(limit, up(exact(text) * 10**9)))


@given(number=st.integers(0, 10**12), suffix=st.sampled_from(["n", "u", "m", ""]))
def test_the_short_way_for_cpu_is_the_long_way(number: int, suffix: str) -> None:
    assert quantity.cpu_nanocores(f"{number}{suffix}") == quantity.nanos(f"{number}{suffix}")


@given(number=st.integers(0, 2**40), suffix=st.sampled_from(["Ki", "Mi", "", "k", "m"]))
def test_the_short_way_for_memory_is_the_long_way(number: int, suffix: str) -> None:
    assert quantity.memory_bytes(f"{number}{suffix}") == up(exact(f"{number}{suffix}"))


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0", 0),
        ("1", 10**9),
        ("100m", 10**8),
        ("1n", 1),
        ("0.1n", 1),  # rounded up to the smallest there is
        ("1e3", 10**12),
        ("1E3", 10**12),
        ("1E", 10**27),  # exa, not an exponent
        ("12E", (2**63 - 1) * 10**9),  # held at the largest
        ("1.5Gi", 1536 * 2**20 * 10**9),
        ("-1.5", -1_500_000_000),
        (".5", 5 * 10**8),
        ("5.", 5 * 10**9),
    ],
)
def test_examples_of_the_grammar(text: str, nanos: int) -> None:
    assert quantity.nanos(text) == nanos


@pytest.mark.parametrize(
    "text",
    ["", "m", "1x", "1 ", " 1", "1.2.3", "1_0", "1_0n", "0x10", "--1", "1e", "1Kii", "1K", "Ki", "1e99999", "\u0665"],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity.nanos(text)
    with pytest.raises(ValueError, match="not a quantity"):
        quantity.cpu_nanocores(text)
    with pytest.raises(ValueError, match="not a quantity"):
        quantity.memory_bytes(text)


@given(st.integers(0, 10**15))
def test_rendered_quantities_read_back(number: int) -> None:
    assert quantity.cpu_nanocores(quantity.render_cpu(number)) == number
    assert quantity.memory_bytes(quantity.render_memory(number)) == number
