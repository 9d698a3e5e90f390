"""Price lists as people write them, and as others do."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from kubectl_vmetrics.allocation import price_file
from kubectl_vmetrics.allocation.prices import Pool, Prices
from kubectl_vmetrics.allocation.quantities import UNITS, Position, Resource


def test_the_example() -> None:
    found = price_file.parse(price_file.EXAMPLE)

    assert (found.currency, found.decimals, found.provider) == ("EUR", 2, "Platform team")
    assert found.prices == {
        Resource.CPU: {"default": Decimal("0.0316")},
        Resource.MEMORY: {"default": Decimal("0.0042")},
        Resource.GPU: {"NVIDIA-A100-SXM4-80GB": Decimal("3.1"), "default": Decimal("1.2")},
        Resource.CLAIM: {"fast": Decimal("0.00014"), "default": Decimal("0.00005")},
        Resource.NETWORK_OUT: {"default": Decimal("0.08")},
        Resource.NETWORK_IN: {"default": Decimal(0)},
        Resource.CONTROL_PLANE: {"default": Decimal("0.05")},
        Resource.VM: {"default": Decimal("0.01")},
    }
    assert found.pools == (
        Pool(
            "spot",
            {"node-lifecycle": "spot"},
            {Resource.CPU: Decimal("0.0105"), Resource.MEMORY: Decimal("0.0014")},
        ),
    )


@pytest.mark.parametrize(
    ("position", "price"),
    [
        (Position(Resource.CPU), "0.0316"),
        (Position(Resource.CPU, "", "spot"), "0.0105"),
        (Position(Resource.CPU, "", "unheard-of"), "0.0316"),
        (Position(Resource.GPU, "NVIDIA-A100-SXM4-80GB"), "3.1"),
        (Position(Resource.GPU, "T4"), "1.2"),
        (Position(Resource.GPU), "1.2"),
        (Position(Resource.CLAIM, "fast"), "0.00014"),
        (Position(Resource.VM, "2 CPUs, 4Gi"), "0.01"),
    ],
)
def test_the_price_of_a_position(position: Position, price: str) -> None:
    found = price_file.parse(price_file.EXAMPLE)

    assert found.price(position) == Decimal(price)
    assert found.cost({position: UNITS[position.resource][1]}) == Decimal(price)


def test_what_has_no_price_costs_nothing() -> None:
    prices = Prices("EUR", 2, {Resource.CPU: {"default": Decimal(1)}})

    assert prices.price(Position(Resource.GPU, "T4")) == 0


def test_the_first_pool_that_matches_counts() -> None:
    text = (
        "{currency: EUR, cpuCoreHour: 1, pools: [{name: a, labels: {x: '1', y: '2'}, cpuCoreHour: 2}, "
        "{name: b, labels: {x: '1'}}]}"
    )
    found = price_file.parse(text)

    assert [found.pool(labels) for labels in ({"x": "1", "y": "2", "z": ""}, {"x": "1"}, {"y": "2"}, {})] == [
        "a",
        "b",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected prices by name; --show-prices prints an example"),
        ("[1]", "expected prices by name; --show-prices prints an example"),
        ("a: [", "not YAML (line 2)"),
        ("\0", "not YAML"),
        (
            "currency: EUR",
            "there is no price; choose from cpuCoreHour, memoryGiBHour, gpuHour, claimGiBHour, networkOutGB",
        ),
        ("{currency: EUR, cpu: 1}", "unknown key 'cpu'; choose from currency, decimals, provider, pools, cpuCoreHour"),
        ("{1: 2}", "unknown key 1; choose from"),
        ("cpuCoreHour: 1", "currency: None is not a code of ISO 4217 (example: EUR)"),
        ("{currency: euro, cpuCoreHour: 1}", "currency: 'euro' is not a code of ISO 4217"),
        ("{currency: EUR, cpuCoreHour: -1}", "cpuCoreHour: -1 is not a price from 0 to 1000000000"),
        ("{currency: EUR, cpuCoreHour: .nan}", "cpuCoreHour: nan is not a price"),
        ("{currency: EUR, cpuCoreHour: .inf}", "cpuCoreHour: inf is not a price"),
        ("{currency: EUR, cpuCoreHour: 1e999}", "cpuCoreHour: '1e999' is not a price"),
        ("{currency: EUR, cpuCoreHour: yes}", "cpuCoreHour: True is not a price"),
        ("{currency: EUR, cpuCoreHour: '1'}", "cpuCoreHour: '1' is not a price"),
        ("{currency: EUR, cpuCoreHour: {default: 1}}", "cpuCoreHour: expected one price"),
        ("{currency: EUR, gpuHour: {T4: -1}}", "gpuHour: 'T4': -1 is not a price"),
        ("{currency: EUR, gpuHour: {4: 1}}", "gpuHour: 4 is not a model"),
        ("{currency: EUR, claimGiBHour: {'': 1}}", "claimGiBHour: '' is not a storage class"),
        ("{currency: EUR, cpuCoreHour: 1, decimals: 7}", "decimals: 7 is not a number from 0 to 6"),
        ("{currency: EUR, cpuCoreHour: 1, decimals: true}", "decimals: True is not a number from 0 to 6"),
        ('{currency: EUR, cpuCoreHour: 1, provider: "a\\nb"}', "provider: 'a\\nb' is not a name"),
        ("{currency: EUR, cpuCoreHour: 1, pools: 1}", "pools: expected a list of up to 100 pools"),
        ("{currency: EUR, cpuCoreHour: 1, pools: [1]}", "pools: 1: expected name, labels and prices"),
        ("{currency: EUR, cpuCoreHour: 1, pools: [{name: a}]}", "pools: 1: labels: expected labels of nodes"),
        (
            "{currency: EUR, cpuCoreHour: 1, pools: [{name: a, labels: {b: 1}}]}",
            "pools: 1: labels: 'b': 1 is not a label",
        ),
        (
            "{currency: EUR, pools: [{name: a, labels: {b: c}}, {name: a, labels: {b: d}}]}",
            "pools: 2: 'a' is not a name, or not the only one",
        ),
        (
            "{currency: EUR, pools: [{name: a, labels: {b: c}, gpuHour: 1}]}",
            "pools: 1: unknown key 'gpuHour'; choose from name, labels, cpuCoreHour, memoryGiBHour",
        ),
        ("a: &x 1\nb: *x", "line 2: aliases are not supported"),
        ("a: " + "[" * 20 + "]" * 20, "line 1: nested more than 8 levels deep"),
        ("[" * 60_000, "not YAML (line 1)"),
        ("a" * 70_000, "larger than 64 KiB"),
    ],
)
def test_a_bad_file_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        price_file.parse(text)

    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
