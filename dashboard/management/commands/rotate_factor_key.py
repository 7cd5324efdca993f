"""Encrypt the secrets of second factors with the first key of MAILWARDEN_FACTOR_KEY."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand
from django.db import transaction

from dashboard.access.sealing import reseal

_SEALED = ("secret", "seed")  # of an authenticator app, of recovery codes


class Command(BaseCommand):
    help = "Encrypt the secrets of second factors anew. Put the new key before the old one, run this, drop the old one."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        number = 0
        with transaction.atomic():
            for factor in Authenticator.objects.select_for_update().exclude(type=Authenticator.Type.WEBAUTHN):
                factor.data |= {part: reseal(factor.data[part]) for part in _SEALED if part in factor.data}
                factor.save(update_fields=["data"])
                number += 1
        self.stdout.write(f"Encrypted {number} factors with the first key.")
