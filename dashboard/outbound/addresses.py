"""What an address that somebody typed says about itself. Standard library alone: the settings read it, too."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from urllib.parse import SplitResult, urlsplit

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|[0-9a-fA-F:.]+")
_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that the Internet has of IPv6
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # the last four bytes are the IPv4 address a gateway would connect to


def split(value: str, schemes: tuple[str, ...]) -> tuple[SplitResult, str]:
    """The parts of an address and its host. Raises ValueError, which says what is wrong."""
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("it holds a character that no address has")
    parts = urlsplit(value)
    host = parts.hostname or ""
    if parts.scheme not in schemes or not _HOST.fullmatch(host):
        raise ValueError(f"it must begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and name a host")
    if parts.username is not None or parts.fragment or parts.port == 0:
        raise ValueError("it must hold no name, password or fragment")
    return parts, host


def is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    return host == "localhost" or (is_literal(host) and ipaddress.ip_address(host).is_loopback)


def is_public(address: str) -> bool:
    """Whether an address belongs to the Internet, and not to this machine, its link or a private network."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found in _NAT64:
            return is_public(str(ipaddress.IPv4Address(found.packed[-4:])))
        # All else that calls itself global is of a site, or holds an IPv4 address in one of many spellings.
        return found in _UNICAST and found.is_global and (found.sixtofour is None or found.sixtofour.is_global)
    return found.is_global and not found.is_multicast


def what_failed(problem: BaseException) -> str:
    """The reason at the bottom of a chain of exceptions, in the system's own words: "connection refused"."""
    found: BaseException | None = problem
    while found is not None:
        if isinstance(found, TimeoutError):
            return "no answer in time"
        if isinstance(found, ssl.SSLCertVerificationError):
            return "its certificate is not accepted"
        if isinstance(found, ssl.SSLError):
            return "no TLS connection"
        if isinstance(found, OSError) and found.errno:
            return (found.strerror or os.strerror(found.errno)).lower()
        found = found.__cause__ or found.__context__
    return "the connection broke"
