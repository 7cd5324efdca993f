"""One's own second factors and sessions: see them, add, remove, end."""

from __future__ import annotations

from typing import Any, cast

from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import views as factor_views
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as code_views
from allauth.mfa.totp import views as app_views
from allauth.mfa.totp.internal.auth import get_totp_secret
from allauth.mfa.webauthn import views as passkey_views
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse, reverse_lazy
from django.views.decorators.http import require_GET, require_POST, require_safe

from dashboard.access import sessions
from dashboard.access.decorators import MemberRequest, recently_proved, requires
from dashboard.access.devices import device
from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.views import Refusing, as_json, refused, signed_out
from dashboard.audit.recorder import record


class Factors(factor_views.IndexView):  # type: ignore[misc]
    template_name = "mfa/index.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        found = context["authenticators"]
        member = cast(Member, self.request.user)
        return {
            **context,
            "app": found.get(Authenticator.Type.TOTP),
            "passkeys": found.get(Authenticator.Type.WEBAUTHN, []),
            "codes": found.get(Authenticator.Type.RECOVERY_CODES),
            "is_needed": member.needs_second_factor,
            "has_factor": get_adapter().has_factor(member),
        }


@require_safe
@requires(Permission.ACCOUNT_OWN)
def factors(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, Factors.as_view()(request))


class SetUpApp(Refusing, app_views.ActivateTOTPView):  # type: ignore[misc]
    template_name = "mfa/totp/activate_form.html"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        _record(self.request, "factor_add", Authenticator.Type.TOTP)
        return cast(HttpResponse, super().form_valid(form))


@requires(Permission.ACCOUNT_OWN)
@recently_proved()
def set_up_app(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, SetUpApp.as_view()(request))


@require_GET
@requires(Permission.ACCOUNT_OWN)
@recently_proved()
def app_picture(request: HttpRequest) -> HttpResponse:
    """The square that an authenticator app reads, of the secret that is being set up."""
    adapter = get_adapter()
    picture = adapter.build_totp_svg(adapter.build_totp_url(request.user, get_totp_secret()))
    return HttpResponse(picture, content_type="image/svg+xml")


class RemoveApp(Refusing, app_views.DeactivateTOTPView):  # type: ignore[misc]
    template_name = "mfa/totp/deactivate_form.html"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        _record(self.request, "factor_remove", Authenticator.Type.TOTP)
        sessions.forget_factor(self.request)
        return cast(HttpResponse, super().form_valid(form))


@requires(Permission.ACCOUNT_OWN)
@recently_proved()
def remove_app(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, RemoveApp.as_view()(request))


class AddPasskey(passkey_views.AddWebAuthnView):  # type: ignore[misc]
    template_name = "mfa/webauthn/add_form.html"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        _record(self.request, "factor_add", Authenticator.Type.WEBAUTHN)
        return cast(HttpResponse, super().form_valid(form))

    def form_invalid(self, form: Any) -> HttpResponse:
        return refused(self.render_to_response({**self.get_context_data(), "form": form}), form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        return {**context, "passkey_options": as_json(context["js_data"]["creation_options"])}


@requires(Permission.ACCOUNT_OWN)
@recently_proved()
def add_passkey(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, AddPasskey.as_view()(request))


class RemovePasskey(passkey_views.RemoveWebAuthnView):  # type: ignore[misc]
    template_name = "mfa/webauthn/authenticator_confirm_delete.html"
    success_url = reverse_lazy("mfa_index")

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        if not get_adapter().can_delete_authenticator(self.object):
            return cast(HttpResponse, self.render_to_response(self.get_context_data(), status=409))
        _record(self.request, "factor_remove", Authenticator.Type.WEBAUTHN)
        sessions.forget_factor(self.request)
        return cast(HttpResponse, super().form_valid(form))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        adapter = get_adapter()
        is_last = not adapter.can_delete_authenticator(self.object)
        return {**context, "why_not": adapter.error_messages["cannot_delete_authenticator"] if is_last else ""}


@requires(Permission.ACCOUNT_OWN)
@recently_proved()
def remove_passkey(request: HttpRequest, pk: int) -> HttpResponse:
    return cast(HttpResponse, RemovePasskey.as_view()(request, pk=pk))


class NewCodes(Refusing, code_views.GenerateRecoveryCodesView):  # type: ignore[misc]
    template_name = "mfa/recovery_codes/generate.html"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        _record(self.request, "factor_add", Authenticator.Type.RECOVERY_CODES)
        return cast(HttpResponse, super().form_valid(form))


@requires(Permission.ACCOUNT_OWN)
@recently_proved()
def new_codes(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, NewCodes.as_view()(request))


class Codes(code_views.ViewRecoveryCodesView):  # type: ignore[misc]
    template_name = "mfa/recovery_codes/index.html"


@require_safe
@requires(Permission.ACCOUNT_OWN)
@recently_proved()
def codes(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, Codes.as_view()(request))


def _record(request: MemberRequest, what: str, kind: str) -> None:
    record(actor=request.user, action=f"account:{what}", detail={"factor": str(kind)}, request=request)


# --- sessions -----------------------------------------------------------------------------------------------------


@require_safe
@requires(Permission.ACCOUNT_OWN)
def own_sessions(request: HttpRequest) -> HttpResponse:
    """Where one is signed in, newest first."""
    here = request.session.session_key
    found = [
        {"session": one, "device": device(one.user_agent), "is_this": one.session_key == here}
        for one in UserSession.objects.filter(user=request.user).order_by("-created_at", "-pk")
        if one.exists()
    ]
    context = {"sessions": found, "has_others": any(not one["is_this"] for one in found)}
    return render(request, "usersessions/usersession_list.html", context)


@require_POST
@requires(Permission.ACCOUNT_OWN)
def end_session(request: MemberRequest, pk: int) -> HttpResponse:
    """End one of one's own sessions, this one included."""
    session = get_object_or_404(UserSession, pk=pk, user=request.user)
    record(
        actor=request.user, action="account:session_end",
        detail={"address": session.ip, "sessions": 1}, request=request,
    )  # fmt: skip
    if session.session_key == request.session.session_key:
        session.delete()
        return signed_out(request)
    session.end()
    return HttpResponseRedirect(reverse("usersessions_list"), status=303)


@require_POST
@requires(Permission.ACCOUNT_OWN)
def end_other_sessions(request: MemberRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    member = request.user
    with transaction.atomic():
        ended = sessions.end_sessions(member, except_key=request.session.session_key)
        record(actor=member, action="account:session_end", detail={"sessions": ended}, request=request)
    return HttpResponseRedirect(reverse("usersessions_list"), status=303)
