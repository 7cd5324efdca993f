"""Who was refused what, and where: in the trail, and never more of it than the trail can bear."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.audit.refusals import MOST_A_MINUTE
from tests.conftest import HTMX
from tests.dashboard.audit.test_trail import block_trail, verify

pytestmark = pytest.mark.django_db


def test_a_refused_page_is_recorded_with_the_right_that_was_missing(viewer: Client, emailsec: object) -> None:
    assert viewer.get("/investigate/a:1/raw.txt", REMOTE_ADDR="192.0.2.4").status_code == 403

    event = AuditEvent.objects.get()
    assert (event.action, event.phase, event.actor_name, event.address) == (
        "access:refused", "refused", "Vera", "192.0.2.4",
    )  # fmt: skip
    assert event.detail == {
        "permission": "message:read_body", "method": "GET", "path": "/investigate/a:1/raw.txt",
    }  # fmt: skip


def test_a_refused_part_of_a_page_is_recorded_too(viewer: Client, emailsec: object) -> None:
    message = emailsec.store.records[0].id  # type: ignore[attr-defined]

    assert viewer.get(f"/investigate/{message}/parts/headers", headers=HTMX).status_code == 403

    assert AuditEvent.objects.get().detail["permission"] == "message:read_body"


def test_a_member_limited_to_domains_is_recorded_at_pages_of_the_whole_account(ana: Member, client: Client) -> None:
    ana.role, ana.domains = "auditor", ["a.example"]
    ana.save(update_fields=["role", "domains"])
    client.force_login(ana)

    assert client.get(reverse("audit:events")).status_code == 403
    assert AuditEvent.objects.get().detail == {"because": "a.example", "method": "GET", "path": "/audit/"}


def test_nobody_fills_the_trail_by_asking_again_and_again(viewer: Client, auditor: Client, emailsec: object) -> None:
    for _ in range(MOST_A_MINUTE + 5):
        assert viewer.get("/investigate/a:1/raw.txt").status_code == 403
    auditor.get("/investigate/a:1/raw.txt")

    refused = AuditEvent.objects.filter(action="access:refused")
    assert refused.filter(actor_name="Vera").count() == MOST_A_MINUTE
    assert refused.filter(actor_name="Otto").count() == 1
    assert "whole" in verify()


def test_the_signed_out_are_not_refused_but_asked_who_they_are(client: Client) -> None:
    client.get("/investigate/a:1/raw.txt")

    assert not AuditEvent.objects.exists()


def test_a_refusal_stands_where_it_cannot_be_recorded(viewer: Client) -> None:
    block_trail()

    assert viewer.get("/investigate/a:1/raw.txt").status_code == 403
