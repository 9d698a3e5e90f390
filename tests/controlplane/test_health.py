"""Verdicts on control planes: tables of what components told, and what is concluded from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from kubectl_vmetrics.controlplane import figures, health
from kubectl_vmetrics.controlplane.credentials import Credential, NoCredential
from kubectl_vmetrics.controlplane.health import DEGRADED, HEALTHY, UNKNOWN, Health, Verdict
from kubectl_vmetrics.controlplane.plane import (
    APISERVER,
    CONTROLLER_MANAGER,
    KAMAJI,
    OPERATOR,
    SCHEDULER,
    SYNCER,
    VCLUSTER,
    Component,
    Plane,
)
from kubectl_vmetrics.controlplane.scrape import Instance
from kubectl_vmetrics.kube.errors import ConnectionFailed, Forbidden, NotFound, Unauthorized, VmetricsError
from kubectl_vmetrics.kube.forward import Identity
from kubectl_vmetrics.metrics.samples import Reader
from kubectl_vmetrics.metrics.snapshot import Pair, Snapshot

ADDRESS = "10.244.1.5"
NOW = 1_790_000_000.0
SERVED = 'kubernetes_build_info{git_version="v1.36.2"} 1\n'


def component(name: str, pod: str = "acme-0", port: int = 6443, **more: Any) -> Component:
    return Component(name, pod, ADDRESS, port, **more)


def plane(*components: Component, wanted: int = 1, ready: int = 1, kind: str = KAMAJI, asleep: bool = False) -> Plane:
    status = "Sleeping" if asleep else "Ready"
    return Plane(kind, "tenants", "acme", "v1.36.2", status, asleep, wanted, ready, components)


def pair(before: str | None, after: str, seconds: float = 15.0) -> Pair:
    reader = Reader(figures.wanted)
    earlier = None if before is None else Snapshot(reader.read([before.encode()]), 1000.0)
    return Pair(earlier, Snapshot(reader.read([after.encode()]), 1000.0 + seconds))


def judged(
    told: Mapping[Component, Pair | VmetricsError],
    *,
    wanted: int = 1,
    ready: int = 1,
    kind: str = KAMAJI,
    expires: float | None = None,
) -> Verdict:
    """A control plane, judged at the time NOW by what each of its components told."""
    one = plane(*told, wanted=wanted, ready=ready, kind=kind)
    (found,) = health.read([one], {Instance(one.key, part): pair for part, pair in told.items()})
    end = NOW + (expires or 0.0)
    credential = None if expires is None else Credential("acme-x/value", Identity(b"", b""), b"", "u", ("g",), end)
    return health.judge(one, found, credential, now=NOW)


def counted(**hosts: float) -> str:
    """Requests without an answer, by host; "_" and "X" stand for what an argument's name cannot hold."""
    return SERVED + "".join(
        f'rest_client_requests_total{{code="<error>",host="{host}",method="POST"}} {count}\n'
        for host, count in hosts.items()
    )


def lost(before: dict[str, float], after: dict[str, float]) -> Pair:
    return pair(counted(**before), counted(**after))


# ------------------------------------------------------------------------------------------ whom requests do not reach

ITSELF = "127.0.0.1:6443"
WEBHOOK = "webhook.default.svc:443"
NOTE = "apiserver gets no response from the webhook or extension API server"


@pytest.mark.parametrize(
    ("name", "before", "after", "reasons", "notes"),
    [
        # An apiserver asks itself at its loopback address, or at the address that it is bound to.
        (APISERVER, {ITSELF: 3}, {ITSELF: 3}, [], []),
        (APISERVER, {ITSELF: 3}, {ITSELF: 4}, ["apiserver cannot reach itself"], []),
        (APISERVER, {}, {ITSELF: 2}, ["apiserver cannot reach itself"], []),
        (APISERVER, {}, {"[::1]:6443": 2}, ["apiserver cannot reach itself"], []),
        (APISERVER, {}, {"localhost:6443": 2}, ["apiserver cannot reach itself"], []),
        (APISERVER, {}, {f"{ADDRESS}:6443": 2}, ["apiserver cannot reach itself"], []),
        # Webhooks and extension API servers are others, whatever their names look like.
        (APISERVER, {WEBHOOK: 1}, {WEBHOOK: 5}, [], [f"{NOTE} {WEBHOOK}: 4 requests in 15 s"]),
        (APISERVER, {WEBHOOK: 4}, {WEBHOOK: 5}, [], [f"{NOTE} {WEBHOOK}: 1 request in 15 s"]),
        (APISERVER, {WEBHOOK: 5}, {WEBHOOK: 5}, [], []),
        (APISERVER, {}, {"10.96.7.7:443": 2}, [], [f"{NOTE} 10.96.7.7:443: 2 requests in 15 s"]),
        (APISERVER, {}, {"hooks.example.com": 2}, [], [f"{NOTE} hooks.example.com: 2 requests in 15 s"]),
        (
            APISERVER,
            {},
            {ITSELF: 1, WEBHOOK: 2},
            ["apiserver cannot reach itself"],
            [f"{NOTE} {WEBHOOK}: 2 requests in 15 s"],
        ),
        # A webhook may listen beside the apiserver; its port is not the one that the apiserver serves at.
        (APISERVER, {ITSELF: 0}, {ITSELF: 0, "127.0.0.1:9443": 2}, [], [f"{NOTE} 127.0.0.1:9443: 2 requests in 15 s"]),
        # Those that grew most come first, and only so many of them.
        (
            APISERVER,
            {},
            {f"h{index}.a.svc:443": index for index in range(1, 9)},
            [],
            [
                *(f"{NOTE} h{index}.a.svc:443: {index} requests in 15 s" for index in (8, 7, 6, 5, 4)),
                "apiserver gets no response from 3 more hosts",
            ],
        ),
        (
            APISERVER,
            {},
            {f"h{index}.a.svc:443": index for index in range(1, 6)},
            [],
            [f"{NOTE} h{index}.a.svc:443: {index} request{'s' * (index > 1)} in 15 s" for index in (5, 4, 3, 2, 1)],
        ),
        (
            APISERVER,
            {},
            {f"h{index}.a.svc:443": index for index in range(1, 7)},
            [],
            [
                *(f"{NOTE} h{index}.a.svc:443: {index} requests in 15 s" for index in (6, 5, 4, 3, 2)),
                "apiserver gets no response from 1 more host",
            ],
        ),
        # An apiserver that is bound to an address of IPv6 is asked in brackets; without a port, at that of HTTPS.
        (APISERVER, {}, {"[::1]": 2}, ["apiserver cannot reach itself"], []),
        (APISERVER, {ITSELF: 0}, {ITSELF: 0, "localhost": 2}, [], [f"{NOTE} localhost: 2 requests in 15 s"]),
        (SCHEDULER, {}, {"b:6443": 1, "a:6443": 2}, ["scheduler cannot reach the apiserver at a:6443, b:6443"], []),
        # What is no host is not repeated.
        (APISERVER, {}, {"\\n\x1b[31m": 2}, [], [f"{NOTE} (not a host name): 2 requests in 15 s"]),
        (APISERVER, {}, {"a" * 400: 2}, [], [f"{NOTE} (not a host name): 2 requests in 15 s"]),
        (APISERVER, {}, {"": 2}, [], [f"{NOTE} (not a host name): 2 requests in 15 s"]),
        # Everybody else asks apiservers alone.
        (SCHEDULER, {}, {ITSELF: 2}, [f"scheduler cannot reach the apiserver at {ITSELF}"], []),
        (CONTROLLER_MANAGER, {}, {WEBHOOK: 2}, [f"controller-manager cannot reach the apiserver at {WEBHOOK}"], []),
        (SYNCER, {}, {"10.96.0.1:443": 2}, ["syncer cannot reach the apiserver at 10.96.0.1:443"], []),
        (SCHEDULER, {}, {"": 2}, ["scheduler cannot reach the apiserver"], []),
        # Kamaji asks its tenants' apiservers too, each of which has a row of its own.
        (OPERATOR, {}, {"10.96.0.1:443": 2}, ["operator cannot reach the apiserver at 10.96.0.1:443"], []),
        (
            OPERATOR,
            {},
            {"globex.tenants.svc:6443": 2},
            [],
            ["operator gets no response from globex.tenants.svc:6443: 2 requests in 15 s"],
        ),
        (
            OPERATOR,
            {},
            {"kubernetes.default.svc:443": 2},
            ["operator cannot reach the apiserver at kubernetes.default.svc:443"],
            [],
        ),
        (OPERATOR, {}, {"api.example:6443": 2}, ["operator cannot reach the apiserver at api.example:6443"], []),
    ],
)
def test_requests_without_an_answer_are_judged_by_host(
    name: str, before: dict[str, float], after: dict[str, float], reasons: list[str], notes: list[str]
) -> None:
    verdict = judged({component(name): lost(before, after)})

    assert (verdict.word, verdict.reasons, verdict.notes) == (DEGRADED if reasons else HEALTHY, reasons, notes)


def test_an_only_scrape_tells_no_loss() -> None:
    verdict = judged({component(APISERVER): pair(None, counted(**{ITSELF: 7, WEBHOOK: 9}))})

    assert (verdict.word, verdict.reasons, verdict.notes) == (HEALTHY, [], [])
    found = verdict.components[0].figures
    assert (found.lost, found.losing) == (7, None)
    assert [(item.host, item.total, item.grown) for item in found.unanswered] == [(WEBHOOK, 9, None)]


# ----------------------------------------------------------------------------------------------------- what is unknown

NOTHING = NoCredential("Secret acme-admin-kubeconfig does not exist", hint="make one")
FORWARD = Forbidden('pods "acme-0" is forbidden: User "x" cannot create resource "pods/portforward"', code=403)
FINE = pair(SERVED, SERVED)
REFUSED = ConnectionFailed("nothing is listening on the port: connection refused")


@pytest.mark.parametrize(
    ("told", "more", "word", "reasons", "unknown"),
    [
        ({APISERVER: FINE, SCHEDULER: FINE}, {}, HEALTHY, [], []),
        # Nothing can be said of what may not be looked at.
        ({APISERVER: NOTHING}, {}, UNKNOWN, [], ["apiserver: no usable client certificate"]),
        (
            {APISERVER: NOTHING, SCHEDULER: NOTHING},
            {},
            UNKNOWN,
            [],
            ["apiserver, scheduler: no usable client certificate"],
        ),
        ({APISERVER: FORWARD}, {}, UNKNOWN, [], ["apiserver: no right to pods/portforward"]),
        ({APISERVER: Forbidden("forbidden", code=403)}, {}, UNKNOWN, [], ["apiserver: access denied"]),
        (
            {APISERVER: Forbidden("cannot get resource pods/proxy", code=403)},
            {},
            UNKNOWN,
            [],
            ["apiserver: no right to pods/proxy"],
        ),
        ({APISERVER: Unauthorized("Unauthorized", code=401)}, {}, UNKNOWN, [], ["apiserver: access denied"]),
        ({APISERVER: FINE, SCHEDULER: NOTHING}, {}, UNKNOWN, [], ["scheduler: no usable client certificate"]),
        ({APISERVER: pair("", "<html>")}, {}, UNKNOWN, [], ["apiserver: no known metrics in the response"]),
        ({KAMAJI: pair("", "<html>")}, {}, HEALTHY, [], []),
        # What is known to be wrong is wrong, whatever else is not known.
        (
            {APISERVER: NOTHING},
            {"wanted": 2},
            DEGRADED,
            ["1 of 2 replicas are ready"],
            ["apiserver: no usable client certificate"],
        ),
        ({APISERVER: FINE, SCHEDULER: REFUSED}, {}, DEGRADED, ["scheduler: connection refused"], []),
        (
            {APISERVER: ConnectionFailed("i/o timeout")},
            {},
            DEGRADED,
            ["apiserver: timed out"],
            [],
        ),
        ({APISERVER: ConnectionFailed("EOF")}, {}, DEGRADED, ["apiserver: no answer"], []),
        (
            {APISERVER: ConnectionFailed("tls: x509: unknown authority")},
            {},
            DEGRADED,
            ["apiserver: untrusted certificate"],
            [],
        ),
        ({APISERVER: ConnectionFailed("x509: expired")}, {}, DEGRADED, ["apiserver: untrusted certificate"], []),
        (
            {APISERVER: ConnectionFailed("tls: bad record")},
            {},
            DEGRADED,
            ["apiserver: untrusted certificate"],
            [],
        ),
        ({APISERVER: NotFound("404 page not found", code=404)}, {}, DEGRADED, ["apiserver: not found"], []),
        ({}, {}, DEGRADED, ["it has no pods"], []),
        ({}, {"wanted": 3, "ready": 0}, DEGRADED, ["it has no pods", "0 of 3 replicas are ready"], []),
    ],
)
def test_what_is_wrong_and_what_is_not_known_are_told_apart(
    told: dict[str, Pair | VmetricsError], more: dict[str, int], word: str, reasons: list[str], unknown: list[str]
) -> None:
    verdict = judged({component(name): answer for name, answer in told.items()}, **more)  # type: ignore[arg-type]

    assert (verdict.word, verdict.reasons, verdict.unknown) == (word, reasons, unknown)


def test_who_sleeps_is_not_judged() -> None:
    asleep = plane(wanted=0, ready=0, asleep=True)

    assert health.judge(asleep, [], None).word == "Sleeping"
    quiet = [Health(asleep, component(APISERVER), error=NOTHING)]
    assert health.judge(asleep, quiet, None) == Verdict(asleep, quiet, [], [], [], [])


def test_a_component_that_is_not_asked_for_is_in_no_plane() -> None:
    one = plane(component(APISERVER))
    stranger = Instance((KAMAJI, "tenants", "other"), component(APISERVER))

    assert health.read([one], {stranger: FINE}) == [[]]
    part, other = component(APISERVER), component(SCHEDULER)
    told = {stranger: FINE, Instance(one.key, part): FINE, Instance(one.key, other): REFUSED}
    assert health.read([one], told) == [
        [Health(one, part, figures.read(part, FINE), seconds=15.0), Health(one, other, error=REFUSED)]
    ]


# ------------------------------------------------------------------------------------------------- what is wrong

REQUESTS = 'apiserver_request_total{{verb="GET",code="{code}"}} {count}\n'


def failing(share: float) -> Pair:
    """An apiserver of which this share of a thousand requests fails."""
    bad = round(1000 * share)
    none = REQUESTS.format(code=200, count=0) + REQUESTS.format(code=503, count=0)
    return pair(
        SERVED + none, SERVED + REQUESTS.format(code=200, count=1000 - bad) + REQUESTS.format(code=503, count=bad)
    )


def slow(family: str, bound: str) -> Pair:
    """An apiserver whose requests take as long as the last bound of its buckets."""
    before, after = (
        "".join(f'{family}{{verb="GET",le="{le}"}} {count}\n' for le, count in ((bound, 0), ("+Inf", count)))
        for count in (0, 100)
    )
    return pair(SERVED + before, SERVED + after)


def elected(value: int, more: str = "") -> Pair:
    text = f'{SERVED}leader_election_master_status{{name="x"}} {value}\n{more}'
    return pair(text, text)


def waiting(count: float, leads: int | None = None) -> Pair:
    text = f'scheduler_pending_pods{{queue="unschedulable"}} {count}\nscheduler_pending_pods{{queue="active"}} 9\n'
    return elected(leads, text) if leads is not None else pair(SERVED + text, SERVED + text)


def attempts(result: str) -> Pair:
    text = f'{SERVED}scheduler_schedule_attempts_total{{result="{result}"}} '
    return pair(text + "1", text + "5")


def versioned(version: str) -> Pair:
    text = f'kubernetes_build_info{{git_version="{version}"}} 1\n'
    return pair(text, text)


def both(name: str, first: Pair | VmetricsError, second: Pair | VmetricsError) -> dict[Component, Any]:
    return {component(name): first, component(name, "acme-1"): second}


def one(name: str, told: Pair | VmetricsError) -> dict[Component, Any]:
    return {component(name): told}


LATENCY, STORAGE = figures.DURATIONS, figures.ETCD


@pytest.mark.parametrize(
    ("told", "reasons"),
    [
        # At a limit is not over it.
        (one(APISERVER, failing(0.05)), []),
        (one(APISERVER, failing(0.06)), ["6% of requests fail"]),
        (one(APISERVER, failing(0.0)), []),
        (one(APISERVER, failing(1.0)), ["100% of requests fail"]),
        (one(APISERVER, slow(LATENCY, "1")), []),
        (one(APISERVER, slow(LATENCY, "2")), ["99th percentile of requests is 2.0 s"]),
        (one(APISERVER, slow(STORAGE, "0.5")), []),
        (one(APISERVER, slow(STORAGE, "0.6")), ["99th percentile of storage requests is 0.6 s"]),
        # Of other components these say nothing.
        (one(SCHEDULER, failing(1.0)), []),
        (one(SCHEDULER, slow(LATENCY, "2")), []),
        # One leads: none is wrong if all say so, two are.
        (both(SCHEDULER, elected(1), elected(0)), []),
        (both(SCHEDULER, elected(0), elected(0)), ["scheduler has no leader"]),
        (both(CONTROLLER_MANAGER, elected(1), elected(1)), ["controller-manager has 2 leaders"]),
        (both(CONTROLLER_MANAGER, elected(0), FINE), []),
        (both(SCHEDULER, FINE, FINE), []),
        (both(SCHEDULER, elected(0), REFUSED), ["scheduler: connection refused", "scheduler has no leader"]),
        (both(SCHEDULER, elected(1), REFUSED), ["scheduler: connection refused"]),
        (both(APISERVER, elected(1), elected(1)), []),
        # Pods that cannot be scheduled: as the leader has it, or one that is alone and elects nobody.
        (one(SCHEDULER, waiting(0)), []),
        (one(SCHEDULER, waiting(1)), ["1 pod cannot be scheduled"]),
        (one(SCHEDULER, waiting(3)), ["3 pods cannot be scheduled"]),
        (both(SCHEDULER, waiting(3, 1), waiting(7, 0)), ["3 pods cannot be scheduled"]),
        (both(SCHEDULER, waiting(0, 1), waiting(7, 0)), []),
        (one(SCHEDULER, attempts("error")), ["scheduling attempts fail with errors"]),
        (one(SCHEDULER, attempts("unschedulable")), []),
        (both(APISERVER, versioned("v1.36.2"), versioned("v1.36.2")), []),
        (
            both(APISERVER, versioned("v1.36.2"), versioned("v1.35.9")),
            ["replicas of different versions: v1.35.9, v1.36.2"],
        ),
        (both(SCHEDULER, versioned("v1.36.2"), versioned("v1.35.9")), []),
        (both(APISERVER, versioned("v1.36.2"), REFUSED), ["apiserver: connection refused"]),
        # The same of two replicas is said once.
        (both(APISERVER, failing(0.06), failing(0.06)), ["6% of requests fail"]),
        (both(APISERVER, REFUSED, REFUSED), ["apiserver: connection refused"]),
    ],
)
def test_what_is_wrong(told: dict[Component, Any], reasons: list[str]) -> None:
    verdict = judged(told)

    assert (verdict.reasons, verdict.word) == (reasons, DEGRADED if reasons else HEALTHY)


DAY = 86_400.0
RENEW = "renew it: kubectl -n tenants annotate secret acme-x certs.kamaji.clastix.io/rotate="


@pytest.mark.parametrize(
    ("expires", "reasons"),
    [
        (None, []),
        (7 * DAY, []),
        (7 * DAY - 1, ["the certificate in acme-x/value expires in 6 days"]),
        (DAY, ["the certificate in acme-x/value expires in 1 day"]),
        (DAY - 1, ["the certificate in acme-x/value expires within a day"]),
        (0.0, ["the certificate in acme-x/value expires within a day"]),
        (-1.0, ["the certificate in acme-x/value has expired"]),
    ],
)
def test_a_certificate_that_expires(expires: float | None, reasons: list[str]) -> None:
    of_kamaji, of_vcluster = (
        judged({component(APISERVER): FINE}, kind=kind, expires=expires) for kind in (KAMAJI, VCLUSTER)
    )

    assert (of_kamaji.reasons, of_kamaji.details) == (reasons, [RENEW] if reasons else [])
    assert (of_vcluster.reasons, of_vcluster.details) == (reasons, [])


def test_a_certificate_is_held_against_the_clock_and_told_of() -> None:
    one = plane()
    old = Credential("acme-x/value", Identity(b"", b""), b"", "u", ("g",), 0.0)

    verdict = health.judge(one, [Health(one, component(APISERVER), figures.Figures("v1.36.2"))], old)
    assert verdict.reasons == ["the certificate in acme-x/value has expired"]
    assert verdict.credential is old


def test_a_share_at_the_limit_is_not_over_it() -> None:
    one = plane()
    for failed, reasons in ((health.FAILING, []), (0.051, ["5% of requests fail"])):
        told = figures.Figures("v1.36.2", failed=failed)
        assert health.judge(one, [Health(one, component(APISERVER), told)], None).reasons == reasons


@pytest.mark.parametrize(
    ("wanted", "ready", "reasons"),
    [
        (1, 1, []),
        (2, 1, ["1 of 2 replicas are ready"]),
        (1, 0, ["0 of 1 replica is ready"]),
        (0, 0, []),
        (1, 2, []),  # more than wanted, while one replaces the other
    ],
)
def test_replicas(wanted: int, ready: int, reasons: list[str]) -> None:
    assert judged({component(APISERVER): FINE}, wanted=wanted, ready=ready).reasons == reasons


@pytest.mark.parametrize(
    ("error", "details"),
    [
        (NOTHING, ["Secret acme-admin-kubeconfig does not exist -> make one"]),
        (NoCredential("no Secret"), ["no Secret"]),
        (FORWARD, [f"{FORWARD.message} -> grant: get and create on pods/portforward in tenants"]),
        (
            Forbidden("pods/proxy is forbidden", code=403),
            ["pods/proxy is forbidden -> grant: get on pods/proxy in tenants"],
        ),
        (
            ConnectionFailed("tls: x509: unknown authority"),
            ["tls: x509: unknown authority -> its certificates may be rotating; try again in a minute"],
        ),
        (ConnectionFailed("EOF"), ["EOF"]),
        # It is the refusal that counts, and not a word in it.
        (ConnectionFailed("pods/portforward: EOF"), ["pods/portforward: EOF"]),
        (ConnectionFailed("pods/proxy: EOF"), ["pods/proxy: EOF"]),
    ],
)
def test_what_to_do(error: VmetricsError, details: list[str]) -> None:
    assert judged({component(APISERVER): error}).details == details


def test_who_is_not_let_in_is_told_of_a_credential() -> None:
    for error in (Forbidden("forbidden: no", code=403), Unauthorized("Unauthorized", code=401)):
        (text,) = judged({component(APISERVER): error}).details
        assert text.startswith(f"{error.message} -> create one: kubectl vmetrics manifests kamaji acme -n tenants")


def test_no_number_that_is_none_is_a_verdict() -> None:
    for value in (math.nan, math.inf, -math.inf, -1.0, 1e308):
        told = {
            component(APISERVER): pair(
                SERVED + f'apiserver_request_total{{code="503"}} {value}', SERVED + "apiserver_request_total 1"
            ),
            component(SCHEDULER): waiting(value),
        }
        assert judged(told).reasons == []
