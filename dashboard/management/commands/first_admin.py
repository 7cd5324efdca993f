"""Print a one-time link with which the first member chooses a password."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import EVERYTHING
from dashboard.access.team import links
from dashboard.audit.recorder import record

NAME = "admin"
OWNER = "owner"  # may do everything, so that one person alone can work; a role of the team like any other


class Command(BaseCommand):
    help = "Make the first member where there is none yet, and print the link that sets the password, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--address", required=True, help="where people reach this installation, such as https://desk.corp.example"
        )

    def handle(self, *args: Any, address: str, **options: Any) -> None:  # noqa: ARG002
        first = Member.objects.filter(username=NAME).first()
        if first is None and not Member.objects.exists():
            first = self._make()
        if first is None or first.has_usable_password():
            self.stdout.write("Sign in with your own name and password.")
            return
        self.stdout.write(
            f"The first member, named {NAME}, chooses a password here (once, within three days):\n"
            f"  {address.rstrip('/')}{links.first_sign_in(first)}"
        )

    @transaction.atomic
    def _make(self) -> Member:
        role, _ = TeamRole.objects.get_or_create(name=OWNER, defaults={"label": "Owner", "permissions": [EVERYTHING]})
        first = Member(username=NAME, role=role.pk)
        first.set_unusable_password()
        first.save()
        record(actor=None, action="team:first_member", targets=[NAME], detail={"role": role.pk})
        return first
