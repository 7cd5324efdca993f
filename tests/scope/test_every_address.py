"""Every address of the product, walked by somebody who may do everything, on the mail of one domain.

The tables below say what may stand in an address and what its form is sent. An address that needs a word they do not
have fails the test, so that nothing new escapes it.
"""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern
from django.utils import timezone

from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import Permission
from dashboard.access.scope import WHOLE, Scope, spaced
from dashboard.access.sealing import seal
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from dashboard.web.text import dom_id
from investigate.desk import cases, notes
from investigate.desk.changes import note_change
from investigate.memory import evidence
from investigate.memory.remembering import remember
from investigate.message.tabs import TABS
from investigate.models import (
    Action,
    Approval,
    BulkJob,
    Case,
    CaseSource,
    Fix,
    FixStep,
    FixStepKind,
    NoticeRule,
    Presence,
    SavedView,
    SeenSubmission,
    ViewHit,
)
from investigate.notices import making
from investigate.phishguard import reading
from investigate.phishguard.criteria import Criteria
from tests.conftest import HTMX
from tests.scope.conftest import INSIDE, MARK, Desk, Mail, delivered, held, message, unknown_like
from tests.test_invariants import ADDRESSES

NOT_MAIL = ("account/",)  # a member's own account, and how they sign in
AS_DELIVERED = (
    "raw_text",
    "download_eml",
    "download_sample",
    "download_evidence",
    "preview_image",
)  # what the mailbox inside got, as it got it
AS_DELIVERED_PARTS = ("headers", "raw", "preview")
UNKNOWN = uuid.UUID(int=7)

# What a form is sent, by the address's name. Reading addresses are left out of it.
MOVE = {"kind": "move", "destination": "JunkEmail", "confirmed": "1", "reason": "ticket 4711"}
POSTED: dict[str, dict[str, str]] = {
    "act": MOVE,
    "answer": {"verdict": "graymail", "text": "seen"},
    "ask_campaign": {"by": "edf", "key": "none"},
    "approve_request": {"comment": "looks right", "fingerprint": "f"},
    "begin_job": {"what": "move:JunkEmail", "source": "selection"},
    "cancel_job": {},
    "cancel_search": {},
    "cancel_upstream_job": {},
    "campaign_indicators": {"take": "x", "format": "csv", "tlp": "red", "title": "x"},
    "case_state": {"state": "waiting", "version": "1"},
    "decide_campaign": {"by": "edf", "key": "none", "what": "move:JunkEmail", "source": "all", "newest": "9"},
    "decide_job": {"reason": "ticket 4711", "decision_key": "k" * 32, "expected_count": "1"},
    "delete_upstream_job": {},
    "delete_view": {},
    "dismiss_notices": {},
    "end_evidence": {"reason": "ticket 4711"},
    "end_following": {"rule": str(UNKNOWN)},
    "end_rule": {},
    "escalate": {"expected_disposition": "BULK", "reason": "ticket 4711"},
    "finish": {"verdict": "true_positive", "version": "1"},
    "follow_campaign": {"by": "edf", "key": "none", "what": "move:JunkEmail", "mode": "offer", "reason": "ticket"},
    "hand_over": {"to": "1", "version": "1"},
    "indicators": {"take": "x", "format": "csv", "tlp": "red", "title": "x"},
    "list_indicators": {"take": "x", "format": "csv", "tlp": "red", "title": "x"},
    "job_again": {"what": "move:JunkEmail", "states": "all"},
    "keep_evidence": {"reason": "ticket 4711"},
    "leave_later": {"rule": str(UNKNOWN)},
    "let_go": {"version": "1"},
    "look": {},
    "look_for_rule": {},
    "look_job": {},
    "look_upstream_job": {},
    "move_view": {"to": "up"},
    "missed_detection": {"expected_disposition": "BULK", "reason": "ticket 4711"},
    "new_upstream_job": {},
    "new_view": {"name": "Mine", "line": "last:7d"},
    "notes": {"text": "seen", "version": "1"},
    "notes_seen": {},
    "notice": {"version": "1", "rhythm": "hourly", "hour": "7", "channel": "webhook", "target": ""},
    "notice_again": {},
    "notice_delete": {"version": "1"},
    "notice_new": {"rhythm": "hourly", "hour": "7", "channel": "mail", "target": "x@corp.example"},
    "notice_switch": {"version": "1", "on": "0"},
    "notice_try": {},
    "own_verdict": {"verdict": "true_positive", "version": "1"},
    "paste": {"text": "x", "act": "move:JunkEmail", "last": "30d"},
    "pause_job": {},
    "put_right": {"reason": "ticket 4711", "steps": "release"},
    "reason": {"reason": "ticket 4711"},
    "recollect_job": {},
    "refuse_request": {"comment": "looks wrong", "fingerprint": "f"},
    "render_preview": {},
    "repeat_step": {},
    "resume_job": {},
    "retry_job": {},
    "save_filters": {"query": "last=7d", "version": "1"},
    "settle": {"outcome": "done"},
    "settle_upstream_job": {},
    "phishguard_take": {},
    "phishguard_uncover": {"occasion": "reported"},
    "take": {"version": "1"},
    "take_later": {"rule": str(UNKNOWN)},
    "take_over_job": {},
    "uncover": {"occasion": "reported"},
    "uncover_evidence": {"occasion": "reported"},
    "view": {"name": "Theirs", "line": "last:7d", "version": "1"},
    "undo": {},
    "undo_fix": {},
    "undo_last": {},
    "undo_request": {},
    "withdraw_request": {},
    # Of the team and the installation, which are no mail:
    "begin_check": {},
    "value": {"value": "1", "version": "0"},
    "value_back": {"version": "0"},
    "delete_role": {},
    "end_sessions": {},
    "invite": {},
    "member": {},
    "new_role": {},
    "reset_sign_in": {},
    "revoke": {},
    "role": {},
}
# What else an address is asked for, in its query.
ASKED: dict[str, list[str]] = {
    "export": [
        "what=results&format=csv&last=30d", "what=results&format=json&last=30d",
        "what=campaign&format=csv&by=edf&key={fingerprint}", "what=campaign&format=json&by=edf&key={fingerprint}",
    ],
    "export_list": ["last=30d"],
    "list_indicators": ["last=30d"],
    "campaign_indicators": ["by=edf&key={fingerprint}"],
    "campaign_report": ["by=edf&key={fingerprint}"],
    "new_view": ["from={view}", "last=7d"],
    "search": [
        "last=30d", "last=30d&clean=1", "last=30d&q={mark}", "last=30d&to=x", "last=30d&open={foreign}", "view={view}",
    ],
    "memory": ["words={mark}", "words=a", "recipient=x", "domain=x"],
    "home": ["range=30d", "range=30d&count=1"],
    "figures": ["range=24h", "range=30d"],
    "arrivals": ["last=30d&since=2000-01-01T00:00:00.000000Z"],
    "actions": ["show=mine", "show=open", "show=unknown", "show=person"],
    "notice_new": ["view={view}"],
    "notice_sent": ["n=1"],
    "notices": ["state=open", "page=2"],
    "jobs": ["show=mine", "show=running", "show=ended", "part=live&ids={job}"],
    "job_messages": ["after=0", "after=1", "show=skipped"],
    "act": ["kind=move&destination=DeletedItems", "kind=release", "kind=reclassify&expected_disposition=BULK"],
    "action": ["part=notice", "part=row", "part=head"],
    "job_result": ["bom=1"],
    "campaigns": ["last=30d", "last=30d&by=shape&sort=newest", "last=30d&delivered=1&domain={mark}"],
    "campaign": ["by=edf&key={fingerprint}", "by=shape&key={mark}"],
    "queue": ["show=all", "show=mine", "show=unclaimed", "state=done", "q={mark}"],
    "live": ["since=0", "since=0&open={foreign}", "since=0&open={mixed}"],
    "live_cells": ["id={foreign}&id={mixed}&id={inside}&open={foreign}"],
    "approvals": ["show=all", "show=decided"],
    "submissions": ["type=BOTH&last=90d", "type=BOTH&last=90d&query={mark}", "type=BOTH&last=90d&answer=open"],
    "submissions_file": ["type=BOTH&last=90d", "type=BOTH&last=90d&format=json"],
    "phishguard": ["last=30d", "last=90d&more=2", "last=30d&open={foreign}"],
}  # fmt: skip


@pytest.fixture
def scoped(sam: Member) -> Client:
    client = Client(raise_request_exception=False)  # one address that breaks shall not hide the others
    client.force_login(sam)
    return client


@pytest.fixture
def sam(db: None) -> Member:
    """Somebody who may do everything, on the mail of one domain."""
    TeamRole.objects.create(name="everything", label="Everything", permissions=[right.value for right in Permission])
    return Member.objects.create_user(
        "sam", "sam@corp.example", "correct horse battery", role="everything", domains=[INSIDE], first_name="Sam"
    )


@dataclass(frozen=True)
class World:
    """What may stand in an address, by the name of the place: label and value."""

    values: dict[str, dict[str, Any]]
    foreign: str  # the id of a message elsewhere that colleagues worked on


def _approval(action: Action, ben: Member, domains: str) -> Approval:
    now = timezone.now()
    return Approval.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        action=action,
        requested_by=ben,
        requested_by_name=f"{MARK} Ben" if MARK in domains else "Ben",
        why="purges",
        fingerprint="f",
        domains=domains,
        created_at=now,
        expires_at=now + timezone.timedelta(days=1),
    )


def _fix(record: Any, ben: Member) -> Fix:
    fix = Fix.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        operation_key=uuid.uuid4().hex,
        fingerprint="f",
        actor=ben,
        actor_name="Ben",
        investigate_id=record.id,
        subject=record.subject or "",
        domains=spaced(record.client_recipients),
        reason="ticket 4711",
        created_at=timezone.now(),
    )
    FixStep.objects.create(fix=fix, number=1, kind=FixStepKind.RELEASE, state="done")
    return fix


def _views(records: dict[str, Any], ben: Member) -> dict[str, SavedView]:
    """The team's views: one that found mail on both sides, one that is about a recipient elsewhere."""
    now = timezone.now()
    about = {"inside": "last=30d", "foreign": f"recipient={records['foreign'].client_recipients[0]}&q={MARK}"}
    views = {
        label: SavedView.objects.create(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID, name=MARK if label == "foreign" else "All of it", query=query,
            owner=ben, owner_name="Ben", is_shared=True, created_at=now, changed_at=now,
        )
        for label, query in about.items()
    }  # fmt: skip
    for record in records.values():
        ViewHit.objects.create(
            view=views["inside"], investigate_id=record.id, subject=record.subject or "", scanned_at=now,
            found_at=now, recipients=list(record.client_recipients), domains=spaced(record.client_recipients),
        )  # fmt: skip
    return views


def _notices(records: dict[str, Any], ben: Member, sam: Member) -> dict[str, dict[str, Any]]:
    """What the limited member is told of a view that found mail on both sides, and what a colleague is told of it."""
    now, view = timezone.now(), SavedView.objects.get(name="All of it")
    rules: dict[str, Any] = {"unknown": UNKNOWN}
    sent: dict[str, Any] = {"unknown": UNKNOWN}
    for label, owner in (("inside", sam), ("foreign", ben)):
        address = f"{MARK}@corp.example" if label == "foreign" else "sam@corp.example"
        rule = NoticeRule.objects.create(
            view=view, owner=owner, rhythm="at_once", channel="webhook", target=seal("https://hooks.example/"),
            shown=address, secret=seal("s" * 40), due_at=now, created_at=now, changed_at=now,
        )  # fmt: skip
        made = making.make(rule.pk)
        assert made is not None
        rules[label], sent[label] = rule.pk, made.pk
    return {"notice_rule_id": rules, "notice_id": sent}


def _remembered(records: dict[str, Any], ben: Member) -> dict[str, int]:
    """All of it in the memory, with the raw file of each kept as evidence, by label."""
    remember(message(record.id) for record in records.values())
    return {
        label: evidence.keep(
            actor=ben, investigate_id=record.id, eml=b"Subject: kept", subject=record.subject or "",
            domains=spaced(record.client_recipients), reason=MARK if label == "foreign" else "kept", request=None,
        ).pk
        for label, record in records.items()
    }  # fmt: skip


def _submissions(records: dict[str, Any]) -> dict[str, str]:
    """What users reported, in- and outside, by label."""
    now = timezone.now()
    for label, record in records.items():
        SeenSubmission.objects.create(
            account_id=settings.CLOUDFLARE_ACCOUNT_ID, submission_id=f"sub-{label}", type="USER",
            subject=record.subject or "", requested_at=now, requested_by=record.client_recipients[0],
            original="SPAM", requested="MALICIOUS", status="pending", customer_status="unreviewed",
            postfix_id=record.postfix_id, domains=spaced(record.client_recipients), first_seen_at=now, seen_at=now,
        )  # fmt: skip
    return {label: f"sub-{label}" for label in records}


def _reports() -> dict[str, int]:
    """Of PhishGuard's reports one about mail inside, one about mail elsewhere, by label."""
    inside = Scope(frozenset({INSIDE}))
    listed = reading.read(Criteria(), WHOLE).reports
    return {"inside" if inside.sees(report.fields.to) else "foreign": int(report.id) for report in listed}


@pytest.fixture
def world(desk: Desk, mail: Mail, ben: Member, sam: Member, emailsec: Simulator) -> World:
    """Colleagues' work of every kind, in- and outside; each foreign thing beside an id that names nothing."""
    records = {"inside": delivered(mail.inside), "mixed": delivered(mail.mixed), "foreign": delivered(mail.foreign)}
    on_desk: dict[str, Case] = {}
    for label, record in records.items():
        case = cases.ensure(message(record.id), CaseSource.DETECTION)
        on_desk[label] = cases.take(actor=ben, case=case, request=None)
        words = f"{MARK} of {record.id}" if label == "foreign" else "seen"
        notes.add_note(actor=ben, case=case, text=words, operation_key=uuid.uuid4().hex, request=None)
    Presence.objects.create(member=ben, investigate_id=records["foreign"].id, seen_at=timezone.now())
    note_change([record.id for record in records.values()])
    approvals = {
        label: _approval(desk.actions[label], ben, spaced(records[label].client_recipients)) for label in records
    }
    fixes = {label: _fix(record, ben) for label, record in records.items()}
    ids = {label: record.id for label, record in records.items()} | {"unknown": unknown_like(records["foreign"].id)}
    job_ids = {
        "inside": desk.jobs["done"].pk,
        "rehearsed": desk.jobs["rehearsal"].pk,
        "foreign": desk.jobs["foreign"].pk,
        "foreign rehearsal": desk.jobs["whole"].pk,
        "unknown": UNKNOWN,
    }
    values: dict[str, dict[str, Any]] = {
        "investigate_id": ids,
        "job_id": job_ids,
        "action_id": {**{label: action.pk for label, action in desk.actions.items()}, "unknown": UNKNOWN},
        "approval_id": {**{label: one.pk for label, one in approvals.items()}, "unknown": UNKNOWN},
        "fix_id": {**{label: fix.pk for label, fix in fixes.items()}, "unknown": UNKNOWN},
        "case_id": {**{label: case.pk for label, case in on_desk.items()}, "unknown": 987_654},
        "item_id": {
            "inside": desk.jobs["done"].items.order_by("pk")[0].pk,
            "foreign": desk.jobs["foreign"].items.order_by("pk")[0].pk,
            "unknown": 987_654,
        },
        "view_id": {**{label: one.pk for label, one in _views(records, ben).items()}, "unknown": 987_654},
        **_notices(records, ben, sam),
        "evidence_id": _remembered(records, ben) | {"unknown": 987_654},
        "report_id": _reports() | {"unknown": 987_654},
        "submission_id": _submissions(records) | {"unknown": "sub-nothing"},
        "part": {name: name for name in TABS},
        "number": {"first": 1},
        "sequence": {"first": 1},
        "kind": {"csv": "csv", "jsonl": "jsonl"},
        "member_id": {"ben": ben.pk},
        "invitation_id": {"none": 1},
        "name": {"role": "everything"},
        # Of the account's settings, which hold for all domains and so are for nobody who is limited to some:
        "change_id": {"unknown": UNKNOWN},
        "entry_id": {"unknown": UNKNOWN},
        "slug": {"list": "block-senders"},
        "upload_id": {"unknown": UNKNOWN},
    }
    return World(values, ids["foreign"])


@dataclass(frozen=True)
class Address:
    name: str
    url: str
    labels: dict[str, str]
    values: dict[str, Any]
    needs_whole: bool


def _rooms() -> list[tuple[str, URLPattern]]:
    return [
        (path, pattern)
        for path, pattern in ADDRESSES
        if not path.startswith(NOT_MAIL) and not getattr(pattern.callback, "is_public", None)
    ]


def addresses(world: World) -> Iterator[Address]:
    """Every address with everything that may stand in it."""
    for path, pattern in _rooms():
        names = list(pattern.pattern.converters)
        strange = set(names) - world.values.keys()
        assert not strange, f"{path} holds {strange}: say in `world` what may stand there"
        combinations: list[dict[str, str]] = [{}]
        for name in names:
            combinations = [{**one, name: label} for one in combinations for label in world.values[name]]
        for labels in combinations:
            values = {name: world.values[name][label] for name, label in labels.items()}
            yield Address(
                str(pattern.name), _address(path, values), labels, values, pattern.callback.needs_whole_account
            )


def _address(path: str, values: dict[str, Any]) -> str:
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: quote(str(values[found[1]]), safe=":@+"), path)


def body_of(answer: Any) -> str:
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    headers = "\n".join(f"{name}: {value}" for name, value in answer.items())
    return headers + "\n" + content.decode("utf-8", "replace")


def is_as_delivered(address: Address) -> bool:
    return address.name in AS_DELIVERED or address.labels.get("part") in AS_DELIVERED_PARTS


def test_every_form_has_its_row(world: World, scoped: Client) -> None:
    """Whatever takes a POST is in the table, so that the walk sends it what gets through its form."""
    missing = {
        address.name
        for address in addresses(world)
        if address.name not in POSTED and scoped.post(address.url, {}).status_code not in (403, 405)
    }

    assert not missing


def test_nothing_read_anywhere_holds_what_is_elsewhere(world: World, scoped: Client) -> None:
    ids = world.values["investigate_id"]
    fill = {
        "mark": MARK,
        "foreign": quote(ids["foreign"]),
        "mixed": quote(ids["mixed"]),
        "inside": quote(ids["inside"]),
    }
    fill["fingerprint"] = message(ids["mixed"]).edf_hash or "none"
    fill["view"] = str(world.values["view_id"]["inside"])
    fill["job"] = ",".join(str(pk) for pk in world.values["job_id"].values())
    leaks, broken, read = [], [], 0
    only_posted = _only_posted(world, scoped)
    for address in addresses(world):
        if address.needs_whole or address.name in only_posted:
            continue
        for query in ("", *ASKED.get(address.name, [])):
            asked = f"{address.url}?{query.format(**fill)}"
            for headers in ({}, HTMX):
                answer = scoped.get(asked, headers=headers)
                read += answer.status_code == 200
                if answer.status_code >= 500:
                    broken.append(asked)
                elif not is_as_delivered(address):
                    said = body_of(answer)
                    if "{mark}" not in query:  # else the page repeats what was typed
                        leaks += [(asked, bool(headers), said[max(0, at - 80) : at + 60]) for at in _found(MARK, said)]
                    if "{foreign}" not in query and world.foreign not in address.values.values():
                        leaks += [(asked, bool(headers), "id of a message elsewhere")] * (
                            world.foreign in html.unescape(said)
                        )

    assert not broken
    assert not leaks
    assert read > 100


def _only_posted(world: World, scoped: Client) -> set[str]:
    """Names of the addresses that cannot be read."""
    first = {address.name: address.url for address in addresses(world) if address.name in POSTED}
    return {name for name, url in first.items() if scoped.get(url).status_code == 405}


def _found(mark: str, text: str) -> list[int]:
    at = text.find(mark)
    return [] if at < 0 else [at]


def _normalised(text: str, value: Any) -> str:
    """The answer without what names the id asked for, and without what differs each time."""
    name = str(value)
    if isinstance(value, int):
        text = re.sub(rf"(?<=/){name}(?=[/?&\"'])", "ID", text)
    else:
        for written in {name, quote(name), quote(name, safe=":@+"), quote(name, safe=""), html.escape(name)}:
            text = text.replace(written, "ID")
        text = text.replace(dom_id(name), "ID")
    text = re.sub(r"[0-9a-f]{12,}|[A-Za-z0-9]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "X", text)
    text = re.sub(r"budget \d+/\d+, \d+:\d+", "budget", text)  # what all calls so far have left
    return re.sub(r"(?m)^(Content-Length|X-Reference|Set-Cookie|Server-Timing): .*$", "", text)


@dataclass(frozen=True)
class Seen:
    status: int
    body: str
    calls: list[str]
    queries: int
    audited: list[str]


def _seen(ask: Callable[[], Any], calls: Callable[[], list[str]], value: Any) -> Seen:
    calls()
    last = AuditEvent.objects.order_by("-sequence").values_list("sequence", flat=True).first() or 0
    with CaptureQueriesContext(connection) as captured:
        answer = ask()
        text = body_of(answer)
    return Seen(
        answer.status_code,
        _normalised(text, value),
        calls(),
        len(captured),
        [event.action for event in AuditEvent.objects.filter(sequence__gt=last)],
    )


def test_what_is_elsewhere_cannot_be_told_from_what_does_not_exist(
    world: World, scoped: Client, calls: Callable[[], list[str]], emailsec: Simulator
) -> None:
    """Same status, body, calls, number of queries and audit rows: for reading and for acting, page and fragment."""
    before, done = _rows(), len(emailsec.ledger)
    differences, compared = [], 0
    only_posted = _only_posted(world, scoped)
    for address in addresses(world):
        place = next((name for name, label in address.labels.items() if label.startswith("foreign")), None)
        if place is None or address.needs_whole:
            continue
        unknown = {**address.values, place: world.values[place]["unknown"]}
        path = next(path for path, pattern in _rooms() if pattern.name == address.name)
        twin = _address(path, unknown)
        methods = (["get"] if address.name not in only_posted else []) + (["post"] if address.name in POSTED else [])
        for method in methods:
            for headers in ({}, HTMX):
                seen = []
                ask = partial(getattr(scoped, method), headers=headers)
                for url, value in ((address.url, address.values[place]), (twin, unknown[place])):
                    data = {"operation_key": uuid.uuid4().hex, **POSTED[address.name]} if method == "post" else {}
                    seen.append(_seen(partial(ask, url, data), calls, value))
                foreign, missing = seen
                compared += 1
                if foreign != missing:
                    differences.append((method, address.url, bool(headers), _difference(foreign, missing)))

    assert not differences
    assert compared > 60
    assert _rows() == before
    assert len(emailsec.ledger) == done


def test_ids_in_queries_tell_no_more(world: World, scoped: Client, calls: Callable[[], list[str]]) -> None:
    ids, compared = world.values["investigate_id"], 0
    urls = {address.name: address.url for address in addresses(world)}
    for name, queries in ASKED.items():
        for query in (one for one in queries if "{foreign}" in one):
            for headers in ({}, HTMX):
                seen = []
                for label in ("unknown", "foreign", "unknown", "foreign"):  # the first two make what is kept
                    fill = {"mixed": quote(ids["mixed"]), "inside": quote(ids["inside"]), "foreign": quote(ids[label])}
                    asked = f"{urls[name]}?{query.format(**fill)}"
                    seen.append(_seen(partial(scoped.get, asked, headers=headers), calls, ids[label]))
                assert seen[2] == seen[3], _difference(seen[3], seen[2])
                compared += 1

    assert compared >= 6


def _difference(foreign: Seen, missing: Seen) -> str:
    for name in ("status", "calls", "queries", "audited"):
        if getattr(foreign, name) != getattr(missing, name):
            return f"{name}: {getattr(foreign, name)} against {getattr(missing, name)}"
    at = next(
        (at for at, (one, other) in enumerate(zip(foreign.body, missing.body, strict=False)) if one != other),
        min(len(foreign.body), len(missing.body)),
    )
    return f"body: {foreign.body[max(0, at - 60) : at + 60]!r} against {missing.body[max(0, at - 60) : at + 60]!r}"


def _rows() -> tuple[int, ...]:
    return (Action.objects.count(), BulkJob.objects.count(), Case.objects.count(), Fix.objects.count())


def test_nothing_mixed_is_acted_on(world: World, scoped: Client, emailsec: Simulator) -> None:
    """Where copies went elsewhere, too, every form is refused, and nothing of it reaches the service."""
    done, actions = len(emailsec.ledger), Action.objects.count()

    for address in addresses(world):
        if "mixed" in address.labels.values() and address.name in POSTED:
            scoped.post(address.url, {"operation_key": uuid.uuid4().hex, **POSTED[address.name]}, headers=HTMX)

    assert Action.objects.count() == actions
    assert len(emailsec.ledger) == done


def test_pages_of_the_whole_account_do_not_open(world: World, scoped: Client) -> None:
    whole = [address for address in addresses(world) if address.needs_whole]

    assert {address.name for address in whole} >= {"upstream_jobs", "upstream_job", "new_upstream_job"}
    assert {scoped.get(address.url).status_code for address in whole} <= {403, 405}
    assert {scoped.post(address.url).status_code for address in whole} <= {403, 405}


def test_no_page_leads_to_those_of_the_whole_account(world: World, scoped: Client) -> None:
    for name in (
        "/investigate/?last=30d",
        "/investigate/bulk/",
        f"/investigate/bulk/{world.values['job_id']['rehearsed']}/",
    ):
        assert "/cloudflare/" not in scoped.get(name).content.decode()


def test_the_marks_are_there_for_who_may_see_them(world: World, responder: Client, mail: Mail) -> None:
    """A walk that could not find the mark would prove nothing."""
    assert MARK in responder.get("/investigate/?last=30d").content.decode()
    assert MARK in responder.get(f"/investigate/{world.values['investigate_id']['mixed']}/").content.decode()
    assert MARK in responder.get("/investigate/actions/").content.decode()
    assert held(mail.foreign).subject.startswith(MARK)
