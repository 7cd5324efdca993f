"""`manage.py simulator`: the stand-in for the Email Security API, on a port of this machine."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.simulator import Simulator
from dashboard.simulator.profiles import PROFILES
from dashboard.simulator.server import SimulatorServer


class Command(BaseCommand):
    help = "Serve a simulated Email Security API, for demo, development and tests."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, required=True, help="0 picks a free one")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--messages", type=int, default=2000, help="how many of the last 30 days (default 2000)")
        parser.add_argument("--seed", type=int, default=1, help="another seed, other mail")
        parser.add_argument("--mail", type=Path, metavar="DIR", help="serve the .eml files of a folder instead")
        # Not --settings, which every command of Django has for its own.
        parser.add_argument("--entries", type=int, default=0, metavar="N", help="so many more allow and block entries")
        parser.add_argument("--profile", choices=sorted(PROFILES), default="current")
        parser.add_argument("--latency-ms", type=int, default=0, metavar="N", help="time each answer takes")
        parser.add_argument("--account-id", help="32 hexadecimal digits")
        parser.add_argument("--token", help="API token with Write permission")
        parser.add_argument("--read-token", help="API token with Read permission")
        parser.add_argument("--rate-limit", type=int, default=1200, metavar="N", help="calls in five minutes")
        parser.add_argument("--no-rate-limit", action="store_true")
        parser.add_argument("--control", action="store_true", help="open /__simulator__/ for tests")
        parser.add_argument("--wide-search-days", type=float, help="longer searches of clean mail answer 202")
        parser.add_argument("--search-delay", type=float, metavar="S", help="seconds until their results are ready")
        parser.add_argument("--arrival-interval", type=float, metavar="S", help="seconds between new messages; 0: none")
        parser.add_argument("--rhythm-at", type=float, metavar="EPOCH", help="invent mail as if it were this moment")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["mail"] is not None and not options["mail"].is_dir():
            raise CommandError(f"--mail: {options['mail']} is not a folder.")
        named = ("wide_search_days", "search_delay", "arrival_interval", "rhythm_at")
        simulator = Simulator(
            messages=options["messages"],
            seed=options["seed"],
            profile=options["profile"],
            mail_dir=options["mail"],
            latency=options["latency_ms"] / 1000,
            account_id=options["account_id"],
            token=options["token"],
            read_token=options["read_token"],
            rate_limit=None if options["no_rate_limit"] else options["rate_limit"],
            control=options["control"],
            entries=options["entries"],
            **{name: options[name] for name in named if options[name] is not None},
        )
        try:
            server = SimulatorServer((options["host"], options["port"]), simulator)
        except OSError as exc:
            raise CommandError(f"Cannot listen on {options['host']}:{options['port']}: {exc.strerror}.") from exc

        def stop(_signal: int, _frame: FrameType | None) -> None:
            threading.Thread(target=server.shutdown, daemon=True).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        base = f"http://{options['host']}:{server.server_port}{simulator.base_path}"
        self.stdout.write(f"{base} account={simulator.account_id} token={simulator.token}")
        self.stdout.flush()
        with server:
            server.serve_forever(poll_interval=0.2)
