"""Requests to kubelets that share a response: which ones, what circuits learn, and all of it through the real proxy."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from kubectl_vmetrics.demo import server as demo_server
from kubectl_vmetrics.demo.apiserver import Apiserver
from kubectl_vmetrics.demo.cluster import Shape, build
from kubectl_vmetrics.kube import cancel
from kubectl_vmetrics.kube.cancel import Cancelled, CancelScope, Crowded
from kubectl_vmetrics.kube.client import JSON, Client
from kubectl_vmetrics.kube.errors import BadAnswer, ConnectionFailed, StatusError, TimedOut, TooLarge, Unavailable
from kubectl_vmetrics.kube.kubeconfig import Connection
from kubectl_vmetrics.kube.limits import Limits
from kubectl_vmetrics.kube.transport import Dropped, Timeouts
from kubectl_vmetrics.proxy import circuit
from kubectl_vmetrics.proxy.circuit import Circuits, Open
from kubectl_vmetrics.proxy.flights import Flights
from kubectl_vmetrics.proxy.sharing import CONNECT, LIMIT, Question, Sharing
from tests.kube.test_reflector import soon
from tests.proxy.test_proxy import METRICS, NODE, get, serve
from tests.proxy.test_server import ask, connect, counted, place
from tests.replay import Replay

CADVISOR = f"{NODE}/metrics/cadvisor"


class Response:
    """What a stand-in for the host sends: pieces, or an error that breaks it off; None waits until it is cancelled."""

    def __init__(self, *pieces: bytes | Exception | None, status: int = 200, **headers: str) -> None:
        self.status, self.reason, self.headers = status, "", {key.replace("_", "-"): headers[key] for key in headers}
        self.pieces = list(pieces)
        self.closed = 0

    def read(self, size: int) -> bytes:
        return given(self.pieces.pop(0)) if self.pieces else b""

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1


def given(piece: bytes | Exception | None) -> bytes:
    if isinstance(piece, Exception):
        raise piece
    if piece is None:
        with contextlib.suppress(Cancelled):
            cancel.sleep(20)
        return b""  # as from a socket that was shut down
    return piece


class Sender:
    """A transport that answers with what the test has prepared, in order.

    Attributes:
        sent: the paths, and the Accept header where it is not the usual one.
    """

    def __init__(self, *responses: Response | Exception | None) -> None:
        self.responses = list(responses)
        self.sent: list[str] = []
        self.timeouts: list[Timeouts] = []
        self.goes_on = threading.Event()
        self.goes_on.set()

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, timeouts: Timeouts
    ) -> Response:
        accept = headers["Accept"]
        self.sent.append(f"{method} {path}" + (f" {accept}" if accept != JSON else ""))
        self.timeouts.append(timeouts)
        self.goes_on.wait(10)
        found = self.responses.pop(0)
        if not isinstance(found, Response):
            given(found)
            raise AssertionError("only a cancelled request ends here")
        return found


class Setup:
    """A client of such a host, whose requests share responses."""

    def __init__(self, *responses: Response | Exception | None, **more: Any) -> None:
        self.sender = Sender(*responses)
        self.flights: Flights[Question] = Flights(**more)
        self.circuits = Circuits()
        self.client = Client(Connection(server="http://host")).through(
            lambda _: Sharing(self.sender, self.flights, self.circuits)
        )

    def get(self, path: str = CADVISOR, **more: Any) -> bytes:
        return bytes(self.client.get(path, **more).body)

    def together(self, count: int, **more: Any) -> list[Future[bytes]]:
        """As many clients, all of which have asked before the host answers."""
        before = self.flights.asked + self.flights.shared
        self.sender.goes_on.clear()
        with ThreadPoolExecutor(count) as pool:
            found = [pool.submit(self.get, **more) for _ in range(count)]
            soon(lambda: self.flights.asked + self.flights.shared == before + count)
            self.sender.goes_on.set()
        return found


def errors(found: list[Future[bytes]]) -> list[type[BaseException]]:
    return [type(item.exception()) for item in found]


# --------------------------------------------------------------------------------------------------- what is shared


def test_requests_to_kubelets_are_shared_and_no_others() -> None:
    paths = [
        (CADVISOR, "text/plain"),
        (CADVISOR, "application/openmetrics-text"),
        (f"{NODE}/stats/summary", JSON),
        ("/api/v1/nodes/other/proxy/metrics/cadvisor", "text/plain"),
        ("/api/v1/nodes/vm", JSON),
        ("/api/v1/pods", JSON),
        (f"{METRICS}/pods", JSON),
        ("/api/v1/namespaces/a/pods/b/proxy/metrics", JSON),
    ]
    setup = Setup(*[Response(b"%d" % at) for at in range(12)])
    found = [[setup.get(path, accept=accept) for path, accept in paths] for _ in range(2)]
    assert found == [
        [b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7"],
        [b"0", b"1", b"2", b"3", b"8", b"9", b"10", b"11"],
    ]
    assert setup.sender.sent[:4] == [
        f"GET {CADVISOR} text/plain",
        f"GET {CADVISOR} application/openmetrics-text",
        f"GET {NODE}/stats/summary",
        "GET /api/v1/nodes/other/proxy/metrics/cadvisor text/plain",
    ]
    assert (setup.flights.asked, setup.flights.shared) == (4, 4)


def test_each_reader_inflates_for_itself() -> None:
    text = b"up 1\n" * 10_000
    setup = Setup(Response(gzip.compress(text), Content_Encoding="gzip"))
    assert [item.result() for item in setup.together(5)] == [text] * 5
    assert setup.flights.kept == len(gzip.compress(text))


def test_what_is_not_compressed_is_kept_compressed() -> None:
    pieces = [b"%d\n" % at * 10_000 for at in range(20)]
    setup = Setup(Response(*pieces, Content_Type="application/json", Content_Encoding="identity"))
    assert [item.result() for item in setup.together(5)] == [b"".join(pieces)] * 5
    assert setup.get() == b"".join(pieces)
    assert setup.client.get(CADVISOR).content_type == "application/json"
    assert 0 < setup.flights.kept < 10_000
    assert setup.flights.asked == 1


def test_what_breaks_off_does_not_look_complete_once_compressed() -> None:
    setup = Setup(Response(b"up 1\n" * 1_000, ConnectionFailed("reset")))
    assert errors(setup.together(3)) == [ConnectionFailed] * 3


def test_an_impatient_client_does_not_decide_for_those_who_join() -> None:
    response = Response(b"a", b"b")
    setup = Setup(response)
    assert setup.get(limit=5.0) == b"ab"
    assert setup.sender.timeouts == [Timeouts(CONNECT, LIMIT)]
    assert response.closed == 1


def test_the_last_client_that_gives_up_ends_the_request() -> None:
    setup = Setup(None, Response(b"x"))
    assert errors(setup.together(3, limit=0.3)) == [TimedOut] * 3
    assert setup.get() == b"x"
    assert len(setup.sender.sent) == 2


def test_a_client_that_disconnects_does_not_wait_and_others_do() -> None:
    response = Response(b"a", None)
    setup = Setup(response)
    scopes = [CancelScope(), CancelScope()]

    def read(scope: CancelScope) -> bytes:
        with scope.active():
            return setup.get()

    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(read, scope) for scope in scopes]
        soon(lambda: setup.flights.kept > 0 and setup.flights.shared == 1)
        scopes[0].cancel()
        assert isinstance(found[0].exception(10), Cancelled)
        assert not found[1].done()
        assert response.closed == 0
        scopes[1].cancel()
        assert isinstance(found[1].exception(10), Cancelled)
    soon(lambda: response.closed == 1)


def test_a_connection_that_was_idle_too_long_is_replaced_for_all() -> None:
    setup = Setup(Response(b"x"), Dropped(ConnectionFailed("gone")), Response(b"y"), age=-1.0)
    assert setup.get() == b"x"
    assert setup.get() == b"y"
    assert setup.circuits.open_now() == 0


def test_too_many_at_once() -> None:
    setup = Setup(most=0)
    with pytest.raises(Crowded):
        setup.get()
    assert setup.sender.sent == []


def test_without_a_thread_for_it_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "FIRST_PAUSE", -1.0)
    setup = Setup(*[Response(status=503) for _ in range(circuit.FAILURES)], Response(b"x"))
    for _ in range(circuit.FAILURES):
        with pytest.raises(Unavailable):
            setup.get()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        for _ in range(circuit.PROBES + 1):
            with pytest.raises(Crowded):
                setup.get()
    assert setup.get() == b"x"  # whether the node works again may still be tried
    assert setup.circuits.open_now() == 0


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


# ------------------------------------------------------------------------------------------------ what circuits learn


@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        (lambda: Response(b"no", status=503), Unavailable),
        (lambda: Response(b"half", ConnectionFailed("reset")), ConnectionFailed),
        (lambda: Response(gzip.compress(b"x" * 99)[:-9], Content_Encoding="gzip"), ConnectionFailed),
        (lambda: Response(b"x" * 101), TooLarge),
    ],
    ids=["status", "broken off", "truncated gzip", "too large"],
)
def test_a_failure_counts_once_however_many_wait(failing: Callable[[], Response], expected: type[Exception]) -> None:
    setup = Setup(*[failing() for _ in range(circuit.FAILURES)])
    for count in (5, 1, 1):
        assert setup.circuits.open_now() == 0
        assert errors(setup.together(count, limits=Limits(100))) == [expected] * count
    assert setup.circuits.open_now() == 1
    assert len(setup.sender.sent) == circuit.FAILURES
    with pytest.raises(Open):
        setup.get()


@pytest.mark.parametrize("status", [200, 301, 404, 429])
def test_a_kubelet_that_answers_has_not_failed(status: int) -> None:
    setup = Setup(
        *[Response(status=503) for _ in range(circuit.FAILURES - 1)],
        Response(b"x", status=status),
        *[Response(status=503) for _ in range(circuit.FAILURES - 1)],
        age=-math.inf,
    )
    for _ in range(circuit.FAILURES * 2 - 1):
        with contextlib.suppress(StatusError, BadAnswer):
            setup.get()
    assert setup.circuits.open_now() == 0
    assert len(setup.sender.sent) == circuit.FAILURES * 2 - 1


def test_no_answer_from_the_apiserver_is_not_the_kubelets_failure() -> None:
    setup = Setup(*[Dropped(ConnectionFailed("refused"))] * 9, *[ConnectionFailed("no route")] * 9)
    for _ in range(18):
        with pytest.raises(ConnectionFailed):
            setup.get()
    assert setup.circuits.open_now() == 0


def test_silence_is_a_failure_once_it_has_lasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "FAIR", 0.2)
    setup = Setup(*[None] * 9)
    for _ in range(4):
        assert errors(setup.together(3, limit=0.01)) == [TimedOut] * 3  # impatience proves nothing
    assert setup.circuits.open_now() == 0
    for _ in range(circuit.FAILURES):
        assert setup.circuits.open_now() == 0
        assert errors(setup.together(3, limit=0.4)) == [TimedOut] * 3
    assert setup.circuits.open_now() == 1


def test_silence_within_a_response_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit, "FAIR", 0.2)
    setup = Setup(*[Response(b"x", None) for _ in range(circuit.FAILURES)])
    for _ in range(circuit.FAILURES):
        assert setup.circuits.open_now() == 0
        assert errors(setup.together(2, limit=0.4)) == [TimedOut] * 2
    assert setup.circuits.open_now() == 1


def test_while_a_circuit_is_open_a_fresh_response_is_still_shared() -> None:
    setup = Setup(Response(b"x"), *[Response(status=503) for _ in range(circuit.FAILURES)])
    assert setup.get() == b"x"
    for _ in range(circuit.FAILURES):
        with pytest.raises(StatusError):
            setup.get(f"{NODE}/metrics")
    with pytest.raises(Open):
        setup.get(f"{NODE}/metrics")
    assert setup.get() == b"x"
    assert setup.circuits.refused == 1


# -------------------------------------------------------------------------------------------------- the whole proxy


class Counting:
    """A demo cluster at one moment in time.

    Attributes:
        asked: how often each path of a kubelet was requested.
    """

    def __init__(self, shape: Shape) -> None:
        self.asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._cluster = Apiserver(build(shape), clock=lambda: 1_700_000_000.0)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if "/proxy/" in path:
            with self._lock:
                self.asked[path] += 1
        return self._cluster(environ, start_response)

    def close(self) -> None:
        self._cluster.close()


def test_every_tenant_gets_its_own_and_the_host_is_asked_once() -> None:
    shape = Shape(nodes=4, vclusters=12, pods=160)
    cluster = build(shape)
    endpoints = ("stats/summary", "metrics", "metrics/cadvisor", "metrics/resource")
    alone, together = Counting(shape), Counting(shape)
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(demo_server.serving(host)) for host in (alone, together)]
        unshared = stack.enter_context(serve(None, urls[0]))
        shared = stack.enter_context(serve(None, urls[1], views={"flights": Flights()}))
        views = ["", *(f"/vclusters/{item.namespace}/{item.name}" for item in cluster.vclusters)]
        paths = [f"/api/v1/nodes/{node.name}/proxy/{endpoint}" for node in cluster.nodes for endpoint in endpoints]
        assert (len(views), len(paths)) == (13, 16)
        asked = [f"{view}{path}" for path in paths for view in views]
        with ThreadPoolExecutor(24) as pool:
            expected = list(pool.map(lambda path: get(f"{unshared}{path}"), asked))
            answers = list(pool.map(lambda path: get(f"{shared}{path}"), asked))
        assert answers == expected
        served = [
            path[path.index("/api/") :] for path, (status, _) in zip(asked, expected, strict=True) if status == 200
        ]
        assert len(served) > 100
        assert alone.asked == Counter(served)
        assert together.asked == dict.fromkeys(paths, 1)
        assert counted(shared, "kubelet_requests_total") == len(paths)
        assert counted(shared, "shared_requests_total") == len(served) - len(paths)
        assert 0 < counted(shared, "shared_bytes") < 32 << 20


LINES = b"".join(b'up{at="%d"} 1\n' % at for at in range(20_000))
SOME = LINES[: LINES.index(b"\n", 100_000) + 1]


class Streaming(Replay):
    """The recorded host, whose cadvisor text comes in parts.

    Attributes:
        asked: how often it was requested.
        over: how many responses ended, or were not read any more.
        parts: what is sent; an Event is waited for, an exception breaks the response off.
    """

    def __init__(self, *parts: bytes | threading.Event | Exception) -> None:
        super().__init__("host")
        self.asked = self.over = 0
        self.parts = parts

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != CADVISOR:
            return super().__call__(environ, start_response)
        self.asked += 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return self._parts()

    def _parts(self) -> Iterator[bytes]:
        try:
            for part in self.parts:
                if isinstance(part, threading.Event):
                    while not part.wait(0.05):
                        yield b"# still there\n"
                elif isinstance(part, bytes):
                    yield part
                else:
                    raise part
        finally:
            self.over += 1


@contextlib.contextmanager
def streaming(*parts: bytes | threading.Event | Exception, **more: Any) -> Iterator[tuple[Streaming, str]]:
    host = Streaming(*parts)
    with demo_server.serving(host) as url, serve(None, url, views={"flights": Flights(**more)}) as served:
        yield host, served


def request(url: str) -> tuple[socket.socket, http.client.HTTPResponse]:
    """A client that has read the head of a response."""
    peer = connect(url)
    ask(peer, CADVISOR)
    response = http.client.HTTPResponse(peer)
    response.begin()
    assert response.status == 200
    return peer, response


def without_comments(text: bytes) -> bytes:
    return b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(b"#"))


def test_what_has_come_goes_out_before_the_rest_comes() -> None:
    goes_on = threading.Event()
    with streaming(LINES, goes_on, LINES) as (host, url), contextlib.ExitStack() as stack:
        responses = []
        for _ in range(3):
            peer, response = request(url)
            stack.enter_context(peer)
            assert response.read(60_000) == LINES[:60_000]
            responses.append(response)
        goes_on.set()
        for response in responses:
            assert without_comments(LINES[:60_000] + response.read()) == LINES + LINES
        assert host.asked == 1


def test_a_kubelet_that_breaks_off_cuts_the_response_of_everyone() -> None:
    goes_on = threading.Event()
    with streaming(LINES, goes_on, ValueError()) as (host, url), contextlib.ExitStack() as stack:
        responses = []
        for _ in range(3):
            peer, response = request(url)
            stack.enter_context(peer)
            responses.append(response)
        goes_on.set()
        for response in responses:
            with pytest.raises(http.client.IncompleteRead):
                response.read()
        assert host.asked == 1
        assert counted(url, "shared_requests_total") == 2
        peer, response = request(url)
        with peer, pytest.raises(http.client.IncompleteRead):
            response.read()
        assert host.asked == 2


def test_clients_that_disconnect_end_the_request_once_none_is_left() -> None:
    goes_on = threading.Event()
    with streaming(LINES, goes_on, LINES) as (host, url):
        first, first_response = request(url)
        second, second_response = request(url)
        first_response.close()
        first.close()
        time.sleep(0.3)
        assert host.over == 0
        second_response.close()
        second.close()
        soon(lambda: host.over == 1)
        assert host.asked == 1
        goes_on.set()
        assert without_comments(get(f"{url}{CADVISOR}")[1]) == LINES + LINES
        assert host.asked == 2


@pytest.mark.parametrize("budget", [128 << 20, 1 << 20], ids=["kept", "passed on"])
def test_a_client_that_does_not_read_does_not_stop_others(budget: int) -> None:
    goes_on = threading.Event()
    much = [LINES] * 40
    with streaming(SOME, goes_on, *much, budget=budget, lag=0.5) as (host, url):
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with slow:
            slow.connect(place(url))
            ask(slow, CADVISOR)
            soon(lambda: host.asked == 1)
            peer, response = request(url)
            with peer:
                goes_on.set()
                assert without_comments(response.read()) == SOME + LINES * 40
            assert host.asked == 1
            soon(lambda: counted(url, "shared_cut_total") == (0 if budget == 128 << 20 else 1))


def test_sharing_bounds_what_is_asked_of_a_hanging_node() -> None:
    goes_on = threading.Event()
    with streaming(goes_on) as (host, url), contextlib.ExitStack() as stack:
        assert get(f"{url}{METRICS}/pods")[0] == 200
        for _ in range(60):
            ask(stack.enter_context(connect(url)), CADVISOR)
        soon(lambda: counted(url, "shared_requests_total") == 3)  # the threads of one node, less the first
        assert host.asked == 1
        assert get(f"{url}{METRICS}/pods")[0] == 200
        goes_on.set()
        assert get(f"{url}{CADVISOR}")[0] == 200
        assert host.asked == 1
