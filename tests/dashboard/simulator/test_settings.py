"""Settings: create, read, change, delete, batches, filters and refusals."""

from __future__ import annotations

import pytest

from tests.dashboard.simulator.test_openapi import EXAMPLES

BLOCK = EXAMPLES["block_senders"]


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
