"""Where notices may go: https on the Internet, or anywhere the installation names in MAILWARDEN_NOTICE_HOSTS."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from dashboard.outbound.addresses import is_literal, is_loopback, is_public, split

LONGEST_URL = 2000
_NAME_IT = "unless an admin names it in MAILWARDEN_NOTICE_HOSTS"


def is_named(url: str) -> bool:
    """Whether the installation allows this receiver although it may be on a private network, or without TLS."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    known = {name.casefold() for name in settings.NOTICE_HOSTS}
    shown = f"[{host}]" if ":" in host else host
    return bool(known & {host, shown, f"{shown}:{port}"})


def check_url(url: str) -> None:
    """Raises ValueError, which says what is wrong. What a name leads to is looked at when connecting."""
    if len(url) > LONGEST_URL:
        raise ValueError(f"it is longer than {LONGEST_URL} characters")
    parts, host = split(url, ("https", "http"))
    if is_named(url):
        return
    if parts.scheme != "https":
        raise ValueError(f"it must begin with https://, {_NAME_IT}")
    if is_loopback(host) or (is_literal(host) and not is_public(host)):
        raise ValueError(f"it names an address of a private network, which gets nothing {_NAME_IT}")


def shortened(url: str) -> str:
    """The receiver without what makes the address of a chat a secret."""
    parts = urlsplit(url)
    has_more = parts.path.strip("/") or parts.query
    return f"{parts.scheme}://{parts.netloc}{'/…' if has_more else ''}"[:300]
