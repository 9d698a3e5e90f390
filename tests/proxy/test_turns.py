"""Who is next: clients take turns, lanes have room for a few, what was begun goes on first."""

from __future__ import annotations

import contextlib
import re

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.proxy.application import Proxy
from kubectl_vmetrics.proxy.exchange import Request
from kubectl_vmetrics.proxy.turns import Turn, Turns
from kubectl_vmetrics.proxy.views import Views
from kubectl_vmetrics.vcluster.discovery import Inventory, VCluster
from kubectl_vmetrics.vcluster.homes import Homes
from kubectl_vmetrics.vcluster.identity import VClusterRef


def turns(threads: int = 8, room: int = 2, most: int = 100) -> Turns[str]:
    return Turns(threads, lambda lane: 6 if lane == "api" else room, most)


def taken(found: Turns[str]) -> list[Turn[str]]:
    now = []
    while turn := found.next():
        now.append(turn)
    return now


def words(found: list[Turn[str]]) -> str:
    return " ".join(turn.work for turn in found)


def test_clients_take_turns() -> None:
    found = turns(threads=1)
    for work, client in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"), ("b2", "b")):
        assert found.add(Turn(work, client, "api"))
    order = []
    while turn := found.next():
        order.append(turn.work)
        found.done(turn)
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert len(found) == 0


def test_a_lane_holds_no_more_than_its_room() -> None:
    found = turns()
    for number in range(5):
        found.add(Turn(f"x{number}", "a", "node/x"))
    found.add(Turn("y0", "a", "node/y"))
    now = taken(found)
    assert words(now) == "x0 x1 y0"
    found.done(now[0])
    assert words(taken(found)) == "x2"


def test_where_most_threads_are_taken_each_lane_has_one() -> None:
    found = turns(threads=8, room=4)
    for number in range(6):
        found.add(Turn(f"api{number}", "a", "api"))
    found.add(Turn("x0", "a", "node/x"))
    found.add(Turn("x1", "a", "node/x"))
    found.add(Turn("y0", "a", "node/y"))
    assert words(taken(found)) == "api0 api1 api2 api3 api4 api5 x0 y0"


def test_what_was_begun_goes_on_first_but_in_its_lane() -> None:
    found = turns(threads=8, room=1)
    found.add(Turn("x1", "a", "node/x"))
    begun = Turn("x0 goes on", "b", "node/x")
    found.go_on(begun)
    now = taken(found)
    assert words(now) == "x0 goes on"
    found.done(now[0])
    assert words(taken(found)) == "x1"


def test_too_many_are_refused_and_those_who_left_are_forgotten() -> None:
    found = turns(threads=1, most=2)
    first, second = Turn("1", "a", "api"), Turn("2", "b", "api")
    assert [found.add(first), found.add(second), found.add(Turn("3", "c", "api"))] == [True, True, False]
    found.remove(first)
    assert len(found) == 1
    assert found.add(Turn("3", "c", "api"))
    assert words([turn for turn in (found.next(),) if turn]) == "2"
    found.remove(second)  # which is under way: nothing to forget
    assert len(found) == 1


def test_views_that_do_not_exist_give_a_client_no_more_turns() -> None:
    homes = Homes(Inventory([VCluster(VClusterRef("team-a", name)) for name in ("vc1", "vc2")], everywhere=True))
    client = Client(Connection(server="http://127.0.0.1:1"))
    with contextlib.closing(Views(client, homes=homes)) as views:
        proxy = Proxy(views, accept_hosts=re.compile("localhost"))

        def key(path: str) -> str:
            return proxy.client(Request("GET", path, "", {}, "10.0.0.1"))

        assert len({key(f"/vclusters/team-a/{name}/api") for name in ("vc1", "vc2")} | {key("/api")}) == 3
        assert {key(f"/vclusters/{name}/vc1/api") for name in ("x", "y", "team-a%2fvc1")} == {key("/api")}
