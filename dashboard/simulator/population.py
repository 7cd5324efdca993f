"""Who and what is in the simulated account at the start, and the mail that keeps coming."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dashboard.simulator import rulebook
from dashboard.simulator.conformance import message_fixture
from dashboard.simulator.mail import company
from dashboard.simulator.mail.record import MailRecord
from dashboard.simulator.settings import SettingsApi
from dashboard.simulator.store import MailStore

_DAY = 86400.0
_MOST_ARRIVALS_AT_ONCE = 2000  # after a long pause of the clock


class Population:
    """The mail of one account: invented, given, read from a folder, or only the fixture of the conformance profile."""

    def __init__(
        self,
        *,
        messages: int,
        seed: int,
        mail_dir: str | Path | None,
        fixture: bool,
        given: Iterable[MailRecord] | None,
        started_at: float,
        arrival_interval: float,
        rhythm_at: float | None = None,
        entries: int = 0,
    ) -> None:
        self.seed = seed
        self.entries = entries
        self.started_at = started_at
        self.invented = not fixture and mail_dir is None and given is None
        records: Iterable[MailRecord]
        if fixture:
            records = [message_fixture()]
        elif given is not None:
            records = given
        elif mail_dir is not None:
            from dashboard.simulator.mail import folder

            records = folder.read_folder(Path(mail_dir), started_at)
        else:
            from dashboard.simulator.mail import generator

            records = generator.generate(messages, seed, started_at, rhythm_at=rhythm_at)
        self.store = MailStore(records)
        self.domains = company.DOMAINS if self.invented else self._observed_domains()
        if self.invented:
            self.store.domains_without_integration = {company.ACQUIRED}
            self.store.choose_full_mailboxes()
        self._interval = arrival_interval if self.invented else 0.0
        self._gaps = random.Random(f"arrivals-{seed}")
        self._count = 0
        self._extra = 1_000_000  # numbers apart from those of the arrivals in their time
        self._next_at = started_at + self._gap()

    def _gap(self) -> float:
        return self._interval * self._gaps.uniform(0.4, 1.6)

    def _observed_domains(self) -> tuple[str, ...]:
        """Where most mail of a folder went to: taken as the protected domains."""
        seen = Counter(
            address.rpartition("@")[2].lower() for record in self.store.records for address in record.client_recipients
        )
        return tuple(name for name, _ in seen.most_common(3) if "." in name) or ("example.com",)

    def arrivals(self, now: float) -> list[MailRecord]:
        """Messages that came since the last call."""
        if not self._interval or now < self._next_at:
            return []
        from dashboard.simulator.mail import generator

        found = []
        while self._next_at <= now and len(found) < _MOST_ARRIVALS_AT_ONCE:
            found.append(generator.arrival(self.seed, self._count, self._next_at))
            self._count += 1
            self._next_at += self._gap()
        if self._next_at <= now:
            self._next_at = now + self._gap()
        return found

    def arrive_now(self, count: int, now: float) -> list[MailRecord]:
        """So many more messages at this moment; only where mail is invented."""
        if not self.invented:
            return []
        from dashboard.simulator.mail import generator

        first = self._extra
        self._extra += count
        return [generator.arrival(self.seed, first + k, now) for k in range(count)]

    def configure(self, settings: SettingsApi) -> None:
        """The account's settings as somebody made them before: a few entries of every kind, more where wanted."""
        self._usual(settings)
        for kind, rows in (
            ("allow_policies", rulebook.allow_policies(self.entries, self.seed)),
            ("block_senders", rulebook.block_senders(self.entries, self.seed)),
        ):
            for age, row in rows:
                settings.seed_entry(kind, self.started_at - age * _DAY, **row)

    def _usual(self, settings: SettingsApi) -> None:
        draw = random.Random(f"settings-{self.seed}")
        if not self.invented:
            for name in self.domains:
                self._domain(settings, draw, name, status="ACTIVE")
            return
        for name in self.domains:
            self._domain(settings, draw, name, status="FAILED" if name == company.ACQUIRED else "ACTIVE")
        for kind, rows in _configuration().items():
            for index, row in enumerate(rows):
                settings.seed_entry(kind, self.started_at - (200 - 7 * index) * _DAY, **row)

    def _domain(self, settings: SettingsApi, draw: random.Random, name: str, *, status: str) -> None:
        connected = status == "ACTIVE"
        at = self.started_at - draw.uniform(250, 600) * _DAY
        settings.seed_entry(
            "domains",
            at,
            domain=name,
            status=status,
            allowed_delivery_modes=["API", "DIRECT"] if connected else ["BCC"],
            drop_dispositions=["MALICIOUS", "SPAM"],
            ip_restrictions=["192.0.2.0/24"] if connected else [],
            regions=["GLOBAL"],
            folder="Inbox" if connected else None,
            integration_id=settings.world.new_id() if connected else None,
            inbox_provider="Microsoft" if connected else None,
            o365_tenant_id=settings.world.new_id() if connected else None,
            lookback_hops=2,
            require_tls_inbound=connected,
            require_tls_outbound=False,
            transport=f"mx1.{name}",
            dmarc_status="good" if connected else "none",
            spf_status="good" if connected else "open",
            authorization={
                "authorized": connected,
                "timestamp": "2025-11-03T09:12:44.120Z",
                "status_message": None if connected else "The mailbox provider did not grant access.",
            },
        )


def _allow(pattern: str, pattern_type: str, comments: str | None, **flags: bool) -> dict[str, Any]:
    return {
        "pattern": pattern,
        "pattern_type": pattern_type,
        "is_regex": False,
        "is_trusted_sender": False,
        "is_exempt_recipient": False,
        "is_acceptable_sender": False,
        "verify_sender": True,
        "comments": comments,
        **flags,
    }


def _block(pattern: str, pattern_type: str, comments: str | None, *, is_regex: bool = False) -> dict[str, Any]:
    return {"pattern": pattern, "pattern_type": pattern_type, "is_regex": is_regex, "comments": comments}


def _trusted(pattern: str, comments: str | None, *, recent: bool, similar: bool) -> dict[str, Any]:
    return {
        "pattern": pattern,
        "is_regex": False,
        "is_recent": recent,
        "is_similarity": similar,
        "comments": comments,
    }


def _person(name: str, email: str, provenance: str | None, number: int | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "email": email,
        "is_email_regex": False,
        "provenance": provenance,
        "directory_id": None if number is None else 1,
        "directory_node_id": number,
    }


def _configuration() -> dict[str, list[dict[str, Any]]]:
    people = [(f"{first} {last}", f"{first}.{last}@{domain}".lower()) for first, last, domain, *_ in company.LEADERS]
    return {
        "allow_policies": [
            _allow("payroll-provider.example", "DOMAIN", "Pay slips, agreed with HR", is_trusted_sender=True),
            _allow(f"phishing-reports@{company.MAIN}", "EMAIL", "Must arrive unfiltered", is_exempt_recipient=True),
            _allow("198.51.100.0/28", "IP", "Warehouse scanners", is_acceptable_sender=True, verify_sender=False),
            _allow("newsletter.trade-press.example", "DOMAIN", None, is_acceptable_sender=True),
        ],
        "block_senders": [
            _block("invoice-desk.example", "DOMAIN", "Supplier impersonation in spring"),
            _block("winner@lucky-draw.example", "EMAIL", None),
            _block("203.0.113.77", "IP", "Open relay"),
            _block(r".*@(secure|verify)-tarnfell\..*", "EMAIL", "Look-alikes of our name", is_regex=True),
        ],
        "content_policies": [
            {
                "name": "Gift cards",
                "pattern": r"(?i)gift ?cards?.{0,40}(scratch|codes?)",
                "targets": ["SUBJECT", "BODY"],
                "enabled": True,
                "notes": "Nobody here buys gift cards by mail.",
            },
            {
                "name": "Project Heron",
                "pattern": r"(?i)project heron",
                "targets": ["SUBJECT"],
                "enabled": False,
                "notes": None,
            },
        ],
        "impersonation_registry": [
            *(_person(name, email, "A1S_INTERNAL") for name, email in people[:4]),
            *(_person(name, email, "SNOOPY-OFFICE_365", 4000 + n) for n, (name, email) in enumerate(people[4:8])),
        ],
        "sending_domain_restrictions": [
            {
                "domain": "bank-of-harrowgate.example",
                "exclude": ["news.bank-of-harrowgate.example"],
                "comments": "TLS only",
            },
        ],
        "trusted_domains": [
            _trusted("oakmere-group.example", "Parent of the acquired company", recent=False, similar=True),
            _trusted("tarnfell-jobs.example", "New careers site", recent=True, similar=True),
        ],
        "url_ignore_patterns": [
            {"pattern": r"https://intranet\.tarnfell\.example/.*", "comments": "Internal links stay readable"},
        ],
    }
