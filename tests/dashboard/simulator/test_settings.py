"""Settings: create, read, change, delete, batches, filters and refusals."""

from __future__ import annotations

import time

import pytest

from dashboard.simulator.kinds import KINDS
from tests.dashboard.simulator.test_openapi import EXAMPLES

BLOCK = EXAMPLES["block_senders"]
EMPTY = {"deletes": [], "patches": [], "puts": [], "posts": []}


def add(api, kind="block_senders", **changes):
    answer = api.post(f"/settings/{kind}", EXAMPLES[kind] | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()["result"]


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_an_entry_lives_from_create_to_delete(account, clock, kind):
    api = account()
    created = add(api, kind)
    path = f"/settings/{kind}/{created['id']}"
    clock.pass_by(5)
    note = "notes" if kind == "content_policies" else "lookback_hops" if kind == "domains" else "comments"
    value = 7 if note == "lookback_hops" else "checked"
    changed = api("PATCH", path, {note: value}).json()["result"]

    assert changed[note] == value
    assert changed["created_at"] == created["created_at"] < changed["modified_at"]
    assert api.result(path) == changed
    assert api("DELETE", path).json()["result"] == {"id": created["id"]}
    assert api.get(path).status_code == 404
    assert [entry.kind for entry in api.simulator.ledger] == ["create", "patch", "delete"]


def test_a_duplicate_is_a_conflict(account):
    api = account()
    add(api)
    again = api.post("/settings/block_senders", BLOCK | {"pattern": BLOCK["pattern"].upper()})
    assert (again.status_code, again.json()["errors"][0]["source"]["pointer"]) == (409, "/pattern")


@pytest.mark.parametrize(
    ("kind", "changes", "pointer"),
    [
        ("block_senders", {"pattern": "nobody"}, "/pattern"),
        ("block_senders", {"pattern": ""}, "/pattern"),
        ("block_senders", {"pattern": "x" * 1025}, "/pattern"),
        ("block_senders", {"pattern": "(", "is_regex": True}, "/pattern"),
        ("block_senders", {"pattern": "10.0.0.1", "pattern_type": "IP"}, "/pattern"),
        ("block_senders", {"pattern": "::ffff:127.0.0.1", "pattern_type": "IP"}, "/pattern"),
        ("block_senders", {"pattern": "a..b", "pattern_type": "DOMAIN"}, "/pattern"),
        ("block_senders", {"pattern_type": "UNKNOWN"}, "/pattern_type"),
        ("allow_policies", {"verify_sender": "yes"}, "/verify_sender"),
        ("allow_policies", {"comments": "x" * 1025}, "/comments"),
        ("content_policies", {"targets": []}, "/targets"),
        ("content_policies", {"targets": ["HEADERS"]}, "/targets"),
        ("domains", {"regions": []}, "/regions"),
        ("domains", {"lookback_hops": 21}, "/lookback_hops"),
        ("domains", {"colour": "blue"}, "/colour"),
        ("domains", {"ip_restrictions": ["somewhere"]}, "/ip_restrictions"),
        ("impersonation_registry", {"email": "not an address"}, "/email"),
        ("url_ignore_patterns", {"colour": "blue"}, "/colour"),
        ("trusted_domains", {"is_recent": None}, "/is_recent"),
    ],
)
def test_a_wrong_field_is_pointed_at(account, kind, changes, pointer):
    api = account()
    answer = api.post(f"/settings/{kind}", EXAMPLES[kind] | changes)

    assert answer.status_code == 422, answer.text
    assert pointer in [error["source"]["pointer"] for error in answer.json()["errors"]]
    assert len(api.simulator.ledger) == 0


def test_put_resets_what_it_does_not_name(account):
    api = account()
    entry = add(api, comments="old")
    path = f"/settings/block_senders/{entry['id']}"
    assert api("PUT", path, {"pattern": "x@y.example"}).status_code == 422
    assert api("PUT", path, BLOCK).json()["result"]["comments"] is None


def test_patch_wants_a_field_and_domains_keep_their_name(account):
    api = account()
    block, domain = add(api), add(api, "domains")

    assert api("PATCH", f"/settings/block_senders/{block['id']}", {}).status_code == 422
    assert api("PATCH", f"/settings/block_senders/{block['id']}", {"comments": None}).status_code == 200
    path = f"/settings/domains/{domain['id']}"
    assert api("PATCH", path, {}).status_code == 200
    assert api("PATCH", path, {"domain": "other.example"}).status_code == 422
    assert api("PATCH", path, {"transport": None}).status_code == 422
    assert api("PATCH", path, {"folder": None}).status_code == 200


def test_directory_entries_are_not_edited(account):
    api = account()
    entry = add(api, "impersonation_registry", provenance="SNOOPY-OFFICE_365")
    assert api("PATCH", f"/settings/impersonation_registry/{entry['id']}", {"name": "X"}).status_code == 400


def test_a_batch_runs_in_order_and_as_a_whole(account):
    api = account()
    one, two, three = (add(api, pattern=f"p{n}@x.example") for n in range(3))
    body = {
        "deletes": [{"id": one["id"]}],
        "patches": [{"id": two["id"], "comments": "kept"}],
        "puts": [{"id": three["id"], **BLOCK, "pattern": "put@x.example"}],
        "posts": [BLOCK | {"pattern": "p0@x.example"}],
    }
    wrong = api.post("/settings/block_senders/batch", body | {"posts": [*body["posts"], BLOCK | {"pattern": "?"}]})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["source"]["pointer"] == "/posts/1/pattern"
    assert api.result(f"/settings/block_senders/{one['id']}") == one
    assert len(api.simulator.ledger) == 3

    done = api.post("/settings/block_senders/batch", body).json()["result"]
    assert done["deletes"] == [{"id": one["id"]}]
    assert (done["patches"][0]["comments"], done["puts"][0]["pattern"]) == ("kept", "put@x.example")
    missing = api.post("/settings/block_senders/batch", {"deletes": []})
    assert [error["source"]["pointer"] for error in missing.json()["errors"]] == ["/patches", "/puts", "/posts"]


def test_lists_filter_order_and_page(account, clock):
    api = account()
    for name in ("b@x.example", "a@x.example", "c@x.example"):
        add(api, pattern=name)
        clock.pass_by(1)
    add(api, pattern="x.example", pattern_type="DOMAIN", comments="the whole house")

    def patterns(**query):
        return [entry["pattern"] for entry in api.result("/settings/block_senders", **query)]

    assert patterns() == ["x.example", "c@x.example", "a@x.example", "b@x.example"]
    assert patterns(order="pattern", direction="asc", pattern_type="EMAIL") == [f"{n}@x.example" for n in "abc"]
    assert patterns(pattern="a@x.example") == ["a@x.example"]
    assert patterns(search="WHOLE") == ["x.example"]
    assert patterns(per_page=3, page=2) == ["b@x.example"]
    info = api.get("/settings/block_senders", per_page=3, pattern_type="EMAIL").json()["result_info"]
    assert info == {"page": 1, "per_page": 3, "count": 3, "total_count": 4}
    assert api.get("/settings/block_senders", order="colour").status_code == 422


def test_a_new_domain_becomes_active(account, clock):
    api = account()
    domain = add(api, "domains")
    path = f"/settings/domains/{domain['id']}"

    assert api.result(f"{path}/verification")["status"] == domain["status"] == "PENDING"
    clock.pass_by(121)
    assert api.result(path)["status"] == "ACTIVE"
    assert domain["domain"] in [entry["domain"] for entry in api.result("/settings/domains", status="ACTIVE")]


def test_domains_are_deleted_together_only_by_name(account):
    api = account()
    ids = [add(api, "domains", domain=f"d{n}.example")["id"] for n in range(2)]

    assert api("DELETE", "/settings/domains").status_code == 422
    answer = api("DELETE", "/settings/domains", [{"id": entry} for entry in ids])
    assert answer.json()["result"] == [{"id": entry} for entry in ids]


def test_a_domain_is_active_in_a_filtered_list_that_nobody_read_before(account, clock):
    api = account()
    domain = add(api, "domains")
    clock.pass_by(121)
    assert domain["id"] in [entry["id"] for entry in api.result("/settings/domains", status="ACTIVE")]
    assert api.result("/settings/domains", status="PENDING") == []


def test_domains_are_filtered_by_name_integration_and_way_of_delivery(account):
    api = account()
    integration = "a5dbb180-60ea-4578-84bb-d01a5d4e50c3"
    one = add(api, "domains", domain="one.example", integration_id=integration)
    two = add(api, "domains", domain="two.example", allowed_delivery_modes=["BCC"])

    def found(**query):
        return {entry["id"] for entry in api.result("/settings/domains", **query)} & {one["id"], two["id"]}

    assert found(domain=["one.example", "two.example"]) == {one["id"], two["id"]}
    assert found(domain="two.example") == {two["id"]}
    assert found(integration_id=integration) == {one["id"]}
    assert found(allowed_delivery_mode="BCC") == {two["id"]}
    assert found(active_delivery_mode="API") == {one["id"]}
    assert api.get("/settings/domains", status="SLEEPING").status_code == 422


def test_null_on_create_means_the_default_where_the_answer_knows_no_null(account):
    api = account()
    domain = add(api, "domains", lookback_hops=None, transport=None, require_tls_inbound=None, folder=None)
    assert (domain["lookback_hops"], domain["transport"]) == (2, "")
    assert (domain["require_tls_inbound"], domain["folder"]) == (None, None)


def test_put_resets_a_domain_and_keeps_its_name(account):
    api = account()
    domain = add(api, "domains", lookback_hops=9, folder="Inbox", transport="mx.example")
    path = f"/settings/domains/{domain['id']}"
    body = {name: value for name, value in EXAMPLES["domains"].items() if name != "domain"}

    changed = api("PUT", path, body | {"transport": None}).json()["result"]

    assert (changed["lookback_hops"], changed["folder"], changed["transport"]) == (2, None, "")
    assert changed["domain"] == domain["domain"]
    assert api("PUT", path, body | {"domain": "other.example"}).status_code == 422
    assert api("PUT", path, {"regions": ["GLOBAL"]}).status_code == 422


def test_url_patterns_know_neither_order_nor_search(account, clock):
    api = account()
    known = len(api.result("/settings/url_ignore_patterns"))
    for name in ("b", "a"):
        add(api, "url_ignore_patterns", pattern=f"https://{name}/.*")
        clock.pass_by(1)
    rows = api.result("/settings/url_ignore_patterns", search="https://b/", order="pattern", direction="asc")
    assert len(rows) == known + 2
    assert [row["pattern"] for row in rows[:2]] == ["https://a/.*", "https://b/.*"], "newest first"


def test_a_batch_of_restrictions_has_deletes_and_nothing_else(account):
    api = account()
    ids = [add(api, "sending_domain_restrictions", domain=f"d{n}.example")["id"] for n in range(2)]
    body = {"deletes": [{"id": entry} for entry in ids]}
    nobody = {"deletes": [*body["deletes"], {"id": "f174e90a-fafe-4643-bbbc-4a0ed4fc8415"}]}

    refused = api.post("/settings/sending_domain_restrictions/batch", nobody)
    assert (refused.status_code, refused.json()["errors"][0]["source"]["pointer"]) == (404, "/deletes/2/id")
    assert api.post("/settings/sending_domain_restrictions/batch", body).json()["result"] == body
    assert api.post("/settings/sending_domain_restrictions/batch", {}).status_code == 422


@pytest.mark.parametrize(
    ("name", "item", "pointer"),
    [
        ("posts", {"pattern": "x", "colour": "blue"}, "/posts/0/colour"),
        ("patches", {"id": "own", "colour": "blue"}, "/patches/0/colour"),
        ("puts", {"id": "own", "comments": "x"}, "/puts/0/pattern"),
        ("puts", {"pattern": "x"}, "/puts/0/id"),
        ("patches", {"comments": "x"}, "/patches/0/id"),
        ("deletes", {}, "/deletes/0/id"),
        ("deletes", "x", "/deletes/0"),
        ("patches", {"id": "own"}, "/patches/0"),
    ],
)
def test_a_wrong_item_of_a_batch_is_pointed_at(account, name, item, pointer):
    api = account()
    own = add(api, "url_ignore_patterns")["id"]
    if isinstance(item, dict) and item.get("id") == "own":
        item = item | {"id": own}
    body = EMPTY | {name: [item]}

    answer = api.post("/settings/url_ignore_patterns/batch", body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["source"]["pointer"] == pointer


def test_a_batch_holds_a_thousand_of_each(account):
    api = account()
    body = EMPTY | {"deletes": [{"id": "x"}] * 1001}
    answer = api.post("/settings/block_senders/batch", body)
    assert [error["source"]["pointer"] for error in answer.json()["errors"]] == ["/deletes"]


def test_what_may_not_be_there_twice_follows_every_change(account):
    api = account()
    one, two = add(api), add(api, pattern="two@x.example")
    path = f"/settings/block_senders/{two['id']}"

    assert api("PATCH", path, {"pattern": BLOCK["pattern"]}).status_code == 409
    assert api("PATCH", path, {"pattern": "TWO@x.example"}).status_code == 200, "its own pattern is no conflict"
    assert api("PATCH", path, {"pattern": "three@x.example"}).status_code == 200
    four = add(api, pattern="two@x.example")
    undone = {"deletes": [{"id": one["id"]}, {"id": four["id"]}], "posts": [BLOCK | {"pattern": "three@x.example"}]}
    assert api.post("/settings/block_senders/batch", EMPTY | undone).status_code == 409
    for pattern in (BLOCK["pattern"], "two@x.example", "three@x.example"):
        assert api.post("/settings/block_senders", BLOCK | {"pattern": pattern}).status_code == 409
    swapped = {
        "deletes": [{"id": four["id"]}],
        "patches": [{"id": two["id"], "pattern": "five@x.example"}],
        "posts": [BLOCK | {"pattern": "two@x.example"}, BLOCK | {"pattern": "three@x.example"}],
    }
    assert api.post("/settings/block_senders/batch", EMPTY | swapped).status_code == 200
    assert api("DELETE", f"/settings/block_senders/{one['id']}").status_code == 200
    add(api)


def test_a_thousand_changes_among_ten_thousand_entries_are_quick(account):
    api = account(entries=10_000)
    posts = [BLOCK | {"pattern": f"n{number}@x.example"} for number in range(1000)]

    started = time.process_time()
    made = api.post("/settings/block_senders/batch", EMPTY | {"posts": posts}).json()["result"]["posts"]
    patches = [{"id": entry["id"], "comments": "x"} for entry in made]
    changed = api.post("/settings/block_senders/batch", EMPTY | {"patches": patches}).json()["result"]["patches"]
    undone = api.post("/settings/block_senders/batch", EMPTY | {"posts": posts})
    seconds = time.process_time() - started

    assert {entry["comments"] for entry in changed} == {"x"}
    assert undone.status_code == 409
    assert seconds < 3, "every item was compared with every entry, or all of them were copied"


def test_more_entries_are_there_where_wanted_the_same_each_time(account):
    plain, one, two = account(), account(entries=300), account(entries=300)
    other = account(entries=300, seed=2)

    def rows(api, kind):
        return [api.result(f"/settings/{kind}", per_page=200, page=page) for page in (1, 2, 3)]

    for kind in ("allow_policies", "block_senders"):
        found = [entry for page in rows(one, kind) for entry in page]
        usual = {entry["id"] for entry in plain.result(f"/settings/{kind}", per_page=1000)}
        assert len(found) == 300 + len(usual)
        assert usual <= {entry["id"] for entry in found}
        assert rows(one, kind) == rows(two, kind)
        assert rows(one, kind) != rows(other, kind)
        assert len({entry["pattern"] for entry in found}) == len(found)
        assert {entry["pattern_type"] for entry in found} >= {"DOMAIN", "EMAIL", "IP"}
        assert 0 < sum(entry["comments"] is None for entry in found) < len(found)
        assert {entry["is_regex"] for entry in found} == {True, False}
        broken = [entry for entry in found if KINDS[kind].rule(entry, "")]
        assert broken == [], "an entry that could not be changed, because it is wrong as it stands"
