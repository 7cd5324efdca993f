"""get_client(): the one place where settings meet the API client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import httpx
from django.conf import settings

from dashboard.emailsec import EmailSecurityClient, KeyCredentials, TokenCredentials
from dashboard.upstream.budget import SharedMeter, fingerprint
from dashboard.upstream.features import SharedMissingFeatures

_instead: list[EmailSecurityClient] = []


def get_client() -> EmailSecurityClient:
    """The client of the configured account; one for each process, shared by its threads."""
    return _instead[-1] if _instead else _process_client()


@contextmanager
def use_client(client: EmailSecurityClient) -> Iterator[EmailSecurityClient]:
    """Let `get_client` answer another client for a while: tests put the simulator behind it."""
    _instead.append(client)
    try:
        yield client
    finally:
        _instead.pop()


@cache
def _process_client() -> EmailSecurityClient:
    return build_client()


def build_client(transport: httpx.BaseTransport | None = None) -> EmailSecurityClient:
    """A client of the configured account over the given transport (tests put the simulator there)."""
    credentials = (
        TokenCredentials(settings.CLOUDFLARE_API_TOKEN)
        if settings.CLOUDFLARE_API_TOKEN
        else KeyCredentials(settings.CLOUDFLARE_EMAIL, settings.CLOUDFLARE_API_KEY)
    )
    return EmailSecurityClient(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        credentials=credentials,
        read_credentials=TokenCredentials(settings.CLOUDFLARE_READ_TOKEN) if settings.CLOUDFLARE_READ_TOKEN else None,
        base_url=settings.CLOUDFLARE_BASE_URL,
        transport=transport,
        meter=shared_meter(),
        missing=SharedMissingFeatures(settings.CLOUDFLARE_ACCOUNT_ID),
    )


def shared_meter() -> SharedMeter:
    """The budget is counted per user of the API; a read token of the same user spends from the same one."""
    return SharedMeter(fingerprint(settings.CLOUDFLARE_API_TOKEN or settings.CLOUDFLARE_API_KEY))
