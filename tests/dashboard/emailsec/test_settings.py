"""The account's settings: what is sent, what is made of either generation's answer, and what the official SDK reads."""

from __future__ import annotations

import datetime as dt
import json

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.emailsec import KINDS, MOST_IN_BATCH, NewAllowPolicy, errors, every
from dashboard.emailsec.decoding import read
from dashboard.emailsec.enums import DomainStatus, PatternType, Provenance
from dashboard.emailsec.features import RememberedHere
from dashboard.emailsec.types import ImpersonationEntry, ProtectedDomain
from dashboard.simulator.routes import ROUTES
from tests.dashboard.simulator.test_openapi import EXAMPLES as SHORTEST
from tests.dashboard.simulator.test_openapi import description  # noqa: F401  a fixture

from .test_decoding import JSON
from .test_operations import asked
from .test_simulator import account, same, sdk, wire  # noqa: F401  two of them are fixtures
from .upstream import Upstream, make_client, ok, refused

POLICY = {
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
OLD_POLICY = {
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
NARROW = NewAllowPolicy(pattern="billing@supplier.example", is_acceptable_sender=True, comments="key-1").wire()
BLOCK = {"pattern": "a@b.example", "pattern_type": "EMAIL", "is_regex": False}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
EXAMPLES = SHORTEST | {"content_policies": SHORTEST["content_policies"] | {"name": "Vouchers"}}
CHANGES = {
    "domains": {"lookback_hops": 7, "ip_restrictions": ["192.0.2.0/24"]},
    "content_policies": {"notes": "x"},
    "impersonation_registry": {"name": "Ada L."},
}


def change_of(kind: str) -> dict[str, object]:
    return CHANGES.get(kind, {"comments": "x"})


# What is sent ---------------------------------------------------------------------------------------------------------


def test_the_kinds_stand_in_the_order_of_the_menu():
    assert list(KINDS) == [
        "allow_policies",
        "block_senders",
        "trusted_domains",
        "impersonation_registry",
        "sending_domain_restrictions",
        "domains",
        "content_policies",
        "url_ignore_patterns",
    ]
    assert set(KINDS) == set(EXAMPLES)


@EVERY_KIND
def test_the_table_of_kinds_agrees_with_the_published_description(kind, description):  # noqa: F811
    ours, schemas = KINDS[kind], description["components"]["schemas"]
    prefix = "/accounts/{account_id}/email-security" + ours.path
    paths = {path.removeprefix(prefix): what for path, what in description["paths"].items() if path.startswith(prefix)}
    listed = {item["name"]: item["schema"] for item in paths[""]["get"]["parameters"] if "name" in item}
    (item,) = [what for path, what in paths.items() if path.startswith("/{") and path.endswith("}")]

    assert set(ours.filters) == set(listed) - {"page", "per_page", "order", "direction", "search"}
    assert list(ours.order) == listed.get("order", {}).get("enum", [])
    assert bool(ours.order) == ("search" in listed) == ("direction" in listed)
    assert ours.has_put == ("put" in item)

    def body(operation):
        ref = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        return schemas[ref.rpartition("/")[2]]

    def today(schema):
        return {name for name, spec in schema["properties"].items() if "x-end-of-life" not in spec}

    if ours.batch:
        assert set(ours.batch) == set(body(paths["/batch"]["post"])["required"])
    else:
        assert "/batch" not in paths
    assert set(ours.entry.writable) == today(body(paths[""]["post"]))
    assert set(ours.entry.writable) - set(ours.entry.fixed) == today(body(item["patch"]))
    answer = item["get"]["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["result"]["$ref"]
    seen = set(ours.entry(id="x").values())
    assert seen == today(schemas[answer.rpartition("/")[2]]) - {"id", "created_at", "modified_at"}


def test_a_list_sends_its_filters():
    upstream = Upstream(ok([POLICY], info={"page": 2, "per_page": 50, "count": 1}))

    page = make_client(upstream).entries(
        "allow_policies",
        filters={"pattern_type": PatternType.EMAIL, "is_acceptable_sender": True, "verify_sender": False},
        search="supplier",
        order="created_at",
        direction="desc",
        page=2,
        per_page=50,
    )

    assert (page.items[0].id, page.is_last) == (POLICY["id"], True)
    assert asked(upstream.last) == (
        "GET",
        "/settings/allow_policies",
        {
            "pattern_type": "EMAIL",
            "is_acceptable_sender": "true",
            "verify_sender": "false",
            "search": "supplier",
            "order": "created_at",
            "direction": "desc",
            "page": "2",
            "per_page": "50",
        },
    )


def test_several_values_of_a_filter_repeat_its_name():
    upstream = Upstream(ok([], info={}))
    make_client(upstream).entries("domains", filters={"domain": ["a.example", "b.example"], "status": ""})
    assert upstream.last.url.params.get_list("domain") == ["a.example", "b.example"]
    assert "status" not in upstream.last.url.params


@pytest.mark.parametrize(
    ("kind", "asking"),
    [
        ("block_senders", {"filters": {"is_regex": True}}),
        ("allow_policies", {"filters": {"is_sender": True}}),
        ("block_senders", {"order": "domain"}),
        ("block_senders", {"direction": "sideways"}),
        ("url_ignore_patterns", {"search": "x"}),
        ("url_ignore_patterns", {"order": "created_at"}),
        ("url_ignore_patterns", {"direction": "asc"}),
        ("block_senders", {"page": 0}),
        ("block_senders", {"per_page": 1001}),
        ("colours", {}),
    ],
)
def test_a_list_the_api_does_not_have_is_not_asked_for(kind, asking):
    upstream = Upstream(ok([]))
    with pytest.raises(ValueError):  # noqa: PT011  each says its own
        make_client(upstream).entries(kind, **asking)
    assert not upstream.requests


def test_a_create_says_what_it_was_given_and_nothing_else():
    upstream = Upstream(ok(POLICY, status=201))

    made = make_client(upstream).create_entry("allow_policies", NARROW)

    assert made.id == POLICY["id"]
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


def test_paths_and_bodies_of_the_other_writes():
    upstream = Upstream(ok(POLICY))
    client = make_client(upstream)

    client.edit_entry("allow_policies", "a/b", {"comments": None, "verify_sender": True})
    assert asked(upstream.last)[:2] == ("PATCH", "/settings/allow_policies/a%2Fb")
    assert upstream.sent() == {"comments": None, "verify_sender": True}
    client.replace_entry("block_senders", "a", BLOCK)
    assert asked(upstream.last)[:2] == ("PUT", "/settings/block_senders/a")
    assert upstream.sent() == BLOCK
    client.delete_entry("domains", "a")
    assert asked(upstream.last)[:2] == ("DELETE", "/settings/domains/a")
    assert upstream.last.content == b""


WRONG_WRITES = {
    "nothing to change": lambda client: client.edit_entry("block_senders", "a", {}),
    "a retired flag": lambda client: client.edit_entry("allow_policies", "a", {"is_sender": True}),
    "what the service says": lambda client: client.create_entry("domains", EXAMPLES["domains"] | {"status": "ACTIVE"}),
    "the name of a domain": lambda client: client.edit_entry("domains", "a", {"domain": "b.example"}),
    "the name in a PUT": lambda client: client.replace_entry("domains", "a", EXAMPLES["domains"]),
    "no PUT": lambda client: client.replace_entry("content_policies", "a", EXAMPLES["content_policies"]),
    "no pattern type": lambda client: client.create_entry("block_senders", BLOCK | {"pattern_type": "UNKNOWN"}),
    "other pattern type": lambda client: client.edit_entry("block_senders", "a", {"pattern_type": "PHONE"}),
    "no id to delete": lambda client: client.delete_entry("domains", ""),
    "a path to delete": lambda client: client.delete_entry("domains", ".."),
    "no batch": lambda client: client.change_entries("impersonation_registry", deletes=["a"]),
    "no such array": lambda client: client.change_entries("sending_domain_restrictions", posts=[{"domain": "a.b"}]),
    "an empty batch": lambda client: client.change_entries("block_senders"),
    "too much": lambda client: client.change_entries("block_senders", deletes=["a"] * (MOST_IN_BATCH + 1)),
    "a patch of nobody": lambda client: client.change_entries("block_senders", patches=[{"comments": "x"}]),
    "an empty patch": lambda client: client.change_entries("block_senders", patches=[{"id": "a"}]),
    "a delete of nobody": lambda client: client.change_entries("block_senders", deletes=[""]),
    "an id in a post": lambda client: client.change_entries("block_senders", posts=[BLOCK | {"id": "a"}]),
    "a domain renamed": lambda client: client.change_entries("domains", patches=[{"id": "a", "domain": "b.example"}]),
}


@pytest.mark.parametrize("wrong", WRONG_WRITES.values(), ids=WRONG_WRITES)
def test_what_could_never_be_right_is_not_sent(wrong):
    upstream = Upstream(ok(POLICY))
    with pytest.raises(ValueError):  # noqa: PT011  each says its own
        wrong(make_client(upstream))
    assert not upstream.requests


def test_a_batch_always_sends_every_array_its_kind_takes():
    upstream = Upstream(ok({"deletes": [{"id": "a"}], "patches": [], "puts": [], "posts": []}))
    client = make_client(upstream)

    assert client.change_entries("trusted_domains", deletes=["a"]).deletes == ("a",)
    assert asked(upstream.last)[:2] == ("POST", "/settings/trusted_domains/batch")
    assert upstream.sent() == {"deletes": [{"id": "a"}], "patches": [], "puts": [], "posts": []}

    upstream.answers = [ok({"deletes": [{"id": 7}]})]
    assert client.change_entries("sending_domain_restrictions", deletes=["7"]).deletes == ("7",)
    assert upstream.sent() == {"deletes": [{"id": "7"}]}


@pytest.mark.parametrize("result", [None, [], "done", {}, {"deletes": [{"id": "a"}]}, {"posts": [{"pattern": "x"}]}])
def test_a_batch_that_is_not_answered_for_is_unknown(result):
    upstream = Upstream(ok(result))
    with pytest.raises(errors.OutcomeUnknown):
        make_client(upstream).change_entries("block_senders", posts=[BLOCK])
    assert len(upstream.requests) == 1


WRITES = {
    "create": lambda client: client.create_entry("block_senders", BLOCK),
    "edit": lambda client: client.edit_entry("block_senders", "a", {"comments": "x"}),
    "replace": lambda client: client.replace_entry("block_senders", "a", BLOCK),
    "delete": lambda client: client.delete_entry("block_senders", "a"),
    "batch": lambda client: client.change_entries("block_senders", deletes=["a"]),
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


# What is read ---------------------------------------------------------------------------------------------------------


def test_the_older_form_reads_as_todays():
    current, old = (make_client(Upstream(ok(form))).entry("allow_policies", "x") for form in (POLICY, OLD_POLICY))

    assert old.id == "2401"
    assert old.values() == current.values() | {"comments": None}
    assert old.modified_at == current.modified_at == dt.datetime(2026, 11, 20, 11, tzinfo=dt.UTC)


def test_todays_flag_wins_over_the_one_it_replaced():
    both = POLICY | {"is_sender": True, "is_spoof": False, "last_modified": "2001-01-01T00:00:00"}
    policy = make_client(Upstream(ok(both))).entry("allow_policies", "x")

    assert (policy.is_trusted_sender, policy.is_acceptable_sender) == (False, True)
    assert policy.modified_at.year == 2026


@EVERY_KIND
def test_little_in_an_answer_is_no_trouble_and_no_id_is(kind):
    bare = make_client(Upstream(ok({"id": "a"}))).entry(kind, "a")
    assert set(bare.values().values()) == {None}
    with pytest.raises(errors.UnexpectedReply):
        make_client(Upstream(ok({"pattern": "x"}))).entry(kind, "a")
    with pytest.raises(errors.OutcomeUnknown):
        make_client(Upstream(ok({"pattern": "x"}))).create_entry(kind, EXAMPLES[kind])


def test_a_domain_is_read_in_full_and_in_any_case():
    raw = {
        "id": 7,
        "domain": "corp.example",
        "status": "active",
        "regions": ["GLOBAL", "MARS"],
        "allowed_delivery_modes": ["api"],
        "ip_restrictions": [],
        "authorization": {"authorized": True, "timestamp": "2026-01-02T03:04:05+01:00"},
        "emails_processed": {"timestamp": "x", "total_emails_processed": 9},
        "folder": None,
    }
    domain = read(raw, ProtectedDomain)
    assert domain.status is DomainStatus.ACTIVE
    assert json.loads(json.dumps(domain.values())) == {
        "domain": "corp.example",
        "status": "ACTIVE",
        "allowed_delivery_modes": ["API"],
        "drop_dispositions": None,
        "regions": ["GLOBAL", "MARS"],
        "ip_restrictions": [],
        "lookback_hops": None,
        "transport": None,
        "folder": None,
        "integration_id": None,
        "inbox_provider": None,
        "o365_tenant_id": None,
        "require_tls_inbound": None,
        "require_tls_outbound": None,
        "dmarc_status": None,
        "spf_status": None,
        "authorization": {"authorized": True, "timestamp": "2026-01-02T02:04:05Z", "status_message": None},
        "emails_processed": {
            "timestamp": None,
            "total_emails_processed": 9,
            "total_emails_processed_previous": None,
        },
    }


@pytest.mark.parametrize(
    ("provenance", "is_editable"),
    [(None, True), ("a1s_internal", True), ("SNOOPY-OFFICE_365", False), ("SOMETHING_NEW", False)],
)
def test_only_entries_of_ours_are_edited(provenance, is_editable):
    entry = read({"id": "a", "provenance": provenance}, ImpersonationEntry)
    assert entry.is_editable is is_editable
    assert entry.values()["provenance"] == (Provenance(provenance).value if provenance else None)


@EVERY_KIND
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_odd_field_breaks_an_entry(kind, data):
    entry = KINDS[kind].entry
    names = [spec.encode_name for spec in msgspec.structs.fields(entry) if spec.encode_name != "id"]
    odd = data.draw(st.dictionaries(st.sampled_from([*names, "something_new"]), JSON, max_size=8))

    found = read({"id": "a", **odd}, entry)

    values = found.values()
    assert found.id == "a"
    assert values.keys() == entry(id="b").values().keys()
    assert json.loads(json.dumps(values)) == values
    again = read({"id": "a", **values}, entry)
    assert again.values() == values, "what was read once reads the same again"


# Both generations -----------------------------------------------------------------------------------------------------


def is_there(account, kind):  # noqa: F811
    return not account.simulator.profile.seed_generation or not KINDS[kind].is_new


@EVERY_KIND
def test_an_entry_lives_and_ends_in_every_generation(account, kind):  # noqa: F811
    client, example, old = account.client, EXAMPLES[kind], account.simulator.profile.seed_generation
    if old and (KINDS[kind].is_new or kind == "domains"):
        with pytest.raises(errors.NotOnThisServer):
            client.create_entry(kind, example)
        return

    made = client.create_entry(kind, example)

    assert isinstance(made.id, str)
    assert made.created_at == made.modified_at == dt.datetime.fromtimestamp(account.now, dt.UTC)
    assert {name: made.values()[name] for name in example} == example
    assert client.entry(kind, made.id) == made
    listed = list(every(lambda page: client.entries(kind, page=page, per_page=3)))
    assert [one for one in listed if one.id == made.id] == [made]
    with pytest.raises(errors.Rejected) as twice:
        client.create_entry(kind, example)
    assert (twice.value.status, bool(twice.value.pointers)) == (409, True)
    account.wait(5)
    changed = client.edit_entry(kind, made.id, change_of(kind))
    assert changed.values() == made.values() | change_of(kind)
    assert changed.modified_at > made.modified_at
    client.delete_entry(kind, made.id)
    for call in (client.entry, client.delete_entry):
        with pytest.raises(errors.NotFound):
            call(kind, made.id)


@EVERY_KIND
def test_the_official_sdk_reads_and_sends_the_same(account, sdk, kind):  # noqa: F811
    if not is_there(account, kind):
        pytest.skip("the older generation does not have it")
    where, theirs = {"account_id": account.simulator.account_id}, getattr(sdk.settings, kind)

    def compare(ours, other):
        flat = other.to_dict(mode="python", warnings=False) | {"id": str(other.id)}
        plain = ours.values() | {"id": ours.id, "modified_at": ours.modified_at}
        if ours.values().get("authorization"):
            plain["authorization"] = wire(ours.authorization)
            flat["status"] = flat["status"].upper()  # in lower case once
        return same(plain, flat, kind)

    listed, others = account.client.entries(kind).items, list(theirs.list(**where, per_page=100))
    assert len(listed) == len(others) > 0
    assert sum(compare(one, other) for one, other in zip(listed, others, strict=True)) >= 4 * len(listed)
    assert compare(account.client.entry(kind, listed[0].id), theirs.get(listed[0].id, **where)) >= 4
    if account.client.offers(kind, "create") and not (kind == "domains" and account.simulator.profile.seed_generation):
        writing = sdk._client.with_options(api_token=account.simulator.token).email_security.settings
        made = getattr(writing, kind).create(**where, **EXAMPLES[kind])
        assert compare(account.client.entry(kind, str(made.id)), made) >= 4


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].has_put])
def test_what_a_replacement_leaves_out_is_reset(account, kind):  # noqa: F811
    client = account.client
    example = {name: value for name, value in EXAMPLES[kind].items() if name != "domain"}
    if account.simulator.profile.seed_generation:
        for _ in range(2):
            with pytest.raises(errors.NotOnThisServer):
                client.replace_entry(kind, client.entries(kind).items[0].id, example)
        assert sum(call.method == "PUT" for call in account.simulator.calls) == 1, "it was not remembered"
        assert not client.offers(kind, "put")
        return
    made = client.create_entry(kind, EXAMPLES[kind])
    client.edit_entry(kind, made.id, change_of(kind))

    assert client.replace_entry(kind, made.id, example).values() == made.values()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].batch])
def test_a_batch_happens_as_a_whole_or_not_at_all(account, kind):  # noqa: F811
    client, sort = account.client, KINDS[kind]
    if account.simulator.profile.seed_generation:
        for _ in range(2):
            with pytest.raises(errors.NotOnThisServer):
                client.change_entries(kind, deletes=["2401"])
        assert sum(call.path.endswith("/batch") for call in account.simulator.calls) == 1, "it was not remembered"
        assert not client.offers(kind, "batch")
        return
    unique = "name" if kind == "content_policies" else "domain" if "domain" in sort.entry.writable else "pattern"
    examples = [EXAMPLES[kind] | {unique: f"n{number}.example"} for number in range(4)]
    if "pattern_type" in sort.entry.writable:
        examples = [example | {"pattern_type": "DOMAIN"} for example in examples]
    one, two, three = (client.create_entry(kind, example) for example in examples[:3])
    if sort.batch == ("deletes",):
        with pytest.raises(errors.NotFound) as nobody:
            client.change_entries(kind, deletes=[one.id, "f174e90a-fafe-4643-bbbc-4a0ed4fc8415"])
        assert [pointer for pointer, _ in nobody.value.pointers] == ["/deletes/1/id"]
        assert client.offers(kind, "batch")
        assert client.entry(kind, one.id) == one
        assert client.change_entries(kind, deletes=[one.id, two.id]).deletes == (one.id, two.id)
        return
    put = {name: value for name, value in examples[2].items() if name not in sort.entry.fixed}
    everything = {
        "deletes": [one.id],
        "patches": [{"id": two.id, **change_of(kind)}],
        "puts": [{"id": three.id, **put}],
        "posts": [examples[0]],
    }

    with pytest.raises(errors.Rejected) as refusal:
        client.change_entries(kind, **everything | {"posts": [examples[0], examples[1]]})
    assert [pointer for pointer, _ in refusal.value.pointers] == [f"/posts/1/{unique}"]
    assert [client.entry(kind, entry.id) for entry in (one, two, three)] == [one, two, three]

    done = client.change_entries(kind, **everything)
    assert done.deletes == (one.id,)
    assert [entry.values() for entry in done.patches] == [two.values() | change_of(kind)]
    assert [entry.values() for entry in (*done.puts, *done.posts)] == [three.values(), one.values()]
    assert client.entry(kind, done.posts[0].id) == done.posts[0]


def test_an_error_points_at_the_field(account):  # noqa: F811
    with pytest.raises(errors.Rejected) as refusal:
        account.client.create_entry("block_senders", BLOCK | {"pattern": "10.0.0.1", "pattern_type": "IP"})
    assert [pointer for pointer, _ in refusal.value.pointers] == ["/pattern"]


def test_filters_and_order_are_the_services(account):  # noqa: F811
    client = account.client
    found = client.entries("allow_policies", filters={"is_trusted_sender": True}).items
    assert [one.is_trusted_sender for one in found] == [True]
    names = [one.pattern for one in client.entries("block_senders", order="pattern", direction="desc").items]
    assert names == sorted(names, key=str.casefold, reverse=True)
    two = [one.domain for one in client.entries("domains").items[:2]]
    assert {one.domain for one in client.entries("domains", filters={"domain": two}).items} == set(two)
    assert [one.email for one in client.entries("impersonation_registry", search="nobody at all").items] == []


def test_a_server_without_any_of_the_new_lists_makes_no_domains_either(account):  # noqa: F811
    client, old = account.client, account.simulator.profile.seed_generation
    new = [kind for kind, sort in KINDS.items() if sort.is_new]
    for kind in new:
        assert client.offers("domains", "create"), "one list may be missing for another reason"
        if old:
            with pytest.raises(errors.NotOnThisServer):
                client.entries(kind)
        else:
            client.entries(kind)

    calls = len(account.simulator.calls)
    assert client.offers("domains", "create") is not old
    assert client.offers("domains")
    assert len(account.simulator.calls) == calls


def test_what_a_server_lacks_is_remembered_and_not_asked_again(account):  # noqa: F811
    client, old = account.client, account.simulator.profile.seed_generation
    assert all(client.offers(kind) for kind in KINDS), "nothing is known yet"
    assert not account.simulator.calls
    for kind in KINDS:
        try:
            domain = client.entries(kind, per_page=1).items[0]
        except errors.NotOnThisServer:
            assert old
        if kind == "domains" and old:
            with pytest.raises(errors.NotOnThisServer):
                client.domain_verification(domain.id)
            with pytest.raises(errors.NotOnThisServer):
                client.create_entry("domains", EXAMPLES["domains"])
    assert {kind for kind in KINDS if not client.offers(kind)} == {
        kind for kind, sort in KINDS.items() if old and sort.is_new
    }
    assert client.offers("domains", "verification") is client.offers("domains", "create") is not old
    if not old:
        return
    calls = len(account.simulator.calls)
    for call in (
        lambda: client.entries("content_policies"),
        lambda: client.entry("content_policies", "1"),
        lambda: client.create_entry("content_policies", EXAMPLES["content_policies"]),
        lambda: client.delete_entry("content_policies", "1"),
        lambda: client.change_entries("content_policies", deletes=["1"]),
        lambda: client.domain_verification("2401"),
    ):
        with pytest.raises(errors.NotOnThisServer):
            call()
    assert len(account.simulator.calls) == calls


def test_what_no_server_has_is_never_offered():
    client = make_client(Upstream(ok([])))
    assert not client.offers("impersonation_registry", "batch")
    assert not client.offers("content_policies", "put")
    assert not client.offers("trusted_domains", "verification")
    for wrong in (("colours", ""), ("domains", "colour")):
        with pytest.raises(ValueError):  # noqa: PT011  each says its own
            client.offers(*wrong)


def test_a_bad_id_does_not_hide_the_verification():
    missing = RememberedHere()
    client = make_client(Upstream(refused(404, code=7003)), missing=missing)
    for call in (client.domain_verification, lambda one: client.entry("domains", one)):
        with pytest.raises(errors.NotFound):
            call("nobody")
    assert client.offers("domains", "verification")
    assert client.offers("domains")


def test_a_refused_put_or_create_hides_nothing_else():
    client = make_client(Upstream(refused(405)))
    for call in (
        lambda: client.replace_entry("block_senders", "a", BLOCK),
        lambda: client.change_entries("trusted_domains", deletes=["a"]),
        lambda: client.create_entry("sending_domain_restrictions", EXAMPLES["sending_domain_restrictions"]),
    ):
        with pytest.raises(errors.NotOnThisServer):
            call()
    assert not client.offers("block_senders", "put")
    assert not client.offers("trusted_domains", "batch")
    assert not client.offers("sending_domain_restrictions", "create")
    assert client.offers("sending_domain_restrictions")
    assert client.offers("block_senders", "batch")


@pytest.mark.parametrize("result", [[POLICY], POLICY])
def test_an_older_server_may_answer_a_create_with_a_list_of_one(result):
    made = make_client(Upstream(ok(result, status=201))).create_entry("trusted_domains", EXAMPLES["trusted_domains"])
    assert made.id == POLICY["id"]
    with pytest.raises(errors.OutcomeUnknown):
        make_client(Upstream(ok([POLICY, POLICY]))).create_entry("trusted_domains", EXAMPLES["trusted_domains"])


@pytest.mark.parametrize("account", ["current"], indirect=True)
def test_every_operation_on_settings_is_there_but_the_one_that_could_remove_all(account):  # noqa: F811
    client = account.client
    for kind, sort in KINDS.items():
        made = client.create_entry(kind, EXAMPLES[kind])
        client.entries(kind)
        client.entry(kind, made.id)
        client.edit_entry(kind, made.id, change_of(kind))
        if kind == "domains":
            assert client.domain_verification(made.id).txt_record_name.endswith(made.domain)
        if sort.has_put:
            put = {name: value for name, value in EXAMPLES[kind].items() if name not in sort.entry.fixed}
            client.replace_entry(kind, made.id, put)
        client.delete_entry(kind, made.id)
        if sort.batch:
            again = client.create_entry(kind, EXAMPLES[kind])
            client.change_entries(kind, deletes=[again.id])
    named = {route.name for route in ROUTES if route.template[0] == "settings"}
    assert {call.operation for call in account.simulator.calls} == named - {"domains.bulk_delete"}
