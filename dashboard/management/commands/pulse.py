"""Exit with 0 when the worker's last sign of life is fresh: the health check of worker and scheduler containers."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from dashboard.upstream.health import worker_is_alive


class Command(BaseCommand):
    help = "Tell whether a scheduled task came back from a worker lately."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", default="worker", choices=["worker", "people", "bulk"])

    def handle(self, *args: Any, name: str, **options: Any) -> None:  # noqa: ARG002
        if not worker_is_alive(name):
            self.stderr.write("No task has come back from a worker lately.")
            sys.exit(1)
