"""Copies of parts, shared by all processes, so that a second look costs no call.

A copy is a convenience: one that cannot be read counts as absent, and a message whose id does not fit is not kept.
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Collection
from typing import TypeVar

import msgspec
import structlog
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from dashboard.upstream.models import Copy

T = TypeVar("T")
LONGEST_ID = 255
SHARED = dt.timedelta(seconds=60)  # who looks at a list again within that time sees what somebody else was told
BY_HAND = dt.timedelta(seconds=5)  # a refresh that somebody asked for; fifty people's at once are one call
log = structlog.get_logger("mailwarden.message")


def kept(investigate_id: str, part: str, *, younger_than: dt.timedelta | None = None) -> bytes | None:
    """The copy of a part, or None."""
    now = timezone.now()
    copies = Copy.objects.filter(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id=investigate_id, part=part, expires_at__gt=now
    )
    if younger_than is not None:
        copies = copies.filter(fetched_at__gt=now - younger_than)
    body = copies.values_list("body", flat=True).first()
    if body is None:
        return None
    try:
        return zlib.decompress(bytes(body))
    except zlib.error:
        return None


def kept_as(kind: type[T], investigate_id: str, part: str, *, younger_than: dt.timedelta | None = None) -> T | None:
    """The copy of a part as the struct it was made from, or None."""
    body = kept(investigate_id, part, younger_than=younger_than)
    if body is None:
        return None
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, ValueError):  # written by another version
        return None


def shared_for(*, is_forced: bool) -> dt.timedelta:
    """For how long one answer to a list is everybody's; `is_forced`: this one was asked for by hand."""
    return BY_HAND if is_forced else SHARED


def keep(investigate_id: str, part: str, body: bytes, life: dt.timedelta) -> None:
    """Keep bytes for a while. A full disk must not take away what the person already has on the screen."""
    if len(investigate_id) > LONGEST_ID:
        return
    now = timezone.now()
    try:
        Copy.objects.update_or_create(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID,
            investigate_id=investigate_id,
            part=part,
            defaults={"body": zlib.compress(body, 1), "fetched_at": now, "expires_at": now + life},
        )
    except DatabaseError as error:
        log.warning("copy_not_kept", part=part, reason=type(error).__name__)


def keep_struct(investigate_id: str, part: str, value: object, life: dt.timedelta) -> None:
    keep(investigate_id, part, msgspec.json.encode(value), life)


def forget(investigate_ids: Collection[str], *names: str) -> None:
    """Drop copies of messages: the parts named, or all."""
    copies = Copy.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, investigate_id__in=investigate_ids)
    (copies.filter(part__in=names) if names else copies).delete()
