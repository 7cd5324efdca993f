"""Make or renew the admin who gets in with a password when single sign-on does not work."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from dashboard.access.models import Member, TeamRole
from dashboard.access.roles import Role
from dashboard.access.sessions import end_sessions
from dashboard.access.team import links
from dashboard.audit.recorder import record
from dashboard.management.commands.first_admin import OWNER


class Command(BaseCommand):
    help = (
        "Make the admin for emergencies, who may use a password where only single sign-on is wanted, or renew them: "
        "password, second factors and sessions end, and a link that sets a new password is printed, once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--address", required=True, help="where people reach this installation, such as https://desk.corp.example"
        )
        parser.add_argument("--name", default="break-glass", help="the user name of this admin")

    def handle(self, *args: Any, address: str, name: str, **options: Any) -> None:  # noqa: ARG002
        with transaction.atomic():
            admin = renewed(name)
        self.stdout.write(
            f"The admin for emergencies, named {admin.username}, chooses a password here (once, within three days):\n"
            f"  {address.rstrip('/')}{links.first_sign_in(admin)}\n"
            "Afterwards they sign in at /account/login/?local; each time is written to the audit trail and logged."
        )


def renewed(name: str) -> Member:
    """The break-glass admin of this name, without anything that was known of them before."""
    admin = Member.objects.filter(username__iexact=name).first() or Member(username=name, is_break_glass=True)
    if not admin.is_break_glass:
        raise CommandError(f"{admin.username} is a colleague already. Choose another name: --name.")
    try:
        Member._meta.get_field("username").run_validators(admin.username)
    except ValidationError as problem:
        raise CommandError(f"--name cannot be used: {' '.join(problem.messages)}") from problem
    is_new = admin.pk is None
    admin.role = OWNER if TeamRole.objects.filter(pk=OWNER).exists() else Role.ADMIN
    admin.domains, admin.is_active = [], True
    admin.set_unusable_password()
    admin.save(update_fields=None if is_new else ["role", "domains", "is_active", "password"])
    Authenticator.objects.filter(user=admin).delete()
    end_sessions(admin)
    record(actor=None, action="account:break_glass", targets=[admin.username], detail={"new": is_new})
    return admin
