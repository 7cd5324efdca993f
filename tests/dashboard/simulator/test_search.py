"""Finding messages: filters, pages, slow searches."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from dashboard.simulator.wire import rfc3339
from tests.dashboard.simulator.conftest import CLEAN, DELIVERED, NOW, make_record

DAY = 86400


def names(*numbers: int) -> list[str]:
    return [f"POST{number:04d}" for number in numbers]


def test_clean_mail_is_hidden_unless_asked_for(account):
    api = account(make_record(1), make_record(2, **CLEAN), make_record(3))

    assert api.found() == names(1, 3)
    assert api.found(detections_only="false", start=rfc3339(NOW - DAY)) == names(1, 2, 3)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"sender": "BILLING@harbour.example"}, [1, 2, 3]),
        ({"sender": "mailer.example"}, [1, 2, 3]),
        ({"sender": "ceo@corp.example"}, [4]),
        ({"sender": "harbour"}, []),
        ({"recipient": "dora@branch.example"}, [2]),
        ({"recipient": "corp.example"}, [1, 3, 4]),
        ({"domain": "branch.example"}, [2]),
        ({"domain": "harbour-portal.example"}, [1, 2, 3, 4]),
        ({"domain": "login.harbour-portal.example"}, [1, 2, 3, 4]),
        ({"subject": "overdue INVOICE"}, [1, 2, 3]),
        ({"subject": "urgent"}, [4]),
        ({"query": "transfer ceo@"}, [4]),
        ({"query": "no-such-word"}, []),
        ({"query": "invoice.pdf"}, [1, 2, 3, 4]),
        ({"query": "a" * 32}, [1, 2, 3, 4]),
        ({"final_disposition": "SPOOF"}, [3]),
        ({"final_disposition": "MALICIOUS"}, [1, 2]),
        ({"delivery_status": "quarantined"}, [1, 2, 4]),
        ({"delivery_status": "delivered"}, [3]),
        ({"smtp_helo_ip": "192.0.2.10"}, [1, 2, 3, 4]),
        ({"smtp_helo_ip": "192.0.2.1"}, []),
        ({"alert_id": "POST0002-2026-09-21T14:00:00"}, [2]),
        ({"message_id": "<m3@harbour.example>"}, [3]),
        ({"message_id": "m3@harbour.example"}, [3]),
        ({"start": "2026-09-21T14:10:40Z"}, [1, 2]),
        ({"end": "2026-09-21T16:10:40+02:00"}, [3, 4]),
        ({"message_action": "MOVED"}, []),
    ],
)
def test_a_filter_keeps_what_it_says(account, filters, expected):
    api = account(
        make_record(1),
        make_record(2, client_recipients=("dora@branch.example",)),
        make_record(3, final_disposition="SPOOF", **DELIVERED),
        make_record(4, from_="ceo@corp.example", envelope_from="x@free.example", subject="Urgent transfer",
                    final_disposition="MALICIOUS-BEC"),
    )  # fmt: skip

    assert api.found(**filters) == names(*expected)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"final_disposition": "MALICIOUS-BEC"}, "final_disposition"),
        ({"delivery_status": "lost"}, "delivery_status"),
        ({"message_action": "SUBMITTED"}, "message_action"),
        ({"start": "2026-09-21T14:10:40"}, "start"),
        ({"start": "2027-01-01T00:00:00Z"}, "start"),
        ({"detections_only": "yes"}, "detections_only"),
        ({"per_page": "1001"}, "per_page"),
        ({"per_page": "0"}, "per_page"),
    ],
)
def test_a_wrong_parameter_is_named(account, query, parameter):
    answer = account().get("/investigate", **query)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["source"]["pointer"] == f"/{parameter}"


def test_cursors_reach_every_message_once_while_mail_arrives(account):
    api = account(*(make_record(n) for n in range(1, 8)))
    seen, cursor, arrival = [], None, 0
    while True:
        body = api.get("/investigate", per_page=3, **({"cursor": cursor} if cursor else {})).json()
        seen += [message["postfix_id"] for message in body["result"]]
        cursor = body["result_info"]["next"]
        if not cursor:
            break
        arrival += 1
        api.simulator.add(make_record(100 + arrival, scanned_at=NOW))

    assert seen == names(1, 2, 3, 4, 5, 6, 7)


def test_messages_of_the_same_instant_are_not_lost_between_pages(account):
    api = account(*(make_record(n, scanned_at=NOW - 5) for n in range(1, 6)))
    first = api.get("/investigate", per_page=2).json()
    second = api.get("/investigate", per_page=10, cursor=first["result_info"]["next"]).json()

    found = [message["postfix_id"] for message in first["result"] + second["result"]]
    assert sorted(found) == names(1, 2, 3, 4, 5)
    assert second["result_info"]["next"] is None


def test_a_broken_cursor_is_refused(account):
    assert account().get("/investigate", cursor="not-a-cursor").status_code == 400


def test_a_wide_search_answers_202_until_its_results_are_ready(account, clock):
    api = account(make_record(1, **CLEAN), make_record(2))
    accepted = api.get("/investigate", detections_only="false", per_page=1)
    assert (accepted.status_code, accepted.json()["result"]) == (202, [])
    location = accepted.headers["Location"]

    clock.pass_by(2)
    still = api.http.get(urlsplit(location)._replace(scheme="http", netloc="simulator.example").geturl())
    assert (still.status_code, still.headers["Retry-After"], still.json()["result"]) == (202, "1", [])

    clock.pass_by(3)
    ready = api.http.get(f"http://simulator.example{location}").json()
    assert [message["postfix_id"] for message in ready["result"]] == names(1)
    following = ready["result_info"]["next"]
    rest = api.get("/investigate", detections_only="false", per_page=1, cursor=following)
    assert (rest.status_code, rest.json()["result"][0]["postfix_id"]) == (200, "POST0002")

    clock.pass_by(601)
    assert api.http.get(f"http://simulator.example{location}").status_code == 404


def test_the_location_can_be_absolute(account):
    api = account(make_record(1), absolute_location=True)
    location = api.get("/investigate", detections_only="false").headers["Location"]
    assert location.startswith("http://simulator.example/client/v4/")


def test_an_endless_search_stays_at_202(account, clock):
    api = account(make_record(1))
    api.simulator.faults.endless_search = True
    location = api.get("/investigate").headers["Location"]
    clock.pass_by(500)
    assert api.http.get(f"http://simulator.example{location}").status_code == 202


def test_reported_copies_are_found_only_as_submissions(account):
    api = account(make_record(1), make_record(2, is_phish_submission=True))

    assert api.found() == names(1)
    assert api.get("/investigate/POST0002").status_code == 404
    assert api.result("/investigate/POST0002", submission="true")["is_phish_submission"] is True
    assert api.get("/investigate/POST0001", submission="true").status_code == 404
