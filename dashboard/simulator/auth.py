"""Who is calling: API token or e-mail and key, with Read or Write permission."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.simulator.wire import ApiError

_TOKEN = re.compile(r"[A-Za-z0-9_.~+/=-]{1,512}")
_KEY = re.compile(r"[0-9a-f]{32,45}")


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller; `credential` names the budget it spends from and is no secret."""

    credential: str
    can_write: bool
    user: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials the simulated account knows."""

    token: str
    read_token: str
    email: str
    key: str

    def authenticate(self, headers: Mapping[str, str]) -> Caller:
        """The caller behind a request's headers; raises the ApiError the edge would answer with."""
        authorization = headers.get("authorization")
        email, key = headers.get("x-auth-email"), headers.get("x-auth-key")
        if authorization is not None:
            return self._by_token(authorization)
        if email is not None or key is not None:
            return self._by_key(email, key)
        raise _unauthenticated()

    def _by_token(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not _TOKEN.fullmatch(token):
            raise _invalid_headers(6111, "Invalid format for Authorization header")
        if _same(token, self.token):
            return Caller("token", can_write=True, user=self.email)
        if self.read_token and _same(token, self.read_token):
            return Caller("read-token", can_write=False, user=self.email)
        raise _unauthenticated()

    def _by_key(self, email: str | None, key: str | None) -> Caller:
        if not email or not key or not _KEY.fullmatch(key):
            raise _invalid_headers(6103, "Invalid format for X-Auth-Key header")
        if _same(email, self.email) and _same(key, self.key):
            return Caller("key", can_write=True, user=self.email)
        raise _unauthenticated()


def _same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), known.encode())


def _unauthenticated() -> ApiError:
    return ApiError(401, 10000, "Authentication error")


def _invalid_headers(code: int, message: str) -> ApiError:
    return ApiError(400, 6003, "Invalid request headers", chain=((code, message),))
