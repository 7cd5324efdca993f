"""What tests of sign-in have in common: going through the steps as a browser does."""

from __future__ import annotations

import re
import time
from typing import Any

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.http import HttpResponse
from django.test import Client

from dashboard.access.models import Member

LOGIN = "/account/login/"
SECOND_STEP = "/account/login/second-step/"
PASSWORD = "correct horse battery"
NEW = "a rather different battery"
_TOKEN = re.compile(rb'(name="csrfmiddlewaretoken" value="|<meta name="csrf" content=")[^"]+')


def sign_in(client: Client, name: str = "ana", password: str = PASSWORD, **more: Any) -> HttpResponse:
    return client.post(LOGIN, {"username": name, "password": password}, **more)


def is_in(client: Client) -> bool:
    return client.get("/account/preferences/").status_code == 200


def without_tokens(response: HttpResponse) -> bytes:
    """The page without what is drawn by lot for each answer."""
    return _TOKEN.sub(b"", response.content)


def set_up_app(member: Member) -> str:
    """An authenticator app; answers with its secret."""
    secret = generate_totp_secret()
    TOTP.activate(member, secret)
    return secret


def code_of(secret: str, *, steps: int = 0) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))


def set_up_codes(member: Member) -> list[str]:
    return RecoveryCodes.activate(member).generate_codes()
