"""How a request signs itself: exactly one scheme, given by the caller, never found in the environment."""

from __future__ import annotations

import re
from typing import NoReturn, Protocol

import httpx

_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class Credentials(Protocol):
    """What the client needs of either scheme."""

    def sign(self, request: httpx.Request) -> None:
        """Put the headers on the request."""

    def redact(self, text: str) -> str:
        """The text with the secret blanked out, should an answer repeat it."""


class _Secret:
    """Keeps a secret out of repr, str, pickles and equality messages."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str, name: str) -> None:
        if not _PRINTABLE.fullmatch(secret):
            raise ValueError(f"the {name} must be printable ASCII without spaces")
        self._secret = secret

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not written to disk or sent to another process")

    def redact(self, text: str) -> str:
        return text.replace(self._secret, "[hidden]")


class TokenCredentials(_Secret):
    """An API token (the preferred scheme)."""

    __slots__ = ()

    def __init__(self, token: str) -> None:
        super().__init__(token, "API token")

    def sign(self, request: httpx.Request) -> None:
        request.headers["Authorization"] = f"Bearer {self._secret}"


class KeyCredentials(_Secret):
    """The legacy pair of a person's e-mail address and global key; acts with all rights of that person."""

    __slots__ = ("_email",)

    def __init__(self, email: str, key: str) -> None:
        super().__init__(key, "API key")
        if not _PRINTABLE.fullmatch(email):
            raise ValueError("the e-mail address must be printable ASCII without spaces")
        self._email = email

    def sign(self, request: httpx.Request) -> None:
        request.headers["X-Auth-Email"] = self._email
        request.headers["X-Auth-Key"] = self._secret
