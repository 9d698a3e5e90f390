"""Quantities, against a slow exact reading of the grammar."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

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


@given(sign=st.sampled_from(["", "-"]), number=st.integers(0, 10**6), suffix=st.sampled_from(sorted(_SUFFIX)))
def test_the_clients_own_parser_reads_the_same(sign: str, number: int, suffix: str) -> None:
    """What both can hold: the kubernetes package knows no limit."""
    text = f"{sign}{number}{suffix}"
    told = Fraction(parse_quantity(text))

    if abs(told) < 2**63:
        assert quantity.nanos(text) == told * 10**9
        assert quantity.memory_bytes(text) == up(told)


@given(number=st.integers(0, 10**12), suffix=st.sampled_from(["n", "u", "m", ""]))
def test_the_short_way_for_cpu_is_the_long_way(number: int, suffix: str) -> None:
    assert quantity.cpu_nanocores(f"{number}{suffix}") == quantity.nanos(f"{number}{suffix}")


@given(number=st.integers(0, 2**40), suffix=st.sampled_from(["Ki", "Mi", "", "k", "m"]))
def test_the_short_way_for_memory_is_the_long_way(number: int, suffix: str) -> None:
    assert quantity.memory_bytes(f"{number}{suffix}") == up(exact(f"{number}{suffix}"))


def test_what_metrics_server_writes_takes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tens of thousands of these are read for one table; metrics-server writes no others."""

    def long_way(text: str) -> int:
        raise AssertionError(text)

    monkeypatch.setattr(quantity, "nanos", long_way)

    assert [quantity.cpu_nanocores(text) for text in ("48625975n", "13u", "250m")] == [48_625_975, 13_000, 250_000_000]
    assert [quantity.memory_bytes(text) for text in ("0Ki", "9Ki", "676Ki")] == [0, 9216, 692_224]


# Of quantity_test.go: TestQuantityParse.
@pytest.mark.parametrize(
    ("text", "units"),
    [
        *[(f"0{suffix}", "0") for suffix in ("", "n", "u", "m", "Ki", "k", "Mi", "M", "Gi", "G", "Ti", "T")],
        *[("8Ki", "8192"), ("7Mi", "7340032"), ("6Gi", "6442450944"), ("5Ti", "5497558138880")],
        *[("4Pi", "4503599627370496"), ("3Ei", "3458764513820540928"), ("100Ti", "109951162777600")],
        *[("5n", "5e-9"), ("4u", "4e-6"), ("3m", "3e-3"), ("9", "9"), ("8k", "8e3"), ("50k", "5e4"), ("7M", "7e6")],
        *[("6G", "6e9"), ("5T", "5e12"), ("300T", "3e14"), ("2P", "2e15"), ("1E", "1e18")],
        *[("1E-3", "1e-3"), ("1e3", "1e3"), ("1E12", "1e12"), ("1e15", "1e15"), ("1E18", "1e18"), ("1.3E+6", "13e5")],
        *[("100.035k", "100035"), ("0.0005k", "0.5"), ("0.00500", "5e-3"), ("0.5e-2", "5e-3"), ("10.035M", "10035e3")],
        *[("6.987654321G", "6987654321"), ("2.5P", "25e14"), ("1.01E", "101e16")],
        # rounded up to the smallest there is
        *[
            ("3.001n", "4e-9"),
            ("1.1E-9", "2e-9"),
            ("0.0000000001", "1e-9"),
            ("0.00000000050", "1e-9"),
            ("0.9n", "1e-9"),
        ],
        *[("0.00000012345", "124e-9"), ("0.00000012354", "124e-9"), ("0.000000000001Ki", "2e-9")],
        # held at the largest
        *[(text, "9223372036854775807") for text in ("9Ei", "9223372036854775807Ki", "12E", "1e28", "1e9999")],
        # fractions of binary units
        *[("100.035Ki", "102435.84"), ("0.5Mi", "524288"), ("0.05Gi", "53687091.2"), ("0.025Ti", "27487790694.4")],
        # odd, and valid
        *[(".001", "1e-3"), (".0001k", "0.1"), ("1.", "1"), ("1.G", "1e9")],
        # Powers that no number of 64 bits holds, alone.
        *[("1e-9999", "1e-9"), ("0e-9999", "0"), ("0e9999", "0"), (f"1{'0' * 500}e-500", "1"), ("0.01e11", "1e9")],
    ],
)
def test_examples_of_upstream(text: str, units: str) -> None:
    nanos = int(Decimal(units).scaleb(9))

    assert quantity.nanos(text) == nanos
    assert quantity.nanos(f"-{text}") == -nanos
    assert quantity.nanos(f"+{text}") == nanos


@pytest.mark.parametrize(("text", "whole"), [("9.01", 10), ("-9.01", -10), ("-1500m", -2), ("-1", -1), ("-0.5n", -1)])
def test_whole_units_are_rounded_away_from_zero(text: str, whole: int) -> None:
    """quantity_test.go, TestQuantityRoundUp."""
    found = quantity.memory_bytes(text)

    assert (found, type(found)) == (whole, int)


@pytest.mark.parametrize(
    "text",
    [
        *["", "m", "1x", "1 ", " 1", "1.2.3", "1_0", "1_0n", "0x10", "--1", "1e", "1Kii", "1K", "Ki"],
        *["1.1.M", "1+1.0M", "0.1mi", "0.1am", "aoeu", ".5i", "1i", "-3.01i", "-3.01e-"],  # of TestQuantityParse
        *["1e99999", "\u0665", "\u0665n", "\u0665Ki"],
    ],
)
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        quantity.nanos(text)
    with pytest.raises(ValueError, match="not a quantity"):
        quantity.cpu_nanocores(text)
    with pytest.raises(ValueError, match="not a quantity"):
        quantity.memory_bytes(text)


def test_only_the_beginning_of_a_text_that_is_no_quantity_is_repeated() -> None:
    with pytest.raises(ValueError) as raised:
        quantity.nanos("x" * 1000)

    assert str(raised.value) == f"not a quantity: '{'x' * 40}'"


@given(st.integers(0, 10**15))
def test_rendered_quantities_read_back(number: int) -> None:
    assert quantity.cpu_nanocores(quantity.render_cpu(number)) == number
    assert quantity.memory_bytes(quantity.render_memory(number)) == number


def canonical(number: int, base: int, suffixes: str) -> str:
    """The largest unit that divides a number; quantity.go, CanonicalizeBytes."""
    steps = 0
    while number and number % base == 0 and steps < len(suffixes) - 1:
        number, steps = number // base, steps + 1
    return f"{number}{suffixes[steps].strip()}"


@given(st.integers(1, 10**6), st.integers(0, 3))
def test_cpu_is_rendered_in_the_largest_unit_that_holds_it(number: int, steps: int) -> None:
    nanocores = number * 1000**steps

    assert quantity.render_cpu(nanocores) == canonical(nanocores, 1000, "num ")


@given(st.integers(1, 2**20), st.integers(0, 7))
def test_memory_is_rendered_in_the_largest_unit_that_holds_it(number: int, steps: int) -> None:
    count = number * 1024**steps
    rendered = canonical(count, 1024, " KMGTPE")

    assert quantity.render_memory(count) == (f"{rendered}i" if rendered[-1].isalpha() else rendered)


# Of quantity_test.go: TestQuantityString.
@pytest.mark.parametrize(
    ("count", "rendered"),
    [
        *[(2**30, "1Gi"), (300 * 2**20, "300Mi"), (6 * 2**10, "6Ki"), (1001 * 2**30, "1001Gi"), (2**40, "1Ti")],
        *[(5, "5"), (1025, "1025"), (0, "0"), (2**50, "1Pi"), (3 * 2**60, "3Ei"), (2**10, "1Ki"), (1023, "1023")],
    ],
)
def test_memory_as_upstream_renders_it(count: int, rendered: str) -> None:
    assert quantity.render_memory(count) == rendered


@pytest.mark.parametrize(
    ("nanocores", "rendered"),
    [
        *[(1, "1n"), (80, "80n"), (1080, "1080n"), (1000, "1u"), (80_000, "80u"), (1_080_000, "1080u")],
        *[(10**6, "1m"), (80 * 10**6, "80m"), (1080 * 10**6, "1080m"), (10**9, "1"), (0, "0")],
    ],
)
def test_cpu_as_upstream_renders_it(nanocores: int, rendered: str) -> None:
    assert quantity.render_cpu(nanocores) == rendered
