"""Saving views, using them, and keeping them in order."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from investigate.models import SavedView, ViewHit, ViewLook
from investigate.notices.making import newest_hit
from investigate.saved import queries, services
from tests.conftest import HTMX
from tests.investigate.saved.conftest import MakeView

pytestmark = pytest.mark.django_db
URL = "/investigate/"
VIEWS = "/investigate/views/"
NEW = f"{VIEWS}new"
USUAL = {f"place_{name}": str(number) for number, name in enumerate(
    ("verdict", "time", "from", "subject", "why", "to", "where", "us"), start=1)}  # fmt: skip


def filled(name: str = "Held back", line: str = "status:quarantined last:7d", **more: Any) -> dict[str, Any]:
    return {"name": name, "line": line, **USUAL, **more}


def hit(view: SavedView, name: str, *, minutes: int = 0, to: str = "eva@corp.example", **values: Any) -> ViewHit:
    at = timezone.now() + dt.timedelta(minutes=minutes)
    return ViewHit.objects.create(
        view=view, investigate_id=name, recipients=[to], domains=f" {to.rpartition('@')[2]} ", scanned_at=at,
        found_at=at, **values,
    )  # fmt: skip


def looked_at(member: Member) -> dt.datetime:
    at = ViewLook.objects.get(member=member).looked_at
    assert at is not None
    return at


# --- saving ---


def test_a_search_is_saved_and_opens_as_it_was(analyst: Client, emailsec: Any, soup: Any) -> None:
    page = soup(analyst.get(URL, {"status": "quarantined", "last": "7d"}))
    form = soup(analyst.get(page.select_one('[data-key="s"]')["href"]))
    assert form.select_one("#view-line")["value"] == "status:quarantined last:7d"

    answer = analyst.post(NEW, filled())

    view = SavedView.objects.get()
    assert answer.status_code == 303
    assert answer["Location"] == f"{URL}?status=quarantined&last=7d&view={view.pk}"
    assert (view.query, view.columns, view.is_shared) == ("status=quarantined&last=7d", [], False)
    assert list(AuditEvent.objects.values_list("action", flat=True)) == ["view:create"]
    page = soup(analyst.get(answer["Location"]))
    assert page.select_one("#views [aria-current]").bdi.text == "Held back"
    assert not page.select("#changed-view, #ignored")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("verdict:malicous", "There is no verdict"),
        ("color:red", "There is no key"),
        ("last:soon", "cannot be read"),
        ("verdict:spam,bulk,malicious,spoof from:a.example,b.example,c.example,d.example", "side by side"),
    ],
    ids=["value", "key", "range", "branches"],
)
def test_what_cannot_be_asked_is_not_saved(analyst: Client, soup: Any, line: str, told: str) -> None:
    answer = analyst.post(NEW, filled(line=line))

    page = soup(answer)
    assert answer.status_code == 422
    assert told in page.select_one(".errors").text
    assert page.select_one("#view-line")["value"] == line
    assert not SavedView.objects.exists()


def test_one_member_has_each_name_once_and_so_many_views(
    analyst: Client, ana: Member, ben: Member, make_view: MakeView, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_view(ana, name="Held back")
    make_view(ben, name="Spam")
    assert "already" in analyst.post(NEW, filled("HELD BACK")).content.decode()
    assert analyst.post(NEW, filled("Spam")).status_code == 303
    monkeypatch.setattr(services, "MOST_VIEWS", 2)
    assert "that is the most" in analyst.post(NEW, filled("Bulk")).content.decode()
    assert analyst.post(NEW, filled(" \u202e ")).status_code == 422


def test_sharing_needs_its_right(analyst: Client, responder: Client, soup: Any) -> None:
    assert not soup(analyst.get(NEW)).select("#view-is_shared, [name=roles]")
    analyst.post(NEW, filled(is_shared="on", roles=["analyst"]))
    view = SavedView.objects.get()
    assert (view.is_shared, view.default_for) == (False, [])

    assert responder.post(NEW, filled("For all", roles=["analyst"])).status_code == 422
    responder.post(NEW, filled("For all", is_shared="on", roles=["analyst"]))
    view = SavedView.objects.get(name="For all")
    assert (view.is_shared, view.default_for) == (True, ["analyst"])
    assert AuditEvent.objects.filter(action="view:share").count() == 1


# --- columns ---


def test_a_view_has_its_own_columns_in_its_own_order(analyst: Client, emailsec: Any, soup: Any) -> None:
    chosen = {**USUAL, "place_subject": "1", "place_from": "2", "place_verdict": "3", "place_us": "8"}
    hidden = {"place_time": "", "place_why": "", "place_to": "", "place_where": ""}
    address = analyst.post(NEW, filled(line="has:clean last:7d", **chosen | hidden))["Location"]
    emailsec.arrive(120)
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=5), tick=False):
        page = soup(analyst.get(address))
        more = soup(analyst.get(page.select_one("#load-more")["hx-get"].replace("?", f"{URL}?", 1), headers=HTMX))

    assert [head.text for head in page.select(".own thead th:not(.c-tick)")] == ["Subject", "Sender", "Verdict", "Us"]
    for answer in (page, more):
        cells = [cell["class"][0] for cell in answer.select_one("tr[data-id]").select("td")]
        assert cells == ["c-tick", "c-subject", "c-from", "c-verdict", "c-us"]
    assert page.select_one("a.open")["href"].startswith(URL)
    assert page.select_one("tr.day th")["colspan"] == "5"
    assert page.select_one('link[href$="columns.css"]')

    usual = soup(analyst.get(URL, {"last": "30d"}))
    assert usual.select(".rows")
    assert not usual.select(".own, link[href$='columns.css']")


# --- using ---


def test_what_is_new_since_the_last_look_is_counted(
    analyst: Client, emailsec: Any, ana: Member, make_view: MakeView, soup: Any
) -> None:
    view = make_view(ana, "last=7d")
    other = make_view(ana, "last=30d", name="Other")
    for number in range(14):
        hit(view, f"id-{number}", minutes=1)
    hit(view, "known", minutes=-5)

    page = soup(analyst.get(URL, {"last": "24h"}))
    assert page.select_one(f"#new-{view.pk}").text == "14 new"
    assert page.select_one(f"#new-{other.pk}").text == ""
    assert [link["data-key"] for link in page.select("#views [data-key]")] == ["1", "2"]
    poll = analyst.get(page.select_one("#arrivals")["hx-get"], headers=HTMX)
    assert soup(poll).select_one(f'[hx-swap-oob="innerHTML:#new-{view.pk}"]').text == "14 new"

    ViewHit.objects.update(found_at=timezone.now() - dt.timedelta(seconds=1))
    analyst.get(page.select_one('#views [data-key="1"]')["href"])
    assert soup(analyst.get(URL, {"last": "24h"})).select_one(f"#new-{view.pk}").text == ""


def test_what_one_looked_at_before_the_worker_read_it_is_not_new_afterwards(
    analyst: Client, responder: Client, emailsec: Any, ana: Member, ben: Member, make_view: MakeView, read: Any
) -> None:
    view = read(make_view(ben, "last=7d&clean=1", is_shared=True))
    before = set(view.hits.values_list("investigate_id", flat=True))
    new = {record.id for record in emailsec.arrive(3) if not record.is_phish_submission} - before
    told_hit = newest_hit(view.pk)

    with time_machine.travel(timezone.now() + dt.timedelta(seconds=5), tick=True):
        page = analyst.get(queries.views_for(ana)[0].url)
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=4), tick=True):
        read(view)

        assert new
        assert all(name in page.content.decode() for name in new)
        assert not view.hits.filter(investigate_id__in=new, found_at__gt=looked_at(ana)).exists()
        assert view.hits.filter(investigate_id__in=new, pk__gt=told_hit).count() == len(new)
        assert queries.views_for(ben)[0].new >= len(new)


def test_changed_filters_are_said_and_saved(
    analyst: Client, emailsec: Any, ana: Member, make_view: MakeView, soup: Any
) -> None:
    view = make_view(ana, "status=quarantined&last=7d", read_until=timezone.now())
    hit(view, "old", minutes=-5)
    page = soup(analyst.get(URL, {"view": view.pk, "line": "status:delivered last:7d"}, headers=HTMX))

    form = page.select_one("#changed-view")
    assert form.select_one("a:last-of-type")["href"] == f"?status=quarantined&last=7d&view={view.pk}"
    sent = {field["name"]: field["value"] for field in form.select("input[type=hidden]")}
    answer = analyst.post(form["action"], sent)

    view.refresh_from_db()
    assert answer["Location"] == f"{URL}?status=delivered&last=7d&view={view.pk}"
    assert (view.query, view.version, view.read_until) == ("status=delivered&last=7d", 2, None)
    assert not view.hits.exists(), "what other filters found is not of this view"
    assert analyst.post(form["action"], sent).status_code == 409


def test_the_links_of_the_page_stay_in_the_view_and_copied_ones_do_not(
    analyst: Client, emailsec: Any, ana: Member, make_view: MakeView, soup: Any
) -> None:
    view = make_view(ana, "status=quarantined&last=7d")
    page = soup(analyst.get(URL, {"view": view.pk}, follow=True))

    assert all(f"view={view.pk}" in link["href"] for link in page.select(".range a, #filter-chips a"))
    assert "view=" not in page.select_one("[data-copy-place]")["data-copy"]
    assert page.select_one('input[name=view][form="search-form"]')["value"] == str(view.pk)


def test_members_of_a_role_begin_with_its_view_unless_they_chose_another(
    analyst: Client, viewer: Client, emailsec: Any, ana: Member, ben: Member, make_view: MakeView
) -> None:
    shared = make_view(ben, "last=7d", is_shared=True, default_for=["analyst"])
    assert analyst.get(URL)["Location"] == f"{URL}?last=7d&view={shared.pk}"
    assert analyst.get(URL, {"last": "24h"}).status_code == 200
    assert viewer.get(URL).status_code == 200

    analyst.post(NEW, filled("First", begins="on"))
    analyst.post(NEW, filled("Second", begins="on"))
    second = SavedView.objects.get(name="Second")
    assert analyst.get(URL)["Location"].endswith(f"view={second.pk}")
    assert SavedView.objects.get(name="First").default_for == []


def test_views_cost_the_same_few_queries_and_no_call(emailsec: Any, ana: Member, make_view: MakeView) -> None:
    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            queries.views_for(ana)
        return len(asked)

    make_view(ana)
    few = cost()
    for number in range(20):
        hit(make_view(ana, name=f"view {number}"), "id", minutes=1)
    assert cost() == few <= 3
    assert not emailsec.calls


def test_looking_at_counts_keeps_a_view_read(ana: Member, make_view: MakeView) -> None:
    view = make_view(ana, wanted_at=timezone.now() - dt.timedelta(days=3))
    queries.views_for(ana)
    view.refresh_from_db()
    assert timezone.now() - view.wanted_at < dt.timedelta(minutes=1)


def test_a_limited_member_is_told_of_their_mail_alone(ben: Member, make_view: MakeView) -> None:
    limited = Member.objects.create_user(
        "lea", "lea@corp.example", "correct horse battery", role=Role.ANALYST, domains=["inside.example"]
    )
    words = make_view(ben, "q=secret&last=7d", name="Words", is_shared=True)
    make_view(ben, "recipient=boss@outside.example", name="Outside", is_shared=True)
    make_view(ben, name="Ben's own")
    hit(words, "in", minutes=1, to="eva@inside.example", subject="A secret")
    hit(words, "out", minutes=1, to="eva@outside.example", subject="A secret")
    both = hit(words, "by others", minutes=1, to="eva@inside.example", subject="Hello")
    both.recipients, both.domains = ["eva@inside.example", "secret@outside.example"], " inside.example outside.example "
    both.save()

    assert [(one.view.name, one.new) for one in queries.views_for(limited)] == [("Words", 1)]


def test_a_busy_view_hides_no_news_of_a_quiet_one(
    ben: Member, make_view: MakeView, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = Member.objects.create_user(
        "lea", "lea@corp.example", "correct horse battery", role=Role.ANALYST, domains=["corp.example"]
    )
    quiet = make_view(ben, "q=secret&last=7d", name="Quiet", is_shared=True)
    busy = make_view(ben, "q=hello&last=7d", name="Busy", is_shared=True)
    plain = make_view(ben, "last=7d", name="Plain", is_shared=True)
    monkeypatch.setattr(queries, "MOST_WEIGHED", 3)
    hit(quiet, "secret", minutes=1, subject="A secret")
    for number in range(5):
        hit(busy, f"hello {number}", minutes=2, subject="Hello")
        hit(plain, f"plain {number}", minutes=2, subject="Hello")

    assert [one.news for one in queries.views_for(limited)] == ["1 new", "3+ new", "5 new"]


# --- managing ---


def test_everybody_has_their_own_order(
    analyst: Client, ana: Member, ben: Member, make_view: MakeView, soup: Any
) -> None:
    first, second, third = (make_view(ben, name=name, is_shared=True) for name in ("One", "Two", "Three"))
    analyst.post(f"{VIEWS}{third.pk}/move", {"to": "up"})
    analyst.post(f"{VIEWS}{third.pk}/move", {"to": "up"})
    analyst.post(f"{VIEWS}{third.pk}/move", {"to": "up"})

    names = [name.text for name in soup(analyst.get(VIEWS)).select("h2 bdi")]
    assert names == ["Three", "One", "Two"]
    assert [one.view for one in queries.views_for(ben)] == [first, second, third]
    hit(first, "id", minutes=1)
    assert queries.views_for(ana)[1].new == 1, "an order is no look"


def test_the_list_says_what_a_reading_said_and_how_to_begin(
    analyst: Client, ana: Member, make_view: MakeView, soup: Any
) -> None:
    assert "No view is saved yet" in soup(analyst.get(VIEWS)).select_one(".empty").text
    make_view(ana, explanation="Cloudflare does not answer", read_until=timezone.now() - dt.timedelta(minutes=5))
    item = soup(analyst.get(VIEWS)).select_one(".viewlist li")
    assert "Cloudflare does not answer." in item.select_one(".partial").text
    assert "Last read 5 min ago" in " ".join(item.text.split())


def test_who_was_slower_sees_both(responder: Client, ben: Member, make_view: MakeView, soup: Any) -> None:
    view = make_view(ben, is_shared=True)
    form = soup(responder.get(f"{VIEWS}{view.pk}/"))
    version = form.select_one("[name=version]")["value"]
    assert responder.post(f"{VIEWS}{view.pk}/", filled("Faster", is_shared="on", version=version)).status_code == 303

    answer = responder.post(f"{VIEWS}{view.pk}/", filled("Slower", is_shared="on", version=version))

    page = soup(answer)
    assert answer.status_code == 409
    assert "Faster" in page.select_one(".errors dl").text
    assert page.select_one("#view-name")["value"] == "Slower"
    again = page.select_one("[name=version]")["value"]
    assert responder.post(f"{VIEWS}{view.pk}/", filled("Slower", is_shared="on", version=again)).status_code == 303


def test_a_shared_view_outlives_its_maker_and_a_personal_one_does_not(
    analyst: Client, responder: Client, ada: Member, make_view: MakeView, soup: Any
) -> None:
    from investigate.saved import reading

    shared, own = make_view(ada, name="Shared", is_shared=True), make_view(ada, name="Own")
    ada.delete()
    reading.forget_old()

    assert not SavedView.objects.filter(pk=own.pk).exists()
    assert analyst.get(f"{VIEWS}{shared.pk}/").status_code == 200
    assert responder.post(f"{VIEWS}{shared.pk}/", filled("Kept", is_shared="on", version=1)).status_code == 303
    refused = responder.post(f"{VIEWS}{shared.pk}/", filled("Kept", version=2))
    assert "Only who made it" in refused.content.decode()


def test_others_views_are_not_there_and_shared_ones_are_not_theirs(
    analyst: Client, ben: Member, make_view: MakeView, soup: Any
) -> None:
    personal, shared = make_view(ben, name="Personal"), make_view(ben, name="Shared", is_shared=True)
    for path, sent in ((f"{personal.pk}/", None), (f"{personal.pk}/delete", {}), (f"{personal.pk}/filters", {})):
        address = f"{VIEWS}{path}"
        assert (analyst.get(address) if sent is None else analyst.post(address, sent)).status_code == 404
    assert analyst.get(f"{VIEWS}new", {"from": personal.pk}).status_code == 404
    assert analyst.post(f"{VIEWS}{shared.pk}/", filled("Mine", version=1)).status_code == 422
    assert analyst.post(f"{VIEWS}{shared.pk}/delete").status_code == 422
    assert not soup(analyst.get(f"{VIEWS}{shared.pk}/")).select("form[action$='/']:has(#view-name)")
    assert soup(analyst.get(f"{VIEWS}new", {"from": shared.pk})).select_one("#view-name")["value"] == "Shared (copy)"


def test_a_view_is_deleted_after_a_question(analyst: Client, ana: Member, make_view: MakeView, soup: Any) -> None:
    view = make_view(ana)
    hit(view, "id")
    assert "yours alone" in soup(analyst.get(f"{VIEWS}{view.pk}/delete")).select_one(".page").text
    assert analyst.post(f"{VIEWS}{view.pk}/delete").status_code == 303
    assert not ViewHit.objects.exists()
    assert AuditEvent.objects.get(action="view:delete").detail["name"] == "Held back"
