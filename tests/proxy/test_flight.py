"""Answers that are shared: who gets which bytes, what is kept, and what becomes of those who are slow, late or gone.

Sources give what the test feeds them, and the clock is moved by hand.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import pytest

from kubectl_vmetrics.proxy.flight import Behind, Interrupted, Late, Reader
from kubectl_vmetrics.proxy.flights import AGE, LINGER, Flights, Full

END = b""


class Gone(Exception):
    """What a cancelled source raises."""


class Broken(Exception):
    """What a source raises that breaks off."""


class Upstream:
    """An answer that comes as it is fed, after its head.

    Attributes:
        given: bytes that were read of it.
    """

    def __init__(self, *fed: bytes | Exception, good: bool = True) -> None:
        self.good = good
        self.cancelled = False
        self.closed = threading.Event()
        self.given = 0
        self._fed: queue.Queue[bytes | Exception] = queue.Queue()
        self.feed(*fed)

    def feed(self, *fed: bytes | Exception) -> None:
        for item in fed:
            self._fed.put(item)

    def open(self) -> None:
        self._next()

    def read(self, size: int) -> bytes:
        found = self._next()
        assert len(found) <= size
        self.given += len(found)
        return found

    def close(self) -> None:
        self.closed.set()

    def cancel(self) -> None:
        self.cancelled = True
        self.feed(Gone())

    def _next(self) -> bytes:
        found = self._fed.get(timeout=20)
        if isinstance(found, Exception):
            raise found
        return found


HEAD = b"head"
All: TypeAlias = Flights[Upstream]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def flights(clock: Clock) -> All:
    return Flights(clock)


def never() -> Upstream:
    raise AssertionError("it should have been shared")


def rest(reader: Reader[Upstream], size: int = 1 << 20) -> bytes:
    """All that a reader gets until the end."""
    reader.begin(None)
    found = b""
    while data := reader.read(size, None):
        found += data
    return found


def soon(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


# ------------------------------------------------------------------------------------------------ those who share it


def test_who_asks_together_gets_one_answer(flights: All) -> None:
    source = Upstream()
    readers = [flights.join("a", lambda: source), *(flights.join("a", never) for _ in range(49))]
    with ThreadPoolExecutor(50) as pool:
        found = [pool.submit(rest, reader) for reader in readers]
        source.feed(HEAD, b"one", b"two", END)
        assert {item.result() for item in found} == {b"onetwo"}
    assert (flights.asked, flights.shared) == (1, 49)
    assert all(reader.whole for reader in readers)


def test_who_asks_for_something_else_gets_that(flights: All) -> None:
    one, two = Upstream(HEAD, b"one", END), Upstream(HEAD, b"two", END)
    first, second = flights.join("a", lambda: one), flights.join("b", lambda: two)
    assert (rest(first), rest(second)) == (b"one", b"two")
    assert (flights.asked, flights.shared) == (2, 0)


def test_what_has_come_is_read_before_the_rest_comes_and_latecomers_follow(flights: All) -> None:
    source = Upstream(HEAD, b"ab")
    first = flights.join("a", lambda: source)
    first.begin(None)
    assert first.read(1, None) == b"a"
    assert first.read(9, None) == b"b"
    late = flights.join("a", never)
    late.begin(None)
    assert late.read(9, None) == b"ab"
    assert not first.whole
    source.feed(b"c", END)
    assert rest(late) == b"c"
    assert rest(first) == b"c"
    assert first.whole
    assert late.whole
    assert rest(flights.join("a", never)) == b"abc"


def test_it_is_shared_for_as_long_as_it_is_fresh(flights: All, clock: Clock) -> None:
    assert rest(flights.join("a", lambda: Upstream(HEAD, b"old", END))) == b"old"
    clock.now += AGE
    assert rest(flights.join("a", never)) == b"old"
    clock.now += 0.1
    assert rest(flights.join("a", lambda: Upstream(HEAD, b"new", END))) == b"new"
    assert rest(flights.join("a", never)) == b"new"


def test_the_age_counts_from_the_question_not_from_the_answer(flights: All, clock: Clock) -> None:
    source = Upstream()
    slow = flights.join("a", lambda: source)
    clock.now += AGE + 0.1
    assert rest(flights.join("a", lambda: Upstream(HEAD, b"new", END))) == b"new"
    source.feed(HEAD, b"slow", END)
    assert rest(slow) == b"slow"  # it goes on for those who had joined


def test_who_asked_in_time_and_waited_for_its_turn_shares_it(flights: All, clock: Clock) -> None:
    asked = clock.now + 1
    assert rest(flights.join("a", lambda: Upstream(HEAD, b"one", END))) == b"one"
    clock.now += AGE + LINGER
    assert rest(flights.join("a", never, asked)) == b"one"
    clock.now += 0.1
    assert rest(flights.join("a", lambda: Upstream(HEAD, b"two", END), asked)) == b"two"


def test_what_is_too_old_is_forgotten(flights: All, clock: Clock) -> None:
    reader = flights.join("a", lambda: Upstream(HEAD, b"12345", END))
    rest(reader)
    assert reader.leave()
    assert flights.kept == 5
    clock.now += AGE + LINGER
    flights.sweep()
    assert flights.kept == 5
    clock.now += 0.1
    flights.sweep()
    assert flights.kept == 0


@pytest.mark.parametrize("seed", range(20))
def test_each_gets_the_same_at_any_pace(seed: int) -> None:
    dice = random.Random(seed)
    parts = [dice.randbytes(dice.choice([1, 7, 5_000, 20_000, 1 << 18])) for _ in range(20)]
    flights: All = Flights(
        budget=dice.choice([1 << 16, 1 << 20, 1 << 30]), window=dice.choice([100, 1 << 18]), lag=99, patience=99
    )
    source = Upstream(HEAD)
    # Who joins an answer that is only passed on would open another one, so all join before it comes.
    readers = [flights.join("a", lambda: source), *(flights.join("a", never) for _ in range(5))]
    with ThreadPoolExecutor(6) as pool:
        found = [pool.submit(rest, reader, dice.choice([1_000, 1 << 18])) for reader in readers]
        source.feed(*parts, END)
        assert {item.result() for item in found} == {b"".join(parts)}
    for reader in readers:
        reader.leave()
    assert flights.kept <= sum(map(len, parts))
    assert flights.cut == 0


# ------------------------------------------------------------------------------------------------- what goes wrong


def test_a_failure_is_for_those_who_had_asked(flights: All) -> None:
    source = Upstream()
    readers = [flights.join("a", lambda: source), flights.join("a", never)]
    source.feed(Broken())
    for reader in readers:
        with pytest.raises(Broken):
            reader.begin(None)
    assert rest(flights.join("a", lambda: Upstream(HEAD, b"good", END))) == b"good"
    assert source.closed.wait(10)


def test_an_answer_that_is_no_good_one_is_for_those_who_had_asked(flights: All) -> None:
    source = Upstream(good=False)
    readers = [flights.join("a", lambda: source), flights.join("a", never)]
    source.feed(HEAD, b"503", END)
    assert [rest(reader) for reader in readers] == [b"503", b"503"]
    assert rest(flights.join("a", lambda: Upstream(HEAD, b"good", END))) == b"good"
    assert [reader.leave() for reader in readers] == [False, True]
    assert flights.kept == len(b"good")


def test_nobody_takes_an_answer_that_broke_off_for_whole(flights: All) -> None:
    source = Upstream(HEAD, b"half")
    readers = [flights.join("a", lambda: source), flights.join("a", never)]
    assert readers[0].read(9, None) == b"half"
    source.feed(Broken())
    with pytest.raises(Broken):
        readers[0].read(9, None)
    for _ in range(2):  # and again
        with pytest.raises(Broken):
            rest(readers[1])
    assert not any(reader.whole for reader in readers)
    assert rest(flights.join("a", lambda: Upstream(HEAD, b"good", END))) == b"good"


def test_who_leaves_breaks_nothing_for_others_and_the_last_one_ends_it(flights: All) -> None:
    source = Upstream(HEAD, b"ab")
    first, second = flights.join("a", lambda: source), flights.join("a", never)
    assert first.read(9, None) == b"ab"
    assert not first.leave()
    assert not first.leave()
    assert not source.cancelled
    assert second.read(1, None) == b"a"
    assert second.leave()
    assert source.cancelled
    assert source.closed.wait(10)
    assert flights.kept == 0
    assert not second.leave()
    assert rest(flights.join("a", lambda: Upstream(HEAD, b"new", END))) == b"new"


def test_one_reader_is_interrupted(flights: All) -> None:
    source = Upstream()
    first, second = flights.join("a", lambda: source), flights.join("a", never)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(first.begin, None)
        first.interrupt()
        with pytest.raises(Interrupted):
            waiting.result(10)
    with pytest.raises(Interrupted):
        first.read(9, None)
    first.leave()
    source.feed(HEAD, b"x", END)
    assert rest(second) == b"x"


def test_one_reader_is_late(flights: All, clock: Clock) -> None:
    source = Upstream()
    first, second = flights.join("a", lambda: source), flights.join("a", never)
    with pytest.raises(Late):
        first.begin(clock.now)
    source.feed(HEAD)
    second.begin(clock.now + 10)
    with pytest.raises(Late):
        second.read(9, clock.now - 1)
    source.feed(b"x", END)
    assert rest(second) == b"x"


def test_there_are_not_too_many_at_once(clock: Clock) -> None:
    flights: All = Flights(clock, most=2)
    one, two = Upstream(HEAD), Upstream(HEAD)
    flights.join("a", lambda: one)
    leaving = flights.join("b", lambda: two)
    with pytest.raises(Full):
        flights.join("c", Upstream)
    flights.join("a", never)
    leaving.leave()
    assert two.closed.wait(10)
    assert rest(flights.join("c", lambda: Upstream(HEAD, b"x", END))) == b"x"


def test_what_cannot_be_asked_leaves_nothing_behind(flights: All) -> None:
    def refused() -> Upstream:
        raise Broken

    with pytest.raises(Broken):
        flights.join("a", refused)
    assert rest(flights.join("a", lambda: Upstream(HEAD, b"x", END))) == b"x"
    assert flights.asked == 1


# ---------------------------------------------------------------------------------------------------------- memory


def test_small_pieces_are_put_together(flights: All) -> None:
    source = Upstream(HEAD, *[b"x"] * 1_000, END)
    reader = flights.join("a", lambda: source)
    soon(source.closed.is_set)
    assert reader.read(1 << 20, None) == b"x" * 1_000


def test_an_answer_beyond_its_share_is_passed_on_as_fast_as_it_is_read() -> None:
    flights: All = Flights(budget=4_000, window=100)
    source = Upstream(HEAD, *[bytes([at]) * 100 for at in range(100)], END)
    reader = flights.join("a", lambda: source)
    soon(lambda: source.given == 1_100)  # its share, and what tells that it is more
    assert reader.read(50, None) == b"\0" * 50
    other = flights.join("a", lambda: Upstream(HEAD, b"another", END))
    assert rest(other) == b"another"
    most, found = 0, b"\0" * 50
    while data := reader.read(100, None):
        found += data
        most = max(most, flights.kept)
    assert found == b"".join(bytes([at]) * 100 for at in range(100))
    assert most <= 1_200
    assert flights.cut == 0
    reader.leave()
    assert flights.kept == len(b"another")


def test_an_endless_answer_ends_with_its_last_reader() -> None:
    flights: All = Flights(budget=400, window=100)
    source = Upstream(HEAD)
    readers = [flights.join("a", lambda: source), flights.join("a", never)]
    source.feed(*[b"x" * 100] * 1_000)
    for reader in readers:
        assert reader.read(50, None) == b"x" * 50
    for reader in readers:
        reader.leave()
    assert source.closed.wait(10)
    assert source.given <= 400
    assert flights.kept == 0


def test_who_reads_slowly_what_is_passed_on_is_cut_off_where_others_wait() -> None:
    flights: All = Flights(budget=4_000, window=100, lag=0.1)
    source = Upstream(HEAD)
    fast, slow = flights.join("a", lambda: source), flights.join("a", never)
    source.feed(*[b"x" * 100] * 100, END)
    assert slow.read(10, None) == b"x" * 10
    assert rest(fast) == b"x" * 10_000
    with pytest.raises(Behind):
        slow.read(10, None)
    assert not slow.whole
    assert flights.cut == 1
    assert not slow.leave()
    assert fast.leave()
    assert flights.kept == 0


def test_who_goes_on_reading_what_is_passed_on_is_not_cut_off() -> None:
    flights: All = Flights(budget=4_000, window=100, lag=0.5)
    source = Upstream(HEAD)
    fast, slow = flights.join("a", lambda: source), flights.join("a", never)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(rest, fast)
        source.feed(*[b"x" * 100] * 50, END)
        for _ in range(50):
            assert slow.read(100, None) == b"x" * 100
            time.sleep(0.03)
        assert found.result() == b"x" * 5_000
    assert slow.read(100, None) == b""
    assert flights.cut == 0


def drip(reader: Reader[Upstream]) -> None:
    for _ in range(100):
        assert reader.read(1, None) == b"x"
        time.sleep(0.02)


def test_who_reads_a_byte_at_a_time_what_is_passed_on_does_not_delay_the_others_for_ever() -> None:
    flights: All = Flights(budget=4_000, window=100, lag=0.5, patience=0.3)
    source = Upstream(HEAD)
    fast, slow = flights.join("a", lambda: source), flights.join("a", never)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(rest, fast)
        source.feed(*[b"x" * 1_000] * 10, END)
        with pytest.raises(Behind):
            drip(slow)
        assert found.result() == b"x" * 10_000
    assert flights.cut == 1


def test_who_reads_slowly_what_is_kept_holds_up_nobody(flights: All) -> None:
    source = Upstream(HEAD)
    fast, slow = flights.join("a", lambda: source), flights.join("a", never)
    source.feed(*[b"x" * 100] * 100, END)
    assert slow.read(10, None) == b"x" * 10
    assert rest(fast) == b"x" * 10_000
    assert rest(slow) == b"x" * 9_990
    assert flights.cut == 0


def kept(flights: All, key: str, size: int, *, read: bool = True) -> Reader[Upstream]:
    """An answer that is complete; its reader has left, or has read one byte."""
    source = Upstream(HEAD, b"x" * size, END)
    reader = flights.join(key, lambda: source)
    assert reader.read(1, None) == b"x"
    assert source.closed.wait(10)
    if read:
        rest(reader)
        reader.leave()
    return reader


def test_the_oldest_make_room(clock: Clock) -> None:
    flights: All = Flights(clock, budget=1_000)
    for key in "abcd":
        kept(flights, key, 250)
    assert flights.kept == 1_000
    kept(flights, "e", 100)
    assert flights.kept == 850
    assert [rest(flights.join(key, never)) for key in "bcde"] == [b"x" * size for size in (250, 250, 250, 100)]
    assert rest(flights.join("a", lambda: Upstream(HEAD, b"again", END))) == b"again"


def test_slow_readers_of_old_answers_make_room_and_those_of_fresh_ones_keep_theirs(clock: Clock) -> None:
    flights: All = Flights(clock, budget=1_000)
    old = [kept(flights, key, 250, read=False) for key in "ab"]
    clock.now += AGE + 0.1
    fresh = [kept(flights, key, 250, read=False) for key in "cd"]
    assert flights.kept == 1_000
    kept(flights, "e", 100)
    with pytest.raises(Behind):
        old[0].read(9, None)
    assert [rest(reader) for reader in (old[1], *fresh)] == [b"x" * 249] * 3
    assert (flights.cut, flights.kept) == (1, 850)
    for reader in (*old, *fresh):
        reader.leave()
    clock.now += LINGER
    flights.sweep()
    assert flights.kept == 600


def test_without_room_an_answer_is_passed_on(clock: Clock) -> None:
    flights: All = Flights(clock, budget=1_000, window=100)
    fresh = [kept(flights, key, 250, read=False) for key in "abcd"]
    source = Upstream(HEAD, *[b"y" * 50] * 20, END)
    reader = flights.join("e", lambda: source)
    assert rest(reader) == b"y" * 1_000
    assert rest(flights.join("e", lambda: Upstream(HEAD, b"y", END))) == b"y"
    assert [rest(item) for item in fresh] == [b"x" * 249] * 4
    assert flights.cut == 0


def test_nothing_is_left_behind(clock: Clock) -> None:
    """Neither bytes nor threads, after many answers that ended in every way."""
    flights: All = Flights(clock, budget=10_000, window=100, lag=0.0)
    before = threading.active_count()
    dice = random.Random(1)

    def made() -> Upstream:
        return Upstream(HEAD, *[b"x" * 100] * dice.randrange(60), dice.choice([END, END, Broken()]))

    for at in range(200):
        readers = [flights.join(at % 7, made) for _ in range(dice.randrange(1, 4))]
        for reader in readers:
            try:
                for _ in range(dice.randrange(80)):
                    reader.read(100, clock.now + 0.05)
            except (Broken, Behind, Late):
                pass
        for reader in readers:
            reader.leave()
        clock.now += dice.random() * 3
    clock.now += AGE + LINGER + 0.1
    flights.sweep()
    soon(lambda: threading.active_count() <= before)
    flights.sweep()
    assert flights.kept == 0
