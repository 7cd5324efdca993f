"""Sign-in, sign-out, and one's own account."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.conf import settings
from django.contrib.auth import logout, views
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.urls import reverse_lazy
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.access.decorators import public, requires
from dashboard.access.destinations import safe_path
from dashboard.access.forms import PreferencesForm, SignInForm
from dashboard.access.models import Member, Theme
from dashboard.access.roles import Permission
from dashboard.audit.recorder import record

if TYPE_CHECKING:
    from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm


class SignIn(views.LoginView):
    """Django's sign-in: a new session id, the same sentence for every wrong cause, back to where one was."""

    template_name = "account/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:  # noqa: ARG002
        """Only a path of this site; "" lets Django take the default."""
        return safe_path(self.request.POST.get("next", self.request.GET.get("next")), "")

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        record(actor=form.get_user(), action="account:sign_in", request=self.request)
        return super().form_valid(form)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        # A name nobody has may be a password typed into the wrong field, so it is not written down.
        name = form.cleaned_data.get("username", "")
        known = [name] if Member.objects.filter(username=name).exists() else []
        record(actor=AnonymousUser(), action="account:sign_in", targets=known, request=self.request, phase="refused")
        return self.render_to_response(self.get_context_data(form=form), status=422)


@public("the way in")
def sign_in(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, SignIn.as_view()(request))


@public("ends the session of whoever asks, and does nothing for others")
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session, and have the browser forget what it kept of our pages."""
    if request.user.is_authenticated:
        record(actor=request.user, action="account:sign_out", request=request)
    logout(request)
    response = HttpResponseRedirect(resolve_url(settings.LOGOUT_REDIRECT_URL), status=303)
    response["Clear-Site-Data"] = '"cache", "storage"'
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.ACCOUNT_OWN)
def preferences(request: HttpRequest) -> HttpResponse:
    member = cast(Member, request.user)
    form = PreferencesForm(request.POST or None, instance=member)
    if request.method == "POST" and form.is_valid():
        form.save()
        return HttpResponseRedirect(f"{request.path}?saved=1", status=303)
    member.refresh_from_db()  # a refused form must not change how this very page looks
    status = 422 if form.is_bound else 200
    return render(request, "account/preferences.html", {"form": form, "saved": "saved" in request.GET}, status=status)


_NEXT_THEME = {Theme.SYSTEM: Theme.DARK, Theme.DARK: Theme.LIGHT, Theme.LIGHT: Theme.SYSTEM}


@require_POST
@requires(Permission.ACCOUNT_OWN)
def switch(request: HttpRequest, preference: str) -> HttpResponse:
    """One step of a preference that has its own button in the top bar: the theme, or UTC and local time."""
    member = cast(Member, request.user)
    if preference == "theme":
        member.theme = _NEXT_THEME[Theme(member.theme)]
        member.save(update_fields=["theme"])
    elif preference == "time":
        member.shows_local_time = not member.shows_local_time
        member.save(update_fields=["shows_local_time"])
    else:
        raise Http404(preference)
    return HttpResponseRedirect(safe_path(request.POST.get("next"), resolve_url("/")), status=303)


class FirstSignIn(views.PasswordResetConfirmView):
    """A link that works once: whoever opens it sets the password of the new member and is signed in."""

    template_name = "account/first_sign_in.html"
    post_reset_login = True
    success_url = settings.LOGIN_REDIRECT_URL
    reset_url_token = "set-password"  # noqa: S105  the word that stands in the address for the token

    def form_valid(self, form: SetPasswordForm[Member]) -> HttpResponse:
        record(actor=form.user, action="account:first_sign_in", request=self.request)
        return super().form_valid(form)


@public("the token in the address is the proof")
def first_sign_in(request: HttpRequest, uidb64: str, token: str) -> HttpResponse:
    return cast(HttpResponse, FirstSignIn.as_view()(request, uidb64=uidb64, token=token))


class PasswordChange(views.PasswordChangeView):
    """One's own password; other sessions of the member end with it."""

    template_name = "account/password_change.html"
    success_url = reverse_lazy("access:preferences")

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        record(actor=self.request.user, action="account:password_change", request=self.request)
        return super().form_valid(form)


@requires(Permission.ACCOUNT_OWN)
def password_change(request: HttpRequest) -> HttpResponse:
    return cast(HttpResponse, PasswordChange.as_view()(request))
