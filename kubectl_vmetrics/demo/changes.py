"""Changes to what the demo apiserver answers: to be combined."""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from .exchange import Change, Refusal, Reply, Request, User

Answer = Callable[[Request], Reply]
Edit = Callable[[Any], None]
_ANY: Mapping[str, str] = {}


def together(*changes: Change) -> Change:
    """Several changes, one after the other."""

    def change(request: Request, answer: Answer) -> Reply:
        for one in reversed(changes):
            answer = _over(one, answer)
        return answer(request)

    return change


def _over(change: Change, answer: Answer) -> Answer:
    return lambda request: change(request, answer)


def _asks(request: Request, query: Mapping[str, str]) -> bool:
    """Whether a request's query holds these texts."""
    return all(text in request.query.get(key, "") for key, text in query.items())


def alter(path: str, edit: Edit, query: Mapping[str, str] = _ANY) -> Change:
    """Change the JSON of an answer."""
    known = re.compile(path)

    def change(request: Request, answer: Answer) -> Reply:
        reply = answer(request)
        if not known.fullmatch(request.path) or not _asks(request, query):
            return reply
        body = json.loads(reply.body)
        edit(body)
        return reply._replace(body=json.dumps(body).encode())

    return change


def say(path: str, body: str | bytes, status: int = 200) -> Change:
    """Answer with a text."""
    known = re.compile(path)

    def change(request: Request, answer: Answer) -> Reply:
        if not known.fullmatch(request.path):
            return answer(request)
        return Reply(status, body.encode() if isinstance(body, str) else body, "text/plain; charset=utf-8")

    return change


def answer(path: str, body: Any, query: Mapping[str, str] = _ANY) -> Change:
    """Answer with a document."""
    known = re.compile(path)

    def change(request: Request, answer: Answer) -> Reply:
        if known.fullmatch(request.path) and _asks(request, query):
            return Reply(200, json.dumps(body).encode())
        return answer(request)

    return change


def refuse(path: str, code: int, reason: str, message: str) -> Change:
    """Answer with a Status; {1} in its message is the first group of the path."""
    known = re.compile(path)

    def change(request: Request, answer: Answer) -> Reply:
        if found := known.fullmatch(request.path):
            raise Refusal(code, reason, message.replace("{1}", found[1]) if "{1}" in message else message)
        return answer(request)

    return change


def substitute(path: str, old: bytes, new: bytes) -> Change:
    """Change the text of an answer."""
    known = re.compile(path)

    def change(request: Request, answer: Answer) -> Reply:
        reply = answer(request)
        return reply._replace(body=re.sub(old, new, reply.body)) if known.fullmatch(request.path) else reply

    return change


def count(path: str, pattern: bytes, step: int) -> Change:
    """Let a number grow by a step with each request; it stands behind the pattern's group."""
    known, series, asked = re.compile(path), re.compile(pattern), itertools.count(1)

    def change(request: Request, answer: Answer) -> Reply:
        reply = answer(request)
        if not known.fullmatch(request.path):
            return reply
        return reply._replace(body=series.sub(rb"\g<1> %d" % (next(asked) * step), reply.body))

    return change


def certificate(path: str, user: str, key: str) -> Change:
    """Put another client certificate, without groups, into a Secret."""

    def edit(body: Any) -> None:
        from .certificates import Authority

        made = Authority("kubernetes").client(user)
        for end, value in (("crt", made.certificate), ("key", made.key)):
            body["data"][f"{key}.{end}"] = base64.b64encode(value).decode()

    return alter(path, edit)


def alias(part: str, of: str) -> Change:
    """Answer for a part of a path as for another."""
    return lambda request, answer: answer(request._replace(path=request.path.replace(part, of)))


def impersonate(user: User) -> Change:
    """Make every client this user."""
    return lambda request, answer: answer(request._replace(user=user))
