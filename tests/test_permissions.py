"""Every address and every action against every role: allowed exactly where the table of permissions says so."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import EVERYTHING, ROLES, Permission, Role
from dashboard.simulator import Simulator
from investigate.models import Action
from tests.conftest import HTMX
from tests.test_invariants import ADDRESSES

SignIn = Callable[..., Client]
GUARDED = {path: pattern for path, pattern in ADDRESSES if hasattr(pattern.callback, "required_permission")}
# What stands for the variable parts of addresses. Nothing but the message exists, so nothing is changed by asking.
PARTS: dict[str, object] = {
    "part": "why",
    "action_id": uuid.UUID(int=7),
    "job_id": uuid.UUID(int=7),
    "fix_id": uuid.UUID(int=7),
    "approval_id": uuid.UUID(int=7),
    "notice_id": uuid.UUID(int=7),
    "notice_rule_id": uuid.UUID(int=7),
    "upload_id": uuid.UUID(int=7),
    "change_id": uuid.UUID(int=7),
    "preference": "theme",
    "uidb64": "MQ",
    "name": "night",
    "kind": "csv",
    "key": "x-x",
    "slug": "block-senders",
    "entry_id": "00000000-0000-4000-8000-000000000000",
}
# What a form needs beyond the page that shows it.
ALSO_NEEDED = {
    ("POST", "investigate/bulk/paste"): Permission.JOB_RUN,
    ("POST", "investigate/evidence/<int:evidence_id>/end"): Permission.MESSAGE_PURGE,
    # What a list asks for is its own: the right to write this one.
    ("POST", "settings/<slug:slug>/import"): Permission.POLICY_WRITE,
    **{
        (method, f"settings/<slug:slug>/{path}"): Permission.POLICY_WRITE
        for method in ("GET", "POST")
        for path in ("new", "try", "remove", "<entry_id:entry_id>/edit")
    },
}


@pytest.fixture
def signed_in(db: None) -> Callable[..., Client]:
    def sign_in(role: Role, *domains: str) -> Client:
        values = {"role": role, "domains": list(domains), "undo_seconds": 30}
        member, _ = Member.objects.get_or_create(username=role.value, defaults=values)
        client = Client()
        client.force_login(member)
        return client

    return sign_in


@pytest.fixture
def detection(emailsec: Simulator) -> Any:
    """A malicious message that is held in quarantine."""
    return next(
        record for record in emailsec.store.records if record.final_disposition == "MALICIOUS" and record.is_quarantined
    )


def address(path: str, message: Any) -> str:
    """A real address of the route."""
    values = {**PARTS, "investigate_id": message.id}

    def part(found: re.Match[str]) -> str:
        kind, _, name = found[1].rpartition(":")
        return quote(str(values.get(name, "7" if kind == "int" else "x")), safe=":@+")

    path = re.sub(
        r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"<\1>", path.replace("^", "").removesuffix("$")
    )  # written as a pattern
    return "/" + re.sub(r"<([^>]+)>", part, path)


def methods_of(client: Callable[[], Client], url: str) -> dict[str, Any]:
    """What the address answers to each method it takes. A form without fields changes nothing, but may sign out."""
    answers = {"GET": client().get(url), "POST": client().post(url)}
    return {method: answer for method, answer in answers.items() if answer.status_code != 405}


def room_of(path: str) -> str:
    """The addresses that are tried together: making the sample of mail takes longer than asking."""
    first, *rest = path.split("/")
    return f"{first}/{rest[0]}" if first == "investigate" and rest[0] in ("bulk", "queue") else first


ROOMS: dict[str, list[str]] = {}
for _path in sorted({path for path, _ in ADDRESSES}):
    ROOMS.setdefault(room_of(_path), []).append(_path)


def guarded(room: str) -> list[str]:
    """Those of its addresses that ask for a permission."""
    return [path for path in ROOMS[room] if path in GUARDED]


@pytest.mark.parametrize("is_limited", [False, True], ids=["whole account", "one domain"])
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("room", [*filter(guarded, ROOMS)])
def test_an_address_opens_for_the_roles_that_hold_its_permission_and_no_other(
    room: str, role: Role, is_limited: bool, detection: Any, signed_in: Callable[..., Client]
) -> None:
    domains = [detection.client_recipients[0].rpartition("@")[2]] if is_limited else []
    wrong = []

    for path in guarded(room):
        view = GUARDED[path].callback
        url = address(path, detection)
        for method, answer in methods_of(lambda: signed_in(role, *domains), url).items():
            needed = {view.required_permission, ALSO_NEEDED.get((method, path), view.required_permission)}
            is_allowed = needed <= ROLES[role] and not (is_limited and view.needs_whole_account)
            if (answer.status_code != 403) != is_allowed or answer.status_code >= 500:
                wrong.append(f"{answer.status_code} from {method} {url}, allowed: {is_allowed}")

    assert not wrong


@pytest.mark.parametrize("room", [*filter(guarded, ROOMS)])
def test_the_signed_out_are_sent_to_sign_in_and_learn_nothing(room: str, detection: Any, client: Client) -> None:
    for path in guarded(room):
        url = address(path, detection)
        answers = methods_of(lambda: client, url)
        assert answers, url
        for method, answer in answers.items():
            fragment = client.generic(method, url, headers=HTMX)
            assert answer.status_code == 302, url
            assert answer["Location"].startswith(reverse("access:login")), url
            assert fragment.status_code == 401, url
            assert fragment["HX-Redirect"].startswith(reverse("access:login")), url
            assert detection.subject not in answer.content.decode() + fragment.content.decode(), url


DECISIONS: dict[str, tuple[dict[str, str], set[Permission]]] = {
    "move": ({"kind": "move", "destination": "JunkEmail"}, {Permission.MESSAGE_MOVE}),
    "purge": (
        {"kind": "move", "destination": "RecoverableItemsPurges", "confirmed": "1", "reason": "ticket 4711"},
        {Permission.MESSAGE_MOVE, Permission.MESSAGE_PURGE},
    ),
    "release": ({"kind": "release"}, {Permission.MESSAGE_RELEASE}),
    "release malicious": (
        {"kind": "release", "confirmed": "1", "reason": "ticket 4711"},
        {Permission.MESSAGE_RELEASE, Permission.MESSAGE_RELEASE_MALICIOUS},
    ),
    "reclassify": (
        {"kind": "reclassify", "expected_disposition": "SPAM"},
        {Permission.MESSAGE_RECLASSIFY},
    ),
}


def target_of(decision: str, simulator: Simulator) -> Any:
    """A message on which the decision is possible for somebody who may."""
    held = "release" in decision
    wanted = "MALICIOUS" if decision == "release malicious" else "SUSPICIOUS"
    return next(
        record
        for record in simulator.store.records
        if record.final_disposition == wanted
        and record.is_quarantined == held
        and not record.is_phish_submission
        and record.delivery_mode in ("DIRECT", "API")
        and (held or record.delivery_status[0] == "delivered")
    )


@pytest.mark.parametrize("decision", DECISIONS)
def test_an_action_is_taken_from_the_roles_that_hold_its_permissions_and_no_other(
    decision: str, emailsec: Simulator, signed_in: Callable[[Role], Client]
) -> None:
    values, needed = DECISIONS[decision]
    message = target_of(decision, emailsec)
    url = reverse("investigate:act", args=[message.id])

    for role in Role:
        Action.objects.all().delete()
        answer = signed_in(role).post(url, {**values, "operation_key": str(uuid.uuid4())})
        is_allowed = needed <= ROLES[role]
        assert Action.objects.exists() == is_allowed, f"{role}: {answer.status_code}"
        if not is_allowed:
            assert answer.status_code in (403, 409, 422), f"{role}: {answer.status_code}"


def test_malicious_mail_is_not_released_without_the_confirmation(
    emailsec: Simulator, signed_in: Callable[[Role], Client]
) -> None:
    message = target_of("release malicious", emailsec)

    answer = signed_in(Role.RESPONDER).post(
        reverse("investigate:act", args=[message.id]),
        {"kind": "release", "operation_key": str(uuid.uuid4())},
        headers=HTMX,
    )

    assert answer["HX-Retarget"] == "#action-panel"
    assert not Action.objects.exists()


@pytest.mark.parametrize("room", ROOMS)
def test_no_form_is_taken_without_its_token(room: str, detection: Any, signed_in_as_owner: SignIn) -> None:
    for path in ROOMS[room]:
        url = address(path, detection)
        if "POST" not in methods_of(Client, url):
            continue
        for asked in (Client(enforce_csrf_checks=True), signed_in_as_owner(enforce_csrf_checks=True)):
            assert asked.post(url, {"kind": "release"}).status_code == 403, url


def rows() -> dict[str, int]:
    """How many rows each table of ours holds, those that only say what was looked at left out."""
    seen = {"audit.AuditEvent", "audit.ChainHead", "investigate.SearchRun", "investigate.Presence", "sessions.Session"}
    seen.add("overview.Snapshot")  # counted by the first who looks
    seen.add("investigate.SeenSubmission")  # what a list answered is remembered
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model._meta.label not in seen and not model._meta.label.startswith("upstream.")
    }


@pytest.fixture
def signed_in_as_owner(db: None) -> SignIn:
    """Browsers of somebody who may do everything."""
    TeamRole.objects.create(name="everything", label="Everything", permissions=[EVERYTHING])
    olga = Member.objects.create(username="olga", role="everything", undo_seconds=30)

    def sign_in(**options: Any) -> Client:
        client = Client(**options)
        client.force_login(olga)
        return client

    return sign_in


@pytest.mark.parametrize("room", [*filter(guarded, ROOMS)])
def test_looking_changes_nothing(room: str, detection: Any, emailsec: Simulator, signed_in_as_owner: SignIn) -> None:
    client = signed_in_as_owner()
    before, done = rows(), len(emailsec.ledger)

    for path in guarded(room):
        client.get(address(path, detection))
        assert rows() == before, path
        assert len(emailsec.ledger) == done, path


def test_every_answer_carries_the_headers_that_keep_it_ours(detection: Any, signed_in_as_owner: SignIn) -> None:
    for name in GUARDED:
        answer = next(iter(methods_of(signed_in_as_owner, address(name, detection)).values()))
        assert "no-store" in answer["Cache-Control"], name
        assert answer["X-Content-Type-Options"] == "nosniff", name
        assert answer["Referrer-Policy"] == "same-origin", name
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin", name
        assert answer["Cross-Origin-Resource-Policy"] == "same-origin", name
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy, name
        assert "unsafe" not in policy, name
