"""Print a one-time link with which the first admin chooses a password."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.tokens import default_token_generator
from django.core.management.base import BaseCommand
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from dashboard.access.models import Member
from dashboard.access.roles import Role


class Command(BaseCommand):
    help = "Make the first admin where there is no member yet, and print the link that sets the password, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--address", required=True, help="where people reach this installation, such as https://desk.corp.example"
        )

    def handle(self, *args: Any, address: str, **options: Any) -> None:  # noqa: ARG002
        admin = Member.objects.filter(username="admin").first()
        if admin is None and not Member.objects.exists():
            admin = Member(username="admin", role=Role.ADMIN)
            admin.set_unusable_password()
            admin.save()
        if admin is None or admin.has_usable_password():
            self.stdout.write("Sign in with your own name and password.")
            return
        link = reverse(
            "access:first_sign_in",
            kwargs={
                "uidb64": urlsafe_base64_encode(force_bytes(admin.pk)),
                "token": default_token_generator.make_token(admin),
            },
        )
        self.stdout.write(
            "The first admin, named admin, chooses a password here (once, within three days):\n"
            f"  {address.rstrip('/')}{link}"
        )
