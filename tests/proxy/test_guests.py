"""Who is dropped where too many are connected, and who is refused."""

from __future__ import annotations

from kubectl_vmetrics.proxy.guests import RESERVE, Guests


def test_of_one_address_the_one_that_waits_longest_goes() -> None:
    found: Guests[str] = Guests(1000, 4)
    for number in range(4 + RESERVE):
        assert found.add(f"a{number}", "10.0.0.1", number) is None
    assert found.add("b", "10.0.0.2", 100) is None
    assert found.begin("a0") is None
    assert found.add("late", "10.0.0.1", 101) == ("a1", "address")


def test_a_newcomer_goes_where_all_others_of_its_address_are_busy() -> None:
    found: Guests[str] = Guests(1000, 1)
    for number in range(1 + RESERVE):
        found.add(f"a{number}", "10.0.0.1", number)
        found.begin(f"a{number}")
    assert found.add("late", "10.0.0.1", 101) == ("late", "address")


def test_altogether_the_one_that_waits_longest_goes_whoever_it_is() -> None:
    found: Guests[str] = Guests(4, 100)
    for number in range(4 + RESERVE):
        assert found.add(f"a{number}", f"10.0.0.{number}", number) is None
    assert found.add("late", "10.0.9.9", 101) == ("a0", "full")
    found.remove("a0")
    assert len(found) == 4 + RESERVE


def test_beyond_the_limits_requests_are_refused_on_what_is_reserved() -> None:
    found: Guests[str] = Guests(3, 2)
    for peer, address in (("a", "1"), ("b", "1"), ("c", "1"), ("d", "2"), ("e", "3")):
        found.add(peer, address, 0)
    assert [found.begin(peer) for peer in "abcde"] == [None, None, "address", "full", "full"]
    found.end("a", 5)
    found.remove("b")
    found.end("c", 6)
    assert [found.waiting(), sorted(found.busy())] == [["a", "c"], ["d", "e"]]
    assert found.begin("a") is None


def test_those_that_wait_too_long() -> None:
    found: Guests[str] = Guests(10, 10)
    for peer, since in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        found.add(peer, "1", since)
    found.begin("a")
    assert found.waiting_since(3.0) == ["b"]
    found.end("a", 9.0)
    assert found.waiting_since(4.0) == ["b", "c"]


def test_nothing_is_left_of_those_who_are_gone() -> None:
    found: Guests[str] = Guests(10, 10)
    found.add("a", "1", 0.0)
    found.add("b", "2", 0.0)
    found.begin("b")
    for peer in ("a", "b", "b", "never"):
        found.remove(peer)
    assert len(found) == 0
    assert (dict(found._addresses), dict(found._busy_addresses)) == ({}, {})
