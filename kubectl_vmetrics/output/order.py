"""Sorting as Go's sort.Sort does it, equal elements included.

`kubectl top --sort-by` sorts by millicores or bytes alone with an unstable algorithm: where many pods use the same,
their order is what pattern-defeating quicksort makes of the server's order. To print the same table, ours must take
the same steps (https://pkg.go.dev/sort#Sort; the algorithm: https://arxiv.org/abs/2106.05123).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

_INSERTION = 12
_SHORT = 50
_UNKNOWN, _INCREASING, _DECREASING = range(3)


def descending(items: Sequence[T], key: Callable[[T], int]) -> list[T]:
    """The items from the largest key to the smallest, equal ones where Go would leave them."""
    keys = [-key(item) for item in items]
    if len(set(keys)) == len(keys):  # nothing is equal, so every algorithm gives the same
        return [items[index] for index in sorted(range(len(items)), key=keys.__getitem__)]
    sorter = _Sorter(keys)
    sorter.sort(0, len(keys), len(keys).bit_length())
    return [items[index] for index in sorter.order]


class _Sorter:
    def __init__(self, keys: list[int]) -> None:
        self.keys = keys
        self.order = list(range(len(keys)))

    def less(self, i: int, j: int) -> bool:
        return self.keys[i] < self.keys[j]

    def swap(self, i: int, j: int) -> None:
        keys, order = self.keys, self.order
        keys[i], keys[j] = keys[j], keys[i]
        order[i], order[j] = order[j], order[i]

    def sort(self, a: int, b: int, limit: int) -> None:
        balanced = partitioned = True
        while True:
            length = b - a
            if length <= _INSERTION:
                self.insertion(a, b)
                return
            if limit == 0:
                self.heap(a, b)
                return
            if not balanced:
                self.break_patterns(a, b)
                limit -= 1
            pivot, hint = self.choose_pivot(a, b)
            if hint == _DECREASING:
                self.reverse(a, b)
                pivot = (b - 1) - (pivot - a)
                hint = _INCREASING
            if balanced and partitioned and hint == _INCREASING and self.partial_insertion(a, b):
                return
            if a > 0 and not self.less(a - 1, pivot):
                a = self.partition_equal(a, b, pivot)
                continue
            middle, partitioned = self.partition(a, b, pivot)
            left, right = middle - a, b - middle
            if left < right:
                balanced = left >= length // 8
                self.sort(a, middle, limit)
                a = middle + 1
            else:
                balanced = right >= length // 8
                self.sort(middle + 1, b, limit)
                b = middle

    def insertion(self, a: int, b: int) -> None:
        for i in range(a + 1, b):
            j = i
            while j > a and self.less(j, j - 1):
                self.swap(j, j - 1)
                j -= 1

    def heap(self, a: int, b: int) -> None:
        size = b - a
        for i in range((size - 1) // 2, -1, -1):
            self.sift(i, size, a)
        for i in range(size - 1, -1, -1):
            self.swap(a, a + i)
            self.sift(0, i, a)

    def sift(self, root: int, end: int, first: int) -> None:
        while (child := 2 * root + 1) < end:
            if child + 1 < end and self.less(first + child, first + child + 1):
                child += 1
            if not self.less(first + root, first + child):
                return
            self.swap(first + root, first + child)
            root = child

    def partition(self, a: int, b: int, pivot: int) -> tuple[int, bool]:
        keys = self.keys
        self.swap(a, pivot)
        value = keys[a]
        i, j, clean = a + 1, b - 1, True
        while True:
            while i <= j and keys[i] < value:
                i += 1
            while i <= j and keys[j] >= value:
                j -= 1
            if i > j:
                self.swap(j, a)
                return j, clean
            self.swap(i, j)
            i, j, clean = i + 1, j - 1, False

    def partition_equal(self, a: int, b: int, pivot: int) -> int:
        keys = self.keys
        self.swap(a, pivot)
        value = keys[a]
        i, j = a + 1, b - 1
        while True:
            while i <= j and value >= keys[i]:
                i += 1
            while i <= j and value < keys[j]:
                j -= 1
            if i > j:
                return i
            self.swap(i, j)
            i, j = i + 1, j - 1

    def partial_insertion(self, a: int, b: int) -> bool:
        i = a + 1
        for _ in range(5):
            while i < b and not self.less(i, i - 1):
                i += 1
            if i == b:
                return True
            if b - a < _SHORT:
                return False
            self.swap(i, i - 1)
            if i - a >= 2:
                for j in range(i - 1, 0, -1):
                    if not self.less(j, j - 1):
                        break
                    self.swap(j, j - 1)
            if b - i >= 2:
                for j in range(i + 1, b):
                    if not self.less(j, j - 1):
                        break
                    self.swap(j, j - 1)
        return False

    def break_patterns(self, a: int, b: int) -> None:
        length = b - a
        if length < 8:
            return
        random, mask = length, (1 << length.bit_length()) - 1
        index = a + (length // 4) * 2 - 1
        for i in range(3):
            random ^= random << 13 & 0xFFFFFFFFFFFFFFFF
            random ^= random >> 7
            random ^= random << 17 & 0xFFFFFFFFFFFFFFFF
            other = random & mask
            if other >= length:
                other -= length
            self.swap(index + i, a + other)

    def choose_pivot(self, a: int, b: int) -> tuple[int, int]:
        length = b - a
        swaps = 0
        i, j, k = a + length // 4, a + length // 4 * 2, a + length // 4 * 3

        def median(x: int, y: int, z: int) -> int:
            nonlocal swaps
            if self.less(y, x):
                swaps, x, y = swaps + 1, y, x
            if self.less(z, y):
                swaps, y, z = swaps + 1, z, y
            if self.less(y, x):
                swaps, x, y = swaps + 1, y, x
            return y

        if length >= 8:
            if length >= _SHORT:
                i, j, k = median(i - 1, i, i + 1), median(j - 1, j, j + 1), median(k - 1, k, k + 1)
            j = median(i, j, k)
        return j, _INCREASING if swaps == 0 else _DECREASING if swaps == 12 else _UNKNOWN

    def reverse(self, a: int, b: int) -> None:
        i, j = a, b - 1
        while i < j:
            self.swap(i, j)
            i, j = i + 1, j - 1
