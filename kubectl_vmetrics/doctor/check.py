"""A check, its outcome, and how checks run: concurrently where they do not depend on each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from kubectl_vmetrics.kube.client import Client
from kubectl_vmetrics.kube.errors import Forbidden, VmetricsError
from kubectl_vmetrics.kube.gather import gather
from kubectl_vmetrics.metrics.findings import FAIL, PASS, SKIP, WARN

T = TypeVar("T")


class Cause(NamedTuple):
    """A cause of a problem.

    Attributes:
        text: what is wrong.
        remedy: a command, a setting or a sentence.
        reference: the upstream source.
    """

    text: str
    remedy: str
    reference: str = ""


class Outcome(NamedTuple):
    """The outcome of a check.

    Attributes:
        result: PASS, WARN, FAIL or SKIP.
        found: the finding, in one line.
        cause: the key of the cause in Check.causes; "" if it is none of them.
        remedy: a more exact remedy than the cause's, if there is one.
        refused: whether the check was skipped because the user is missing a right.
        partial: whether a failure affects only some objects: checks that depend on this one run on the others.
        evidence: the details, line by line, shown if the user asks for this check by ID.
    """

    result: str
    found: str
    cause: str = ""
    remedy: str = ""
    refused: bool = False
    partial: bool = False
    evidence: tuple[str, ...] = ()


class Check(NamedTuple):
    """A check.

    Attributes:
        id: stable, because messages and documentation refer to it.
        area: one of AREAS.
        title: what is checked.
        causes: the problems it can find.
        run: the check itself.
        needs: the IDs of the checks it depends on.
    """

    id: str
    area: str
    title: str
    causes: Mapping[str, Cause]
    run: Callable[[Session], Outcome]
    needs: tuple[str, ...] = ()


class Result(NamedTuple):
    """A check and its outcome."""

    check: Check
    outcome: Outcome

    @property
    def cause(self) -> Cause | None:
        """The cause that was found."""
        return self.check.causes.get(self.outcome.cause)

    @property
    def remedy(self) -> str:
        """What to do; "" if there is nothing to do."""
        return self.outcome.remedy or (self.cause.remedy if self.cause else "")


class Absent(VmetricsError):
    """What is checked is not installed; the check is skipped with this message."""


BECAUSE = "because of "
AREAS = ("metrics-api", "kubelets", "vcluster", "kubevirt", "kamaji", "rbac", "prometheus")


def passed(found: str, evidence: Iterable[str] = ()) -> Outcome:
    """No problem."""
    return Outcome(PASS, found, evidence=tuple(evidence))


def warned(found: str, cause: str, remedy: str = "", evidence: Iterable[str] = ()) -> Outcome:
    """A problem that breaks nothing yet."""
    return Outcome(WARN, found, cause, remedy, evidence=tuple(evidence))


def failed(found: str, cause: str, remedy: str = "", evidence: Iterable[str] = (), *, partial: bool = False) -> Outcome:
    """Something is broken."""
    return Outcome(FAIL, found, cause, remedy, partial=partial, evidence=tuple(evidence))


def skipped(found: str, evidence: Iterable[str] = (), *, refused: bool = False) -> Outcome:
    """The check could not run, or does not apply."""
    return Outcome(SKIP, found, refused=refused, evidence=tuple(evidence))


class Session:
    """One run of the checks: the cluster's client, and a cache of what several checks read.

    Attributes:
        namespace: where rights are reviewed; "" for all namespaces.
    """

    def __init__(self, client: Client, namespace: str = "") -> None:
        self.client = client
        self.namespace = namespace
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._known: dict[str, Any] = {}

    def once(self, key: str, read: Callable[[], T]) -> T:
        """The result of `read`, which is called once per key; if it raised an error, each call raises it."""
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._known:
                try:
                    self._known[key] = read()
                except VmetricsError as error:
                    self._known[key] = error
            found = self._known[key]
        if isinstance(found, VmetricsError):
            raise found
        result: T = found
        return result


def run(
    checks: Sequence[Check],
    session: Session,
    done: Callable[[int, int], None] | None = None,
    asked: Collection[str] = (),
) -> list[Result]:
    """Run checks, concurrently where they do not depend on each other; the results are in the order of the checks.

    Args:
        checks: the checks to run; a dependency that is not among them counts as passed.
        session: the session they share.
        done: called with the number of finished checks and the number of all checks.
        asked: the IDs of checks to run even if a check they depend on failed, because the user wants their evidence.
    """
    results: dict[str, Result] = {}
    known = {check.id for check in checks}
    waiting = list(checks)
    while waiting:
        ready = [check for check in waiting if all(need in results or need not in known for need in check.needs)]
        if not ready:
            raise ValueError("checks depend on each other")
        outcomes = gather(
            [partial(_one, check, session, {} if check.id in asked else results) for check in ready], limit=8
        )
        for check, outcome in zip(ready, outcomes, strict=True):
            if isinstance(outcome, VmetricsError):
                raise outcome
            results[check.id] = Result(check, outcome)
        waiting = [check for check in waiting if check not in ready]
        if done:
            done(len(results), len(checks))
    return [results[check.id] for check in checks]


def _one(check: Check, session: Session, results: Mapping[str, Result]) -> Outcome:
    for need in check.needs:
        if need in results and _blocks(results[need].outcome):
            return skipped(f"{BECAUSE}{_root(need, results)}")
    try:
        return check.run(session)
    except Absent as error:
        return skipped(error.message)
    except Forbidden as error:
        return skipped(f"not allowed: {error.message}", refused=True)
    except VmetricsError as error:
        return Outcome(FAIL, error.message)


def _blocks(outcome: Outcome) -> bool:
    """Whether dependent checks are skipped; a check that could not run does not block them."""
    return (outcome.result == FAIL and not outcome.partial) or (
        outcome.result == SKIP and outcome.found.startswith(BECAUSE)
    )


def _root(need: str, results: Mapping[str, Result]) -> str:
    """The first check in the chain of dependencies that failed."""
    found = results[need].outcome.found
    return found.removeprefix(BECAUSE) if found.startswith(BECAUSE) else need
