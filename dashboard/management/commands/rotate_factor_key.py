"""Encrypt second factors, evidence, and the targets of notices, with the first key of MAILWARDEN_FACTOR_KEY."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand
from django.db import transaction

from dashboard.access.sealing import reseal, reseal_file
from investigate.models import Evidence, NoticeRule

_SEALED = ("secret", "seed")  # of an authenticator app, of recovery codes


class Command(BaseCommand):
    help = "Encrypt anew what is sealed. Put the new key before the old one, run this, drop the old one."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        number = 0
        with transaction.atomic():
            for factor in Authenticator.objects.select_for_update().exclude(type=Authenticator.Type.WEBAUTHN):
                factor.data |= {part: reseal(factor.data[part]) for part in _SEALED if part in factor.data}
                factor.save(update_fields=["data"])
                number += 1
        files = 0
        for pk in Evidence.objects.order_by("pk").values_list("pk", flat=True):  # one at a time: they may be large
            with transaction.atomic():
                evidence = Evidence.objects.select_for_update().filter(pk=pk).first()
                if evidence is not None:
                    evidence.sealed = reseal_file(bytes(evidence.sealed))
                    evidence.save(update_fields=["sealed"])
                    files += 1
        rules = 0
        with transaction.atomic():
            for rule in NoticeRule.objects.select_for_update():
                rule.target, rule.secret = reseal(rule.target), reseal(rule.secret) if rule.secret else ""
                rule.save(update_fields=["target", "secret"])
                rules += 1
        self.stdout.write(
            f"Encrypted {number} factors, {files} files of evidence and {rules} notices with the first key."
        )
