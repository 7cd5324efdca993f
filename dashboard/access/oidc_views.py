"""The two addresses of single sign-on: leaving for the provider, and coming back."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import oidc
from dashboard.access.decorators import public
from dashboard.access.oidc_refusals import Refusal


@public("begins a sign-in")
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Send the browser to the provider.

    With a page that moves on at once, not with a redirect: Chromium holds a form to `form-action` through every
    redirect it ends in, and where providers send people on to (another provider, often) nobody can list here.
    """
    if settings.SINGLE_SIGN_ON is None:
        raise Http404
    try:
        leaving = oidc.SocialAdapter(request).get_provider(request, oidc.PROVIDER).redirect_from_request(request)
    except Refusal as refusal:
        return oidc.refuse(request, refusal)
    assert isinstance(leaving, HttpResponseRedirect)  # noqa: S101  what allauth answers where nothing was refused
    response = render(request, "account/sso_leaving.html", {"sso": settings.SINGLE_SIGN_ON, "address": leaving.url})
    response["Refresh"] = f"0;url={leaving.url}"
    return response


@public("what the provider sends along is the proof, for the browser that began")
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    if settings.SINGLE_SIGN_ON is None:
        raise Http404
    try:
        response: HttpResponse = oidc.Callback.adapter_view(oidc.Conversation(request))(request)
    except Refusal as refusal:  # from before allauth begins to catch them
        return oidc.refuse(request, refusal)
    return response
