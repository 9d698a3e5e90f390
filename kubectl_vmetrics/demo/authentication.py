"""Authentication to the demo cluster: tokens and impersonation.

Upstream: k8s.io/apiserver pkg/endpoints/filters/impersonation.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import unquote

from .attributes import Attributes
from .exchange import ADMIN, Refusal, User
from .rbac import USERS

_ACCOUNT = "system:serviceaccount:"
_TOKENS = {f"demo-{name}": user for name, user in USERS.items()}
Check = Callable[[User, Attributes], None]


def user(headers: Mapping[str, list[str]], check: Check) -> User:
    """Who asks.

    Args:
        headers: of the request, by names in lower case.
        check: raises Refusal for what a user may not do; asked whether one may impersonate another.

    Raises:
        Refusal: the token is unknown, or impersonation is not allowed.
    """
    return _impersonated(_authenticated(headers), headers, check)


def _authenticated(headers: Mapping[str, list[str]]) -> User:
    given = " ".join(headers.get("authorization", []))
    if not given:
        return ADMIN
    scheme, _, token = given.partition(" ")
    if scheme.lower() != "bearer" or token.strip() not in _TOKENS:
        raise Refusal(401, "Unauthorized", "Unauthorized")
    return _TOKENS[token.strip()]


def _impersonated(asking: User, headers: Mapping[str, list[str]], check: Check) -> User:
    name = "".join(headers.get("impersonate-user", []))
    groups = headers.get("impersonate-group", [])
    prefix = "impersonate-extra-"
    extra = {unquote(key[len(prefix) :]): values for key, values in headers.items() if key.startswith(prefix)}
    uid = "".join(headers.get("impersonate-uid", []))
    if not name:
        if groups or extra or uid:
            raise Refusal(500, "InternalError", "requested impersonation without impersonating a user name")
        return asking
    if name.startswith(_ACCOUNT):
        namespace, _, account = name[len(_ACCOUNT) :].partition(":")
        check(asking, Attributes("impersonate", "", "", "serviceaccounts", "", namespace, account))
        groups = groups or ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    else:
        check(asking, Attributes("impersonate", "", "", "users", "", "", name))
    for group in headers.get("impersonate-group", []):
        check(asking, Attributes("impersonate", "", "", "groups", "", "", group))
    own = "authentication.k8s.io"
    if uid:
        check(asking, Attributes("impersonate", "", own, "uids", "", "", uid))
    for key, values in extra.items():
        for value in values:
            check(asking, Attributes("impersonate", "", own, "userextras", key, "", value))
    found = [*groups]
    added = "system:unauthenticated" if name == "system:anonymous" else "system:authenticated"
    if not {"system:authenticated", "system:unauthenticated"} & set(found):
        found.append(added)
    return User(name, tuple(found))
