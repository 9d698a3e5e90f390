"""Resource usage: the values every table is made of.

Host names and virtual names are different types, so that one cannot be printed as the other.
"""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, frozen=True, gc=False):
    """CPU and memory in base units.

    Attributes:
        cpu_nanocores: billionths of a core, averaged over the source's window.
        memory_bytes: the working set, in bytes.
        swap_bytes: swap in use; metrics-server reports none, other servers of the same API may.
    """

    cpu_nanocores: int = 0
    memory_bytes: int = 0
    swap_bytes: int = 0

    def __add__(self, other: Usage) -> Usage:
        """The sum, unit by unit."""
        return Usage(
            self.cpu_nanocores + other.cpu_nanocores,
            self.memory_bytes + other.memory_bytes,
            self.swap_bytes + other.swap_bytes,
        )


NOTHING = Usage()


class HostPod(msgspec.Struct, frozen=True, gc=False):
    """A pod by the names that the host cluster gives it."""

    namespace: str
    name: str
