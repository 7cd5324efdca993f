"""The service's own monthly report: read by the worker once an hour, kept, and left away where there is none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import httpx
import pytest
from bs4 import BeautifulSoup
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec import errors
from dashboard.emailsec.types import MonthTotals
from dashboard.overview import monthly, sharing, tasks
from dashboard.overview.models import Snapshot
from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, get_client, use_client
from tests.conftest import HTMX

Soup = Callable[[HttpResponse], BeautifulSoup]


@pytest.fixture
def answering(db: None) -> Iterator[Callable[[object, int], None]]:
    """A service that answers every call with this result and status, in an envelope."""
    given: dict[str, object] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        good = given["status"] == 200
        content = {"success": good, "errors": [] if good else [{"code": 7003, "message": "no route"}], "messages": []}
        return httpx.Response(given["status"], json={**content, "result": given["result"]}, request=request)

    def set_answer(result: object, status: int = 200) -> None:
        given.update(result=result, status=status)

    with use_client(build_client(httpx.MockTransport(answer))):
        yield set_answer


def test_twelve_months_come_in_order_with_their_totals(emailsec: Simulator) -> None:
    months = get_client().monthly_report()

    assert [one.month for one in months] == sorted(one.month for one in months)
    assert len(months) == 12
    last = {str(one.disposition): one.total for one in months[-1].totals}
    month = timezone.now().strftime("%Y-%m")
    of_month = [
        record.final_disposition
        for record in emailsec.store.records
        if dt.datetime.fromtimestamp(record.scanned_at, dt.UTC).strftime("%Y-%m") == month
    ]
    assert months[-1].month == month
    assert last["MALICIOUS"] == of_month.count("MALICIOUS")


def test_what_cannot_be_read_of_a_month_is_left_out_and_the_rest_stays(answering: Callable[..., None]) -> None:
    rows = [{"disposition": "SPAM", "total": 4}, {"disposition": "BULK"}, None, {"disposition": "NEW-ONE", "total": 2}]
    answering({"by_month": {"2026-10": rows, "2026-09": None, "soon": [], "2026-13": []}})

    months = get_client().monthly_report()

    assert [one.month for one in months] == ["2026-09", "2026-10"]
    assert months[0] == MonthTotals(month="2026-09", totals=())
    assert [(str(one.disposition), one.total) for one in months[1].totals] == [("SPAM", 4), ("NEW-ONE", 2)]


def test_a_month_that_no_calendar_has_takes_no_page_away(
    answering: Callable[..., None], auditor: Client, soup: Soup
) -> None:
    rows = [{"disposition": "SPAM", "total": 10**30}]
    answering({"by_month": {"0000-01": rows, "2026-10": rows}})

    tasks.read_monthly_report("")

    page = soup(auditor.get("/overview/figures", headers=HTMX))
    assert len(page.select("#by-month-table tbody tr")) == 1


@pytest.mark.parametrize("result", [None, [], {}, {"by_month": []}])
def test_an_answer_without_months_is_no_answer(answering: Callable[..., None], result: object) -> None:
    answering(result)

    with pytest.raises(errors.UnexpectedReply):
        get_client().monthly_report()


def test_the_worker_asks_once_an_hour_and_the_page_never(emailsec: Simulator, auditor: Client, soup: Soup) -> None:
    tasks.read_monthly_report("")
    asked = len(emailsec.calls)
    tasks.read_monthly_report("")

    page = soup(auditor.get("/overview/figures", headers=HTMX))

    assert asked == len(emailsec.calls) == 1
    rows = page.select("#by-month-table tbody tr")
    assert len(rows) == 12
    assert not sharing.is_due(monthly.key(), fresh=monthly.EVERY, claim=monthly.AGAIN)
    Snapshot.objects.filter(key=monthly.key()).update(made_at=timezone.now() - dt.timedelta(hours=2))
    tasks.read_monthly_report("")
    assert len(emailsec.calls) == 2


def test_where_the_account_has_none_the_page_shows_nothing_of_it(
    answering: Callable[..., None], auditor: Client, soup: Soup
) -> None:
    answering(None, 404)

    tasks.read_monthly_report("")

    assert sharing.stored(monthly.key()).figures == {"months": []}
    assert soup(auditor.get("/overview/figures", headers=HTMX)).select_one("#h-months") is None


def test_a_call_that_fails_leaves_what_was_known_and_is_not_repeated_at_once(
    emailsec: Simulator, answering: Callable[..., None]
) -> None:
    Snapshot.objects.create(key=monthly.key(), figures={"months": []}, made_at=timezone.now() - dt.timedelta(hours=3))
    answering(None, 500)

    tasks.read_monthly_report("")

    kept = sharing.stored(monthly.key())
    assert kept.figures == {"months": []}
    assert kept.explanation
    assert not sharing.is_due(monthly.key(), fresh=monthly.EVERY, claim=monthly.AGAIN)


def test_members_with_a_limit_do_not_see_the_whole_accounts_report(emailsec: Simulator, soup: Soup) -> None:
    tasks.read_monthly_report("")
    member = Member.objects.create_user("lim", "lim@corp.example", "x", role="analyst", domains=["corp.example"])
    client = Client()
    client.force_login(member)

    assert soup(client.get("/overview/figures", headers=HTMX)).select_one("#h-months") is None


def test_old_figures_are_forgotten(db: None) -> None:
    old = timezone.now() - dt.timedelta(days=3)
    Snapshot.objects.create(key=f"{settings.CLOUDFLARE_ACCOUNT_ID}:gone:figures:7d", made_at=old)
    Snapshot.objects.create(key=f"{settings.CLOUDFLARE_ACCOUNT_ID}:all:figures:7d", made_at=timezone.now())

    sharing.forget_old()

    assert [one.key.split(":")[1] for one in Snapshot.objects.all()] == ["all"]
