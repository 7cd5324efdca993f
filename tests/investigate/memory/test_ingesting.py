"""What people's searches brought is remembered: once, off the request, and never twice."""

from __future__ import annotations

import datetime as dt
import json
import zlib
from typing import Any

import pytest
from django.conf import settings as configured
from django.test import Client
from django.utils import timezone

from investigate.memory import ingesting
from investigate.models import SearchRun, SearchState, SeenMessage


@pytest.fixture
def searched(analyst: Client, emailsec: Any) -> SearchRun:
    """Somebody searched for detections of the last 30 days."""
    assert analyst.get("/investigate/?last=30d").status_code == 200
    return SearchRun.objects.get()


def test_a_page_that_was_shown_is_remembered_afterwards(searched: SearchRun) -> None:
    assert not SeenMessage.objects.exists()

    new = ingesting.ingest()

    rows = json.loads(zlib.decompress(bytes(searched.body or b"")))["result"]
    assert set(SeenMessage.objects.values_list("investigate_id", flat=True)) == {row["id"] for row in rows}
    assert new == len(rows) > 50
    assert SeenMessage.objects.exclude(structure_hash="").exists()
    assert ingesting.ingest() == 0
    assert not ingesting.waiting_runs().exists()


def test_what_was_seen_later_is_not_overwritten(searched: SearchRun) -> None:
    ingesting.ingest()
    one = SeenMessage.objects.order_by("pk")[0]
    SeenMessage.objects.filter(pk=one.pk).update(subject="as it was last", seen_at=timezone.now())
    SearchRun.objects.update(remembered_at=None, started_at=timezone.now() - dt.timedelta(minutes=5))

    ingesting.ingest()

    one.refresh_from_db()
    assert one.subject == "as it was last"


def test_a_bell_takes_the_newest_few(searched: SearchRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingesting, "RUNS_AT_ONCE", 2)
    for number in range(4):
        searched.pk, searched.key = None, f"older {number}"
        searched.answered_at = timezone.now() - dt.timedelta(minutes=number + 1)
        searched._state.adding = True
        SearchRun.objects.bulk_create([SearchRun(**{
            field.name: getattr(searched, field.name) for field in SearchRun._meta.concrete_fields if field.name != "id"
        })])  # fmt: skip

    ingesting.ingest()

    waiting = SearchRun.objects.filter(remembered_at=None)
    assert {run.key for run in waiting} == {"older 1", "older 2", "older 3"}


@pytest.mark.parametrize("kind", ["failed", "foreign", "old", "broken"])
def test_runs_that_hold_nothing_of_use_are_left_out(kind: str, searched: SearchRun) -> None:
    match kind:
        case "failed":
            SearchRun.objects.update(state=SearchState.FAILED)
        case "foreign":
            SearchRun.objects.update(account_id="another")
        case "old":
            SearchRun.objects.update(started_at=timezone.now() - dt.timedelta(hours=3))
        case "broken":
            SearchRun.objects.update(body=zlib.compress(b"<html>"))
    assert searched.account_id == configured.CLOUDFLARE_ACCOUNT_ID

    assert ingesting.ingest() == 0
    assert not SeenMessage.objects.exists()


def test_a_worker_that_is_killed_in_between_loses_no_search(
    searched: SearchRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> int:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(ingesting, "remember", killed)
        with pytest.raises(SystemExit):
            ingesting.ingest()

    assert ingesting.ingest() > 50


def test_an_answer_that_cannot_be_unpacked_is_left_alone(searched: SearchRun) -> None:
    SearchRun.objects.update(body=b"not compressed")

    assert ingesting.ingest() == 0
    assert not ingesting.waiting_runs().exists()
