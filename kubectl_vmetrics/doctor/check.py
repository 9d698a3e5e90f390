"""A check, what comes of it, and how checks are run: those that can, at once."""

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
    """Something that goes wrong.

    Attributes:
        text: what is the matter.
        remedy: a command, a setting or a sentence.
        reference: where upstream this is described or decided.
    """

    text: str
    remedy: str
    reference: str = ""


class Outcome(NamedTuple):
    """What a check came to.

    Attributes:
        result: PASS, WARN, FAIL or SKIP.
        found: one line of what was seen.
        cause: which of the check's causes it is; "" where it is none of them.
        remedy: instead of the cause's, where it can be said more exactly.
        refused: whether it was skipped because the user lacks a right.
        partial: of a failure, whether it is one of some only: checks that need this one go on with the rest.
        evidence: what was seen, line by line, for who asks for this very check.
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
        id: stable: it stands in messages and in documentation.
        area: what it is about; one of AREAS.
        title: what is looked at.
        causes: what may be found to be wrong.
        run: looks.
        needs: identifiers of checks without which it makes no sense.
    """

    id: str
    area: str
    title: str
    causes: Mapping[str, Cause]
    run: Callable[[Session], Outcome]
    needs: tuple[str, ...] = ()


class Result(NamedTuple):
    """A check that was run, or was not."""

    check: Check
    outcome: Outcome

    @property
    def cause(self) -> Cause | None:
        """The one that was found."""
        return self.check.causes.get(self.outcome.cause)

    @property
    def remedy(self) -> str:
        """What to do; "" where nothing is to be done."""
        return self.outcome.remedy or (self.cause.remedy if self.cause else "")


class Absent(VmetricsError):
    """What a check is about is not installed; the check is skipped, and says so."""


BECAUSE = "because of "
AREAS = ("metrics-api", "kubelets", "vcluster", "kubevirt", "kamaji", "rbac")


def passed(found: str, evidence: Iterable[str] = ()) -> Outcome:
    """All is well."""
    return Outcome(PASS, found, evidence=tuple(evidence))


def warned(found: str, cause: str, remedy: str = "", evidence: Iterable[str] = ()) -> Outcome:
    """Something to know."""
    return Outcome(WARN, found, cause, remedy, evidence=tuple(evidence))


def failed(found: str, cause: str, remedy: str = "", evidence: Iterable[str] = (), *, partial: bool = False) -> Outcome:
    """Something is broken."""
    return Outcome(FAIL, found, cause, remedy, partial=partial, evidence=tuple(evidence))


def skipped(found: str, evidence: Iterable[str] = (), *, refused: bool = False) -> Outcome:
    """It cannot be told."""
    return Outcome(SKIP, found, refused=refused, evidence=tuple(evidence))


class Session:
    """One run: the cluster, and what several checks look at, read once."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._known: dict[str, Any] = {}

    def once(self, key: str, read: Callable[[], T]) -> T:
        """What `read` gives, read once for all; an error of it is raised each time."""
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
    """Run checks, those that need no other one at once; the results are in the order of the checks.

    Args:
        checks: with everything that they need among them, or it counts as well.
        session: what they look at.
        done: told how many are over, of how many.
        asked: identifiers of checks that are run even if what they need failed: somebody wants to see what they see.
    """
    results: dict[str, Result] = {}
    known = {check.id for check in checks}
    waiting = list(checks)
    while waiting:
        ready = [check for check in waiting if all(need in results or need not in known for need in check.needs)]
        if not ready:
            raise ValueError("checks that need each other")
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
        return skipped(f"may not be read: {error.message}", refused=True)
    except VmetricsError as error:
        return Outcome(FAIL, error.message)


def _blocks(outcome: Outcome) -> bool:
    """Whether what comes after makes no sense; what could not be looked at may well be in order."""
    return (outcome.result == FAIL and not outcome.partial) or (
        outcome.result == SKIP and outcome.found.startswith(BECAUSE)
    )


def _root(need: str, results: Mapping[str, Result]) -> str:
    """The first check in a row that made the next ones pointless."""
    found = results[need].outcome.found
    return found.removeprefix(BECAUSE) if found.startswith(BECAUSE) else need
