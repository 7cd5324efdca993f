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
from dashboard.access.roles import ROLES, Permission, Role
from dashboard.simulator import Simulator
from investigate.models import Action
from tests.conftest import HTMX
from tests.test_invariants import ADDRESSES

GUARDED = {path: pattern for path, pattern in ADDRESSES if hasattr(pattern.callback, "required_permission")}
# What stands for the variable parts of addresses. Nothing but the message exists, so nothing is changed by asking.
PARTS: dict[str, object] = {
    "part": "why",
    "action_id": uuid.UUID(int=7),
    "job_id": uuid.UUID(int=7),
    "fix_id": uuid.UUID(int=7),
    "approval_id": uuid.UUID(int=7),
    "preference": "theme",
    "uidb64": "MQ",
    "name": "night",
    "kind": "csv",
    "key": "x-x",
}
# What a form needs beyond the page that shows it.
ALSO_NEEDED = {("POST", "investigate/bulk/paste"): Permission.JOB_RUN}


@pytest.fixture
def signed_in(db: None) -> Callable[..., Client]:
    def sign_in(role: Role, *domains: str) -> Client:
        member = Member.objects.create(username=f"{role.value}", role=role, domains=list(domains), undo_seconds=30)
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


def methods_of(client: Client, url: str) -> dict[str, Any]:
    """What the address answers to each method it takes. A form without fields changes nothing."""
    answers = {"GET": client.get(url), "POST": client.post(url)}
    return {method: answer for method, answer in answers.items() if answer.status_code != 405}


@pytest.mark.parametrize("path", sorted(GUARDED))
def test_an_address_opens_for_the_roles_that_hold_its_permission_and_no_other(
    path: str, detection: Any, signed_in: Callable[..., Client]
) -> None:
    view = GUARDED[path].callback
    url = address(path, detection)

    for role in Role:
        for method, answer in methods_of(signed_in(role), url).items():
            needed = {view.required_permission, ALSO_NEEDED.get((method, path), view.required_permission)}
            is_allowed = needed <= ROLES[role]
            told = f"{role} got {answer.status_code} from {method} {url}"
            assert (answer.status_code != 403) == is_allowed, told
            assert answer.status_code < 500, told


@pytest.mark.parametrize("path", sorted(GUARDED))
def test_who_is_limited_to_some_domains_gets_no_page_of_the_whole_account(
    path: str, detection: Any, signed_in: Callable[..., Client]
) -> None:
    view = GUARDED[path].callback
    url = address(path, detection)
    own = detection.client_recipients[0].rpartition("@")[2]

    for role in Role:
        for method, answer in methods_of(signed_in(role, own), url).items():
            needed = {view.required_permission, ALSO_NEEDED.get((method, path), view.required_permission)}
            is_allowed = needed <= ROLES[role] and not view.needs_whole_account
            told = f"{role} of {own} got {answer.status_code} from {method} {url}"
            assert (answer.status_code != 403) == is_allowed, told
            assert answer.status_code < 500, told


@pytest.mark.parametrize("path", sorted(GUARDED))
def test_the_signed_out_are_sent_to_sign_in_and_learn_nothing(path: str, detection: Any, client: Client) -> None:
    url = address(path, detection)

    answers = methods_of(client, url)
    assert answers
    for method, answer in answers.items():
        fragment = client.generic(method, url, headers=HTMX)
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


@pytest.mark.parametrize("path", sorted({path for path, _ in ADDRESSES}))
def test_no_form_is_taken_without_its_token(path: str, detection: Any, client: Client, owner: Client) -> None:
    url = address(path, detection)
    if "POST" not in methods_of(client, url):
        return
    for asked in (client, owner):
        asked.handler.enforce_csrf_checks = True
        assert asked.post(url, {"kind": "release"}).status_code == 403


def rows() -> dict[str, int]:
    """How many rows each table of ours holds, those that only say what was looked at left out."""
    seen = {"audit.AuditEvent", "audit.ChainHead", "investigate.SearchRun", "investigate.Presence", "sessions.Session"}
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model._meta.label not in seen and not model._meta.label.startswith("upstream.")
    }


@pytest.fixture
def owner(db: None) -> Client:
    """Somebody who may do everything."""
    TeamRole.objects.create(name="everything", label="Everything", permissions=[*Permission])
    client = Client()
    client.force_login(Member.objects.create(username="olga", role="everything", undo_seconds=30))
    return client


@pytest.mark.parametrize("path", sorted(GUARDED))
def test_looking_changes_nothing(path: str, detection: Any, emailsec: Simulator, owner: Client) -> None:
    before, done = rows(), len(emailsec.ledger)

    owner.get(address(path, detection))

    assert rows() == before
    assert len(emailsec.ledger) == done


def test_every_answer_carries_the_headers_that_keep_it_ours(detection: Any, owner: Client) -> None:
    for name in GUARDED:
        answer = next(iter(methods_of(owner, address(name, detection)).values()))
        assert "no-store" in answer["Cache-Control"], name
        assert answer["X-Content-Type-Options"] == "nosniff", name
        assert answer["Referrer-Policy"] == "same-origin", name
        assert answer["Cross-Origin-Opener-Policy"] == "same-origin", name
        assert answer["Cross-Origin-Resource-Policy"] == "same-origin", name
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy, name
        assert "unsafe" not in policy, name
