"""Secrets of second factors and raw files kept as evidence, encrypted with keys from outside the database.

Each kind has keys of its own, derived from the same setting: what is sealed as one cannot be passed off as the other.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unreadable(RuntimeError):
    """A secret was sealed with a key that is not set any more."""


_FACTORS, _FILES = b"mailwarden second factors\0", b"mailwarden files\0"


@cache
def _safe(keys: tuple[str, ...], purpose: bytes) -> MultiFernet:
    """The first key seals; every key opens."""
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key, purpose))) for key in keys])


def _derived(key: str, purpose: bytes) -> bytes:
    return hashlib.sha256(purpose + key.encode()).digest()


def _current(purpose: bytes = _FACTORS) -> MultiFernet:
    return _safe((*settings.FACTOR_KEYS, settings.SECRET_KEY), purpose)


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


def seal_file(content: bytes) -> bytes:
    """A file so that only somebody with the keys can read it, or change it unnoticed."""
    return base64.urlsafe_b64decode(_current(_FILES).encrypt(content))  # as bytes, a quarter shorter than as text


def unseal_file(sealed: bytes) -> bytes:
    try:
        return _current(_FILES).decrypt(base64.urlsafe_b64encode(sealed))
    except InvalidToken:
        raise Unreadable("The file was changed, or MAILWARDEN_FACTOR_KEY has, without its former value.") from None


def reseal_file(sealed: bytes) -> bytes:
    """The same file under the first key."""
    return seal_file(unseal_file(sealed))
