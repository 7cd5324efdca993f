"""Secrets of second factors, encrypted with keys from outside the database."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unreadable(RuntimeError):
    """A secret was sealed with a key that is not set any more."""


@cache
def _safe(keys: tuple[str, ...]) -> MultiFernet:
    """The first key seals; every key opens."""
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key))) for key in keys])


def _derived(key: str) -> bytes:
    return hashlib.sha256(b"mailwarden second factors\0" + key.encode()).digest()


def _current() -> MultiFernet:
    return _safe((*settings.FACTOR_KEYS, settings.SECRET_KEY))


def seal(text: str) -> str:
    return _current().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    try:
        return _current().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable("MAILWARDEN_FACTOR_KEY has changed and the former key is not among its values.") from None


def reseal(sealed: str) -> str:
    """The same secret under the first key."""
    return seal(unseal(sealed))
