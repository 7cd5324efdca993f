"""What takes a recent proof: the provider's own session is none, so the provider is asked to ask again."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from django.http import HttpResponse
from django.test import Client

from dashboard.audit.models import AuditEvent
from tests.dashboard.access.oidc.providers import LyingProvider, come_back, leave

GUARDED = "/account/factors/app/"  # a page that asks for a proof of the last ten minutes
Go = Callable[..., HttpResponse]


def proved(minutes_ago: float) -> Callable[[dict[str, object]], dict[str, object]]:
    return lambda honest: {**honest, "auth_time": int(time.time() - minutes_ago * 60)}


@pytest.mark.parametrize(("minutes_ago", "status"), [(1, 200), (60, 302), (None, 302)])
def test_what_counts_is_when_the_provider_asked(
    minutes_ago: float | None, status: int, provider: LyingProvider, sign_in: Go, client: Client
) -> None:
    if minutes_ago is not None:
        provider.claim = proved(minutes_ago)
    sign_in()

    answer = client.get(GUARDED)

    assert answer.status_code == status
    if status == 302:
        page = client.get(answer["Location"]).content.decode()
        assert '<input type="hidden" name="anew" value="1">' in page
        assert f'name="next" value="{GUARDED}"' in page.partition('id="sso"')[2].partition("</form>")[0]


@pytest.mark.parametrize("tells", [True, False])
def test_a_new_sign_in_at_the_provider_is_a_proof(
    tells: bool, provider: LyingProvider, sign_in: Go, client: Client
) -> None:
    sign_in()
    client.get(GUARDED)
    if tells:
        provider.claim = proved(0)

    address = leave(client, next=GUARDED, anew="1")
    assert "prompt=login" in address
    assert "max_age=0" in address
    assert come_back(client, provider.authorize(address))["Location"] == GUARDED

    assert client.get(GUARDED).status_code == 200


def test_a_provider_that_did_not_ask_again_is_refused(provider: LyingProvider, client: Client) -> None:
    provider.claim = proved(5)

    answer = come_back(client, provider.authorize(leave(client, anew="1")))

    assert answer.status_code == 403
    assert AuditEvent.objects.get().detail["cause"] == "provider did not ask anew"


def test_an_ordinary_sign_in_asks_for_nothing_more(provider: LyingProvider, client: Client) -> None:
    assert "anew" not in client.get("/account/login/").content.decode()
    assert "prompt" not in leave(client)
