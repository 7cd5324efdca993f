"""Forms of the team: members, roles, invitations, and what a newcomer fills in."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, cast

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.validators import RegexValidator

from dashboard.access.models import Invitation, Member
from dashboard.access.roles import RIGHTS, Permission
from dashboard.access.scope import domain_of
from dashboard.access.team.catalogue import RoleView
from dashboard.access.team.invitations import Newcomer
from dashboard.access.team.services import RoleDraft, Standing, fixed_by_groups
from dashboard.web.text import visible

MOST_DOMAINS = 200
_DOMAIN = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])\Z")
_USER_NAME = RegexValidator(
    r"\A[a-z0-9][a-z0-9._-]{1,29}\Z", "Two to thirty small letters, digits, dots, hyphens and underscores."
)


class DomainsField(forms.CharField):
    """Recipient domains, one a line, in ASCII; nothing means no limit."""

    def __init__(self) -> None:
        super().__init__(
            label="Only mail to these domains",
            required=False,
            max_length=60_000,
            widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "autocapitalize": "none"}),
            help_text="One a line, such as corp.example. Nothing here means all domains. A domain does not cover "
            "those below it.",
        )

    def clean(self, value: Any) -> tuple[str, ...]:
        lines = [line.strip() for line in super().clean(value).splitlines()]
        found = set()
        for line in filter(None, lines):
            domain = domain_of(f"@{line.removeprefix('@')}")
            if not _DOMAIN.match(domain):
                raise forms.ValidationError(f"{visible(line, limit=80)} is not a domain name.")
            found.add(domain)
        if len(found) > MOST_DOMAINS:
            raise forms.ValidationError(f"At most {MOST_DOMAINS} domains.")
        return tuple(sorted(found))


def _role_field(roles: list[RoleView]) -> forms.ChoiceField:
    return forms.ChoiceField(label="Role", choices=[(role.name, role.label) for role in roles])


def plain_name(value: str) -> str:
    """A name that looks like what it is: no characters that hide or turn others round."""
    value = " ".join(unicodedata.normalize("NFC", value).split())
    if visible(value) != value:
        raise forms.ValidationError("This holds characters that cannot be seen.")
    return value


class MemberForm(forms.Form):
    """Role, domains and access of another member."""

    is_active = forms.BooleanField(label="May sign in", required=False)

    def __init__(self, data: Any = None, *, member: Member, roles: list[RoleView]) -> None:
        initial = {"role": member.role, "domains": "\n".join(sorted(member.domains)), "is_active": member.is_active}
        super().__init__(data, initial=initial)
        choices = [role for role in roles if role.name == member.role] or [
            RoleView(member.role, member.role, frozenset())
        ]
        self.fields["role"] = _role_field(roles + [one for one in choices if one not in roles])
        self.fields["domains"] = DomainsField()
        self.order_fields(["role", "domains", "is_active"])
        for name in fixed_by_groups(member):
            self.fields[name].disabled = True
            self.fields[name].help_text = "Follows from groups at the identity provider; change it there."

    def standing(self) -> Standing:
        data = self.cleaned_data
        return Standing(role=data["role"], domains=data["domains"], is_active=data["is_active"])


class RoleForm(forms.Form):
    """A role of the team: its name and rights. What the actor may not give is shown and cannot be ticked."""

    label = forms.CharField(label="Name", max_length=60)
    permissions = forms.MultipleChoiceField(
        label="Grants the right to",
        required=False,
        choices=[(one.value, RIGHTS[one]) for one in Permission if one is not Permission.ACCOUNT_OWN],
        widget=forms.CheckboxSelectMultiple,
    )
    needs_second_factor = forms.BooleanField(label="Needs a second factor at sign-in", required=False)

    def clean_label(self) -> str:
        return plain_name(self.cleaned_data["label"])

    def draft(self) -> RoleDraft:
        data = self.cleaned_data
        return RoleDraft(
            label=data["label"],
            permissions=frozenset(Permission(one) for one in data["permissions"]),
            needs_second_factor=data["needs_second_factor"],
        )


class InviteForm(forms.Form):
    """Whom to invite, and as what."""

    email = forms.EmailField(label="E-mail address", max_length=254)

    def __init__(self, *args: Any, roles: list[RoleView], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"] = _role_field(roles)
        self.fields["domains"] = DomainsField()

    def clean_email(self) -> str:
        return plain_name(self.cleaned_data["email"])


class AcceptForm(forms.Form):
    """What a newcomer chooses; address, role and domains are the invitation's."""

    username = forms.CharField(
        label="User name",
        validators=[_USER_NAME],
        help_text="What you sign in with.",
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    name = forms.CharField(
        label="Name",
        max_length=150,
        help_text="What your colleagues see.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    password = forms.CharField(
        label="Password",
        strip=False,
        max_length=1000,
        help_text="At least 12 characters; a few words in a row are good.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    again = forms.CharField(
        label="Password again",
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, invitation: Invitation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invitation = invitation

    def clean_username(self) -> str:
        name = cast(str, self.cleaned_data["username"])
        if Member.objects.filter(username__iexact=name).exists():
            raise forms.ValidationError("Somebody has this user name.")
        return name

    def clean_name(self) -> str:
        """A name nobody in the team has: it is what the audit trail shows."""
        name = plain_name(self.cleaned_data["name"])
        if any(member.display_name.casefold() == name.casefold() for member in Member.objects.all()):
            raise forms.ValidationError("A colleague has this name. Add what tells you apart.")
        return name

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        password, again = data.get("password"), data.get("again")
        if password and again and password != again:
            self.add_error("again", "These two are not the same.")
        if password:
            person = Member(
                username=data.get("username", ""), first_name=data.get("name", ""), email=self.invitation.email
            )
            try:
                validate_password(password, person)
            except forms.ValidationError as problem:
                self.add_error("password", problem)
        return data

    def newcomer(self) -> Newcomer:
        data = self.cleaned_data
        return Newcomer(username=data["username"], name=data["name"], password=data["password"])
