"""Members of the team, their role, and how they like to work."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models

from dashboard.access.roles import Permission, Role, allowed
from dashboard.web.times import zone_names


def default_undo_seconds() -> int:
    return int(settings.UNDO_SECONDS)


def validate_time_zone(value: str) -> None:
    if value not in zone_names():
        raise ValidationError("Choose a time zone such as Europe/Berlin.")


class Theme(models.TextChoices):
    SYSTEM = "system", "As the system"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


class Density(models.TextChoices):
    COMPACT = "compact", "Compact"
    STANDARD = "standard", "Standard"
    RELAXED = "relaxed", "Relaxed"


class Member(AbstractUser):
    """A person at the desk; what they may do follows from `role` alone."""

    UNDO_CHOICES = [(0, "none"), (5, "5 seconds"), (8, "8 seconds"), (15, "15 seconds"), (30, "30 seconds")]
    TEXT_SIZES = [(13, "13"), (14, "14"), (16, "16")]

    role = models.CharField(
        max_length=40, choices=[(role.value, role.value.replace("_", " ")) for role in Role], default=Role.VIEWER
    )
    theme = models.CharField(max_length=10, choices=Theme, default=Theme.SYSTEM)
    density = models.CharField(max_length=10, choices=Density, default=Density.STANDARD)
    text_size = models.PositiveSmallIntegerField(choices=TEXT_SIZES, default=13)
    undo_seconds = models.PositiveSmallIntegerField(choices=UNDO_CHOICES, default=default_undo_seconds)
    has_single_keys = models.BooleanField(default=True)
    has_auto_advance = models.BooleanField(default=True)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    shows_local_time = models.BooleanField(default=False)

    def may(self, permission: Permission) -> bool:
        return allowed(self, permission)

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username
