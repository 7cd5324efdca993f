"""Make the demo's members, one for each role."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dashboard.access.models import Member
from dashboard.access.roles import Role

PASSWORD = "mailwarden-demo"  # noqa: S105  the demo listens on this machine only and holds invented mail
PEOPLE = {
    "ana": (Role.ANALYST, "Ana", "Kovač", "triages mail: moves, releases, submits, blocks and allows senders"),
    "ben": (Role.RESPONDER, "Ben", "Okafor", "the same, and purges, runs large jobs, and is the second person"),
    "pia": (
        Role.POLICY_MANAGER,
        "Pia",
        "Lindqvist",
        "keeps the settings: lists, domains, imports, backups; reads no mail",
    ),
    "otto": (Role.AUDITOR, "Otto", "Brandt", "reads the audit trail and the settings"),
    "ada": (Role.ADMIN, "Ada", "Moreau", "manages the team and its rights"),
    "vera": (Role.VIEWER, "Vera", "Santos", "looks on"),
}


class Command(BaseCommand):
    help = "Make the demo's members, one for each role, and print how to sign in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--address", required=True)

    def handle(self, *args: Any, address: str, **options: Any) -> None:  # noqa: ARG002
        if not settings.DEMO:
            raise CommandError("Demo members exist in the demo only: their password is public.")
        lines = []
        for name, (role, first, last, what) in PEOPLE.items():
            member, _ = Member.objects.get_or_create(
                username=name,
                defaults={"role": role, "first_name": first, "last_name": last, "email": f"{name}@mailwarden.example"},
            )
            member.set_password(PASSWORD)
            member.save(update_fields=["password"])
            lines.append(f"  {name:5} {role.value.replace('_', ' '):15} {what}")
        self.stdout.write("Sign in as one of these, password " + PASSWORD + ":\n" + "\n".join(lines))
