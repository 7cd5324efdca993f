"""Whose address a request has, where proxies stand in front."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class ClientAddressMiddleware:
    """Put the client's address into REMOTE_ADDR, which the audit trail writes down.

    Each proxy appends the address it was called from to X-Forwarded-For, so with n proxies of ours the n-th entry from
    the right was written by the outermost of them. What stands further left was sent by the client and proves nothing.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if count := settings.PROXY_COUNT:
            entries = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
            if len(entries) >= count and (address := _address(entries[-count])):
                request.META["REMOTE_ADDR"] = address
        return self.get_response(request)


def _address(entry: str) -> str | None:
    """The address of an entry, which some proxies write with a port: `192.0.2.1:50112`, `[2001:db8::1]:50112`."""
    entry = entry.strip()
    for candidate in (entry, entry.rpartition(":")[0], entry.rpartition(":")[0].strip("[]"), entry.strip("[]")):
        try:
            return str(ipaddress.ip_address(candidate))
        except ValueError:
            continue
    return None
