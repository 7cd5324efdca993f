"""Every address and every action against every role: allowed exactly where the table of permissions says so."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import URLPattern, reverse

from dashboard.access.models import Member
from dashboard.access.roles import ROLES, Permission, Role
from dashboard.simulator import Simulator
from investigate.models import Action
from tests.conftest import HTMX
from tests.test_invariants import ADDRESSES

POSTED_ONLY = {
    "undo", "undo_last", "uncover", "reason", "look", "settle", "cancel_search", "render_preview", "logout", "switch",
    "cancel_job", "pause_job", "resume_job", "retry_job", "look_job", "job_again", "dismiss_notices",
    "begin_job", "decide_job", "recollect_job", "take_over_job",
    "undo_fix", "repeat_step", "look_for_rule", "end_rule",
    "approve_request", "refuse_request", "withdraw_request", "undo_request",
    "cancel_upstream_job", "delete_upstream_job", "look_upstream_job", "settle_upstream_job",
    "end_sessions", "revoke", "end_session", "end_other_sessions",
    "take", "let_go", "case_state", "own_verdict", "finish",
}  # fmt: skip
GUARDED = {pattern.name: pattern for _, pattern in ADDRESSES if hasattr(pattern.callback, "required_permission")}


@pytest.fixture
def signed_in(db: None) -> Callable[[Role], Client]:
    def sign_in(role: Role) -> Client:
        member = Member.objects.create(username=f"{role.value}", role=role, undo_seconds=30)
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


def address(pattern: URLPattern, message: Any) -> str:
    """A real address of the pattern."""
    values = {
        "investigate_id": message.id,
        "part": "why",
        "action_id": uuid.UUID(int=7),
        "job_id": uuid.UUID(int=7),
        "item_id": 7,
        "case_id": 7,
        "fix_id": uuid.UUID(int=7),
        "approval_id": uuid.UUID(int=7),
        "number": 1,
        "preference": "theme",
        "uidb64": "MQ",
        "token": "x",
        "member_id": 7,
        "invitation_id": 7,
        "name": "night",
        "pk": 7,
        "sequence": 1,
        "kind": "csv",
    }
    wanted = set(pattern.pattern.converters)
    rooms = ("team", "access", "audit")
    room = next((room for room in rooms if room in pattern.callback.__module__), "investigate")
    is_allauths = pattern.name.startswith(("account_", "mfa_", "usersessions_"))  # reversed by it without a room
    return reverse(
        pattern.name if is_allauths else f"{room}:{pattern.name}", kwargs={name: values[name] for name in wanted}
    )


def ask(client: Client, pattern: URLPattern, url: str) -> Any:
    return client.post(url) if pattern.name in POSTED_ONLY else client.get(url)


@pytest.mark.parametrize("name", sorted(GUARDED))
def test_an_address_opens_for_the_roles_that_hold_its_permission_and_no_other(
    name: str, detection: Any, signed_in: Callable[[Role], Client]
) -> None:
    pattern = GUARDED[name]
    url = address(pattern, detection)

    for role in Role:
        answer = ask(signed_in(role), pattern, url)
        is_allowed = pattern.callback.required_permission in ROLES[role]
        assert (answer.status_code != 403) == is_allowed, f"{role} got {answer.status_code} from {url}"
        assert answer.status_code != 405, f"{url} does not take the method this test uses"
        assert answer.status_code < 500, f"{role} got {answer.status_code} from {url}"


@pytest.mark.parametrize("name", sorted(GUARDED))
def test_the_signed_out_are_sent_to_sign_in_and_learn_nothing(name: str, detection: Any, client: Client) -> None:
    pattern = GUARDED[name]
    url = address(pattern, detection)

    answer = ask(client, pattern, url)
    method = client.post if pattern.name in POSTED_ONLY else client.get
    fragment = method(url, headers=HTMX)

    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("access:login"))
    assert fragment.status_code == 401
    assert fragment["HX-Redirect"].startswith(reverse("access:login"))
    assert detection.subject not in answer.content.decode() + fragment.content.decode()


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


@pytest.mark.parametrize(
    "name",
    sorted(
        POSTED_ONLY
        | {
            "act",
            "new_upstream_job",
            "paste",
            "login",
            "password_change",
            "preferences",
            "mfa_activate_totp",
            "mfa_add_webauthn",
            "mfa_authenticate",
            "mfa_login_webauthn",
            "account_reauthenticate",
        }
    ),
)
def test_no_form_is_taken_without_its_token(name: str, detection: Any, signed_in: Callable[[Role], Client]) -> None:
    pattern = next(pattern for _, pattern in ADDRESSES if pattern.name == name)
    client = signed_in(Role.ADMIN)
    client.handler.enforce_csrf_checks = True

    assert client.post(address(pattern, detection), {"kind": "release"}).status_code == 403


def rows() -> dict[str, int]:
    """How many rows each table of ours holds, those that only say what was looked at left out."""
    seen = {"audit.AuditEvent", "audit.ChainHead", "investigate.SearchRun", "investigate.Presence", "sessions.Session"}
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model._meta.label not in seen and not model._meta.label.startswith("upstream.")
    }


@pytest.fixture
def quiet(signed_in: Callable[[Role], Client]) -> Client:
    return signed_in(Role.ADMIN)


@pytest.mark.parametrize("name", sorted(set(GUARDED) - POSTED_ONLY))
def test_looking_changes_nothing(name: str, detection: Any, emailsec: Simulator, quiet: Client) -> None:
    before, done = rows(), len(emailsec.ledger)

    quiet.get(address(GUARDED[name], detection))

    assert rows() == before
    assert len(emailsec.ledger) == done


def test_every_answer_carries_the_headers_that_keep_it_ours(detection: Any, quiet: Client) -> None:
    for name, pattern in GUARDED.items():
        answer = ask(quiet, pattern, address(pattern, detection))
        assert "no-store" in answer["Cache-Control"], name
        assert answer["X-Content-Type-Options"] == "nosniff", name
        assert answer["Referrer-Policy"] == "same-origin", name
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin", name
        assert answer["Cross-Origin-Resource-Policy"] == "same-origin", name
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy, name
        assert "unsafe" not in policy, name
