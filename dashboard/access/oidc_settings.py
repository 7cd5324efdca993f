"""Single sign-on as the environment describes it, and what a group at the provider grants here.

Read by the settings, so nothing in this file may need Django to be ready.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from dashboard.emailsec.paths import checked_base_url
from dashboard.environment import flag, text
from dashboard.web.text import punycode

_LONGEST_ISSUER = 200  # characters; it is kept beside every member who came from there
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_DOMAIN = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_EVERYTHING = "*"
_NEEDED = ("MAILWARDEN_OIDC_ISSUER", "MAILWARDEN_OIDC_CLIENT_ID", "MAILWARDEN_OIDC_CLIENT_SECRET")
_OPTIONAL = (
    "MAILWARDEN_OIDC_NAME",
    "MAILWARDEN_OIDC_GROUPS_CLAIM",
    "MAILWARDEN_OIDC_ROLES",
    "MAILWARDEN_OIDC_DEFAULT_ROLE",
    "MAILWARDEN_OIDC_DOMAINS",
)


class NoGrant(Exception):
    """These groups open nothing here; the text says why, for the audit trail."""


@dataclass(frozen=True)
class Grant:
    """What a person's groups give them: a role, and the recipient domains they are limited to."""

    role: str
    group: str  # that the role came from; "" for the default role
    domains: tuple[str, ...] | None  # None: the team decides; empty: no limit


@dataclass(frozen=True)
class SingleSignOn:
    """One OpenID Connect provider, and which of its groups are let in as what."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str = "single sign-on"
    groups_claim: str = "groups"
    roles: tuple[tuple[str, str], ...] = ()  # (group, role): the first that fits decides
    default_role: str = ""
    domains: Mapping[str, tuple[str, ...]] | None = None  # of a group; empty: no limit

    @property
    def discovery_url(self) -> str:
        return f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"

    @property
    def is_on_this_machine(self) -> bool:
        """Only then may its description send us to addresses of this machine, and to plain http."""
        host = urlsplit(self.issuer).hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def grant(self, groups: Collection[str]) -> Grant:
        """What members of these groups get, decided afresh at each sign-in. Raises NoGrant."""
        group, role = next(((group, role) for group, role in self.roles if group in groups), ("", self.default_role))
        if not role:
            raise NoGrant("in no group that has a role")
        if self.domains is None:
            return Grant(role, group, None)
        limits = [self.domains[group] for group in groups if group in self.domains]
        if not limits:
            raise NoGrant("in no group that has domains")
        return Grant(role, group, tuple(sorted(set().union(*limits))) if all(limits) else ())


def read_single_sign_on() -> SingleSignOn | None:
    """The provider of the environment, None where none is named. Raises ImproperlyConfigured."""
    if not any(text(name) for name in _NEEDED):
        set_alone = next((name for name in _OPTIONAL if text(name)), None)
        if set_alone:
            raise ImproperlyConfigured(f"{set_alone} means nothing without MAILWARDEN_OIDC_ISSUER.")
        return None
    for name in _NEEDED:
        if not text(name):
            raise ImproperlyConfigured(f"Single sign-on needs {name} as well.")
    found = SingleSignOn(
        issuer=_issuer(),
        client_id=text("MAILWARDEN_OIDC_CLIENT_ID"),
        client_secret=text("MAILWARDEN_OIDC_CLIENT_SECRET"),
        name=_line("MAILWARDEN_OIDC_NAME", "single sign-on"),
        groups_claim=_line("MAILWARDEN_OIDC_GROUPS_CLAIM", "groups"),
        roles=_roles(),
        default_role=_role("MAILWARDEN_OIDC_DEFAULT_ROLE", text("MAILWARDEN_OIDC_DEFAULT_ROLE")),
        domains=_domains(),
    )
    if not found.roles and not found.default_role:
        raise ImproperlyConfigured(
            "Set MAILWARDEN_OIDC_ROLES (group=role,group=role), or MAILWARDEN_OIDC_DEFAULT_ROLE: nobody could sign in."
        )
    return found


def read_sso_only(single_sign_on: SingleSignOn | None) -> bool:
    """Whether passwords are for break-glass members alone."""
    wanted = flag("MAILWARDEN_SSO_ONLY", default=False)
    if wanted and single_sign_on is None:
        raise ImproperlyConfigured("MAILWARDEN_SSO_ONLY needs single sign-on: set MAILWARDEN_OIDC_ISSUER.")
    return wanted


def _issuer() -> str:
    issuer = text("MAILWARDEN_OIDC_ISSUER")
    try:
        checked_base_url(issuer)
        urlsplit(issuer).port  # noqa: B018  raises where it is no number
    except ValueError as error:
        raise ImproperlyConfigured(f"MAILWARDEN_OIDC_ISSUER cannot be used: {error}.") from None
    if len(issuer) > _LONGEST_ISSUER:
        raise ImproperlyConfigured(f"MAILWARDEN_OIDC_ISSUER must not be longer than {_LONGEST_ISSUER} characters.")
    return issuer  # as it is written: it must be the same, to the last slash, as in what the provider signs


def _line(name: str, default: str) -> str:
    value = text(name, default)
    if len(value) > 60 or not value.isprintable():
        raise ImproperlyConfigured(f"{name} must be one line of at most 60 characters.")
    return value


def _role(name: str, value: str) -> str:
    if value and not _ROLE.fullmatch(value):
        raise ImproperlyConfigured(f"{name} must name roles such as analyst or policy_manager; {value!r} is none.")
    return value


def _pairs(name: str, example: str) -> list[tuple[str, str]]:
    """ "group=value,group=value". Groups may hold everything but commas, so the last = divides."""
    pairs: list[tuple[str, str]] = []
    for part in filter(None, (part.strip() for part in text(name).split(","))):
        group, _, value = (piece.strip() for piece in part.rpartition("="))
        if not group or not value:
            raise ImproperlyConfigured(f"{name} must look like {example}; {part!r} does not.")
        if group in dict(pairs):
            raise ImproperlyConfigured(f"{name} names the group {group!r} twice.")
        pairs.append((group, value))
    return pairs


def _roles() -> tuple[tuple[str, str], ...]:
    name = "MAILWARDEN_OIDC_ROLES"
    return tuple((group, _role(name, role)) for group, role in _pairs(name, "soc-analysts=analyst,soc-leads=responder"))


def _domains() -> dict[str, tuple[str, ...]] | None:
    name = "MAILWARDEN_OIDC_DOMAINS"
    found: dict[str, tuple[str, ...]] = {}
    for group, value in _pairs(name, "soc-emea=emea.example corp.example,soc-leads=*"):
        domains = tuple((punycode(domain) or domain).casefold().rstrip(".") for domain in value.split())
        if domains == (_EVERYTHING,):
            found[group] = ()
            continue
        for domain in domains:
            if not _DOMAIN.fullmatch(domain):
                raise ImproperlyConfigured(f"{name} must name domains, or * for all of them; {domain!r} is neither.")
        found[group] = domains
    return found or None
