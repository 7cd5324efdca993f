"""Decisions as forms and files make them, and the passing of time: due times are columns, so tests move those."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import httpx
import pytest
from django.db.models import F

from dashboard.access.models import Member
from dashboard.emailsec.types import SettingsEntry
from dashboard.simulator import Simulator
from dashboard.upstream.connection import build_client, get_client, use_client
from dashboard.upstream.models import CallBudget
from settings_ui.changes import looking, sending, services
from settings_ui.models import Change, ChangeKind, Line, Step, Verb
from settings_ui.resources import BY_NAME

BLOCK = BY_NAME["block_senders"]
DOMAINS = BY_NAME["domains"]
EVIL = {"pattern": "evil.example", "pattern_type": "DOMAIN", "is_regex": False, "comments": "ticket 7"}

# One valid entry of each list, and a change of it.
ENTRIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "allow_policies": (
        {
            "pattern": "billing@supplier.example",
            "pattern_type": "EMAIL",
            "is_regex": False,
            "is_acceptable_sender": True,
            "is_trusted_sender": False,
            "is_exempt_recipient": False,
            "verify_sender": True,
            "comments": "known",
        },
        {"verify_sender": False, "comments": None},
    ),
    "block_senders": (EVIL, {"comments": None}),
    "trusted_domains": (
        {"pattern": "partner.example", "is_regex": False, "is_recent": True, "is_similarity": False, "comments": None},
        {"is_similarity": True},
    ),
    "impersonation_registry": (
        {"name": "Grace Hopper", "email": "grace@corp.example", "is_email_regex": False, "comments": "board"},
        {"email": "g.hopper@corp.example"},
    ),
    "sending_domain_restrictions": (
        {"domain": "bank.example", "exclude": [], "comments": None},
        {"exclude": ["news.bank.example"]},
    ),
    "domains": (
        {
            "domain": "new.corp.example",
            "allowed_delivery_modes": ["API"],
            "drop_dispositions": ["MALICIOUS"],
            "ip_restrictions": ["192.0.2.0/24"],
            "regions": ["GLOBAL"],
        },
        {"lookback_hops": 3},
    ),
    "content_policies": (
        {"name": "Vouchers", "pattern": "voucher", "targets": ["SUBJECT"], "enabled": True, "notes": None},
        {"enabled": False},
    ),
    "url_ignore_patterns": ({"pattern": r"https://intra\.corp\.example/.*", "comments": None}, {"comments": "ours"}),
}


def key() -> str:
    return uuid.uuid4().hex


def stand(simulator: Simulator, resource: str = "block_senders") -> dict[str, dict[str, Any]]:
    """What the simulated service really holds, by id."""
    return simulator.settings.entries[resource]


def named(simulator: Simulator, *labels: str, resource: str = "block_senders") -> list[dict[str, Any]]:
    return [entry for entry in stand(simulator, resource).values() if BY_NAME[resource].label(entry) in labels]


def calls(simulator: Simulator, operation: str) -> int:
    return sum(fnmatchcase(call.operation, operation) for call in simulator.calls)


def the_line(change: Change) -> Line:
    return change.lines.get()


class Killed(BaseException):
    """The process ends here: nothing of ours catches it."""


Happens = Callable[[httpx.Request], None]


def nothing(_request: httpx.Request) -> None: ...


class Wire(httpx.BaseTransport):
    """The simulator, with something that happens once: before the next call of a method is carried out, or after."""

    def __init__(self, simulator: Simulator) -> None:
        self.inner = httpx.WSGITransport(app=simulator)
        self.before: dict[str, Happens] = {}
        self.after: dict[str, Happens] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.before.pop(request.method, nothing)(request)
        answer = self.inner.handle_request(request)
        self.after.pop(request.method, nothing)(request)
        return answer


@pytest.fixture
def wire(emailsec: Simulator) -> Iterator[Wire]:
    transport = Wire(emailsec)
    with use_client(build_client(transport)):
        yield transport


@pytest.fixture
def add() -> Callable[..., Change]:
    def create(actor: Member, values: dict[str, Any] = EVIL, **what: Any) -> Change:
        given = {"resource": BLOCK, "operation_key": key(), "request": None} | what
        return services.create(actor=actor, values=values, **given)

    return create


@pytest.fixture
def standing(emailsec: Simulator) -> Callable[..., list[SettingsEntry]]:
    """Entries that stand at Cloudflare already."""

    def put(number: int = 1, resource: str = "block_senders", **values: Any) -> list[SettingsEntry]:
        made = []
        for place in range(number):
            new = {**EVIL, "pattern": f"bad{place}.example", **values}
            entry = emailsec.settings.seed_entry(resource, emailsec.clock() - 86_400, **new)
            made.append(get_client().entry(resource, entry["id"]))
        return made

    return put


@pytest.fixture
def take_away() -> Callable[..., Change]:
    def remove(actor: Member, entries: Sequence[SettingsEntry], **what: Any) -> Change:
        given = {"resource": BLOCK, "operation_key": key(), "request": None} | what
        return services.remove(actor=actor, entries=entries, **given)

    return remove


@pytest.fixture
def imported() -> Callable[..., Change]:
    """A file that was read and confirmed, its undo window over."""

    def bring(actor: Member, drafts: Sequence[services.Draft], resource: Any = BLOCK, **what: Any) -> Change:
        change = services.draft(
            actor=actor,
            resource=resource,
            kind=ChangeKind.IMPORT,
            lines=drafts,
            file_name="bad.csv",
            operation_key=key(),
            request=None,
        )
        change = services.confirm(actor=actor, change=change, fingerprint=change.fingerprint, request=None, **what)
        pass_by(change, 60)
        return change

    return bring


def additions(number: int, start: int = 0) -> list[services.Draft]:
    return [
        services.Draft(
            place + 2,
            Verb.ADD,
            f"spam{start + place}.example",
            values={**EVIL, "pattern": f"spam{start + place}.example"},
        )
        for place in range(number)
    ]


def pass_by(change: Change, seconds: float) -> None:
    """Everything about the change happened `seconds` earlier."""
    for name in ("due_at", "expires_at"):
        rows = Change.objects.filter(pk=change.pk, **{f"{name}__isnull": False})
        rows.update(**{name: F(name) - dt.timedelta(seconds=seconds)})
    for name in ("due_at", "claimed_at", "sent_at"):
        steps = Step.objects.filter(change=change, **{f"{name}__isnull": False})
        steps.update(**{name: F(name) - dt.timedelta(seconds=seconds)})
    frozen = CallBudget.objects.filter(frozen_until__isnull=False)
    frozen.update(frozen_until=F("frozen_until") - dt.timedelta(seconds=seconds))
    change.refresh_from_db()


def worked(change: Change, *, after: float = 0) -> Change:
    """What a worker makes of the change when it is told to."""
    pass_by(change, after)
    sending.step(change.pk)
    change.refresh_from_db()
    return change


def looked(change: Change, *, after: float) -> Change:
    pass_by(change, after)
    for step in change.steps.filter(state="unknown"):
        looking.look_up(step.pk)
    change.refresh_from_db()
    return change
