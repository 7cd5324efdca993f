"""The panel, the page of the steps, and what everybody else sees of them; with htmx and without."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.emailsec.types import Message
from dashboard.upstream.models import Copy
from investigate.models import Action, Fix
from settings_ui.models import Entry
from tests.conftest import HTMX
from tests.dashboard.audit.test_trail import block_trail
from tests.investigate.fixing.conftest import Worker, states, step

pytestmark = pytest.mark.django_db
Find = Callable[..., Message]
PutRight = Callable[..., Fix]
Soup = Callable[[HttpResponse], BeautifulSoup]


def url_of(message: Message) -> str:
    return f"/investigate/{message.id}/put-right"


def sent(**values: str) -> dict[str, str]:
    return {"operation_key": uuid.uuid4().hex, "reason": "known supplier", **values}


def in_days(days: int) -> str:
    return f"{timezone.now() + dt.timedelta(days=days):%Y-%m-%d}"


def said(page: BeautifulSoup) -> str:
    return " ".join(page.get_text(" ").split())


def test_the_panel_says_what_will_happen_and_sends_nothing(
    analyst: Client, held: Message, soup: Soup, emailsec: Any
) -> None:
    panel = soup(analyst.get(url_of(held), headers=HTMX))

    assert f"Releases {len(held.client_recipients)} cop" in said(panel)
    assert "Submits it to Cloudflare as clean" in said(panel)
    assert (held.from_ or "").casefold() in said(panel)
    assert [one.text for one in panel.select(".receipts bdi")] == list(held.client_recipients)
    until = panel.select_one("[name=accept_until]")
    assert until["value"] == in_days(30)
    assert until["max"] == in_days(90)
    assert not panel.select_one("[name=accepts]").has_attr("checked"), "the rule is nothing one gets by the way"
    assert panel.select("datalist option")
    assert not Fix.objects.exists()


def test_one_click_begins_and_shows_the_steps_in_the_same_place(
    analyst: Client, held: Message, soup: Soup, emailsec: Any
) -> None:
    answer = analyst.post(
        url_of(held), sent(), headers={**HTMX, "HX-Current-URL": f"http://testserver/investigate/{held.id}/"}
    )

    assert answer.status_code == 200
    page = soup(answer)
    fix = Fix.objects.get()
    assert page.select_one("#fix")["hx-get"].startswith(f"/investigate/fixes/{fix.pk}/")
    assert page.select_one("#fix button").text.startswith("Undo")
    assert page.select_one("[hx-swap-oob^='innerHTML:#head-us-'] .state")["data-state"] == "waiting"


def test_without_scripts_the_form_leads_to_the_page_of_the_steps(
    analyst: Client, held: Message, soup: Soup, worker: Worker
) -> None:
    assert soup(analyst.get(url_of(held))).select_one("h1").text == "False positive"
    answer = analyst.post(url_of(held), sent(accepts="on", accept_until=in_days(14)))

    fix = Fix.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/investigate/fixes/{fix.pk}/")
    page = soup(analyst.get(answer["Location"]))
    assert page.select_one("h1").text == "Put right a false positive"
    assert [one.text for one in page.select("#fix .timeline b")] == ["Release", "Submit as clean", "Accept the sender"]
    worker.runs(fix)
    page = soup(analyst.get(answer["Location"]))
    assert [one["data-state"] for one in page.select("#fix .timeline .state")] == ["done"] * 3
    assert not page.select_one("#fix").has_attr("hx-get"), "what has its end asks no more"
    assert Entry.objects.get().expires_at.date() == (timezone.now() + dt.timedelta(days=14)).date()
    assert "accepted until" in said(page)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"reason": ""}, "Say in a few words why."),
        ({"reason": "no"}, "Say in a few words why."),
        ({"accepts": "on", "accept_until": ""}, "Say until when: a rule always ends."),
        ({"accepts": "on", "accept_until": "2020-01-01"}, "From tomorrow to "),
        ({"accepts": "on", "accept_until": in_days(200)}, "From tomorrow to "),
        ({"accepts": "on", "accept_until": "soon"}, "Enter a valid date."),
    ],
)
def test_a_form_that_lacks_something_comes_back_with_what_was_typed(
    analyst: Client, held: Message, soup: Soup, values: dict[str, str], told: str
) -> None:
    for headers in (HTMX, {}):
        answer = analyst.post(url_of(held), sent(**values), headers=headers)
        assert answer.status_code == 422
        assert told in said(soup(answer))
    assert not Fix.objects.exists()


def test_a_date_without_a_wish_for_a_rule_is_no_matter(analyst: Client, held: Message) -> None:
    assert analyst.post(url_of(held), sent(accept_until="soon")).status_code == 303
    assert states(Fix.objects.get()) == {"release": "running", "submit_clean": "planned"}


def test_what_one_may_not_do_is_shown_with_its_reason(policy_manager: Client, held: Message, soup: Soup) -> None:
    panel = soup(policy_manager.get(url_of(held), headers=HTMX))

    assert "Left out: submits it to cloudflare as clean" in said(panel).replace("  ", " ")
    assert "Your role may not release mail" in said(panel)
    assert panel.select_one("[name=accepts]")


def test_who_may_do_nothing_sees_why_below_the_message(viewer: Client, held: Message, soup: Soup) -> None:
    button = soup(viewer.get(f"/investigate/{held.id}/")).select_one("[data-key=w]")

    assert button.has_attr("disabled")
    assert button["data-why"].startswith("Your role may not submit")
    assert soup(viewer.get(url_of(held), headers=HTMX)).select_one("button.primary").has_attr("disabled")
    assert viewer.post(url_of(held), sent()).status_code == 409
    assert not Fix.objects.exists()


def test_clean_mail_has_no_such_button(analyst: Client, emailsec: Any, soup: Soup) -> None:
    record = next(record for record in emailsec.world.store.records if record.final_disposition == "NONE")

    assert not soup(analyst.get(f"/investigate/{record.id}/")).select("[data-key=w]")
    assert analyst.get(f"/investigate/{record.id}/put-right").status_code == 404


def test_the_button_leads_to_what_runs_already(
    analyst: Client, responder: Client, ana: Member, held: Message, put_right: PutRight, soup: Soup
) -> None:
    fix = put_right(ana, held)

    button = soup(responder.get(f"/investigate/{held.id}/")).select_one("[data-key=w]")
    answer = responder.post(url_of(held), sent(), headers=HTMX)

    assert button["href"] == f"/investigate/fixes/{fix.pk}/"
    assert answer.status_code == 409
    assert "Ana puts this message right already." in said(soup(answer))
    assert Action.objects.count() == 1


def test_what_is_put_right_leads_on_and_is_not_offered_again_while_it_stays_so(
    analyst: Client, ana: Member, held: Message, put_right: PutRight, worker: Worker, soup: Soup, emailsec: Any
) -> None:
    fix = put_right(ana, held)
    worker.runs(fix)

    in_panel = {**HTMX, "HX-Current-URL": f"http://testserver/investigate/{held.id}/"}
    panel = soup(analyst.get(f"/investigate/fixes/{fix.pk}/", {"n": 1}, headers=in_panel))
    assert panel.select_one("#fix form[action$='/done'] button").text == "Done e"
    button = soup(analyst.get(f"/investigate/{held.id}/")).select_one("[data-key=w]")
    assert button["href"] == f"/investigate/fixes/{fix.pk}/"
    assert said(button).startswith("Put right by Ana")

    record = next(one for one in emailsec.world.store.records if one.id == held.id)
    for copy in emailsec.world.store.touched(record).copies:
        copy.status, copy.folder = "quarantined", None
    Copy.objects.all().delete()
    button = soup(analyst.get(f"/investigate/{held.id}/")).select_one("[data-key=w]")
    assert button["href"] == url_of(held), "it is held back again"


def test_undo_on_the_page_takes_back_all_of_it(
    analyst: Client, responder: Client, ana: Member, held: Message, put_right: PutRight, soup: Soup
) -> None:
    fix = put_right(ana, held)
    url = f"/investigate/fixes/{fix.pk}/"
    assert not soup(responder.get(url)).select("#undo-fix"), "only who decided it undoes it"

    assert responder.post(f"{url}undo").status_code == 403
    page = soup(analyst.post(f"{url}undo", headers=HTMX))

    assert set(states(fix).values()) == {"cancelled"}
    assert "Undone before anything was sent." in said(page)


def test_a_failed_step_has_a_button_that_repeats_it(
    analyst: Client,
    viewer: Client,
    ana: Member,
    held: Message,
    put_right: PutRight,
    worker: Worker,
    soup: Soup,
    emailsec: Any,
) -> None:
    emailsec.faults.next("submit", status=422, message="not now")
    fix = worker.runs(put_right(ana, held))
    url = f"/investigate/fixes/{fix.pk}/"
    page = soup(analyst.get(url))

    assert "1 step not done: repeat it below." in said(page)
    assert "not now" in said(page)
    assert [one["id"] for one in page.select("#fix button")] == ["repeat-2"]
    assert not soup(viewer.get(url)).select("#fix button")
    assert viewer.post(f"{url}steps/2/repeat").status_code == 409
    answer = analyst.post(f"{url}steps/2/repeat", headers=HTMX)

    assert answer.status_code == 200
    worker.runs(fix)
    page = soup(analyst.get(url))
    assert [one["data-state"] for one in page.select("#fix .timeline .state")] == ["done", "done"]
    assert page.select_one("#fix .timeline a[href*='/actions/']:-soup-contains('Try 1')")


def _limit(member: Member, message: Message) -> None:
    """To the domains of this message's mailboxes, so that the member sees it and may act on it."""
    member.domains = sorted({address.rpartition("@")[2] for address in message.mailboxes})
    member.save(update_fields=["domains"])


def test_a_rule_without_an_answer_is_looked_for_on_demand_and_ended_by_hand(
    analyst: Client, responder: Client, ana: Member, ben: Member, held: Message, put_right: PutRight, worker: Worker,
    soup: Soup, emailsec: Any,
) -> None:  # fmt: skip
    emailsec.faults.next("allow_policies.create", lose_answer=True, applied=True)
    fix = worker.runs(put_right(ana, held, rule=True))
    url = f"/investigate/fixes/{fix.pk}/"
    assert soup(analyst.get(url)).select_one("#look-3")

    assert analyst.post(f"{url}steps/3/look").status_code == 303
    worker.looks(fix)
    assert analyst.post(f"{url}steps/3/look", headers=HTMX).status_code == 409
    page = soup(analyst.get(url))
    assert page.select_one("#end-3")
    there = f"/settings/allow-policies/{Entry.objects.get().upstream_id}/"
    assert page.select(f'a[href="{there}"]')
    _limit(ben, held)
    assert not soup(responder.get(url)).select(f'#end-3, a[href="{there}"]')
    refused = responder.post(f"{url}steps/3/end")
    assert (refused.status_code, "Your access is limited to" in refused.text) == (403, True)
    assert Entry.objects.get().state == "active"
    assert analyst.post(f"{url}steps/3/end").status_code == 303

    assert Entry.objects.get().state == "removing"
    assert analyst.post(f"{url}steps/1/end").status_code == 404
    worker.runs(fix)
    assert step(fix, "accept_sender").state == "done", "it was accepted, and that it ended is another matter"


def test_the_history_and_the_receipts_lead_to_it(
    analyst: Client, ana: Member, held: Message, put_right: PutRight, worker: Worker, soup: Soup
) -> None:
    fix = worker.runs(put_right(ana, held))

    history = soup(analyst.get(f"/investigate/{held.id}/parts/history", headers=HTMX))
    receipt = soup(analyst.get(f"/investigate/actions/{step(fix, 'release').action_id}/"))

    assert "Ana : False positive, put right." in said(history)
    for page in (history, receipt):
        assert page.select_one(f"a[href='/investigate/fixes/{fix.pk}/']")


def test_a_fix_outside_ones_domains_is_as_one_that_is_not_there(
    analyst: Client, ana: Member, ben: Member, held: Message, put_right: PutRight
) -> None:
    fix = put_right(ben, held)
    ana.domains = ["elsewhere.example"]
    ana.save(update_fields=["domains"])

    foreign, unknown = (analyst.get(f"/investigate/fixes/{pk}/") for pk in (fix.pk, uuid.uuid4()))

    assert foreign.status_code == unknown.status_code == 404
    for path in ("undo", "steps/1/repeat", "steps/1/look", "steps/1/end"):
        assert analyst.post(f"/investigate/fixes/{fix.pk}/{path}").status_code == 404


@pytest.mark.usefixtures("emailsec")
def test_what_the_sender_wrote_stays_text(analyst: Client, ana: Member, held: Message, put_right: PutRight) -> None:
    fix = put_right(ana, held)
    Fix.objects.filter(pk=fix.pk).update(subject="<script>alert(1)</script>\u202e", reason="<b>bold</b>")

    page = analyst.get(f"/investigate/fixes/{fix.pk}/").content.decode()

    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert "[U+202E]" in page


@pytest.mark.matrix(58)
def test_nothing_moves_where_the_trail_cannot_be_written(analyst: Client, held: Message, emailsec: Any) -> None:
    block_trail()

    assert analyst.post(url_of(held), sent()).status_code >= 500
    assert not Fix.objects.exists()
    assert not Action.objects.exists()
