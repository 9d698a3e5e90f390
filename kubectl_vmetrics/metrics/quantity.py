"""resource.Quantity: text to whole numbers and back, without floating point.

Grammar, suffixes and rounding: k8s.io/apimachinery/pkg/api/resource (quantity.go, suffix.go). A quantity is rounded
up, away from zero, wherever a unit cannot hold it: to nanos when it is read, to millis and to whole units by
MilliValue() and Value().
"""

from __future__ import annotations

import re

NANOS = 1_000_000_000
MEBI = 1 << 20

# A number beyond 2^63 units is held at that limit, as Go's int64 forces upstream to (maxAllowed).
_LIMIT = (2**63 - 1) * NANOS

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_GRAMMAR = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,4})?", re.ASCII)

# The two forms in which metrics-server writes nearly every number, and what they are multiplied with.
_CPU_SUFFIX = {"n": 1, "u": 1_000, "m": 1_000_000}


def nanos(text: str) -> int:
    """A quantity in billionths of its unit, exact or rounded up. Raises ValueError."""
    found = _GRAMMAR.fullmatch(text)
    if found is None:
        raise ValueError(f"not a quantity: {text[:40]!r}")
    sign, digits, suffix = found[1], found[2], found[3] or ""
    whole, _, fraction = digits.partition(".")
    number, exponent = int(whole + fraction), 9 - len(fraction)
    factor = 1
    if suffix in _BINARY:
        factor = 1 << _BINARY[suffix]
    elif suffix in _DECIMAL:
        exponent += _DECIMAL[suffix]
    else:
        exponent += int(suffix[1:])
    # Higher powers would cost time and change nothing: the result is the limit, or a single nano.
    if exponent >= 0:
        value = number * factor * _power(min(exponent, 28))
    else:
        value = ceil_div(number * factor, _power(min(-exponent, len(digits))))
    value = min(value, _LIMIT)
    return -value if sign == "-" else value


def _power(exponent: int) -> int:
    return int(10**exponent)


def cpu_nanocores(text: str) -> int:
    """Billionths of a core. Raises ValueError.

    >>> cpu_nanocores("48625975n"), cpu_nanocores("12m"), cpu_nanocores("2")
    (48625975, 12000000, 2000000000)
    """
    number = text[:-1]
    if number.isdecimal() and number.isascii() and (factor := _CPU_SUFFIX.get(text[-1])):
        return int(number) * factor
    return nanos(text)


def memory_bytes(text: str) -> int:
    """Bytes, rounded up as Value() does. Raises ValueError.

    >>> memory_bytes("676Ki"), memory_bytes("1.5Gi"), memory_bytes("1500m")
    (692224, 1610612736, 2)
    """
    if text[-2:] == "Ki" and (number := text[:-2]).isdecimal() and number.isascii():
        return int(number) << 10
    return ceil_div(nanos(text), NANOS)


def ceil_div(value: int, unit: int) -> int:
    """Division rounded away from zero, as Quantity.ScaledValue rounds."""
    return -(-value // unit) if value >= 0 else value // unit


def render_cpu(nanocores: int) -> str:
    """The shortest decimal form: "1500m", "48625975n", "2" (Quantity's canonical form)."""
    for suffix, size in (("", NANOS), ("m", 1_000_000), ("u", 1_000)):
        if nanocores % size == 0:
            return f"{nanocores // size}{suffix}"
    return f"{nanocores}n"


def render_memory(count: int) -> str:
    """Bytes in the largest binary unit that holds them exactly: "676Ki", "1Gi", "1023"."""
    for suffix, power in (("Ei", 60), ("Pi", 50), ("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)):
        if count and count % (1 << power) == 0:
            return f"{count >> power}{suffix}"
    return str(count)
