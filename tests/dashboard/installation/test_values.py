"""Values set in the browser: they replace the environment's, everywhere, and nothing loosens a safeguard unseen."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.sessions import PROVED
from dashboard.audit.models import AuditEvent
from dashboard.installation import services, values
from dashboard.installation.described import DESCRIBED, loosened
from dashboard.installation.models import SetValue
from dashboard.installation.values import setting
from investigate.approvals.needs import takes_two

PAGE = reverse("installation:page")


def url(name: str) -> str:
    return reverse("installation:value", args=[name])


def test_every_value_described_is_a_setting_within_its_own_bounds(settings: Any) -> None:
    for name, about in DESCRIBED.items():
        own = getattr(settings, name)
        assert about.read(about.write(own)) == own, name
        assert about.say(own), name


def test_nothing_set_means_what_the_environment_says_at_this_moment(settings: Any) -> None:
    settings.OVERDUE_HOURS = 9

    assert setting("OVERDUE_HOURS") == 9


def test_a_value_counts_at_once_here_and_is_recorded_with_before_and_after(admin: Client, settings: Any) -> None:
    settings.OVERDUE_HOURS = 4

    answer = admin.post(url("OVERDUE_HOURS"), {"value": "12", "version": "0"})

    assert answer.status_code == 303
    assert setting("OVERDUE_HOURS") == 12
    event = AuditEvent.objects.get(action="installation:change")
    assert event.targets == ["MAILWARDEN_OVERDUE_HOURS"]
    assert (event.detail["before"], event.detail["after"]) == ("4 hours", "12 hours")


def test_another_process_learns_of_it_when_it_looks_again(ada: Member) -> None:
    services.set_value(actor=ada, name="CLAIM_MINUTES", value=33, version=0, request=None)
    values.believe({}, seconds=60)  # as in a process that has just read

    assert setting("CLAIM_MINUTES") != 33
    values.forget()
    assert setting("CLAIM_MINUTES") == 33


def test_reading_costs_one_query_for_all_values(db: None, django_assert_num_queries: Any) -> None:
    values.forget()

    with django_assert_num_queries(1):
        for name in DESCRIBED:
            setting(name)


def test_a_database_that_is_away_leaves_what_was_known(db: None, settings: Any) -> None:
    settings.LARGE_JOB = 500

    def away(*_: Any) -> None:
        raise OperationalError("away")

    values.believe({"OVERDUE_HOURS": 7}, seconds=float("-inf"))
    with connection.execute_wrapper(away):
        assert setting("OVERDUE_HOURS") == 7
        assert setting("LARGE_JOB") == 500


def test_a_stored_value_that_cannot_be_right_is_as_if_it_were_not_there(db: None, settings: Any) -> None:
    for stored in (-1, 10**9, True, "12", [3]):
        SetValue.objects.update_or_create(
            name="OVERDUE_HOURS", defaults={"value": stored, "changed_by": "x", "changed_at": "2026-01-01T00:00Z"}
        )
        values.forget()
        assert setting("OVERDUE_HOURS") == settings.OVERDUE_HOURS, stored


def test_back_to_the_environment_and_set_again(admin: Client, settings: Any) -> None:
    admin.post(url("MEMORY_DAYS"), {"value": "30", "version": "0"})
    back = admin.post(reverse("installation:value_back", args=["MEMORY_DAYS"]), {"version": "1"})

    assert back.status_code == 303
    assert setting("MEMORY_DAYS") == settings.MEMORY_DAYS

    stale = admin.post(url("MEMORY_DAYS"), {"value": "10", "version": "1"})
    assert stale.status_code == 409
    assert setting("MEMORY_DAYS") == settings.MEMORY_DAYS
    assert admin.post(url("MEMORY_DAYS"), {"value": "10", "version": "2"}).status_code == 303
    assert setting("MEMORY_DAYS") == 10
    assert AuditEvent.objects.filter(action="installation:change").count() == 3


@pytest.mark.parametrize("typed", ["0", "721", "", "four", "1e2"])
def test_what_lies_outside_the_bounds_is_refused_and_kept_as_typed(admin: Client, typed: str) -> None:
    answer = admin.post(url("OVERDUE_HOURS"), {"value": typed, "version": "0"})

    assert answer.status_code == 422
    assert not SetValue.objects.exists()
    if typed:
        assert f'value="{typed}"' in answer.content.decode()


def test_two_who_change_the_same_value_do_not_overwrite_each_other(ada: Member) -> None:
    services.set_value(actor=ada, name="ACCEPT_DAYS", value=30, version=0, request=None)

    with pytest.raises(services.Changed):
        services.set_value(actor=ada, name="ACCEPT_DAYS", value=60, version=0, request=None)
    assert setting("ACCEPT_DAYS") == 30


def test_fewer_second_persons_are_said_plainly_and_need_a_tick(admin: Client, settings: Any) -> None:
    settings.SECOND_PERSON = frozenset({"purge", "large"})
    asked = {"value": ["large"], "version": "0"}

    refused = admin.post(url("SECOND_PERSON"), asked)

    assert refused.status_code == 422
    assert "One person alone will be enough for: purges." in refused.content.decode()
    assert takes_two(Permission.MESSAGE_PURGE)

    assert admin.post(url("SECOND_PERSON"), {**asked, "accepts": "on"}).status_code == 303
    assert not takes_two(Permission.MESSAGE_PURGE)
    assert takes_two(Permission.JOB_RUN_LARGE)
    assert "purges" in AuditEvent.objects.get(action="installation:change").detail["accepted"]


def test_the_way_back_to_a_looser_environment_needs_the_tick_as_well(admin: Client, settings: Any) -> None:
    settings.PRIVACY = False
    admin.post(url("PRIVACY"), {"value": "on", "version": "0"})
    assert setting("PRIVACY") is True
    back = reverse("installation:value_back", args=["PRIVACY"])

    refused = admin.post(back, {"version": "1"})

    assert refused.status_code == 422
    assert "no reason is asked for" in refused.content.decode()
    assert setting("PRIVACY") is True
    assert admin.post(back, {"version": "1", "accepts": "on"}).status_code == 303
    assert setting("PRIVACY") is False


@pytest.mark.parametrize(
    ("name", "before", "after", "is_looser"),
    [
        ("LARGE_JOB", 1000, 2000, True),
        ("LARGE_JOB", 1000, 1999, False),
        ("LARGE_JOB", 1000, 10, False),
        ("LARGE_JOB", 0, 1, True),
        ("PRIVACY", True, False, True),
        ("PRIVACY", False, True, False),
        ("SECOND_PERSON", frozenset({"purge"}), frozenset(), True),
        ("SECOND_PERSON", frozenset({"purge"}), frozenset({"purge", "large"}), False),
        ("OVERDUE_HOURS", 1, 700, False),
    ],
)
def test_what_counts_as_loosening(name: str, before: Any, after: Any, is_looser: bool) -> None:
    assert bool(loosened(name, before, after)) == is_looser


def test_who_signed_in_long_ago_proves_again_who_they_are(admin: Client) -> None:
    session = admin.session
    session[PROVED] = 1
    session.save()

    for answer in (
        admin.get(url("SECOND_PERSON")),
        admin.post(url("SECOND_PERSON"), {"version": "0", "accepts": "on"}),
    ):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/account/prove/")
    assert not SetValue.objects.exists()


def test_an_unknown_value_is_not_found(admin: Client) -> None:
    assert admin.get(url("SECRET_KEY")).status_code == 404


def test_only_those_who_manage_the_installation_get_in(analyst: Client, responder: Client, auditor: Client) -> None:
    for client in (analyst, responder, auditor):
        assert client.get(PAGE).status_code == 403
        assert client.post(url("OVERDUE_HOURS"), {"value": "9", "version": "0"}).status_code == 403


def test_the_page_shows_what_counts_and_where_it_comes_from(admin: Client) -> None:
    admin.post(url("VIEW_MINUTES"), {"value": "17", "version": "0"})

    page = admin.get(PAGE).content.decode()

    assert "17 minutes" in page
    assert "The environment says: 5 minutes" in page
