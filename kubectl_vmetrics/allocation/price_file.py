"""The file of prices of `bill --prices`: small, YAML, and the reader's own."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from .prices import KEYS, OTHERS, Pool, Prices

LARGEST = 64 * 1024
"""Bytes that are read of a file."""
_DEEPEST = 8
_POOLS = 100
_HIGHEST = 10**9
_DECIMALS = 6
_DETAILED = {"gpuHour": "model", "claimGiBHour": "storage class", "vmHour": "size"}
_IN_POOLS = ("cpuCoreHour", "memoryGiBHour")
_GENERAL = ("currency", "decimals", "provider", "pools")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,315}[A-Za-z0-9])?")

EXAMPLE = """\
# Prices of `bill --prices`. Leave out what is not billed.
currency: EUR
decimals: 2               # of amounts of money, rounded once
provider: Platform team   # ProviderName and InvoiceIssuerName of -o focus
cpuCoreHour: 0.0316
memoryGiBHour: 0.0042
gpuHour:                  # one price, or one for each model
  NVIDIA-A100-SXM4-80GB: 3.10
  default: 1.20
claimGiBHour:             # one price, or one for each storage class
  fast: 0.00014
  default: 0.00005
networkOutGB: 0.08
networkInGB: 0
controlPlaneHour: 0.05    # added to what its pods use
vmHour: 0.01              # one price, or one for each size; added to what its pod uses
pools:                    # nodes with prices of their own, by their labels; the first that matches
- name: spot
  labels: {node-lifecycle: spot}
  cpuCoreHour: 0.0105
  memoryGiBHour: 0.0014
"""


def parse(text: str) -> Prices:
    """A price list from YAML. Raises ValueError with what is wrong, as one line."""
    import yaml

    if len(text) > LARGEST:
        raise ValueError(f"larger than {LARGEST // 1024} KiB")
    try:
        _check_depth(text)
        given = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ValueError(f"not YAML{f' (line {mark.line + 1})' if mark else ''}") from None
    if not isinstance(given, dict):
        raise ValueError("expected prices by name; --show-prices prints an example")
    for key in given:
        if key not in KEYS and key not in _GENERAL:
            raise ValueError(f"unknown key {_short(key)}; choose from {', '.join((*_GENERAL, *KEYS))}")
    prices = {resource: _by_detail(key, given[key]) for key, resource in KEYS.items() if key in given}
    pools = _pools(given.get("pools", []))
    if not prices and not any(pool.prices for pool in pools):
        raise ValueError(f"there is no price; choose from {', '.join(KEYS)}")
    general = _currency(given.get("currency")), _decimals(given.get("decimals", 2))
    return Prices(*general, prices, pools, _provider(given.get("provider", "host")))


def _check_depth(text: str) -> None:
    import yaml

    deep = 0
    for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {line}: aliases are not supported")
        deep += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if deep > _DEEPEST:
            raise ValueError(f"line {line}: nested more than {_DEEPEST} levels deep")


def _currency(given: Any) -> str:
    if not isinstance(given, str) or not re.fullmatch(r"[A-Z]{3}", given):
        raise ValueError(f"currency: {_short(given)} is not a code of ISO 4217 (example: EUR)")
    return given


def _decimals(given: Any) -> int:
    if type(given) is not int or not 0 <= given <= _DECIMALS:
        raise ValueError(f"decimals: {_short(given)} is not a number from 0 to {_DECIMALS}")
    return given


def _provider(given: Any) -> str:
    if not isinstance(given, str) or not given.isprintable() or not 0 < len(given) <= 200:
        raise ValueError(f"provider: {_short(given)} is not a name")
    return given


def _by_detail(key: str, given: Any) -> dict[str, Decimal]:
    if not isinstance(given, dict):
        return {OTHERS: _price(key, given)}
    if key not in _DETAILED:
        raise ValueError(f"{key}: expected one price")
    for detail in given:
        if not isinstance(detail, str) or not detail:
            raise ValueError(f"{key}: {_short(detail)} is not a {_DETAILED[key]}")
    return {detail: _price(f"{key}: {_short(detail)}", price) for detail, price in given.items()}


def _price(where: str, given: Any) -> Decimal:
    if isinstance(given, (int, float)) and not isinstance(given, bool) and 0 <= given <= _HIGHEST:
        return Decimal(repr(given))
    raise ValueError(f"{where}: {_short(given)} is not a price from 0 to {_HIGHEST}")


def _pools(given: Any) -> tuple[Pool, ...]:
    if not isinstance(given, list) or len(given) > _POOLS:
        raise ValueError(f"pools: expected a list of up to {_POOLS} pools with name, labels and prices")
    pools: list[Pool] = []
    for index, item in enumerate(given, 1):
        where = f"pools: {index}"
        if not isinstance(item, dict):
            raise ValueError(f"{where}: expected name, labels and prices")
        name, labels = item.get("name"), item.get("labels")
        if not isinstance(name, str) or not _LABEL.fullmatch(name) or name in [pool.name for pool in pools]:
            raise ValueError(f"{where}: {_short(name)} is not a name, or not the only one")
        if not isinstance(labels, dict) or not labels:
            raise ValueError(f"{where}: labels: expected labels of nodes (example: {{node-lifecycle: spot}})")
        for label, value in labels.items():
            if not isinstance(label, str) or not _LABEL.fullmatch(label) or not isinstance(value, str):
                raise ValueError(f"{where}: labels: {_short(label)}: {_short(value)} is not a label; quote its value")
        for key in item:
            if key not in ("name", "labels", *_IN_POOLS):
                raise ValueError(
                    f"{where}: unknown key {_short(key)}; choose from name, labels, {', '.join(_IN_POOLS)}"
                )
        prices = {KEYS[key]: _price(f"{where}: {key}", item[key]) for key in _IN_POOLS if key in item}
        pools.append(Pool(name, labels, prices))
    return tuple(pools)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
