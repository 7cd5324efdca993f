"""What the tests of saved views share: views, and a worker that reads them. Time passes by moving columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from dashboard.access.models import Member
from investigate.models import SavedView
from investigate.saved import reading

MakeView = Callable[..., SavedView]


@pytest.fixture
def make_view(db: None) -> MakeView:
    def make(owner: Member | None, query: str = "last=7d", name: str = "Held back", **values: Any) -> SavedView:
        now = timezone.now()
        given = {"created_at": now, "changed_at": now, "wanted_at": now, "owner_name": "Ana", **values}
        return SavedView.objects.create(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID, owner=owner, query=query, name=name, **given
        )

    return make


@pytest.fixture
def read() -> Callable[[SavedView], SavedView]:
    """Rounds until the view was read to the end, some minutes after the last reading."""

    def carry_on(view: SavedView, rounds: int = 12) -> SavedView:
        for _ in range(rounds):
            SavedView.objects.filter(pk=view.pk, tried_at__isnull=False).update(
                tried_at=timezone.now() - dt.timedelta(minutes=61)
            )
            reading.read(view.pk)
            view.refresh_from_db()
            if not view.reading:
                return view
        raise AssertionError("the reading did not come to its end")

    return carry_on


@pytest.fixture(autouse=True)
def _no_broker(bells: object) -> None:
    """What is rung for, the tests do themselves."""
