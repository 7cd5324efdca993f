"""Members who are limited to some domains neither see nor decide what goes beyond them."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.emailsec.types import Message
from dashboard.sql import fetch
from investigate.approvals import counting, queries, services
from investigate.models import Approval, ApprovalState
from tests.investigate.approvals.conftest import decision, signed_in

pytestmark = pytest.mark.django_db
PAGES = ("approval", "approve_request", "refuse_request", "withdraw_request", "undo_request")


def limited(*domains: str) -> Member:
    return Member.objects.create_user(
        "lena", "lena@corp.example", "correct horse battery", role=Role.RESPONDER, domains=list(domains)
    )


def domain_of(message: Message) -> str:
    return message.client_recipients[0].rpartition("@")[2].casefold()


def test_a_foreign_request_is_missing_like_one_that_never_was(purge: Approval, emailsec: Any) -> None:
    lena = limited("elsewhere.example")
    client = signed_in(lena)

    for name in PAGES:
        foreign, unknown = (reverse(f"investigate:{name}", args=[key]) for key in (purge.pk, purge.action_id))
        ask = client.get if name == "approval" else client.post
        answers = [ask(url) for url in (foreign, unknown)]
        assert [answer.status_code for answer in answers] == [404, 404], name
    listing = client.get(reverse("investigate:approvals"), {"show": "all"}).content.decode()
    assert "ticket 4711" not in listing
    assert fetch(*_flat(counting.counts(lena))) == []
    with pytest.raises(services.NotYours):
        services.approve(actor=lena, approval=purge, fingerprint=purge.fingerprint, request=None)
    purge.refresh_from_db()
    assert purge.state == ApprovalState.PENDING


def test_a_request_that_is_partly_theirs_is_not_theirs(purge: Approval, clean: Message, emailsec: Any) -> None:
    Approval.objects.filter(pk=purge.pk).update(domains=f" {domain_of(clean)} zzz.example ")
    lena = limited(domain_of(clean))

    assert decision(signed_in(lena), purge).status_code == 404
    assert not queries.for_me(lena).exists()
    assert fetch(*_flat(counting.counts(lena))) == []


def test_one_that_is_wholly_theirs_is_shown_counted_and_decided(purge: Approval, clean: Message, emailsec: Any) -> None:
    lena = limited("elsewhere.example", domain_of(clean))

    assert list(queries.for_me(lena)) == [purge]
    assert fetch(*_flat(counting.counts(lena))) == [("requests_for_me", 1)]
    assert decision(signed_in(lena), purge).status_code == 303
    assert purge.state == ApprovalState.APPROVED


def test_what_has_no_recipients_is_for_those_without_limits(purge: Approval) -> None:
    Approval.objects.filter(pk=purge.pk).update(domains="")

    assert not queries.visible(limited("corp.example")).exists()


def test_a_recipient_without_a_domain_is_in_nobodys_domains(purge: Approval, clean: Message) -> None:
    Approval.objects.filter(pk=purge.pk).update(domains=f" ? {domain_of(clean)} ")

    assert not queries.visible(limited(domain_of(clean))).exists()


def _flat(statement_and_values: tuple[str, list[object]]) -> list[object]:
    statement, values = statement_and_values
    return [statement, *values]
