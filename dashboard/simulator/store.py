"""The account's mail: records in order of arrival, found by id or by search, each with its changing state."""

from __future__ import annotations

import threading
import zlib
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from dashboard.simulator.mail.record import Link, MailRecord
from dashboard.simulator.state import MessageState, initial_state
from dashboard.simulator.wire import naive


class MailStore:
    """Messages sorted by scan time; mail is only ever added. `lock` guards everything a call does.

    Phish submissions (copies that people reported) are kept apart: a search and an ordinary look-up do not see them.
    """

    def __init__(self, records: Iterable[MailRecord] = ()) -> None:
        self.lock = threading.RLock()
        self.records: list[MailRecord] = []
        self.reported: list[MailRecord] = []
        self.full_mailboxes: set[str] = set()
        self.domains_without_integration: set[str] = set()
        self._times: list[float] = []
        self._haystacks: list[str] = []
        self._by_key: dict[str, MailRecord] = {}
        self._reported_by_key: dict[str, MailRecord] = {}
        self._by_alert: dict[str, MailRecord] = {}
        self._states: dict[str, MessageState] = {}
        self._link_hosts: dict[str, frozenset[str]] = {}
        self._campaign_hashes: dict[str, str] = {}
        self._file_words: dict[str, str] = {}
        for record in sorted(records, key=lambda record: record.scanned_at):
            self.add(record)

    def add(self, record: MailRecord) -> None:
        """Take in one message; a late one (scanned before the newest) is filed at the end of its time."""
        if record.alert_id:
            self._by_alert[record.alert_id] = record
        if record.is_phish_submission:
            self.reported.append(record)
            self._reported_by_key[record.id] = record
            self._reported_by_key.setdefault(record.postfix_id, record)
            return
        position = len(self._times)
        if position and record.scanned_at < self._times[-1]:
            position = bisect_right(self._times, record.scanned_at)
        self._times.insert(position, record.scanned_at)
        self.records.insert(position, record)
        self._haystacks.insert(position, _haystack(record))
        self._by_key[record.id] = record
        self._by_key.setdefault(record.postfix_id, record)

    def get(self, key: str, *, submission: bool = False) -> MailRecord | None:
        """By investigate id, or by the postfix id that older records carry instead."""
        return (self._reported_by_key if submission else self._by_key).get(key)

    def find_any(self, key: str) -> MailRecord | None:
        return self._by_key.get(key) or self._reported_by_key.get(key)

    def by_alert(self, alert_id: str) -> MailRecord | None:
        return self._by_alert.get(alert_id)

    def state(self, record: MailRecord) -> MessageState:
        """The state to read; untouched mail has no object of its own."""
        return self._states.get(record.id) or initial_state(record)

    def touched(self, record: MailRecord) -> MessageState:
        """The state to change."""
        return self._states.setdefault(record.id, initial_state(record))

    def is_touched(self, record: MailRecord) -> bool:
        return record.id in self._states

    def newest_first(
        self, start: float, end: float, terms: list[str], before: tuple[float, str] | None = None
    ) -> Iterator[MailRecord]:
        """Messages of [start, end] holding all lower-case terms in their metadata, newest first.

        `before` is the last one already seen, as (scan time, id): what arrives meanwhile does not shift a page.
        """
        low = bisect_left(self._times, start)
        high = bisect_right(self._times, end)
        if before is not None:
            high = min(high, self._position(before))
        records, haystacks = self.records, self._haystacks
        if not terms:
            yield from (records[i] for i in range(high - 1, low - 1, -1))
            return
        for i in range(high - 1, low - 1, -1):
            haystack = haystacks[i]
            missing = [term for term in terms if term not in haystack]
            if not missing or self._in_attachments(records[i], missing):
                yield records[i]

    def _position(self, seen: tuple[float, str]) -> int:
        """Index of a message already shown; what lies below it is older."""
        at, message_id = seen
        first = bisect_left(self._times, at)
        for i in range(first, bisect_right(self._times, at)):
            if self.records[i].id == message_id:
                return i
        return first

    def links_to(self, record: MailRecord, domain: str) -> bool:
        """Whether a link of the message leads to this domain or below it."""
        known_host = getattr(record.source, "link_host", None)
        if known_host is not None and not _below(known_host, domain):
            return False
        hosts = self._link_hosts.get(record.id)
        if hosts is None:
            hosts = self._link_hosts[record.id] = frozenset(map(_host, record.links()))
        return any(_below(host, domain) for host in hosts)

    def learn_attachments(self, record: MailRecord) -> str:
        """Names and hashes of a message's attachments, which a search knows from now on.

        Invented look-alikes carry the same file under various names, so that one of them tells the hashes of all.
        """
        found = record.attachments()
        hashes = " ".join(text for item in found for text in (item.md5, item.sha1, item.sha256))
        if record.edf_hash and hashes:
            self._campaign_hashes[record.edf_hash] = hashes
        words = self._file_words[record.id] = " ".join([item.filename or "" for item in found] + [hashes]).lower()
        return words

    def _in_attachments(self, record: MailRecord, terms: list[str]) -> bool:
        """Whether the terms are in names or hashes of attachments; only asked for what looks like one of them."""
        return all(
            self._has_hash(record, term) if _is_hash(term) else _is_file_name(term) and self._has_file(record, term)
            for term in terms
        )

    def _has_hash(self, record: MailRecord, digest: str) -> bool:
        known = self._campaign_hashes.get(record.edf_hash or "", "")
        if digest in known:
            return True
        if known or len(self.records) > _HASHED_UP_TO or getattr(record.source, "enclosure", record) is None:
            # In a large account only the hashes anybody was ever shown can be searched for: making all takes minutes.
            return digest in self._file_words.get(record.id, "")
        return digest in (self._file_words.get(record.id) or self.learn_attachments(record))

    def _has_file(self, record: MailRecord, name: str) -> bool:
        """For mail out of files; the names in invented mail are among its metadata already."""
        if hasattr(record.source, "file_name"):
            return False
        return name in (self._file_words.get(record.id) or self.learn_attachments(record))

    def choose_full_mailboxes(self, most: int = 3) -> None:
        """A few mailboxes with mail in quarantine are full; for the same mail always the same ones.

        Preferably those of people whose held mail also went to others, so that a release is delivered in part and
        seldom fails altogether.
        """
        shared: Counter[str] = Counter()
        alone: Counter[str] = Counter()
        for record in self.records:
            if record.is_quarantined:
                (shared if len(record.client_recipients) > 1 else alone).update(record.client_recipients)
        waiting = sorted(
            shared or alone, key=lambda name: (2 * alone[name] - shared[name], zlib.crc32(name.encode()), name)
        )
        self.full_mailboxes = set(waiting[: most if shared else 1])


def _host(link: Link) -> str:
    try:
        return (urlsplit(link.href).hostname or "").lower().rstrip(".")
    except ValueError:
        return ""


def _below(host: str, domain: str) -> bool:
    return host == domain or host.endswith("." + domain)


_HEX = frozenset("0123456789abcdef")
_HASHED_UP_TO = 5000  # messages whose attachments are all hashed when a search needs it


def _is_hash(term: str) -> bool:
    return len(term) in (32, 40, 64) and _HEX.issuperset(term)


def _is_file_name(term: str) -> bool:
    stem, dot, suffix = term.rpartition(".")
    return bool(dot and stem and 2 <= len(suffix) <= 5) and "@" not in term


def _haystack(record: MailRecord) -> str:
    """The metadata a `query` looks into, lower-case, fields kept apart by line breaks."""
    naming = getattr(record.source, "file_name", None)
    parts = (
        record.subject,
        record.from_,
        record.from_name,
        record.envelope_from,
        record.replyto,
        record.message_id,
        record.alert_id,
        record.smtp_helo_server_ip,
        record.smtp_previous_hop_ip,
        record.x_originating_ip,
        record.final_disposition,
        None if naming is None else naming(record),
        naive(record.scanned_at),
        naive(record.sent_at),
        *dict.fromkeys((*record.to, *record.cc, *record.envelope_to, *record.client_recipients)),
        *record.to_name,
        *record.detection_reasons,
    )
    return "\n".join(part for part in parts if part).lower()
