"""What groups at the provider grant, afresh at each sign-in, and who a person is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.http import HttpResponse
from django.test import Client

from dashboard.access.models import Member, TeamRole
from dashboard.access.oidc_admission import is_managed_by_sso
from dashboard.access.oidc_settings import Grant, SingleSignOn
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from tests.dashboard.access.oidc.providers import CLIENT_SECRET, ISSUER, LyingProvider, RealProvider, come_back, leave

Go = Callable[..., HttpResponse]


def signed_in(client: Client) -> bool:
    return client.get("/account/preferences/").status_code == 200


def last() -> AuditEvent:
    event = AuditEvent.objects.filter(action="account:sign_in").last()
    assert event is not None
    return event


# --- a real provider ----------------------------------------------------------------------------------------------


def test_a_person_is_made_a_member_at_the_first_sign_in(real: RealProvider, client: Client) -> None:
    real.knows("ana-1", preferred_username="Ana.Kovac", given_name="Ana", family_name="Kovač", groups=["soc-analysts"])

    answer = come_back(client, real.authorize(leave(client, next="/account/preferences/"), "ana-1"))

    assert (answer.status_code, answer["Location"]) == (302, "/account/preferences/")
    member = Member.objects.get()
    assert (member.username, member.display_name, member.role) == ("ana.kovac", "Ana Kovač", Role.ANALYST)
    assert not member.has_usable_password()
    assert is_managed_by_sso(member)
    assert signed_in(client)
    assert last().actor_name == "Ana Kovač"
    assert last().detail == {"by": ["sso"], "group": "soc-analysts", "role": "analyst", "domains": []}
    made = AuditEvent.objects.get(action="team:add_member")
    assert (made.actor_name, made.targets, made.detail["subject"]) == ("Mailwarden", ["ana.kovac"], "ana-1")


def test_a_changed_group_is_a_changed_role_at_the_next_sign_in(real: RealProvider, client: Client) -> None:
    real.knows("ben-1", preferred_username="ben", groups=["everybody", "soc-analysts"])
    come_back(client, real.authorize(leave(client), "ben-1"))
    member = Member.objects.get()

    real.knows("ben-1", preferred_username="ben", groups=["everybody", "soc-analysts", "soc-leads"])
    come_back(client, real.authorize(leave(client), "ben-1"))

    member.refresh_from_db()
    assert member.role == Role.RESPONDER
    assert last().detail == {
        "by": ["sso"], "group": "soc-leads", "role": "responder", "domains": [],
    }  # fmt: skip
    changed = AuditEvent.objects.get(action="team:change_member")
    assert changed.targets == ["ben"]
    assert (changed.detail["before"]["role"], changed.detail["after"]["role"]) == ("analyst", "responder")
    assert Member.objects.count() == SocialAccount.objects.count() == 1


def test_who_has_left_the_group_is_refused_and_signed_out_everywhere(real: RealProvider, client: Client) -> None:
    elsewhere = Client()
    real.knows("cem-1", preferred_username="cem", groups=["soc-leads"])
    come_back(elsewhere, real.authorize(leave(elsewhere), "cem-1"))
    assert signed_in(elsewhere)

    real.knows("cem-1", preferred_username="cem", groups=["everybody"])
    answer = come_back(client, real.authorize(leave(client), "cem-1"))

    assert answer.status_code == 403
    assert "You have no access to this desk." in answer.content.decode()
    assert not signed_in(client)
    assert not signed_in(elsewhere)
    assert (last().phase, last().targets) == ("refused", ["cem"])
    assert last().detail == {"by": "sso", "cause": "in no group that has a role", "subject": "cem-1"}

    real.knows("cem-1", preferred_username="cem", groups=["soc-analysts"])
    come_back(client, real.authorize(leave(client), "cem-1"))
    assert signed_in(client)
    assert Member.objects.get().role == Role.ANALYST


@pytest.mark.parametrize("claims", [{"groups": []}, {"groups": ["everybody"]}, {}], ids=["none", "another", "untold"])
def test_who_is_in_no_group_of_ours_is_nobody_here(claims: dict[str, Any], real: RealProvider, client: Client) -> None:
    real.knows("eve-1", preferred_username="eve", **claims)

    answer = come_back(client, real.authorize(leave(client), "eve-1"))

    assert answer.status_code == 403
    assert not Member.objects.exists()
    assert not SocialAccount.objects.exists()


def test_who_denies_at_the_provider_gets_a_page(real: RealProvider, client: Client) -> None:
    state = leave(client).partition("state=")[2].partition("&")[0]

    answer = client.get("/account/sso/callback/", {"error": "access_denied", "state": state})

    assert answer.status_code == 403
    assert "cancelled at Corp Login" in answer.content.decode()


# --- what groups grant --------------------------------------------------------------------------------------------


def test_the_first_group_in_written_order_decides(provider: LyingProvider, sign_in: Go) -> None:
    provider.groups = ["soc-analysts", "soc-leads"]

    sign_in()

    assert Member.objects.get().role == Role.RESPONDER


@pytest.mark.parametrize("groups", [None, {"soc-leads": True}, 7, "soc-lead", ["SOC-LEADS"], [["soc-leads"]]])
def test_what_is_no_group_of_ours_opens_nothing_even_with_a_default_role(
    groups: object, provider: LyingProvider, sign_in: Go, sso: Any
) -> None:
    provider.groups = groups

    assert sign_in().status_code == 403
    assert not Member.objects.exists()


def test_without_groups_there_is_no_default_role(provider: LyingProvider, sign_in: Go, sso: Any) -> None:
    sso(default_role="viewer")
    provider.groups = None
    assert sign_in().status_code == 403
    assert last().detail["cause"] == "provider told no groups"

    provider.groups = ["everybody"]
    assert sign_in().status_code == 302
    assert (Member.objects.get().role, last().detail["group"]) == (Role.VIEWER, "")


def test_one_group_may_be_told_as_a_word(provider: LyingProvider, sign_in: Go) -> None:
    provider.groups = "soc-leads"

    assert sign_in().status_code == 302


def test_groups_may_come_in_another_claim_of_the_token(provider: LyingProvider, sign_in: Go, sso: Any) -> None:
    sso(groups_claim="https://corp.example/roles")
    provider.claim = lambda honest: {**honest, "https://corp.example/roles": ["soc-leads"]}

    assert sign_in().status_code == 302
    assert Member.objects.get().role == Role.RESPONDER


def test_what_is_signed_counts_more_than_what_the_user_info_says(provider: LyingProvider, sign_in: Go) -> None:
    provider.groups = ["soc-leads"]
    provider.claim = lambda honest: {**honest, "groups": ["soc-analysts"]}

    sign_in()

    assert Member.objects.get().role == Role.ANALYST


def test_a_group_may_have_a_role_of_the_team(provider: LyingProvider, sign_in: Go, sso: Any) -> None:
    sso(roles=(("soc-analysts", "night-shift"),))
    assert sign_in().status_code == 403
    assert last().detail["cause"] == "role night-shift does not exist"

    TeamRole.objects.create(name="night-shift", label="Night shift", permissions=["message:read"])
    assert sign_in().status_code == 302
    assert Member.objects.get().role == "night-shift"


def test_a_role_set_by_hand_lasts_until_the_next_sign_in(provider: LyingProvider, sign_in: Go) -> None:
    sign_in()
    Member.objects.update(role=Role.ADMIN, domains=["corp.example"])

    sign_in()

    member = Member.objects.get()
    assert (member.role, member.domains) == (Role.ANALYST, ["corp.example"])  # no domains are configured
    assert AuditEvent.objects.get(action="team:change_member").detail["before"]["role"] == "admin"


@pytest.mark.parametrize(
    ("groups", "domains"),
    [
        (["soc-analysts", "emea"], ["corp.example", "emea.example"]),
        (["soc-analysts", "emea", "apac"], ["apac.example", "corp.example", "emea.example"]),
        (["soc-analysts", "emea", "all"], []),
        (["soc-analysts", "all"], []),
        (["soc-analysts"], None),
        (["emea"], None),
    ],
)
def test_groups_limit_to_domains(
    groups: list[str], domains: list[str] | None, provider: LyingProvider, sign_in: Go, sso: Any
) -> None:
    """Whoever is in no group with domains gets in nowhere: a missing group must not open all mail."""
    sso(domains={"emea": ("corp.example", "emea.example"), "apac": ("apac.example",), "all": ()})
    provider.groups = groups

    assert sign_in().status_code == (403 if domains is None else 302)
    assert list(Member.objects.values_list("domains", flat=True)) == ([] if domains is None else [domains])


# --- who somebody is ----------------------------------------------------------------------------------------------


def test_a_colleague_of_the_same_name_and_address_is_not_taken_over(
    provider: LyingProvider, sign_in: Go, client: Client
) -> None:
    local = Member.objects.create_user("nora", "Nora@corp.example", "correct horse battery", role=Role.ADMIN)
    before = Member.objects.filter(pk=local.pk).values().get()

    sign_in()

    assert Member.objects.filter(pk=local.pk).values().get() == before
    made = Member.objects.exclude(pk=local.pk).get()
    assert (made.username, made.email, made.role) == ("nora-2", "", Role.ANALYST)
    assert not is_managed_by_sso(local)

    provider.sub = "another Nora"
    sign_in(Client())
    assert sorted(Member.objects.values_list("username", flat=True)) == ["nora", "nora-2", "nora-3"]


def test_a_person_is_the_same_under_another_name_and_address(provider: LyingProvider, sign_in: Go) -> None:
    sign_in()
    provider.person = {"preferred_username": "nora.berg", "name": "Nora Berg", "email": "nora.berg@corp.example"}

    sign_in()

    member = Member.objects.get()
    assert (member.username, member.display_name) == ("nora", "Nora Berg")
    assert member.email == "nora@corp.example"  # the new one is not verified


def test_the_same_subject_of_another_issuer_is_somebody_else(provider: LyingProvider, sign_in: Go, sso: Any) -> None:
    sign_in()
    SocialAccount.objects.update(provider="https://old.corp.example")

    sign_in()

    assert Member.objects.count() == 2


def test_subjects_differ_in_capitals(provider: LyingProvider, sign_in: Go) -> None:
    provider.sub = "abc"
    sign_in()
    provider.sub = "ABC"
    sign_in()

    assert Member.objects.count() == 2


def test_a_long_subject_is_still_one_person(provider: LyingProvider, sign_in: Go) -> None:
    provider.sub = "a" * 255
    sign_in()
    sign_in()
    provider.sub = "a" * 254
    sign_in()

    assert Member.objects.count() == 2


@pytest.mark.parametrize(
    ("person", "name"),
    [
        ({"preferred_username": "CORP\\Åsa Öberg@corp.example"}, "corpasa.oberg"),
        ({"preferred_username": "<script>alert(1)</script>"}, "scriptalert1script"),
        ({"preferred_username": "\u202eadmin"}, "admin"),
        ({"preferred_username": "\u0430dmin"}, "dmin"),  # the first letter is Cyrillic
        ({"preferred_username": "李", "email": "li@corp.example"}, "li"),
        ({"preferred_username": ["nora"], "name": {"x": 1}}, "member"),
        ({"preferred_username": "a" * 500}, "a" * 60),
        ({}, "member"),
    ],
)
def test_names_become_user_names_that_look_like_no_other(
    person: dict[str, Any], name: str, provider: LyingProvider, sign_in: Go
) -> None:
    provider.person = person

    assert sign_in().status_code == 302
    assert Member.objects.get().username == name


def test_a_disabled_member_reads_the_same_words_as_a_stranger(provider: LyingProvider, sign_in: Go) -> None:
    sign_in()
    Member.objects.update(is_active=False)
    disabled = sign_in(Client())
    cause = last().detail["cause"]
    provider.sub, provider.groups = "a stranger", []
    stranger = sign_in(Client())

    assert cause == "member is disabled"
    assert disabled.status_code == stranger.status_code == 403
    words = [answer.content.decode().partition("<h1>")[2].partition("Reference")[0] for answer in (disabled, stranger)]
    assert words[0] == words[1] != ""


# --- the conversation ---------------------------------------------------------------------------------------------


def test_the_browser_leaves_with_what_binds_the_answer_to_it(provider: LyingProvider, client: Client) -> None:
    first, second = (parse_qs(urlsplit(leave(client)).query) for _ in range(2))

    assert first["code_challenge_method"] == ["S256"]
    assert len(first["code_challenge"][0]) == 43
    assert set(first["scope"][0].split()) == {"openid", "profile", "email"}
    assert first["redirect_uri"] == ["http://testserver/account/sso/callback/"]
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]
        assert len(first[name][0]) >= 16
    assert CLIENT_SECRET not in str(first)


def test_nothing_in_the_request_changes_what_is_asked_of_the_provider(provider: LyingProvider, client: Client) -> None:
    answer = client.post(
        "/account/sso/?process=connect&scope=admin&auth_params=prompt%3Dnone%26redirect_uri%3Dhttps://evil.example",
        {"process": "redirect", "next": "//evil.example", "scope": "admin"},
    )

    address = answer["Refresh"]
    assert "admin" not in address
    assert "evil" not in address
    assert "prompt" not in address
    assert come_back(client, provider.authorize(address.partition(";url=")[2]))["Location"] == "/investigate/"


@pytest.mark.parametrize("way", ["https://evil.example/", "//evil.example", "/\\evil.example", "/account/login/", ""])
def test_after_the_sign_in_people_go_to_pages_of_this_desk(way: str, provider: LyingProvider, sign_in: Go) -> None:
    assert sign_in(next=way)["Location"] == "/investigate/"


def test_the_way_on_cannot_be_changed_on_the_way_back(provider: LyingProvider, client: Client) -> None:
    back = provider.authorize(leave(client))

    assert come_back(client, f"{back}&next=/account/preferences/")["Location"] == "/investigate/"


def test_groups_are_asked_for_where_the_provider_has_a_scope_of_that_name(
    provider: LyingProvider, client: Client
) -> None:
    provider.describe = lambda honest: {**honest, "scopes_supported": ["openid", "groups"]}

    assert "groups" in leave(client)


def test_a_provider_whose_address_has_a_query_keeps_it(provider: LyingProvider, client: Client) -> None:
    provider.describe = lambda honest: {**honest, "authorization_endpoint": f"{ISSUER}/authorize?policy=soc"}

    address = leave(client)

    assert address.count("?") == 1
    assert address.endswith("&policy=soc")


@pytest.mark.parametrize(
    ("methods", "in_form"),
    [(None, False), (["client_secret_basic"], False), (["client_secret_basic", "client_secret_post"], True)],
)
def test_the_secret_goes_where_the_provider_wants_it(
    methods: list[str] | None, in_form: bool, provider: LyingProvider, sign_in: Go
) -> None:
    provider.describe = lambda honest: {**honest, "token_endpoint_auth_methods_supported": methods}

    assert sign_in().status_code == 302
    assert ("client_secret" in provider.forms[0]) == in_form


def test_no_token_is_kept_anywhere(provider: LyingProvider, sign_in: Go, client: Client, caplog: Any) -> None:
    tokens: list[str] = []
    honest = provider.sign
    provider.sign = lambda claims: tokens.append(honest(claims)) or tokens[-1]  # type: ignore[func-returns-value]

    sign_in()

    assert not SocialToken.objects.exists()
    assert SocialAccount.objects.get().extra_data == {"group": "soc-analysts"}
    kept = f"{list(client.session.items())}{list(AuditEvent.objects.values())}{caplog.text}"
    assert tokens[0] not in kept
    assert "of-the-provider" not in kept
    assert CLIENT_SECRET not in kept


def test_the_browser_gets_a_new_session(provider: LyingProvider, client: Client) -> None:
    address = leave(client)
    before = client.session.session_key

    come_back(client, provider.authorize(address))

    assert client.session.session_key != before


def test_whoever_signs_in_on_top_of_a_colleague_gets_none_of_their_session(
    provider: LyingProvider, sign_in: Go, admin: Client
) -> None:
    admin.session["of the colleague"] = "x"

    sign_in(admin)

    assert "of the colleague" not in admin.session
    assert admin.session["_auth_user_id"] == str(Member.objects.get(username="nora").pk)


@pytest.mark.matrix(68)
def test_the_same_person_twice_at_once_is_one_member(
    provider: LyingProvider, sign_in: Go, settings: Any, client: Client
) -> None:
    """Both find nobody and both make a member; who comes second takes the one that is there."""
    others: list[HttpResponse] = []

    class WhileAnotherSignsIn(SingleSignOn):
        def grant(self, groups: Any) -> Grant:
            if not others:
                others.append(HttpResponse())
                others.append(sign_in(Client()))
            return super().grant(groups)

    settings.SINGLE_SIGN_ON = WhileAnotherSignsIn(**vars(settings.SINGLE_SIGN_ON))

    assert sign_in().status_code == others[1].status_code == 302
    assert Member.objects.get().username == "nora"
    assert signed_in(client)
