"""Changes to what the embedded apiserver answers: to be combined."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from .exchange import Change, Refusal, Reply, Request

Answer = Callable[[Request], Reply]
Edit = Callable[[Any], None]


def together(*changes: Change) -> Change:
    """Several changes, one after the other."""

    def change(request: Request, answer: Answer) -> Reply:
        for one in reversed(changes):
            answer = _over(one, answer)
        return answer(request)

    return change


def _over(change: Change, answer: Answer) -> Answer:
    return lambda request: change(request, answer)


def alter(path: str, edit: Edit) -> Change:
    """Change the JSON of an answer."""
    known = re.compile(path)

    def change(request: Request, answer: Answer) -> Reply:
        reply = answer(request)
        if not known.fullmatch(request.path):
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


def refuse(path: str, code: int, reason: str, message: str) -> Change:
    """Answer with a Status."""
    known = re.compile(path)

    def change(request: Request, answer: Answer) -> Reply:
        if known.fullmatch(request.path):
            raise Refusal(code, reason, message)
        return answer(request)

    return change


def substitute(path: str, old: bytes, new: bytes) -> Change:
    """Change the text of an answer."""
    known = re.compile(path)

    def change(request: Request, answer: Answer) -> Reply:
        reply = answer(request)
        return reply._replace(body=re.sub(old, new, reply.body)) if known.fullmatch(request.path) else reply

    return change
