"""Every method against the simulated service, in each generation of the API; the official SDK as a second reader."""

from __future__ import annotations

import datetime as dt
import inspect
from enum import StrEnum
from typing import Any

import httpx
import msgspec
import pytest
from cloudflare import Cloudflare

from dashboard.emailsec import (
    BulkSearch,
    EmailSecurityClient,
    MissedDetection,
    Reclassification,
    RetryTransport,
    SearchQuery,
    TokenCredentials,
    decode_rows,
    errors,
    every,
)
from dashboard.emailsec.enums import BulkAction, BulkJobStatus, Disposition, MailboxDestination
from dashboard.emailsec.times import parse_time
from dashboard.emailsec.types import Message, RawSearchPage, SearchPage, SlowSearch
from dashboard.simulator import Simulator

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
PROFILES = ["current", "sunset", "seed"]


class Account:
    """A simulated account with a clock of its own and the client that talks to it."""

    def __init__(self, profile: str) -> None:
        self.now = NOW.timestamp()
        self.simulator = Simulator(messages=250, seed=11, profile=profile, clock=lambda: self.now)
        self.transport = httpx.WSGITransport(app=self.simulator)
        self.used: set[str] = set()
        self.client: Any = _Watched(
            EmailSecurityClient(
                account_id=self.simulator.account_id,
                credentials=TokenCredentials(self.simulator.token),
                read_credentials=TokenCredentials(self.simulator.read_token),
                transport=RetryTransport(self.transport, sleep=self.wait),
            ),
            self.used,
        )

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def find(self, *, days: float = 6, detections_only: bool = True) -> list[Message]:
        page = self.client.search(
            SearchQuery(start=NOW - dt.timedelta(days=days), end=NOW, detections_only=detections_only)
        )
        assert isinstance(page, SearchPage)
        return list(page.messages)


class _Watched:
    """Notes which methods of the client were used."""

    def __init__(self, client: EmailSecurityClient, used: set[str]) -> None:
        self._client, self._used = client, used

    def __getattr__(self, name: str) -> Any:
        self._used.add(name)
        return getattr(self._client, name)


@pytest.fixture(params=PROFILES)
def account(request: pytest.FixtureRequest) -> Account:
    return Account(request.param)


def test_every_method_works_in_every_generation(account):
    client, old = account.client, account.simulator.profile.seed_generation
    found = account.find()
    held = next(message for message in found if message.is_quarantined)
    there = next(message for message in found if not message.is_quarantined and message.alert_id)
    clean = next(
        message
        for message in account.find(days=2, detections_only=False)
        if not message.alert_id and message.delivery_mode in ("API", "DIRECT")
    )

    raw_page = client.search_raw(SearchQuery(start=NOW - dt.timedelta(days=6), end=NOW))
    assert isinstance(raw_page, RawSearchPage)
    rows, _ = decode_rows(raw_page.body)
    assert [row.id for row in rows] == [message.id for message in found]

    assert client.message(held.id) == held
    assert client.detections(held.id).action
    assert client.raw(held.id)
    assert client.preview(held.id).startswith(b"\x89PNG")
    assert client.trace(held.id).inbound.lines

    (released,) = client.release([held.id])
    assert released.id == held.id
    assert {*released.delivered, *released.failed, *released.undelivered} <= set(held.client_recipients)
    assert client.move(there.id, MailboxDestination.JUNK_EMAIL)
    assert client.move_many([there.id, held.id], MailboxDestination.DELETED_ITEMS)
    account.wait(60)
    assert {entry.operation for entry in client.action_log(there.id)} == {"MOVE"}

    client.reclassify(there.id, Disposition.NONE)
    wrong = Reclassification(alert_id=there.alert_id, expected_disposition=Disposition.SPAM)
    receipt = client.submit_or_reclassify(there.id, wrong)
    assert (receipt.accepted, receipt.via_reclassify) == (True, old)
    missed = MissedDetection(
        postfix_id=clean.postfix_id,
        message_id=clean.message_id,
        recipient_emails=clean.recipients,
        expected_disposition=Disposition.SPAM,
        eml_content=b"Subject: x\r\n\r\nx",
    )
    if old:
        with pytest.raises(errors.NotOnThisServer):
            client.submit([missed])
    else:
        assert client.submit([missed])[0].accepted
    window = {"start": NOW - dt.timedelta(days=30), "end": NOW + dt.timedelta(days=1)}
    listed = list(every(lambda page: client.submissions(page=page, per_page=5, **window)))
    assert len(listed) >= 2
    assert len({submission.submission_id for submission in listed}) == len(listed)
    assert client.phishguard_reports(**window).items

    slow = client.search(SearchQuery(start=NOW - dt.timedelta(days=30), end=NOW, detections_only=False))
    assert isinstance(slow, SlowSearch)
    assert isinstance(client.poll_search(slow.location), SlowSearch)
    account.wait(30)
    assert client.poll_search(slow.location).messages
    assert client.poll_search_raw(slow.location).count > 0
    account.wait(3600)
    with pytest.raises(errors.SearchExpired):
        client.poll_search(slow.location)

    jobs(account, old=old)
    entries(account, old=old)
    if old:
        with pytest.raises(errors.NotOnThisServer):
            client.monthly_report()
    else:
        assert client.monthly_report()[-1].totals
    with pytest.raises((errors.NotFound, errors.Rejected)):
        client.render_preview(held.id)
    public = {name for name, _ in inspect.getmembers(EmailSecurityClient, inspect.isfunction) if name[0] != "_"}
    assert public - {"close"} == account.used, "a method was left out"


def entries(account: Account, *, old: bool) -> None:
    client = account.client
    sender = {"pattern": "a@b.example", "pattern_type": "EMAIL", "is_regex": False}
    made = client.create_entry("block_senders", sender)
    assert client.edit_entry("block_senders", made.id, {"comments": "x"}) == client.entry("block_senders", made.id)
    assert [known.id for known in client.entries("block_senders", filters={"pattern": "a@b.example"}).items] == [
        made.id
    ]
    domain = client.entries("domains").items[0]
    if old:
        for call in (
            lambda: client.replace_entry("block_senders", made.id, sender),
            lambda: client.change_entries("block_senders", deletes=[made.id]),
            lambda: client.domain_verification(domain.id),
        ):
            with pytest.raises(errors.NotOnThisServer):
                call()
    else:
        assert client.replace_entry("block_senders", made.id, sender).comments is None
        posts = [sender | {"pattern": "c@b.example"}]
        assert [one.pattern for one in client.change_entries("block_senders", posts=posts).posts] == ["c@b.example"]
        assert client.domain_verification(domain.id).status == domain.status
    assert client.offers("block_senders", "batch") is not old
    client.delete_entry("block_senders", made.id)


def jobs(account: Account, *, old: bool) -> None:
    client = account.client
    search = BulkSearch(start=NOW - dt.timedelta(days=20), end=NOW)
    if old:
        with pytest.raises(errors.NotOnThisServer):
            client.bulk_jobs()
        for call in (client.bulk_job, client.bulk_messages, client.cancel_bulk_job, client.delete_bulk_job):
            with pytest.raises(errors.NotOnThisServer):
                call("f174e90a-fafe-4643-bbbc-4a0ed4fc8415")
        with pytest.raises(errors.NotOnThisServer):
            client.create_bulk_job(action=BulkAction.RELEASE, search=search)
        return
    job = client.create_bulk_job(
        action=BulkAction.MOVE, search=search, destination=MailboxDestination.JUNK_EMAIL, comment="key-1"
    )
    assert [known.comment for known in client.bulk_jobs().items] == ["key-1"]
    with pytest.raises(errors.Rejected):
        client.delete_bulk_job(job.job_id)
    account.wait(4)
    running = client.bulk_job(job.job_id)
    assert running.counted == running.total_messages_discovered > 0
    assert client.bulk_messages(job.job_id).items[0].message is not None
    assert client.cancel_bulk_job(job.job_id).status is BulkJobStatus.CANCELLED
    client.delete_bulk_job(job.job_id)
    with pytest.raises(errors.NotFound):
        client.bulk_job(job.job_id)


def test_cursors_bring_every_message_once(account):
    query = SearchQuery(start=NOW - dt.timedelta(days=25), end=NOW)
    seen: list[str] = []
    cursor = None
    while True:
        page = account.client.search(query, cursor=cursor, per_page=7)
        seen += [message.id for message in page.messages]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) > 14
    whole = account.client.search(query, per_page=1000)
    assert seen == [message.id for message in whole.messages]


# The official SDK ----------------------------------------------------------------------------------------------------

RENAMED = {"from_": "from", "field_name": "field"}


def wire(value: Any) -> Any:
    """A value as plain data, in which both readers can be compared: absent and null are alike, times are UTC."""
    if isinstance(value, msgspec.Struct):
        return {RENAMED.get(name, name): wire(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, (tuple, list)):
        return [wire(item) for item in value]
    return value


def same(ours: Any, theirs: Any, where: str) -> int:
    """Compare what the SDK read with what we read, as far as both have it; how many values were compared."""
    if isinstance(ours, dict):
        assert isinstance(theirs, dict) or theirs is None, where
        return sum(
            same(value, (theirs or {}).get(name), f"{where}.{name}")
            for name, value in ours.items()
            if not name.startswith("legacy_")
        )
    if isinstance(ours, list):
        assert len(ours) == len(theirs or []), where
        return sum(same(one, other, f"{where}[]") for one, other in zip(ours, theirs or [], strict=True))
    if isinstance(ours, dt.datetime):
        moment = theirs if isinstance(theirs, dt.datetime) else parse_time(theirs)
        if moment is not None and moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        if theirs is not None:  # ours may come from the older field
            assert ours == moment, where
        return 1
    if ours in (False, None):
        assert not theirs, where
    else:
        assert ours == theirs, where
    return 1


@pytest.fixture
def sdk(account, monkeypatch):
    for name in ("CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY", "CLOUDFLARE_CUSTOM_HEADERS"):
        monkeypatch.delenv(name, raising=False)
    with httpx.Client(transport=account.transport) as http:
        yield Cloudflare(
            api_token=account.simulator.read_token,
            base_url="https://api.cloudflare.com/client/v4",
            http_client=http,
            max_retries=0,
        ).email_security


def test_the_official_sdk_reads_the_same(account, sdk):
    client, where = account.client, {"account_id": account.simulator.account_id}
    window = {"start": NOW - dt.timedelta(days=6), "end": NOW}
    ours = client.search(SearchQuery(**window), per_page=1000).messages
    theirs = sdk.investigate.list(**where, **window, detections_only=True, per_page=1000).result
    assert len(ours) == len(theirs) > 10
    compared = sum(
        same(wire(one), other.to_dict(mode="python"), one.id) for one, other in zip(ours, theirs, strict=True)
    )
    assert compared > 30 * len(ours)

    message_id = ours[0].id
    for one, other in [
        (client.message(message_id), sdk.investigate.get(message_id, **where)),
        (client.detections(message_id), sdk.investigate.detections.get(message_id, **where)),
        (client.trace(message_id), sdk.investigate.trace.get(message_id, **where)),
    ]:
        assert same(wire(one), other.to_dict(mode="python"), type(one).__name__) > 5
    assert client.raw(message_id) == sdk.investigate.raw.get(message_id, **where).raw

    for name, mine, official in [
        ("submissions", client.submissions(**window).items, sdk.submissions.list(**where, **window, per_page=100)),
        ("reports", client.phishguard_reports(**window).items, sdk.phishguard.reports.list(**where, **window)),
    ]:
        others = list(official.result)
        assert len(mine) == len(others), name
        for one, other in zip(mine, others, strict=True):
            flat = wire(one)
            flat["id"] = flat.pop("wire_id", None)
            read = other.to_dict(mode="python")
            if isinstance(read.get("type"), str):
                read["type"] = read["type"].upper()  # answered as Team and User, asked for as TEAM and USER
            assert same(flat, read, name) > 5
