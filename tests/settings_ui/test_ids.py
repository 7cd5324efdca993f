"""An address that can name no entry is answered like one that names none, and nothing is asked for it."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.simulator import Simulator
from tests.conftest import HTMX

ROOMS = ("block-senders/{}/", "block-senders/{}/edit", "block-senders/{}/life", "domains/{}/verification")
NO_IDS = ("%2e", "%2e%2e", "a%0Ab", "a%0d%0aSet-Cookie:x=y", "%00", "%7f", "%C2%85", "%E2%80%AE", "x" * 5000)


@pytest.mark.parametrize("entry_id", NO_IDS, ids=lambda one: one[:10])
def test_what_is_no_id_is_not_found(entry_id: str, emailsec: Simulator, policy_manager: Client) -> None:
    policy_manager.raise_request_exception = False
    before = len(emailsec.calls)

    answers = [policy_manager.get(f"/settings/{room.format(entry_id)}", headers=HTMX) for room in ROOMS]
    answers += [policy_manager.post(f"/settings/block-senders/{entry_id}/{room}", {}) for room in ("edit", "life")]

    assert [answer.status_code for answer in answers] == [404] * 6
    assert len(emailsec.calls) == before


@pytest.mark.parametrize("entry_id", ["..", "a\nb", "\x00", "x" * 5000], ids=repr)
def test_what_is_no_id_is_nothing_to_remove(entry_id: str, emailsec: Simulator, policy_manager: Client) -> None:
    policy_manager.raise_request_exception = False
    before = len(emailsec.calls)

    answer = policy_manager.get("/settings/block-senders/remove", {"id": entry_id})

    assert (answer.status_code, "Nothing was chosen" in answer.content.decode()) == (200, True)
    assert len(emailsec.calls) == before


@pytest.mark.parametrize(
    "address",
    [
        "changes/?who=%00&state=%00&resource=%00&show=%00",
        "block-senders/?open=%00&search=%00&pattern=%00",
        "observed/?days=%00",
    ],
)
def test_no_question_to_the_database_holds_what_it_cannot_store(
    address: str, emailsec: Simulator, policy_manager: Client
) -> None:
    with CaptureQueriesContext(connection) as asked:
        answer = policy_manager.get(f"/settings/{address}")

    assert answer.status_code == 200
    assert not [one["sql"] for one in asked if "\x00" in one["sql"]]
    assert b"\x00" not in answer.content
