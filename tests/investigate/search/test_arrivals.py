"""New mail is announced as a count; one call per slot, however many look."""

from __future__ import annotations

import pytest

from investigate.models import SearchRun, SearchState
from tests.conftest import HTMX

pytestmark = pytest.mark.django_db
URL = "/investigate/"
QUERY = {"clean": "1", "last": "7d"}


def poll_url(soup, client, query=QUERY) -> str:
    return soup(client.get(URL, query)).select_one("#arrivals")["hx-get"]


def test_new_messages_are_counted_and_offered(analyst, emailsec, soup, clock, work, bells):
    url = poll_url(soup, analyst)
    clock.shift(15)
    emailsec.arrive(3)
    assert analyst.get(url, headers=HTMX).status_code == 204
    assert [bell[0] for bell in bells] == ["investigate.tasks.refresh_search"]
    work()
    clock.shift(1)
    answer = soup(analyst.get(url, headers=HTMX))
    link = answer.a
    assert link["data-key"] == "n"
    count = int(link.text.split()[0])
    assert count >= 3
    page = soup(analyst.get(link["hx-get"], headers=HTMX))
    assert len(page.select("tr[data-id]")) > count
    assert analyst.get(page.select_one("#arrivals")["hx-get"], headers=HTMX).status_code == 204


def test_showing_them_costs_no_second_call(analyst, emailsec, soup, clock, work, searches):
    url = poll_url(soup, analyst)
    clock.shift(15)
    emailsec.arrive(3)
    analyst.get(url, headers=HTMX)
    work()
    before = searches()
    analyst.get(soup(analyst.get(url, headers=HTMX)).a["hx-get"], headers=HTMX)
    assert searches() == before


@pytest.mark.parametrize("viewers", [1, 12])
def test_calls_do_not_depend_on_the_number_of_viewers(analyst, emailsec, soup, clock, work, searches, viewers):
    url = poll_url(soup, analyst)
    for _ in range(20):
        clock.shift(15)
        for _ in range(viewers):
            analyst.get(url, headers=HTMX)
        work()
    assert searches() == 1 + 20


def test_a_look_makes_no_call_itself(analyst, emailsec, soup, clock, searches):
    url = poll_url(soup, analyst)
    clock.shift(60)
    for _ in range(5):
        analyst.get(url, headers=HTMX)
    assert searches() == 1


def test_below_half_the_budget_nothing_is_fetched(analyst, emailsec, soup, clock, bells, settings):
    settings.CALL_LIMIT = 10
    url = poll_url(soup, analyst)
    for number in range(6):
        analyst.get(URL, {"subject": f"x{number}"})
    clock.shift(16)
    assert analyst.get(url, headers=HTMX).status_code == 204
    assert bells == []


def test_people_do_not_wait_for_a_refresh(analyst, emailsec, soup, clock, work):
    url = poll_url(soup, analyst)
    clock.shift(16)
    analyst.get(url, headers=HTMX)  # a refresh is under way
    assert SearchRun.objects.filter(state=SearchState.SLOW).count() == 1
    assert soup(analyst.get(URL, QUERY)).select("tr[data-id]")


def test_an_old_range_gets_no_arrivals(analyst, emailsec, soup, clock):
    exact = {"start": "2026-11-01T00:00Z", "end": "2026-11-20T00:00Z"}
    assert not soup(analyst.get(URL, exact)).select("#arrivals[hx-get]")
    assert analyst.get(URL + "arrivals", {**exact, "since": "2026-11-19T00:00:00Z"}).status_code == 204


@pytest.mark.parametrize("since", ["", "x", "9999", "2026-13-01T00:00:00Z", "\0"])
def test_a_hostile_since_is_nothing_new(analyst, emailsec, since):
    assert analyst.get(URL + "arrivals", {"since": since}).status_code == 204


def test_an_empty_list_learns_of_its_first_message(analyst, emailsec, soup, clock, work):
    query = {"last": "1h", "clean": "1"}
    page = soup(analyst.get(URL, query))
    url = page.select_one("#arrivals")["hx-get"]
    clock.shift(16)
    assert emailsec.arrive(1)
    analyst.get(url, headers=HTMX)
    work()
    assert analyst.get(url, headers=HTMX).status_code == 200


def test_a_list_that_stays_open_keeps_the_answers_of_five_minutes(analyst, emailsec, soup, clock, work):
    url = poll_url(soup, analyst)
    for _ in range(60):
        clock.shift(15)
        analyst.get(url, headers=HTMX)
        work()
    assert SearchRun.objects.exclude(body=None).count() <= 22
