"""Addresses: path segments encoded one by one, and the one place that decides which `Location` may be followed."""

from __future__ import annotations

import ipaddress
import re
from string import Formatter
from urllib.parse import quote, unquote, urljoin, urlsplit

LONGEST_LOCATION = 8192
_LITERAL = ":@+"  # stays readable in a segment; `/` does not
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PLAIN_URL = re.compile(r"[\x21-\x7e]+")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def encode_segment(value: str) -> str:
    """One path segment; ValueError for what could change the path's shape."""
    if value in ("", ".", "..") or _CONTROL.search(value):
        raise ValueError("not usable as part of an address: empty, dots or control characters")
    return quote(value, safe=_LITERAL)  # a lone surrogate is a UnicodeEncodeError, which is a ValueError


def fill(template: str, values: dict[str, str]) -> str:
    """`/investigate/{investigate_id}/raw` with each value encoded."""
    return "".join(
        literal + (encode_segment(values[name]) if name else "") for literal, name, _, _ in Formatter().parse(template)
    )


def checked_base_url(base_url: str) -> str:
    """The base URL without a trailing slash; ValueError unless it is https (or loopback) and nothing but an address."""
    parts = urlsplit(base_url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not _PLAIN_URL.fullmatch(base_url):
        raise ValueError("the base URL must be a complete https:// address")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("the base URL must not hold credentials, a query or a fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("the base URL must be https unless it is on this machine")
    return base_url.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def own_location(location: str, *, base_url: str, account_id: str, request_url: str) -> str | None:
    """The absolute address to poll, or None unless it stays on the same origin and inside the same account.

    Strict on purpose: our credentials go to whatever is returned here.
    """
    if len(location) > LONGEST_LOCATION or not _PLAIN_URL.fullmatch(location) or "\\" in location:
        return None
    try:
        written = urlsplit(location)
        if written.scheme and not written.netloc:  # `https:evil.example/`: some read a host there, some a path
            return None
        resolved = urlsplit(urljoin(request_url, location))
        ours = urlsplit(base_url)
        same_origin = (resolved.scheme, resolved.hostname, _port(resolved.scheme, resolved.port)) == (
            ours.scheme,
            ours.hostname,
            _port(ours.scheme, ours.port),
        )
    except ValueError:  # a port or bracket that cannot be read
        return None
    if not same_origin or "@" in resolved.netloc:
        return None
    # urljoin has resolved plain dots; encoded ones, even twice encoded, would be resolved further on.
    # Compare dots in what was written too: `..` that lands inside the account again is still nothing an API sends.
    for path in (written.path, resolved.path):
        decoded = unquote(unquote(path))
        if "\\" in decoded or _CONTROL.search(decoded) or any(part in (".", "..") for part in decoded.split("/")):
            return None
    if not resolved.path.startswith(f"{ours.path}/accounts/{account_id}/"):
        return None
    return resolved._replace(fragment="").geturl()


def _port(scheme: str, port: int | None) -> int | None:
    return port if port is not None else _DEFAULT_PORTS.get(scheme)
