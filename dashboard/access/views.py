"""Sign-in and sign-out, the pages that prove who somebody is, and one's own preferences."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from allauth.account import views as allauth_views
from allauth.account.internal import flows
from allauth.account.internal.stagekit import clear_login
from allauth.mfa.base import views as factor_views
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import views as passkey_views
from allauth.mfa.webauthn.internal import auth as passkeys
from django.conf import settings
from django.contrib.auth import logout, views
from django.contrib.auth.models import AnonymousUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render, resolve_url
from django.urls import reverse, reverse_lazy
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.access import sessions, tasks, throttle
from dashboard.access.decorators import MemberRequest, public, requires
from dashboard.access.destinations import safe_path
from dashboard.access.forms import PreferencesForm
from dashboard.access.models import Member, Theme
from dashboard.access.oidc_admission import may_sign_in_locally
from dashboard.access.roles import Permission
from dashboard.access.sessions import LONGEST
from dashboard.audit.recorder import record

if TYPE_CHECKING:
    from django.contrib.auth.forms import SetPasswordForm
    from django.forms import Form


def why_signed_out(cause: str) -> str:
    """What the sign-in page says to somebody whose session ended by itself; "" for whoever just comes."""
    back = "You will go back to where you were."
    hours, rest = divmod(settings.IDLE_MINUTES, 60)
    idle = f"{settings.IDLE_MINUTES} minutes" if rest or hours < 2 else f"{hours} hours"
    return {
        "idle": f"You were signed out after {idle}. {back}",
        "long": f"You were signed out after {LONGEST // 3600} hours. {back}",
        "proof": f"What you want to do takes a new sign-in. {back}",
    }.get(cause, "")


class Refusing:
    """Answers a form that is not accepted with 422, and with 429 whoever tries too often."""

    def form_invalid(self, form: Form) -> HttpResponse:
        return refused(super().form_invalid(form), form)  # type: ignore[misc]


def refused(response: HttpResponse, form: Form) -> HttpResponse:
    wait = getattr(form, "retry_after", None)
    response.status_code = 429 if wait else 422
    if wait:
        response["Retry-After"] = str(wait)
    return response


def as_json(options: object) -> str:
    """What the browser's passkey functions need, for an attribute of the page."""
    return json.dumps(options, cls=DjangoJSONEncoder)


class SignIn(Refusing, allauth_views.LoginView):  # type: ignore[misc]
    """Name and password; then the second step, or straight back to where one was."""

    template_name = "account/login.html"

    def _redirect_to_pending_stage(self, request: HttpRequest, stage: Any) -> None:  # noqa: ARG002
        """Whoever comes back to the first step begins again."""
        clear_login(request)

    def form_invalid(self, form: Any) -> HttpResponse:
        # A name nobody has may be a password typed into the wrong field, so it is not written down.
        name = form.cleaned_data.get("username", "")
        known = [name] if Member.objects.filter(username__iexact=name).exists() else []
        if form.retry_after is None or form.is_first_refused:
            detail = {"too_many": True} if form.retry_after else {}
            record(
                actor=AnonymousUser(), action="account:sign_in", targets=known, detail=detail,
                request=self.request, phase="refused",
            )  # fmt: skip
        return super().form_invalid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {
            **super().get_context_data(**kwargs),
            "next": safe_path(self.request.POST.get("next", self.request.GET.get("next")), ""),
            "ended": why_signed_out(self.request.GET.get("ended", "")),
            "was_reset": "reset" in self.request.GET,
            "is_refused": "refused" in self.request.GET,
            "sso": settings.SINGLE_SIGN_ON,
            "shows_password": not settings.SSO_ONLY or "local" in self.request.GET or self.request.method == "POST",
        }


@public("the way in")
def sign_in(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, SignIn.as_view()(request))


class SecondStep(Refusing, factor_views.AuthenticateView):  # type: ignore[misc]
    """A code or a passkey, after the password."""

    template_name = "mfa/authenticate.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        kinds = set(Authenticator.objects.filter(user=self.stage.login.user).values_list("type", flat=True))
        return {
            **context,
            "passkey_options": as_json(context["js_data"]["request_options"]),
            "has_passkey": Authenticator.Type.WEBAUTHN in kinds,
            "has_app": Authenticator.Type.TOTP in kinds,
        }


@public("the second step of a sign-in; without the first it leads there")
def second_step(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, SecondStep.as_view()(request))


class PasskeySignIn(passkey_views.LoginWebAuthnView):  # type: ignore[misc]
    """A passkey alone. The challenge is asked for when the button is pressed: looking at the page makes no session."""

    def _redirect_to_pending_stage(self, request: HttpRequest, stage: Any) -> None:  # noqa: ARG002
        clear_login(request)

    def get(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """The challenge, which makes a session: so it is counted as well."""
        wait = throttle.attempt("challenge", "", str(request.META.get("REMOTE_ADDR", ""))).wait
        if wait:
            return JsonResponse({"wait": wait}, status=429, headers={"Retry-After": str(wait)})
        return JsonResponse(passkeys.begin_authentication(user=None))

    def form_invalid(self, form: Any) -> HttpResponse:
        if form.retry_after is None or form.is_first_refused:
            record(
                actor=AnonymousUser(), action="account:sign_in", detail={"by": ["webauthn"]},
                request=self.request, phase="refused",
            )  # fmt: skip
        page = SignIn()
        page.setup(self.request)
        context = page.get_context_data(form=page.get_form_class()(request=self.request), passkey_form=form)
        return refused(render(self.request, "account/login.html", context), form)


@public("a way in")
def passkey_sign_in(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, PasskeySignIn.as_view()(request))


@public("ends the session of whoever asks, and does nothing for others")
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session, and have the browser forget what it kept of our pages."""
    if request.user.is_authenticated:
        record(actor=request.user, action="account:sign_out", request=request)
    return signed_out(request)


def signed_out(request: HttpRequest) -> HttpResponse:
    """End this session, a sign-in that is under way as well."""
    flows.logout.logout(request, show_message=False)
    logout(request)
    response = HttpResponseRedirect(resolve_url(settings.LOGOUT_REDIRECT_URL), status=303)
    response["Clear-Site-Data"] = '"cache", "storage"'
    return response


# --- once more who one is -----------------------------------------------------------------------------------------


class Proving(Refusing):
    """What the three ways to prove it again have in common: all lead back to where one was, by a link."""

    request: HttpRequest

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        back = safe_path(self.request.POST.get("next", self.request.GET.get("next")), "")
        return {**super().get_context_data(**kwargs), "next": back}  # type: ignore[misc]


class ProveByPassword(Proving, allauth_views.ReauthenticateView):  # type: ignore[misc]
    template_name = "account/reauthenticate.html"


class ProveByCode(Proving, factor_views.ReauthenticateView):  # type: ignore[misc]
    template_name = "mfa/reauthenticate.html"


class ProveByPasskey(Proving, passkey_views.ReauthenticateWebAuthnView):  # type: ignore[misc]
    template_name = "mfa/webauthn/reauthenticate.html"

    def form_invalid(self, form: Any) -> HttpResponse:
        return refused(self.render_to_response({**self.get_context_data(), "form": form}), form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return {**context, "passkey_options": as_json(context["js_data"]["request_options"])}


@requires(Permission.ACCOUNT_OWN)
def prove_by_password(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, ProveByPassword.as_view()(request))


@requires(Permission.ACCOUNT_OWN)
def prove_by_code(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, ProveByCode.as_view()(request))


@requires(Permission.ACCOUNT_OWN)
def prove_by_passkey(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, ProveByPasskey.as_view()(request))


# --- passwords ----------------------------------------------------------------------------------------------------


class PasswordChange(Refusing, allauth_views.PasswordChangeView):  # type: ignore[misc]
    """One's own password; other sessions of the member end with it."""

    template_name = "account/password_change.html"
    success_url = reverse_lazy("access:preferences")

    def form_valid(self, form: Any) -> HttpResponse:
        """Hashed before anything is locked; then the locks of `team.rules.deciding`, in its order."""
        member = form.user
        member.set_password(form.cleaned_data["password1"])
        with transaction.atomic():
            member.save(update_fields=["password"])
            sessions.end_sessions(member, except_key=self.request.session.session_key)
            record(actor=member, action="account:password_change", request=self.request)
        flows.password_change.finalize_password_change(self.request, member)
        return HttpResponseRedirect(self.get_success_url())


@requires(Permission.ACCOUNT_OWN)
def password_change(request: MemberRequest) -> HttpResponse:
    member = request.user
    if not member.has_usable_password() or not may_sign_in_locally(member):
        raise Http404("comes in through the provider")
    return cast(HttpResponse, PasswordChange.as_view()(request))


class PasswordReset(Refusing, allauth_views.PasswordResetView):  # type: ignore[misc]
    """Ask for a link to a new password; only where mail can be sent, else the page says whom to ask."""

    template_name = "account/password_reset.html"

    def form_valid(self, form: Any) -> HttpResponse:
        if not tasks.ask_for_reset(form.cleaned_data["email"]):
            form.add_error(None, "No mail can be sent at the moment. Try again in some minutes.")
            return cast(HttpResponse, self.render_to_response(self.get_context_data(form=form), status=503))
        return HttpResponseRedirect(reverse("account_reset_password_done"))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "sends_mail": settings.SENDS_MAIL}


@public("for those who cannot sign in; says nothing about who has an account")
def password_reset(request: HttpRequest) -> HttpResponse:
    if request.method == "POST" and not settings.SENDS_MAIL:
        raise Http404("no mail is set up")
    return cast(HttpResponse, PasswordReset.as_view()(request))


@public("says the same to everybody")
@require_http_methods(["GET", "HEAD"])
def password_reset_sent(request: HttpRequest) -> HttpResponse:
    return render(request, "account/password_reset_done.html")


class PasswordFromLink(Refusing, allauth_views.PasswordResetFromKeyView):  # type: ignore[misc]
    """The page behind the mailed link. It signs nobody in: the second factor is still to come."""

    template_name = "account/password_reset_from_key.html"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)
        return response

    def get_success_url(self) -> str:
        return f"{reverse('account_login')}?reset=1"


@public("the key in the address is the proof")
def password_from_link(request: HttpRequest, uidb36: str, key: str) -> HttpResponse:
    return cast(HttpResponse, PasswordFromLink.as_view()(request, uidb36=uidb36, key=key))


class FirstSignIn(views.PasswordResetConfirmView):
    """A link that works once: whoever opens it sets the password of the new member and is signed in."""

    template_name = "account/first_sign_in.html"
    reset_url_token = "set-password"  # noqa: S105  the word that stands in the address for the token

    def get_user(self, uidb64: str) -> Member | None:
        """Only members who have no password yet."""
        member = super().get_user(uidb64)
        if member is None or not member.is_active or member.has_usable_password() or not may_sign_in_locally(member):
            return None
        return member

    def form_valid(self, form: SetPasswordForm[Member]) -> HttpResponse:
        """Through the steps of every sign-in: a link skips no second factor."""
        form.save(commit=False)
        with transaction.atomic():
            form.user.save(update_fields=["password"])
            record(actor=form.user, action="account:first_sign_in", request=self.request)
        del self.request.session[views.INTERNAL_RESET_SESSION_TOKEN]
        return cast(HttpResponse, flows.password_reset.perform_password_reset_login(self.request, form.user))


@public("the token in the address is the proof")
def first_sign_in(request: HttpRequest, uidb64: str, token: str) -> HttpResponse:
    return cast(HttpResponse, FirstSignIn.as_view()(request, uidb64=uidb64, token=token))


# --- preferences --------------------------------------------------------------------------------------------------


_SAFETY = ("undo_seconds", "has_single_keys", "has_auto_advance")  # what may explain an action later; looks are not


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.ACCOUNT_OWN)
def preferences(request: MemberRequest) -> HttpResponse:
    member = request.user
    form = PreferencesForm(request.POST or None, instance=member)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        changed = {name: given[name] for name in _SAFETY if given[name] != form.initial[name]}
        with transaction.atomic():
            member.save(update_fields=form.changed_data)
            if changed:
                record(actor=member, action="account:preferences", detail=changed, request=request)
        return HttpResponseRedirect(f"{request.path}?saved=1", status=303)
    member.refresh_from_db()  # a refused form must not change how this very page looks
    context = {
        "form": form,
        "saved": "saved" in request.GET,
        "has_password": member.has_usable_password() and may_sign_in_locally(member),
    }
    return render(request, "account/preferences.html", context, status=422 if form.is_bound else 200)


_NEXT_THEME = {Theme.SYSTEM: Theme.DARK, Theme.DARK: Theme.LIGHT, Theme.LIGHT: Theme.SYSTEM}


@require_POST
@requires(Permission.ACCOUNT_OWN)
def switch(request: MemberRequest, preference: str) -> HttpResponse:
    """One step of a preference that has its own button in the top bar: the theme, or UTC and local time."""
    member = request.user
    if preference == "theme":
        member.theme = _NEXT_THEME[Theme(member.theme)]
        member.save(update_fields=["theme"])
    elif preference == "time":
        member.shows_local_time = not member.shows_local_time
        member.save(update_fields=["shows_local_time"])
    else:
        raise Http404(preference)
    return HttpResponseRedirect(safe_path(request.POST.get("next"), resolve_url("/")), status=303)
