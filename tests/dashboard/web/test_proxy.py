"""The client's address behind proxies: the entry our own outermost proxy wrote, never one the client made up."""

from __future__ import annotations

import pytest
from django.http import HttpResponse

from dashboard.web.proxy import ClientAddressMiddleware

PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("count", "forwarded", "expected"),
    [
        (0, "192.0.2.7", PROXY),  # nobody may claim an address where no proxy is announced
        (1, "192.0.2.7", "192.0.2.7"),
        (1, "6.6.6.6, 192.0.2.7", "192.0.2.7"),
        (1, "6.6.6.6,192.0.2.7:50112", "192.0.2.7"),
        (1, "2001:db8::1", "2001:db8::1"),
        (1, "[2001:db8::1]:50112", "2001:db8::1"),
        (1, "[2001:db8::1]", "2001:db8::1"),
        (2, "6.6.6.6, 192.0.2.7, 10.0.0.9", "192.0.2.7"),
        (2, "192.0.2.7", PROXY),  # shorter than our own chain: the request came another way
        (1, "", PROXY),
        (1, "unknown", PROXY),
        (1, "192.0.2.7, <script>", PROXY),
    ],
)
def test_the_client_is_the_entry_our_outermost_proxy_wrote(rf, settings, count, forwarded, expected):
    settings.PROXY_COUNT = count
    seen = []

    def view(request):
        seen.append(request.META["REMOTE_ADDR"])
        return HttpResponse()

    ClientAddressMiddleware(view)(rf.get("/", REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=forwarded))

    assert seen == [expected]


def test_the_trail_gets_the_clients_address(client, ana, settings):
    from dashboard.audit.models import AuditEvent

    settings.PROXY_COUNT = 1
    client.post(
        "/account/login/",
        {"username": "ana", "password": "correct horse battery"},
        REMOTE_ADDR=PROXY,
        HTTP_X_FORWARDED_FOR="6.6.6.6, 192.0.2.7",
    )

    assert set(AuditEvent.objects.values_list("address", flat=True)) == {"192.0.2.7"}
