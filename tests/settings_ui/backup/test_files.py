"""The file of a backup: what is in it, that it comes back as it was, and what is said about one that does not."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.emailsec import errors
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from settings_ui.backup import files, keeping, taking
from settings_ui.entries.life import Life, set_life
from settings_ui.models import Upload
from settings_ui.resources import BY_NAME, RESOURCES


def head(**changed: Any) -> dict[str, Any]:
    usual = {
        "format": "mailwarden-settings",
        "version": 1,
        "account_id": "0" * 32,
        "taken_at": "2026-11-20T12:00:00Z",
        "resources": {"block_senders": [{"id": "a", "values": {"pattern": "evil.example"}}]},
    }
    return {name: value for name, value in (usual | changed).items() if value is not None}


def test_a_backup_holds_every_list_and_whose_each_entry_is(emailsec: Simulator, pia: Member) -> None:
    entry = get_client().entries("block_senders").items[0]
    life = Life(pia.pk, "SOC-7", "seen twice", None)
    set_life(actor=pia, resource=BY_NAME["block_senders"], entry=entry, life=life, request=None)

    raw = taking.take(actor=pia, request=None)

    told = json.loads(raw)
    assert (told["format"], told["version"], told["account_id"]) == ("mailwarden-settings", 1, emailsec.account_id)
    assert list(told["resources"]) == [resource.name for resource in RESOURCES]
    assert told["missing"] == []
    for name, items in told["resources"].items():
        assert {item["id"] for item in items} == set(emailsec.settings.entries[name])
    mine = next(item for item in told["resources"]["block_senders"] if item["id"] == entry.id)
    assert mine["values"] == entry.values()
    assert mine["life"] == {"owner": "Pia", "ticket": "SOC-7", "reason": "seen twice"}
    assert mine["created_at"].endswith("Z")
    assert files.parsed(raw).resources["block_senders"][0].values


def test_what_the_server_does_not_have_is_named(generation: Simulator, pia: Member) -> None:
    told = json.loads(taking.take(actor=pia, request=None))

    new = {"sending_domain_restrictions", "content_policies", "url_ignore_patterns"}
    assert set(told["missing"]) == (new if generation.world.profile.seed_generation else set())
    assert set(told["resources"]) == {resource.name for resource in RESOURCES} - set(told["missing"])


def test_taking_one_is_written_down_before_and_after(emailsec: Simulator, pia: Member) -> None:
    taking.take(actor=pia, request=None)

    begun, done = AuditEvent.objects.filter(action="policy:backup").order_by("sequence")
    assert (begun.phase, done.phase, done.refers_to) == ("attempt", "done", begun.sequence)
    assert done.detail["entries"] == sum(map(len, emailsec.settings.entries.values()))


def test_half_a_backup_is_none(emailsec: Simulator, pia: Member) -> None:
    emailsec.faults.next("trusted_domains.list", times=None, status=403)

    with pytest.raises(errors.NotPermitted):
        taking.take(actor=pia, request=None)

    assert AuditEvent.objects.filter(action="policy:backup", phase="failed").count() == 1


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "The file is no JSON"),
        (b"pattern,comments\na,b\n", "The file is no JSON"),
        (json.dumps(head()).encode()[:-20], "The file is no JSON"),
        (b"[" * 100_000, "This is not a backup of the settings."),
        (b'{"a":' * 100_000, "The file is no JSON"),
        (b"[]", "This is not a backup of the settings."),
        (b'{"hello": 1}', "This is not a backup of the settings."),
        (json.dumps(head(format=7)).encode(), "This is not a backup of the settings."),
        (json.dumps(head(version=2)).encode(), "The file is of version 2, and this Mailwarden reads version 1."),
        (json.dumps(head(account_id=None)).encode(), "missing required field `account_id`"),
        (json.dumps(head(taken_at="yesterday")).encode(), "The backup was changed and cannot be read"),
        (json.dumps(head(taken_at="2026-11-20T12:00:00")).encode(), "taken_at names no time zone"),
        (json.dumps(head(resources=[])).encode(), "Expected `object`, got `array`"),
        (json.dumps(head(resources={"block_senders": [{"values": {}}]})).encode(), "missing required field `id`"),
        (json.dumps(head(resources={"block_senders": [{"id": 7, "values": {}}]})).encode(), "Expected `str`"),
        (
            json.dumps(head(resources={"block_senders": [{"id": "a", "values": {}}] * 50_001})).encode(),
            "Blocked senders in it has 50,001 entries; 50,000 is the most.",
        ),
        (json.dumps(head(resources={f"n{n}": [] for n in range(101)})).encode(), "it has more than 100 lists"),
        pytest.param(b" " * 15_000_001, "The file is larger than 15 MB", id="large"),
    ],
)
def test_what_is_no_backup_is_refused_in_words(data: bytes, told: str) -> None:
    with pytest.raises(files.Unreadable) as refused:
        files.parsed(data)

    assert told in str(refused.value)


def test_a_mark_at_its_beginning_and_lists_of_later_versions_are_no_reason_to_refuse() -> None:
    resources = {"block_senders": [], "greylists": [{"id": "x", "values": {}, "new": 1}]}

    backup = files.parsed(b"\xef\xbb\xbf" + json.dumps(head(resources=resources, more=True)).encode())

    assert [resource.name for resource, _ in backup.known] == ["block_senders"]
    assert backup.unknown == ["greylists"]


def test_what_is_not_ours_is_never_taken_apart() -> None:
    """Millions of empty objects take fifty times their size in memory."""
    many = b"[" + b"{}," * 500_000 + b"0]"
    item = {"id": "x", "values": {"pattern": "evil.example", "comments": "@@", "new": "@@"}, "new": "@@"}
    resources = {"block_senders": [item], "greylists": "@@"}
    data = json.dumps(head(resources=resources, more="@@")).encode().replace(b'"@@"', many)

    tracemalloc.start()
    try:
        backup = files.parsed(data)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    [(_, [found])] = backup.known
    assert found.values == {"pattern": "evil.example", "comments": {}}, "an object is what no field takes"
    assert most < len(data), f"{most:,} bytes for a file of {len(data):,}"


def test_an_upload_is_its_uploaders_alone_and_for_an_hour(pia: Member, ada: Member) -> None:
    data = json.dumps(head()).encode()
    first = keeping.keep(pia, data, "a.json")
    second = keeping.keep(pia, data, "b.json")

    assert keeping.kept(pia, first.pk) is None, "the last one goes when another comes"
    assert keeping.kept(ada, second.pk) is None
    assert keeping.kept(pia, second.pk) is not None
    Upload.objects.update(ends_at=second.ends_at - keeping.KEPT_FOR)
    assert keeping.kept(pia, second.pk) is None
    keeping.forget()
    assert not Upload.objects.exists()
