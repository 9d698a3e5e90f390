"""Lists that keep themselves fresh, through what happens to watches."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from kubectl_vmetrics.demo import server
from kubectl_vmetrics.kube import reflector
from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.core import Named
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.kube.reflector import Reflector
from tests.changing import Changing


class Names:
    """A store of names."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def replace(self, items: Sequence[Named]) -> None:
        self.names = {item.metadata.name for item in items}

    def put(self, item: Named) -> None:
        self.names.add(item.metadata.name)

    def remove(self, item: Named) -> None:
        self.names.discard(item.metadata.name)


def pod(name: str, **labels: str) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": "shop", "labels": labels}}


def soon(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def taken(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Changing, Client]]:
    monkeypatch.setattr(reflector, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(reflector, "LONGEST_PAUSE", 0.05)
    changing = Changing()
    changing.put("pods", pod("a", app="cart"))
    with server.serving(changing) as url:
        yield changing, Client(Connection(server=url))


@pytest.fixture
def followed(cluster: tuple[Changing, Client]) -> Iterator[tuple[Reflector[Named], Names]]:
    names = Names()
    found: Reflector[Named] = Reflector(cluster[1], "/api/v1/pods", Named, names, labels="app=cart")
    found.start()
    assert found.synced.wait(10)
    yield found, names
    found.stop()


Followed = tuple[Reflector[Named], Names]


def test_changes_arrive(cluster: tuple[Changing, Client], followed: Followed) -> None:
    changing, names = cluster[0], followed[1]
    assert names.names == {"a"}

    changing.put("pods", pod("b", app="cart"))
    changing.put("pods", pod("other", app="web"))
    soon(lambda: names.names == {"a", "b"})
    changing.delete("pods", "shop", "a")
    soon(lambda: names.names == {"b"})

    assert len(changing.lists) == 1


def test_a_watch_that_is_cut_goes_on_where_it_was(cluster: tuple[Changing, Client], followed: Followed) -> None:
    changing, (found, names) = cluster[0], followed
    soon(lambda: len(changing.watches) == 1)
    changing.put("pods", pod("b", app="cart"))
    soon(lambda: "b" in names.names)

    changing.cut()
    soon(lambda: len(changing.watches) == 2)
    changing.put("pods", pod("c", app="cart"))
    soon(lambda: "c" in names.names)

    assert len(changing.lists) == 1
    assert int(changing.watches[1][1]) > int(changing.watches[0][1])
    assert found.cuts == 1


def test_what_was_missed_is_read_again(cluster: tuple[Changing, Client], followed: Followed) -> None:
    changing, (found, names) = cluster[0], followed
    soon(lambda: len(changing.watches) == 1)

    changing.delete_unseen("pods", "shop", "a")  # 410
    soon(lambda: names.names == set())

    assert len(changing.lists) == 2
    assert found.relists == 2


@pytest.mark.parametrize("code", [401, 403, 429, 500, 503])
def test_an_apiserver_that_refuses_for_a_while(code: int, cluster: tuple[Changing, Client], followed: Followed) -> None:
    changing, (found, names) = cluster[0], followed
    soon(lambda: len(changing.watches) == 1)

    changing.refuse = code
    changing.cut()
    soon(lambda: found.error is not None and found.silence() > 0)
    assert names.names == {"a"}  # what is known stays known
    changing.refuse = None
    changing.put("pods", pod("b", app="cart"))
    soon(lambda: names.names == {"a", "b"})

    assert found.error is None
    assert found.silence() == 0


def test_an_apiserver_that_restarts(cluster: tuple[Changing, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    first = Changing()
    first.put("pods", pod("a", app="cart"))
    names = Names()
    # Below the ports that clients get: one that asks again and again would sooner or later be connected to itself.
    port = next(port for port in range(21_000, 22_000) if not taken(port))
    with server.serving(first, port) as url:
        found: Reflector[Named] = Reflector(Client(Connection(server=url)), "/api/v1/pods", Named, names)
        found.start()
        soon(lambda: names.names == {"a"})
    soon(lambda: found.error is not None)
    second = Changing()
    second.put("pods", pod("b", app="cart"))
    second.outdate()  # a new history
    soon(lambda: not taken(port))
    with server.serving(second, port):
        soon(lambda: names.names == {"b"})
    found.stop()


def test_the_list_is_read_anew_now_and_then(
    cluster: tuple[Changing, Client], followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "RESYNC", 0.0)
    changing = cluster[0]
    soon(lambda: len(changing.watches) == 1)

    changing.cut()

    soon(lambda: len(changing.lists) > 1)


def test_events_that_make_no_sense_lead_to_a_new_list(cluster: tuple[Changing, Client], followed: Followed) -> None:
    changing, (_, names) = cluster[0], followed
    soon(lambda: len(changing.watches) == 1)

    changing.put("pods", {"metadata": {"name": "odd", "namespace": "shop", "labels": {"app": "cart"}, "uid": 7}})
    changing.put("pods", pod("b", app="cart"))
    soon(lambda: "b" in names.names)


def test_a_storm_of_410_is_counted_and_listed_less_and_less_often(
    scripted: Callable[[dict[str, Any]], tuple[Any, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lists take longer than the first pauses: their time does not count as time that went well."""
    monkeypatch.setattr(reflector, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(reflector, "LONGEST_PAUSE", 5.0)
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}

    def answer(environ: dict[str, Any]) -> tuple[int, Any]:
        if "watch=1" in environ["QUERY_STRING"]:
            return 200, json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n"
        time.sleep(0.05)
        return 200, {"metadata": {"resourceVersion": "1"}, "items": [pod("a")]}

    _, url = scripted({"/api/v1/pods": answer})
    found: Reflector[Named] = Reflector(Client(Connection(server=url)), "/api/v1/pods", Named, Names())
    found.start()
    soon(lambda: found.expired >= 4)
    time.sleep(1.5)
    found.stop()
    # 0.01, 0.02, 0.04, … 1.28: seven or eight lists in the time in which there would be thirty.
    assert 4 <= found.expired <= 12
    assert found.relists <= 13
    assert found.cuts == 0
