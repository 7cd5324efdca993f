"""Second factors: set up, used once, needed by role, encrypted where they lie."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from bs4 import BeautifulSoup
from django.conf import settings as real_settings
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from time_machine import Traveller as Clock

from dashboard.access import sealing, sessions
from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import Permission, Role
from dashboard.audit.models import AuditEvent
from tests.conftest import HTMX
from tests.dashboard.access.sign_in import NEW, PASSWORD, SECOND_STEP, code_of, is_in, set_up_app, set_up_codes, sign_in
from tests.test_invariants import ADDRESSES

NOON = "2026-11-21T12:00:00+00:00"


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def actions() -> list[tuple[str, str]]:
    return list(AuditEvent.objects.order_by("sequence").values_list("action", "phase"))


def test_the_password_alone_does_not_open(clock: Clock, client: Client, ana: Member) -> None:
    secret = set_up_app(ana)
    assert sign_in(client, next="/investigate/")["Location"] == SECOND_STEP
    assert not is_in(client)
    assert client.post(SECOND_STEP, {"code": code_of(secret)})["Location"] == "/investigate/"
    assert is_in(client)
    assert actions() == [("account:factor_use", "done"), ("account:sign_in", "done")]
    assert AuditEvent.objects.get(action="account:sign_in").detail == {"by": ["password", "totp"]}


def test_the_second_step_goes_back_to_where_one_was(clock: Clock, client: Client, ana: Member) -> None:
    secret = set_up_app(ana)
    client.post(
        "/account/login/", {"username": "ana", "password": "correct horse battery", "next": "/investigate/?q=x"}
    )
    assert client.post(SECOND_STEP, {"code": code_of(secret)})["Location"] == "/investigate/?q=x"


def test_without_the_first_step_there_is_no_second(client: Client, db: None) -> None:
    assert client.get(SECOND_STEP)["Location"] == "/account/login/"


def _disabled(ana: Member) -> None:
    Member.objects.filter(pk=ana.pk).update(is_active=False)


def _given_another_password(ana: Member) -> None:
    ana.set_password(NEW)
    ana.save(update_fields=["password"])


@pytest.mark.parametrize("change", [_disabled, _given_another_password, sessions.end_sessions])
def test_a_sign_in_that_waits_for_its_second_step_ends_with_the_sessions(
    change: Callable[[Member], object], clock: Clock, client: Client, ana: Member
) -> None:
    secret = set_up_app(ana)
    sign_in(client)
    clock.shift(1)
    change(ana)

    client.post(SECOND_STEP, {"code": code_of(secret)})

    assert not is_in(client)
    assert "account_login" not in client.session
    assert AuditEvent.objects.get(action="account:sign_in").phase == "refused"

    clock.shift(60)
    Member.objects.update(is_active=True, password=ana.password)
    sign_in(client, password=NEW if change is _given_another_password else PASSWORD)
    client.post(SECOND_STEP, {"code": code_of(secret)})
    assert is_in(client), "a new sign-in is not held back"


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_clock_that_is_a_little_off_is_forgiven(clock: Clock, client: Client, ana: Member, steps: int) -> None:
    secret = set_up_app(ana)
    sign_in(client)
    assert client.post(SECOND_STEP, {"code": code_of(secret, steps=steps)}).status_code == 302


@pytest.mark.parametrize("steps", [-2, 2])
def test_a_code_from_another_time_is_refused(clock: Clock, client: Client, ana: Member, steps: int) -> None:
    secret = set_up_app(ana)
    sign_in(client)
    assert client.post(SECOND_STEP, {"code": code_of(secret, steps=steps)}).status_code == 422
    assert actions() == [("account:factor_use", "refused")]


@pytest.mark.parametrize("later", [0, 31, 59])
def test_a_code_works_once_as_long_as_it_would_be_right(clock: Clock, client: Client, ana: Member, later: int) -> None:
    secret = set_up_app(ana)
    code = code_of(secret, steps=1)
    sign_in(client)
    client.post(SECOND_STEP, {"code": code})
    clock.shift(later)
    thief = Client()
    sign_in(thief)
    assert thief.post(SECOND_STEP, {"code": code}).status_code == 422
    assert thief.post(SECOND_STEP, {"code": f"{code[:3]} {code[3:]}"}).status_code == 422
    assert not is_in(thief)


def test_a_recovery_code_works_once(clock: Clock, client: Client, ana: Member) -> None:
    set_up_app(ana)
    code = set_up_codes(ana)[0]
    sign_in(client)
    assert client.post(SECOND_STEP, {"code": code}).status_code == 302
    assert ("account:recovery_code_use", "done") in actions()
    thief = Client()
    sign_in(thief)
    assert thief.post(SECOND_STEP, {"code": code}).status_code == 422


def test_beginning_again_forgets_the_first_step(clock: Clock, client: Client, ana: Member) -> None:
    set_up_app(ana)
    sign_in(client)
    client.post("/account/logout/")
    assert client.get(SECOND_STEP)["Location"] == "/account/login/"


def test_the_sign_in_page_opens_again_between_the_steps(clock: Clock, client: Client, ana: Member) -> None:
    set_up_app(ana)
    sign_in(client)
    assert client.get("/account/login/").status_code == 200


def test_the_first_step_is_worth_ten_minutes(clock: Clock, client: Client, ana: Member) -> None:
    secret = set_up_app(ana)
    sign_in(client)
    clock.shift(601)
    assert client.post(SECOND_STEP, {"code": code_of(secret)})["Location"] == "/account/login/"


def test_somebody_disabled_between_the_steps_does_not_get_in(clock: Clock, client: Client, ana: Member) -> None:
    secret = set_up_app(ana)
    sign_in(client)
    Member.objects.filter(pk=ana.pk).update(is_active=False)
    client.post(SECOND_STEP, {"code": code_of(secret)})
    assert not is_in(client)


# --- one's own factors --------------------------------------------------------------------------------------------


def test_an_app_is_set_up_and_recovery_codes_are_shown_once(clock: Clock, analyst: Client, ana: Member) -> None:
    page = BeautifulSoup(analyst.get("/account/factors/app/").content, "html.parser")
    secret = page.select_one("#app-key").text
    picture = analyst.get(page.select_one("img.square")["src"])
    assert picture["Content-Type"] == "image/svg+xml"
    assert b"<path" in picture.content

    assert analyst.post("/account/factors/app/", {"code": "000000"}).status_code == 422
    code = code_of(secret)
    assert analyst.post("/account/factors/app/", {"code": code})["Location"] == "/account/factors/codes/"
    codes = BeautifulSoup(analyst.get("/account/factors/codes/").content, "html.parser").select(".codes code")
    assert len({one.text for one in codes}) == 10
    again = analyst.get("/account/factors/codes/").content.decode()
    assert "not shown again" in again
    assert codes[0].text not in again
    assert ("account:factor_add", "done") in actions()

    thief = Client()
    sign_in(thief)
    assert thief.post(SECOND_STEP, {"code": code}).status_code == 422  # the code of the set-up is used


def test_new_recovery_codes_end_the_old_ones(clock: Clock, analyst: Client, ana: Member) -> None:
    set_up_app(ana)
    old = set_up_codes(ana)
    assert analyst.post("/account/factors/codes/new/").status_code == 302
    client = Client()
    sign_in(client)
    assert client.post(SECOND_STEP, {"code": old[0]}).status_code == 422


def test_removing_the_last_factor_removes_the_recovery_codes(analyst: Client, ana: Member) -> None:
    set_up_app(ana)
    set_up_codes(ana)
    assert analyst.post("/account/factors/app/remove/").status_code == 302
    assert not Authenticator.objects.exists()
    assert actions() == [("account:factor_remove", "done")]


def test_somebody_elses_passkey_is_not_there(analyst: Client, ben: Member) -> None:
    foreign = Authenticator.objects.create(user=ben, type="webauthn", data={"name": "key"})
    assert analyst.post(f"/account/factors/passkeys/{foreign.pk}/remove/").status_code == 404
    assert Authenticator.objects.exists()


@pytest.mark.parametrize("path", ["/account/factors/passkeys/add/", "/account/login/passkey/"])
@pytest.mark.parametrize(
    "credential", ["", "{}", "[]", '{"id":1}', "not json", '{"response":{"userHandle":"MQ"}}', "1"]
)
def test_nonsense_instead_of_a_passkey_is_refused(analyst: Client, db: None, path: str, credential: str) -> None:
    client = analyst if "factors" in path else Client()
    client.get(path)
    assert client.post(path, {"credential": credential, "name": "x"}).status_code == 422


@pytest.mark.parametrize(
    "path", ["/account/factors/app/", "/account/factors/passkeys/add/", "/account/factors/codes/new/"]
)
def test_changing_factors_takes_a_fresh_proof(clock: Clock, analyst: Client, path: str) -> None:
    clock.shift(601)
    assert analyst.get(path)["Location"] == f"/account/prove/?next={path.replace('/', '%2F')}"
    assert analyst.get(path, headers=HTMX)["HX-Redirect"].startswith("/account/prove/?next=")


# --- how they are kept --------------------------------------------------------------------------------------------


def test_secrets_are_encrypted_and_keys_can_be_changed(clock: Clock, client: Client, ana: Member, settings) -> None:
    secret = set_up_app(ana)
    set_up_codes(ana)
    stored = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored

    settings.FACTOR_KEYS = ["a first key that is long enough for it"]
    call_command("rotate_factor_key", stdout=(said := io.StringIO()))
    assert "2 factors" in said.getvalue()
    settings.SECRET_KEY = "another secret key, as after a leak of the first"
    sign_in(client)
    assert client.post(SECOND_STEP, {"code": code_of(secret)}).status_code == 302

    settings.FACTOR_KEYS = ["a second key that is long enough for us", *settings.FACTOR_KEYS]
    call_command("rotate_factor_key", stdout=io.StringIO())
    settings.FACTOR_KEYS = settings.FACTOR_KEYS[:1]
    assert sealing.unseal(Authenticator.objects.get(type="totp").data["secret"]) == secret
    settings.FACTOR_KEYS = []
    with pytest.raises(sealing.Unreadable):
        sealing.unseal(Authenticator.objects.get(type="totp").data["secret"])


# --- needed by role -----------------------------------------------------------------------------------------------


@pytest.fixture
def needed(settings) -> None:
    settings.MFA_ROLES = frozenset({Role.ANALYST})


OPEN = {
    "account_reauthenticate", "mfa_reauthenticate", "mfa_reauthenticate_webauthn", "account_change_password",
    "password_change", "preferences", "switch", "app_picture", "end_session", "end_other_sessions",
    "mfa_index", "mfa_activate_totp", "mfa_deactivate_totp", "mfa_add_webauthn", "mfa_remove_webauthn",
    "mfa_view_recovery_codes", "mfa_generate_recovery_codes", "usersessions_list",
}  # fmt: skip


def test_every_other_address_leads_to_the_set_up(needed: None) -> None:
    """The gate knows the views by their mark, so the marks are what has to be right."""
    marked = {pattern.name for _, pattern in ADDRESSES if getattr(pattern.callback, "opens_without_factor", False)}
    assert marked == OPEN


@pytest.mark.parametrize("name", ["investigate:search", "investigate:actions", "investigate:jobs", "investigate:paste"])
def test_without_the_factor_a_role_needs_nothing_opens(
    analyst: Client, emailsec: object, needed: None, name: str
) -> None:
    url = reverse(name)
    assert analyst.get(url)["Location"] == "/account/factors/"
    fragment = analyst.get(url, headers=HTMX)
    assert (fragment.status_code, fragment["HX-Redirect"]) == (401, "/account/factors/")
    assert analyst.post(url).status_code in (302, 405)
    page = analyst.get("/account/factors/")
    assert "Your role needs a second factor" in page.content.decode()
    assert analyst.post("/account/logout/").status_code == 303


def test_with_the_factor_everything_opens(analyst: Client, ana: Member, emailsec: object, needed: None) -> None:
    set_up_app(ana)
    assert analyst.get("/investigate/").status_code == 200


def test_a_factor_is_asked_for_once_and_forgotten_with_its_removal(
    analyst: Client, ana: Member, settings, clock: Clock
) -> None:
    needed = settings.MFA_ROLES = frozenset({Role.ANALYST})
    set_up_app(ana)
    analyst.force_login(ana)  # a session of this moment
    asked = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert analyst.get("/account/preferences/").status_code == 200
            assert analyst.get("/audit/").status_code == 403
        asked.append(sum("mfa_authenticator" in one["sql"] for one in queries))
    assert asked == [1, 0]

    settings.MFA_ROLES = frozenset()
    analyst.post("/account/factors/app/remove/")
    settings.MFA_ROLES = needed
    assert analyst.get("/audit/")["Location"] == "/account/factors/"


def test_recovery_codes_alone_are_no_factor(analyst: Client, ana: Member, needed: None) -> None:
    set_up_codes(ana)
    assert analyst.get("/investigate/").status_code == 302


def test_the_last_factor_a_role_needs_stays(analyst: Client, ana: Member, needed: None) -> None:
    set_up_app(ana)
    assert "Add another one before you remove this" in analyst.get("/account/factors/app/remove/").content.decode()
    assert analyst.post("/account/factors/app/remove/").status_code == 422
    passkey = Authenticator.objects.create(user=ana, type="webauthn", data={"name": "key", "credential": {}})
    assert analyst.post("/account/factors/app/remove/").status_code == 302
    path = f"/account/factors/passkeys/{passkey.pk}/remove/"
    assert "Add another one before you remove this" in analyst.get(path).content.decode()
    assert analyst.post(path).status_code == 409
    assert Authenticator.objects.filter(pk=passkey.pk).exists()


def test_other_roles_need_none(viewer: Client, emailsec: object, needed: None) -> None:
    assert viewer.get("/investigate/").status_code == 200


def test_a_role_of_the_team_can_need_one(client: Client, emailsec: object) -> None:
    TeamRole.objects.create(
        name="night", label="Night", permissions=[Permission.ACCOUNT_OWN, Permission.MESSAGE_READ],
        needs_second_factor=True,
    )  # fmt: skip
    member = Member.objects.create_user("nora", role="night")
    client.force_login(member)
    assert client.get("/investigate/")["Location"] == "/account/factors/"
    set_up_app(member)
    assert client.get("/investigate/").status_code == 200


def test_nothing_is_stored_as_it_was_set_up() -> None:
    assert real_settings.MFA_ADAPTER == "dashboard.access.adapter.FactorAdapter"
    assert sealing.seal("x") != sealing.seal("x")
