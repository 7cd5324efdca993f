"""Single sign-on with OpenID Connect: the conversation with the provider, and what django-allauth leaves unchecked.

allauth keeps the state in the browser's session (once, for ten minutes), makes the PKCE pair, and ends in its own steps
of sign-in. It knows no nonce, does not look at the signature of an ID token it fetched itself, takes the issuer from
the provider's description instead of the settings, and trusts whatever subject the user info names. All of that is
checked here, and nothing of a token is kept.

The second factor: the provider is trusted with it. Where MAILWARDEN_MFA_ROLES names a member's role, ours is asked for
as well, and a factor that a member has set up here is asked for in any case: both happen in allauth's steps after this.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from typing import Any

import jwt
import structlog
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.base.constants import AuthError, AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.urls import reverse
from django.utils.text import capfirst

from dashboard.access import oidc_calls
from dashboard.access.destinations import safe_path
from dashboard.access.oidc_admission import admit, provider_of_settings
from dashboard.access.oidc_refusals import AWAY, CANCELLED, DECLINED, NOT_TRUSTED, STALE, Refusal
from dashboard.access.throttle import network
from dashboard.audit.recorder import record

log = structlog.get_logger("mailwarden.sso")

PROVIDER = "openid_connect"  # allauth's name for all of them
LEEWAY = 30  # seconds that clocks may differ
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_SAME_SECONDS = 60  # in which the same refusal at the same address is one row of the audit trail


class Leaving(OAuth2Client):  # type: ignore[misc]
    """allauth's address of the provider, also where the provider's own has a query already."""

    def get_redirect_url(self, authorization_url: str, scope: list[str], extra_params: dict[str, Any]) -> str:
        address, _, query = authorization_url.partition("?")
        leaving: str = super().get_redirect_url(address, scope, extra_params)
        return f"{leaving}&{query}" if query else leaving


class Conversation(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """What is asked of the provider, and what its answers must hold before anybody believes them."""

    client_class = Leaving

    def __init__(self, request: HttpRequest, provider_id: str = PROVIDER) -> None:
        super().__init__(request, provider_id)
        self.sso = provider_of_settings()
        self.state: Mapping[str, Any] = {}  # of this sign-in, once the callback has taken it from the session
        self._description: dict[str, Any] | None = None

    @property
    def openid_config(self) -> dict[str, Any]:
        """The provider's description of itself, read anew for each request."""
        if self._description is None:
            found = self._ask("GET", self.sso.discovery_url)
            if found.get("issuer") != self.sso.issuer:  # else somebody else could sign for it
                raise Refusal(NOT_TRUSTED, "description of another issuer")
            for needed in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                self._checked(found.get(needed))
            self._description = found
        return self._description

    @property
    def basic_auth(self) -> bool:
        """The protocol's own default is basic; the client id and secret in the form are for who offers only that."""
        methods = self.openid_config.get("token_endpoint_auth_methods_supported")
        return not isinstance(methods, list) or "client_secret_post" not in methods

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:  # noqa: ARG002
        return request.build_absolute_uri(reverse("access:sso_callback"))

    def get_access_token_data(
        self,
        request: HttpRequest,
        app: SocialApp,  # noqa: ARG002
        client: OAuth2Client,
        pkce_code_verifier: str | None = None,
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": request.GET["code"],
            "redirect_uri": client.callback_url,
            "code_verifier": pkce_code_verifier or "",
        }
        headers = {}
        if self.basic_auth:
            headers["Authorization"] = oidc_calls.basic(self.sso.client_id, self.sso.client_secret)
        else:
            form |= {"client_id": self.sso.client_id, "client_secret": self.sso.client_secret}
        return self._ask("POST", self.access_token_url, form=form, headers=headers)

    def parse_token(self, data: Mapping[str, Any]) -> SocialToken:  # noqa: ARG002
        """Nothing: what is not there cannot be stored."""
        return SocialToken()

    def complete_login(
        self,
        request: HttpRequest,
        app: SocialApp,  # noqa: ARG002
        token: SocialToken,  # noqa: ARG002
        *,
        response: Mapping[str, Any],
    ) -> SocialLogin:
        claims = self._claims(response)
        request.proved_at = self._proved_at(claims)  # type: ignore[attr-defined]
        account = admit(self.sso, claims, request)
        # Without its key, as something new: allauth looks for the account itself, by issuer and subject.
        fresh = SocialAccount(provider=account.provider, uid=account.uid, extra_data=account.extra_data)
        return SocialLogin(provider=self.get_provider(), account=fresh)

    def _claims(self, response: Mapping[str, Any]) -> dict[str, Any]:
        """What the provider says about the person: the ID token, and what only the user info knows."""
        claims = self._verified(response.get("id_token"))
        access_token, endpoint = response.get("access_token"), self.openid_config.get("userinfo_endpoint")
        if not isinstance(access_token, str) or not endpoint:
            return claims
        told = self._ask("GET", endpoint, headers={"Authorization": f"Bearer {access_token}"})
        if told.get("sub") != claims["sub"]:
            raise Refusal(NOT_TRUSTED, "user info of somebody else")
        return {**told, **claims}

    def _verified(self, id_token: object) -> dict[str, Any]:
        """The claims of an ID token that was signed by this provider, for us and this very sign-in, and still holds."""
        if not isinstance(id_token, str):
            raise Refusal(NOT_TRUSTED, "no ID token")
        try:
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key=self._key(id_token),
                algorithms=list(ALGORITHMS),
                issuer=self.sso.issuer,
                audience=self.sso.client_id,
                leeway=LEEWAY,
                options={"require": ["iss", "sub", "aud", "exp", "iat"], "enforce_minimum_key_length": True},
            )
        except (jwt.PyJWTError, ValueError, TypeError, KeyError) as problem:
            raise Refusal(NOT_TRUSTED, f"ID token: {type(problem).__name__}") from problem
        is_for_others = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if is_for_others else self.sso.client_id) != self.sso.client_id:
            raise Refusal(NOT_TRUSTED, "ID token: issued to another party")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), str(self.state.get("nonce", "?")).encode()):
            raise Refusal(NOT_TRUSTED, "ID token: nonce of another sign-in")
        if not isinstance(claims["sub"], str) or not claims["sub"] or len(claims["sub"]) > 255:
            raise Refusal(NOT_TRUSTED, "ID token: no usable subject")
        return claims

    def _key(self, id_token: str) -> jwt.PyJWK:
        """The key the token names, bound to the algorithm it names; keys both sides know are no signatures for us."""
        header = jwt.get_unverified_header(id_token)
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise Refusal(NOT_TRUSTED, "ID token: not signed by an algorithm we take")
        published = self._ask("GET", self.openid_config["jwks_uri"]).get("keys")
        for key in published if isinstance(published, list) else []:
            if (
                isinstance(key, dict)
                and key.get("kty") in ("RSA", "EC", "OKP")
                and (kid is None or key.get("kid") == kid)
                and key.get("use", "sig") == "sig"
                and key.get("alg", algorithm) == algorithm
            ):
                return jwt.PyJWK(key, algorithm=algorithm)
        raise Refusal(NOT_TRUSTED, "ID token: signed by a key the provider does not publish")

    def _proved_at(self, claims: Mapping[str, Any]) -> int:
        """When the person last showed the provider who they are, in seconds since 1970; 0 where nobody knows.

        A provider with a session of its own sends people back without a question. What takes a recent proof here asks
        for a new one there: then it must say when that was, or be taken at its word that it does what it was asked.
        """
        now, asked_at = int(time.time()), self.state.get("asked_anew_at")
        told = claims.get("auth_time")
        if not isinstance(told, int):
            return now if asked_at else 0
        if asked_at and told < asked_at - LEEWAY:
            raise Refusal(NOT_TRUSTED, "provider did not ask anew")
        return min(told, now)

    def _checked(self, url: object) -> str:
        try:
            return oidc_calls.checked(url, is_on_this_machine=self.sso.is_on_this_machine)
        except oidc_calls.AnswerUnusable as problem:
            raise Refusal(NOT_TRUSTED, f"provider {problem}") from problem

    def _ask(self, method: str, url: object, **content: Any) -> dict[str, Any]:
        try:
            return oidc_calls.fetch(method, url, is_on_this_machine=self.sso.is_on_this_machine, **content)
        except oidc_calls.ProviderAway as problem:
            raise Refusal(AWAY, f"provider does not answer: {problem}") from problem
        except oidc_calls.ProviderRefused as problem:
            raise Refusal(DECLINED, f"provider answers {problem}") from problem
        except oidc_calls.AnswerUnusable as problem:
            raise Refusal(NOT_TRUSTED, f"provider {problem}") from problem


class DeskProvider(OpenIDConnectProvider):  # type: ignore[misc]
    """allauth's provider with a nonce, and with nothing of the conversation left to the request."""

    oauth2_adapter_class = Conversation

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        """allauth would take scope, process and more from the address; what our button says is all that counts."""
        home = resolve_url(settings.LOGIN_REDIRECT_URL)
        return {
            "process": AuthProcess.LOGIN,
            "next_url": safe_path(request.POST.get("next"), home),
            "asked_anew_at": int(time.time()) if request.POST.get("anew") == "1" else None,
        }

    def redirect(
        self,
        request: HttpRequest,
        process: str,
        next_url: str | None = None,
        data: Any = None,
        *,
        asked_anew_at: int | None = None,
        **kwargs: Any,
    ) -> HttpResponse:
        nonce = secrets.token_urlsafe(32)
        asked = {"nonce": nonce, **({"prompt": "login", "max_age": "0"} if asked_anew_at else {})}
        kept = {"nonce": nonce, "asked_anew_at": asked_anew_at}
        answer: HttpResponse = super().redirect(
            request, process, next_url, data, auth_params=asked, scope=self._scope(), **kept, **kwargs
        )
        return answer

    def _scope(self) -> list[str]:
        """Some providers tell the groups only to who asks for them by that name."""
        known = self.get_oauth2_adapter(self.request).openid_config.get("scopes_supported")
        claim = provider_of_settings().groups_claim
        return ["openid", "profile", "email", *([claim] if isinstance(known, list) and claim in known else [])]


class Callback(OAuth2CallbackView):  # type: ignore[misc]
    """Where the provider sends the browser back to."""

    adapter: Conversation

    def _get_state(self, request: HttpRequest, provider: DeskProvider) -> tuple[Mapping[str, Any] | None, Any]:
        state, refused = super()._get_state(request, provider)
        # RFC 9207: who answered, where the provider says so.
        answered = request.GET.get("iss")
        if state is not None and answered is not None and answered != self.adapter.sso.issuer:
            raise ImmediateHttpResponse(refuse(request, Refusal(NOT_TRUSTED, "answer of another issuer")))
        self.adapter.state = state or {}
        return state, refused


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """The one provider of the settings, and our own pages where allauth would show its."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002
        return False  # members are made by `admit`, before allauth looks for them

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> DeskProvider:  # noqa: ARG002
        sso = provider_of_settings()
        app = SocialApp(
            provider=PROVIDER,
            provider_id=sso.issuer,
            name=sso.name,
            client_id=sso.client_id,
            secret=sso.client_secret,
            settings={"oauth_pkce_enabled": True},
        )
        return DeskProvider(request, app=app)

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,  # noqa: ARG002
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(exception, Refusal):
            refusal = exception
        elif exception is not None:
            refusal = Refusal(NOT_TRUSTED, type(exception).__name__)
        elif error == AuthError.CANCELLED:
            refusal = Refusal(CANCELLED, "cancelled at the provider")
        elif (extra_context or {}).get("state"):
            refusal = Refusal(DECLINED, f"provider answers {oidc_calls.error_code(request.GET.get('error'))}")
        else:
            refusal = Refusal(STALE, "state of no sign-in of this browser")
        raise ImmediateHttpResponse(refuse(request, refusal))


def refuse(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """Write it down, and say it in plain words."""
    sso = provider_of_settings()
    same = f"{network(str(request.META.get('REMOTE_ADDR', '')))} {refusal}"
    detail = {"by": "sso", "cause": refusal.cause, **({"subject": refusal.subject} if refusal.subject else {})}
    with transaction.atomic():
        if cache.add(f"sso_refused_{hashlib.sha256(same.encode()).hexdigest()}", 1, _SAME_SECONDS):
            record(
                actor=AnonymousUser(),
                action="account:sign_in",
                targets=[refusal.member.username] if refusal.member else [],
                detail=detail,
                request=request,
                phase="refused",
            )
    log.warning("sso_refused", cause=refusal.cause, member=refusal.member.pk if refusal.member else None)
    words = {
        part: capfirst(getattr(refusal.words, part).format(name=sso.name)) for part in ("title", "sentence", "advice")
    }
    context = {
        "words": words,
        "sso": sso,
        "is_away": refusal.words is AWAY,
        "reference": getattr(request, "reference", ""),
    }
    return render(request, "account/sso_refused.html", context, status=refusal.words.status)
