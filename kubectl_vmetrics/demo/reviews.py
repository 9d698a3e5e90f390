"""What a user may do: the reviews of authorization.k8s.io and authentication.k8s.io."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .attributes import Attributes, attributes
from .authorization import Authorizer
from .exchange import Refusal, Reply, Request, Route, User
from .objects import Object

GROUPS = {
    "subjectaccessreviews": ("authorization.k8s.io", "SubjectAccessReview"),
    "localsubjectaccessreviews": ("authorization.k8s.io", "LocalSubjectAccessReview"),
    "selfsubjectaccessreviews": ("authorization.k8s.io", "SelfSubjectAccessReview"),
    "selfsubjectrulesreviews": ("authorization.k8s.io", "SelfSubjectRulesReview"),
    "selfsubjectreviews": ("authentication.k8s.io", "SelfSubjectReview"),
}


def route(authorizer: Authorizer) -> Route:
    """Answer reviews by what an authorizer decides."""

    def answer(request: Request) -> Reply | None:
        asked = attributes(request)
        group, kind = GROUPS.get(asked.resource, ("", ""))
        if not kind or asked.group != group or asked.name or request.method != "POST":
            return None
        spec = _spec(request.body)
        if kind == "SelfSubjectReview":
            more: Object = {
                "status": {"userInfo": {"username": request.user.name, "groups": list(request.user.groups)}}
            }
        elif kind == "SelfSubjectRulesReview":
            more = {"spec": {}, "status": _rules(authorizer, request.user, spec.get("namespace", ""))}
        else:
            who = request.user
            if not kind.startswith("Self"):
                who = User(str(spec.get("user", "")), tuple(spec.get("groups") or ()))
            more = {"spec": spec, "status": _decided(authorizer, who, spec)}
        body = {"kind": kind, "apiVersion": f"{group}/v1", "metadata": {}, **more}
        return Reply(201, json.dumps(body).encode())

    return answer


def _spec(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        found = None
    spec = found.get("spec") or {} if isinstance(found, dict) else None
    if not isinstance(spec, dict):
        raise Refusal(400, "BadRequest", "the object provided is unrecognized (must be of type ...Review)")
    return spec


def _decided(authorizer: Authorizer, who: User, spec: Mapping[str, Any]) -> Object:
    wanted, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if isinstance(wanted, dict):
        keys = ("verb", "", "group", "resource", "subresource", "namespace", "name")
        asked = Attributes(*(str(wanted.get(key, "")) for key in keys))
    else:
        given = path if isinstance(path, dict) else {}
        asked = Attributes(str(given.get("verb", "")), str(given.get("path", "")))
    why = authorizer.why(who, asked)
    return {"allowed": False} if why is None else {"allowed": True, "reason": why}


def _rules(authorizer: Authorizer, who: User, namespace: str) -> Object:
    resources: list[Object] = []
    paths: list[Object] = []
    for grant in authorizer.grants(who):
        if grant.namespace not in ("", namespace):
            continue
        for rule in grant.rules:
            (paths if "nonResourceURLs" in rule else resources).append(rule)
    return {"resourceRules": resources, "nonResourceRules": paths, "incomplete": False}
