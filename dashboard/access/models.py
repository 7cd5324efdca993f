"""Members of the team, their role, and how they like to work."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models

from dashboard.access.roles import ROLES, Permission, Role, allowed, known_permissions
from dashboard.access.scope import Scope
from dashboard.web.times import zone_names


def default_undo_seconds() -> int:
    return int(settings.UNDO_SECONDS)


def validate_time_zone(value: str) -> None:
    if value not in zone_names():
        raise ValidationError("Choose a time zone such as Europe/Berlin.")


_BUILT_IN = frozenset(role.value for role in Role)


class Theme(models.TextChoices):
    SYSTEM = "system", "As the system"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class Density(models.TextChoices):
    COMPACT = "compact", "Compact"
    STANDARD = "standard", "Standard"
    RELAXED = "relaxed", "Relaxed"


class TeamRole(models.Model):
    """A role the team composed itself, out of the permissions of the table."""

    name = models.SlugField(primary_key=True, max_length=40)  # never one of the six
    label = models.CharField(max_length=60)
    permissions = models.JSONField(default=list)
    needs_second_factor = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["label"]

    def __str__(self) -> str:
        return self.label

    @property
    def granted(self) -> frozenset[Permission]:
        return known_permissions(self.permissions)


class Member(AbstractUser):
    """A person at the desk; what they may do follows from `role`, and on which mail from `domains`."""

    UNDO_CHOICES = [(0, "none"), (5, "5 seconds"), (8, "8 seconds"), (15, "15 seconds"), (30, "30 seconds")]
    TEXT_SIZES = [(13, "13"), (14, "14"), (16, "16")]

    role = models.CharField(max_length=40, default=Role.VIEWER)  # one of `Role`, or the name of a `TeamRole`
    domains = models.JSONField(default=list, db_default=[], blank=True)  # recipient domains; empty: no limit
    is_break_glass = models.BooleanField(default=False, db_default=False)  # may use a password where only SSO is wanted
    theme = models.CharField(max_length=10, choices=Theme, default=Theme.SYSTEM)
    density = models.CharField(max_length=10, choices=Density, default=Density.STANDARD)
    text_size = models.PositiveSmallIntegerField(choices=TEXT_SIZES, default=13)
    undo_seconds = models.PositiveSmallIntegerField(choices=UNDO_CHOICES, default=default_undo_seconds)
    has_single_keys = models.BooleanField(default=True)
    has_auto_advance = models.BooleanField(default=True)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    shows_local_time = models.BooleanField(default=False)

    _composed: tuple[str, TeamRole | None] | None = None  # the role, where the team made it; read once for this object

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A row that exists is changed by named columns only.

        Every request holds its member as they were when it began. Saved whole, that copy would give a role, domains or
        access back that somebody took away in the meantime.
        """
        if not self._state.adding and kwargs.get("update_fields") is None:
            raise TypeError("name the columns to save of a member: update_fields=[...]")
        super().save(*args, **kwargs)

    def may(self, permission: Permission) -> bool:
        return allowed(self, permission)

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the role grants; a role that is gone grants nothing."""
        if self.role in _BUILT_IN:
            return ROLES[Role(self.role)]
        composed = self._composed_role()
        return composed.granted if composed else frozenset()

    @property
    def needs_second_factor(self) -> bool:
        """Whether the role lets nobody work without a second factor."""
        if self.role in _BUILT_IN:
            return self.role in settings.MFA_ROLES
        composed = self._composed_role()
        return composed is not None and composed.needs_second_factor

    @property
    def role_label(self) -> str:
        if self.role in _BUILT_IN:
            return Role(self.role).label
        composed = self._composed_role()
        return composed.label if composed else self.role

    def _composed_role(self) -> TeamRole | None:
        if self._composed is None or self._composed[0] != self.role:
            self._composed = (self.role, TeamRole.objects.filter(pk=self.role).first())
        return self._composed[1]

    @property
    def scope(self) -> Scope:
        return Scope(frozenset(self.domains))

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username


class Invitation(models.Model):
    """A link that makes one member, once; only the SHA-256 of its secret is kept."""

    secret_hash = models.CharField(max_length=64, unique=True)
    email = models.EmailField()
    role = models.CharField(max_length=40)
    domains = models.JSONField(default=list, blank=True)
    invited_by = models.ForeignKey("access.Member", null=True, on_delete=models.SET_NULL, related_name="+")
    invited_by_name = models.CharField(max_length=300)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey("access.Member", null=True, on_delete=models.SET_NULL, related_name="+")
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"invitation of {self.email}"


class Kept(models.Model):
    """One value of the cache (`dashboard.access.kept`): what sign-in remembers for minutes, for all processes."""

    key = models.CharField(primary_key=True, max_length=250)
    value = models.TextField()  # JSON
    ends_at = models.FloatField(db_index=True)  # seconds since 1970

    def __str__(self) -> str:
        return self.key


class Attempts(models.Model):
    """How often something was tried in a stretch of time (`dashboard.access.throttle`)."""

    key = models.CharField(primary_key=True, max_length=64)  # SHA-256 of what is counted
    number = models.PositiveIntegerField()
    ends_at = models.FloatField(db_index=True)  # seconds since 1970

    def __str__(self) -> str:
        return f"{self.number} attempts"


class FamiliarAddress(models.Model):
    """An address a member signed in from, so that a stranger's wrong guesses elsewhere do not keep them out there."""

    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="familiar_addresses")
    address = models.CharField(max_length=64)  # of IPv6 the network
    last_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["member", "address"], name="familiar_address_once")]

    def __str__(self) -> str:
        return self.address
