"""Allow policies: what is sent, what is made of either generation's answer, and what the official SDK reads back."""

from __future__ import annotations

import datetime as dt

import httpx
import pytest

from dashboard.emailsec import NewAllowPolicy, errors, every
from dashboard.emailsec.enums import PatternType, PolicyOrder, SortDirection

from .test_operations import asked
from .test_simulator import account, same, sdk, wire  # noqa: F401  two of them are fixtures
from .upstream import Upstream, make_client, ok, refused

CURRENT = {
    "id": "c2a0f4c0-4f0e-4a5b-9a3e-5f8f2d1f7a11",
    "pattern": "billing@supplier.example",
    "pattern_type": "EMAIL",
    "is_regex": False,
    "is_acceptable_sender": True,
    "is_trusted_sender": False,
    "is_exempt_recipient": False,
    "verify_sender": True,
    "comments": "why",
    "created_at": "2026-11-20T10:00:00.5Z",
    "modified_at": "2026-11-20T11:00:00Z",
}
SEED = {
    "id": 2401,
    "pattern": "billing@supplier.example",
    "pattern_type": "EMAIL",
    "is_regex": False,
    "is_spoof": True,
    "is_sender": False,
    "is_recipient": False,
    "verify_sender": True,
    "comments": None,
    "created_at": "2026-11-20T10:00:00",
    "last_modified": "2026-11-20T11:00:00",
}
NARROW = NewAllowPolicy(pattern="billing@supplier.example", is_acceptable_sender=True, comments="key-1")


def test_a_list_sends_its_filters():
    upstream = Upstream(ok([CURRENT], info={"page": 2, "per_page": 50, "count": 1}))

    page = make_client(upstream).allow_policies(
        pattern="billing@supplier.example",
        pattern_type=PatternType.EMAIL,
        is_acceptable_sender=True,
        verify_sender=False,
        order=PolicyOrder.CREATED_AT,
        direction=SortDirection.DESC,
        page=2,
        per_page=50,
    )

    assert (page.items[0].id, page.is_last) == (CURRENT["id"], True)
    assert asked(upstream.last) == (
        "GET",
        "/settings/allow_policies",
        {
            "pattern": "billing@supplier.example",
            "pattern_type": "EMAIL",
            "is_acceptable_sender": "true",
            "verify_sender": "false",
            "order": "created_at",
            "direction": "desc",
            "page": "2",
            "per_page": "50",
        },
    )


def test_a_create_says_every_flag_and_none_of_the_old_ones():
    upstream = Upstream(ok(CURRENT, status=201))

    made = make_client(upstream).create_allow_policy(NARROW)

    assert made.id == CURRENT["id"]
    assert asked(upstream.last)[:2] == ("POST", "/settings/allow_policies")
    assert upstream.sent() == {
        "pattern": "billing@supplier.example",
        "pattern_type": "EMAIL",
        "is_regex": False,
        "is_acceptable_sender": True,
        "is_trusted_sender": False,
        "is_exempt_recipient": False,
        "verify_sender": True,
        "comments": "key-1",
    }


@pytest.mark.parametrize("kind", ["UNKNOWN", "PHONE"])
def test_a_kind_of_pattern_the_api_does_not_take_is_never_sent(kind):
    upstream = Upstream(ok(CURRENT))

    with pytest.raises(ValueError, match="an address, a domain or an IP"):
        make_client(upstream).create_allow_policy(NewAllowPolicy(pattern="x", pattern_type=PatternType(kind)))

    assert not upstream.requests


def test_an_edit_sends_what_it_names_and_nothing_else():
    upstream = Upstream(ok(CURRENT))
    client = make_client(upstream)

    client.edit_allow_policy(CURRENT["id"], {"comments": None, "verify_sender": True})

    assert asked(upstream.last)[:2] == ("PATCH", f"/settings/allow_policies/{CURRENT['id']}")
    assert upstream.sent() == {"comments": None, "verify_sender": True}
    for wrong in ({}, {"is_sender": True}):
        with pytest.raises(ValueError, match="at least one field"):
            client.edit_allow_policy(CURRENT["id"], wrong)
    assert len(upstream.requests) == 1


def test_the_older_form_reads_as_todays():
    current, seed = (make_client(Upstream(ok(form))).allow_policy("x") for form in (CURRENT, SEED))

    assert seed.id == "2401"
    assert (seed.is_acceptable_sender, seed.is_trusted_sender, seed.is_exempt_recipient) == (True, False, False)
    assert seed.modified_at == current.modified_at == dt.datetime(2026, 11, 20, 11, tzinfo=dt.UTC)
    assert seed.comments is None


def test_todays_flag_wins_over_the_one_it_replaced():
    both = make_client(Upstream(ok({**CURRENT, "is_sender": True, "is_spoof": False}))).allow_policy("x")

    assert (both.is_trusted_sender, both.is_acceptable_sender) == (False, True)


def test_little_in_an_answer_is_no_trouble_and_no_id_is():
    assert make_client(Upstream(ok({"id": "a"}))).allow_policy("a").verify_sender is None
    with pytest.raises(errors.UnexpectedReply):
        make_client(Upstream(ok({"pattern": "x"}))).allow_policy("a")
    with pytest.raises(errors.OutcomeUnknown):
        make_client(Upstream(ok({"pattern": "x"}))).create_allow_policy(NARROW)


WRITES = {
    "create": lambda client: client.create_allow_policy(NARROW),
    "edit": lambda client: client.edit_allow_policy("a", {"comments": "x"}),
    "delete": lambda client: client.delete_allow_policy("a"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refused(422, pointer="/pattern"), errors.Rejected),
        (refused(409), errors.Rejected),
        (refused(503), errors.OutcomeUnknown),
        (httpx.ReadTimeout("late"), errors.OutcomeUnknown),
        (httpx.Response(200, html="<h1>hold on</h1>"), errors.OutcomeUnknown),
    ],
)
def test_a_write_is_sent_once_whatever_the_answer(write, answer, expected):
    upstream = Upstream(answer)

    with pytest.raises(expected):
        write(make_client(upstream))

    assert len(upstream.requests) == 1


def test_a_policy_lives_and_ends_in_every_generation(account):  # noqa: F811
    client = account.client

    made = client.create_allow_policy(NARROW)

    assert isinstance(made.id, str)
    assert client.allow_policy(made.id) == made
    found = list(every(lambda page: client.allow_policies(pattern=NARROW.pattern, page=page)))
    assert [(one.id, one.comments, one.is_acceptable_sender) for one in found] == [(made.id, "key-1", True)]
    with pytest.raises(errors.Rejected) as twice:
        client.create_allow_policy(NARROW)
    assert twice.value.status == 409
    assert client.edit_allow_policy(made.id, {"comments": "key-2"}).comments == "key-2"
    client.delete_allow_policy(made.id)
    for call in (client.allow_policy, client.delete_allow_policy):
        with pytest.raises(errors.NotFound):
            call(made.id)


def test_the_official_sdk_reads_and_sends_the_same(account, sdk):  # noqa: F811
    where = {"account_id": account.simulator.account_id}
    made = account.client.create_allow_policy(NARROW)

    theirs = sdk.settings.allow_policies.get(made.id, **where)
    listed = sdk.settings.allow_policies.list(**where, pattern=NARROW.pattern, verify_sender=True)

    assert same(wire(made), theirs.to_dict(mode="python", warnings=False) | {"id": str(theirs.id)}, "policy") > 9
    assert [str(one.id) for one in listed.result] == [made.id]
    writing = sdk._client.with_options(api_token=account.simulator.token).email_security.settings.allow_policies
    account.client.delete_allow_policy(made.id)
    sent = {name: value for name, value in NARROW.wire().items() if name != "comments"}
    again = writing.create(**where, **sent, comments=NARROW.comments)
    ours = account.client.allow_policy(str(again.id))
    assert same(wire(ours), again.to_dict(mode="python", warnings=False) | {"id": str(again.id)}, "policy") > 9
    flags = ("pattern_type", "is_regex", "is_acceptable_sender", "is_trusted_sender", "verify_sender", "comments")
    assert [getattr(ours, name) for name in flags] == [getattr(made, name) for name in flags]
