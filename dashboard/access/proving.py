"""Forms by which people prove who they are; each attempt is counted, whatever it proves."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.account.forms import ChangePasswordForm, LoginForm, ReauthenticateForm, ResetPasswordKeyForm
from allauth.account.models import Login
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as ReauthenticateByCodeForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.contrib.auth import authenticate
from django.core.cache import cache
from django.core.exceptions import ValidationError

from dashboard.access import browsers, throttle
from dashboard.access.models import Member
from dashboard.access.oidc_admission import may_sign_in_locally

NO_PASSKEY = "The passkey was not accepted. Try again."
WRONG = "User name or password is not right."
_CODE_SECONDS = 120  # longer than any code is taken for


class Counted:
    """A form whose attempts are counted. `retry_after` is set where somebody has to wait."""

    retry_after: int | None = None
    is_first_refused = False

    @property
    def wait_in_words(self) -> str:
        return throttle.spelled(self.retry_after or 0)

    def begin(self, what: str, name: str) -> throttle.Attempt:
        request = context.request
        browser = browsers.familiar(request, name) if name else ""
        tried = throttle.attempt(what, name, str(request.META.get("REMOTE_ADDR", "")), browser=browser)
        if tried.wait:
            self.retry_after, self.is_first_refused = tried.wait, tried.is_first_refused
            raise ValidationError(throttle.words(tried.wait), code="throttled")
        return tried


class SignInForm(Counted, LoginForm):  # type: ignore[misc]
    """Name and password; every wrong cause gives the same sentence, so that nobody learns which names exist."""

    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["login"]  # allauth's name for it
        self.order_fields(["username", "password"])
        plain_password(self.fields["password"])

    def clean(self) -> dict[str, Any]:
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        given: dict[str, Any] = self.cleaned_data
        if not name or not password:
            return given
        tried = self.begin("password", name)
        member = authenticate(self.request, username=name, password=password)
        if member is None or not may_sign_in_locally(member):
            raise ValidationError(WRONG, code="wrong")
        tried.was_right()
        self.user, self._login = member, Login(user=member)
        return given

    def user_credentials(self) -> dict[str, str]:
        return {"username": self.cleaned_data["username"], "password": self.cleaned_data["password"]}


class CodeForm(Counted):
    """A code of an authenticator app, or a recovery code. A code of the app is taken once."""

    user: Member
    authenticator: Authenticator

    def clean_code(self) -> str:
        tried = self.begin("factor", self.user.username)
        code: str = super().clean_code()  # type: ignore[misc]
        if self.authenticator.type == Authenticator.Type.TOTP:
            use_code(self.user, code)
        tried.was_right()
        return code


def use_code(member: Member, code: str) -> None:
    """Take a code out of use: it is right for a minute and a half, and must not open the door a second time."""
    digits = "".join(character for character in code if character.isdigit())
    if not cache.add(f"totp.used:{member.pk}:{digits}", 1, timeout=_CODE_SECONDS):
        raise ValidationError("This code is not right, or was used already.", code="incorrect_code")


class SecondStepForm(CodeForm, AuthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain_code(self.fields["code"], "Code from your app, or a recovery code")


class ProveByCodeForm(CodeForm, ReauthenticateByCodeForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain_code(self.fields["code"], "Code from your app, or a recovery code")


class SetUpAppForm(ActivateTOTPForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain_code(self.fields["code"], "Code the app shows")

    def clean_code(self) -> str:
        code: str = super().clean_code()
        use_code(self.user, code)
        return code


@contextmanager
def hostile_credential() -> Iterator[None]:
    """What claims to be a browser's answer may be anything, and the decoder below stumbles over some of it."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error) as problem:
        raise ValidationError(NO_PASSKEY, code="incorrect_code") from problem


class PasskeyStep(Counted):
    """A signed challenge of somebody whose name is known."""

    user: Member

    def clean_credential(self) -> Authenticator:
        tried = self.begin("factor", self.user.username)
        with hostile_credential():
            found = super().clean_credential()  # type: ignore[misc]
        tried.was_right()
        return found


class SecondStepPasskeyForm(PasskeyStep, AuthenticateWebAuthnForm):  # type: ignore[misc]
    pass


class ProveByPasskeyForm(PasskeyStep, ReauthenticateWebAuthnForm):  # type: ignore[misc]
    pass


class PasskeySignInForm(Counted, LoginWebAuthnForm):  # type: ignore[misc]
    """A passkey instead of name and password: nothing can be guessed, so only the address counts."""

    def clean_credential(self) -> Authenticator:
        tried = self.begin("passkey", "")
        with hostile_credential():
            found = super().clean_credential()
        if not found.user.is_active or not may_sign_in_locally(found.user):
            raise ValidationError(WRONG, code="wrong")
        tried.was_right()
        return found


class AddPasskeyForm(AddWebAuthnForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name = self.fields["name"]
        name.label, name.max_length = "Name", 60
        name.widget.attrs["maxlength"] = "60"
        name.help_text = "So that you know it again, such as the device it is on."
        if not may_sign_in_locally(self.user):
            del self.fields["passwordless"]  # theirs is a second step after the provider, and no way around it
            return
        self.fields["passwordless"].label = "Sign in with it alone, without name and password"
        self.fields["passwordless"].help_text = ""

    def clean(self) -> dict[str, Any]:
        with hostile_credential():
            given: dict[str, Any] = super().clean()
        return given


class ProveByPasswordForm(Counted, ReauthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain_password(self.fields["password"])

    def clean_password(self) -> str:
        tried = self.begin("password", self.user.username)
        if not self.user.check_password(self.cleaned_data["password"]) or not may_sign_in_locally(self.user):
            raise ValidationError("The password is not right.", code="wrong")
        tried.was_right()
        return str(self.cleaned_data["password"])


class NewPasswordForm(Counted, ChangePasswordForm):  # type: ignore[misc]
    """One's own password, changed by whoever knows the old one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain_password(self.fields["oldpassword"], "Old password")
        new_passwords(self.fields)

    def clean_oldpassword(self) -> str:
        tried = self.begin("password", self.user.username)
        if not self.user.check_password(self.cleaned_data["oldpassword"]):
            raise ValidationError("The old password is not right.", code="wrong")
        tried.was_right()
        return str(self.cleaned_data["oldpassword"])


class ResetForm(Counted, forms.Form):
    """Where to send a link for a new password; the answer is the same whether anybody has this address."""

    email = forms.EmailField(
        label="E-mail address", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "email"})
    )

    def clean_email(self) -> str:
        self.begin("reset", self.cleaned_data["email"])
        return str(self.cleaned_data["email"]).lower()


class ResetPasswordForm(ResetPasswordKeyForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        new_passwords(self.fields)


def plain_password(field: forms.Field, label: str = "Password") -> None:
    field.label, field.help_text = label, ""
    field.widget.attrs.pop("placeholder", None)


def new_passwords(fields: dict[str, forms.Field]) -> None:
    plain_password(fields["password1"], "New password")
    plain_password(fields["password2"], "New password again")
    fields["password1"].help_text = "At least 12 characters; a few words in a row are good."


def plain_code(field: forms.Field, label: str) -> None:
    field.label = label
    field.widget.attrs.pop("placeholder", None)
    field.widget.attrs.update(
        {"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True, "maxlength": "20"}
    )
