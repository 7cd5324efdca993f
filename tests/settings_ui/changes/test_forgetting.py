"""What was discarded goes after a week, what ended changes said in full after a year; who did what, and why, stays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.simulator import Simulator
from settings_ui import tasks
from settings_ui.changes import forgetting, services
from settings_ui.changes.services import Draft
from settings_ui.entries.knowing import who
from settings_ui.models import Change, ChangeKind, ChangeState, LineState, Verb

from .conftest import BLOCK, additions, key, named, worked

Import = Callable[..., Change]


def ages(change: Change, days: float) -> None:
    Change.objects.filter(pk=change.pk).update(finished_at=F("finished_at") - dt.timedelta(days=days))


def test_a_change_forgets_after_a_year_what_it_said_and_not_who_made_it(
    emailsec: Simulator, pia: Member, imported: Import, standing: Any, policy_manager: Client
) -> None:
    (old,) = standing()
    standing(pattern="spam2.example")
    drafts = [
        *additions(3),
        Draft(9, Verb.BAD, "x", explanation="No domain.", values={"cells": ["x"]}),
        Draft(10, Verb.REMOVE, "bad0.example", old.id, old.values()),
    ]
    change = worked(imported(pia, drafts, reason="weekly"))
    assert change.state == ChangeState.PARTLY
    ages(change, 364)
    tasks.forget_files()
    assert change.lines.exclude(values={}).count() == 4
    ages(change, 2)
    tasks.forget_files()
    assert {(line.label, line.state, line.before) for line in change.lines.filter(values={})} == {
        ("spam0.example", LineState.DONE, None),
        ("spam1.example", LineState.DONE, None),
        ("bad0.example", LineState.DONE, None),
    }
    failed = change.lines.exclude(values={}).get()
    assert (failed.label, failed.state) == ("spam2.example", LineState.FAILED), "it can be sent again"
    made = named(emailsec, "spam0.example")[0]["id"]
    known = who("block_senders", [made])[made]
    assert (known.made_by, known.reason, known.change_id) == ("Pia", "weekly", change.pk)
    for name in ("change", "lines"):
        page = policy_manager.get(reverse(f"settings:{name}", args=[change.pk]))
        assert (page.status_code, "bad0.example" in page.content.decode()) == (200, True)
    assert policy_manager.get(reverse("settings:entry", args=["block-senders", old.id])).status_code in (200, 404)


@pytest.mark.parametrize("number", [1, 3])
def test_a_dry_run_that_was_discarded_goes_after_a_week(
    emailsec: Simulator, pia: Member, take_away: Import, standing: Any, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    undone = services.undo(actor=pia, change=take_away(pia, standing()), request=None)
    change = services.draft(
        actor=pia, resource=BLOCK, kind=ChangeKind.IMPORT, lines=additions(number), operation_key=key(), request=None
    )
    change = services.cancel(actor=pia, change=change, request=None)
    for one in (change, undone):
        ages(one, 6)
    tasks.forget_files()
    assert Change.objects.count() == 2
    for one in (change, undone):
        ages(one, 2)
    tasks.forget_files()
    assert Change.objects.get() == undone, "it was decided, and stands in the trail"
