"""A month of mail for the invented company, and the messages that arrive after it.

Everything is a function of its arguments: equal seeds give equal mail. The shares of the dispositions hold for the
whole, times follow office hours and weekdays, and a few people (finance, leadership, HR, IT) get most of the attacks.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import accumulate
from random import Random

from dashboard.simulator.mail import audience, company
from dashboard.simulator.mail.campaign import REPLY_PREFIX, Campaign
from dashboard.simulator.mail.campaigns import BY_DISPOSITION, FAMILIES
from dashboard.simulator.mail.company import Person
from dashboard.simulator.mail.family import Family, SenderStyle
from dashboard.simulator.mail.record import NO_PROPERTIES, MailRecord, Properties

DAYS = 30
DAY = 86_400.0
HOUR = 3_600.0

SHARES = {
    "NONE": 0.714,
    "SPAM": 0.10,
    "BULK": 0.06,
    "MALICIOUS": 0.04,
    "SUSPICIOUS": 0.04,
    "SPOOF": 0.03,
    "MALICIOUS-BEC": 0.01,
    "ENCRYPTED": 0.004,
    "UNKNOWN": 0.002,
}
REPORTED = 0.012  # share of records that are copies reported by their recipients
HELD = {"MALICIOUS": 0.86, "MALICIOUS-BEC": 0.82, "SPOOF": 0.55, "SUSPICIOUS": 0.4, "SPAM": 0.3, "UNKNOWN": 0.1}
MOVED = {"MALICIOUS": 0.7, "MALICIOUS-BEC": 0.6, "SPOOF": 0.3, "SUSPICIOUS": 0.2, "SPAM": 0.35, "BULK": 0.05}
NOT_HELD = frozenset({"BCC", "JOURNAL", "API", "RETRO_SCAN"})
MODES = {  # how each recipient domain is connected
    company.MAIN: (("DIRECT", 93), ("API", 4), ("RETRO_SCAN", 2), ("BCC", 1)),
    company.GERMAN: (("DIRECT", 95), ("API", 5)),
    company.FRENCH: (("API", 85), ("DIRECT", 15)),
    company.ACQUIRED: (("JOURNAL", 70), ("BCC", 30)),
}
HOURS_OFFICE = (1, 1, 1, 1, 1, 3, 9, 26, 60, 84, 90, 82, 58, 70, 86, 80, 64, 40, 19, 10, 7, 5, 3, 2)
HOURS_ATTACK = (14, 12, 11, 11, 13, 18, 30, 48, 62, 66, 60, 54, 48, 54, 60, 56, 46, 36, 28, 24, 22, 20, 18, 16)
DAYS_OFFICE = (1.05, 1.1, 1.0, 1.0, 0.8, 0.09, 0.06)
DAYS_ATTACK = (1.15, 1.1, 1.0, 1.05, 0.95, 0.45, 0.4)
QUEUE_LETTERS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"


class _Clock:
    """Draws times within the last 30 days that follow a weekly rhythm (UTC), which takes `now` for `rhythm_at`."""

    def __init__(self, now: float, rhythm_at: float, hours: Sequence[float], days: Sequence[float]) -> None:
        self.first = now - DAYS * DAY
        self.now = now
        self._shift = rhythm_at - now
        weights = []
        for index in range(DAYS * 24):
            moment = self._moment(self.first + index * HOUR)
            weights.append(hours[moment.hour] * days[moment.weekday()])
        self.cumulated = list(accumulate(weights))

    def _moment(self, at: float) -> datetime:
        return datetime.fromtimestamp(at + self._shift, UTC)

    def is_asleep(self, at: float) -> bool:
        moment = self._moment(at)
        return moment.weekday() >= 5 or not 6 <= moment.hour <= 19

    def draw(self, rng: Random, after: float | None = None) -> float:
        low = 0.0
        if after is not None and after > self.first:
            low = self.cumulated[min(int((after - self.first) / HOUR), len(self.cumulated) - 1)]
        spot = low + rng.random() * (self.cumulated[-1] - low)
        index = min(bisect_right(self.cumulated, spot), len(self.cumulated) - 1)
        return self.first + (index + rng.random()) * HOUR


def generate(
    n: int, seed: int, now: float, *, reported: float = REPORTED, rhythm_at: float | None = None
) -> list[MailRecord]:
    """`n` records of the last 30 days before `now` (epoch seconds), oldest first.

    `reported` is the share of user-reported copies (`is_phish_submission`) among them. With `rhythm_at` hours and
    weekdays are those of that moment instead of `now`: equal seeds then give mail of equal ages at every hour.
    """
    rng = Random(f"mail {seed}")
    rhythm_at = now if rhythm_at is None else rhythm_at
    office = _Clock(now, rhythm_at, HOURS_OFFICE, DAYS_OFFICE)
    attack = _Clock(now, rhythm_at, HOURS_ATTACK, DAYS_ATTACK)
    copies = int(n * reported)
    records: list[MailRecord] = []
    for disposition, count in _quotas(n - copies).items():
        families = BY_DISPOSITION[disposition]
        # A small set of mail shows every family once, in small campaigns, and a few large campaigns after that.
        opening = rng.sample(families, len(families))
        first_size, largest = max(2, count // (2 * len(families))), max(3, count // 9)
        weights = _weights(families, largest)
        while count > 0:
            family = opening.pop() if opening else rng.choices(families, weights)[0]
            largest_now = first_size if opening else largest
            low, high = (min(limit, largest_now) for limit in family.size)
            size = min(count, low + int((high - low) * rng.random() ** 2.2))
            clock = office if family.office_hours else attack
            records.extend(_campaign_records(family, rng, clock, size))
            count -= size
    records.extend(_report(rng, records, copies, now))
    records.sort(key=lambda record: record.scanned_at)
    return records


def arrival(seed: int, k: int, at: float) -> MailRecord:
    """The `k`-th new message, arriving at `at` (epoch seconds). Neighbouring arrivals share campaigns."""
    rng = Random(f"arrival {seed} {k}")
    disposition = rng.choices(list(SHARES), list(SHARES.values()))[0]
    families = BY_DISPOSITION[disposition]
    weights = _weights(families, 400)
    wave = Random(f"wave {seed} {disposition} {k // 400}")
    if disposition in {"NONE", "ENCRYPTED", "UNKNOWN"} or rng.random() < 0.3:
        wave = rng
    family = wave.choices(families, weights)[0]
    campaign = Campaign(family, wave.getrandbits(62), at // DAY * DAY)
    return _record(campaign, rng, at, is_reply=False)


def _weights(families: Sequence[Family], largest: int) -> list[float]:
    """How often to start a campaign of each family, so that its messages (not its campaigns) get the weighted share."""
    sizes = [[min(limit, largest) for limit in family.size] for family in families]
    return [family.weight / (low + 0.3 * (high - low)) for family, (low, high) in zip(families, sizes, strict=True)]


def _quotas(n: int) -> dict[str, int]:
    """How many of each disposition; what rounding leaves goes to clean mail."""
    quotas = {disposition: round(n * share) for disposition, share in SHARES.items()}
    quotas["NONE"] += n - sum(quotas.values())
    return quotas


def _campaign_records(family: Family, rng: Random, clock: _Clock, size: int) -> list[MailRecord]:
    start = clock.draw(rng)
    campaign = Campaign(family, rng.getrandbits(62), start)
    records = []
    at = start
    people: list[Person] = []
    for index in range(size):
        if index:
            at = start + rng.expovariate(1 / (family.spread_hours * HOUR))
            if family.office_hours and clock.is_asleep(at):
                at = clock.draw(rng, after=start)
            if at >= clock.now:
                at = start + rng.random() * (clock.now - start)
        is_reply = bool(index and family.replies)
        record = _record(campaign, rng, at, is_reply=is_reply, people=people if is_reply else None)
        if not people:
            people = _people_of(record)
        records.append(record)
    return records


@lru_cache(maxsize=1)
def _directory() -> dict[str, Person]:
    return {person.address: person for person in company.people()}


def _people_of(record: MailRecord) -> list[Person]:
    return [_directory()[address] for address in record.client_recipients]


@lru_cache(maxsize=4096)
def _single(text: str) -> tuple[str, ...]:
    return (text,)


def _texts(values: list[str]) -> tuple[str, ...]:
    return _single(values[0]) if len(values) == 1 else tuple(values)


@lru_cache(maxsize=256)
def _statuses(*values: str) -> tuple[str, ...]:
    return values


def _record(
    campaign: Campaign, rng: Random, at: float, *, is_reply: bool, people: list[Person] | None = None
) -> MailRecord:
    family, sender, language = campaign.family, campaign.sender, campaign.text.language
    own_seed = rng.getrandbits(62)
    people = people or audience.recipients(campaign, rng)
    slots = campaign.slots(people[0], own_seed)
    subject = campaign.subject(slots)
    if is_reply:
        subject = REPLY_PREFIX.get(language, "Re: ") + subject
    mode = _mode(people[0], rng)
    disposition = family.disposition
    is_held = mode not in NOT_HELD and rng.random() < (
        HELD.get(disposition, 0) if family.quarantine is None else family.quarantine
    )
    statuses = _delivery(disposition, mode, rng, people, is_held=is_held)
    if further := audience.further_recipients(campaign, people[0], own_seed, is_held=is_held):
        luck = Random(own_seed + 1)
        statuses = _statuses(*statuses, *_delivery(disposition, mode, luck, further, is_held=is_held))
        people = [*people, *further]
    addresses = _texts([person.address for person in people])
    names = _texts([person.name for person in people])
    shown = addresses[: 1 if len(people) > 2 else len(people)]
    postfix_id = _queue_id(rng)
    is_detection = disposition != "NONE"
    return MailRecord(
        id=_investigate_id(postfix_id, at, rng),
        postfix_id=postfix_id,
        postfix_id_outbound=None if is_held or mode in NOT_HELD else _queue_id(rng),
        alert_id=f"{postfix_id}-{_stamp(at)}" if is_detection else None,
        message_id=f"<{rng.getrandbits(64):016x}@{sender.domain}>",
        subject=subject,
        from_=people[0].address if family.from_recipient else sender.address,
        from_name=sys.intern(_display_name(sender.name, slots)),
        to=shown if len(shown) < len(addresses) else addresses,
        to_name=names if len(shown) == len(addresses) else names[:1],
        cc=addresses[1:] if len(people) > 2 else (),
        replyto=sender.replyto,
        envelope_from=sender.envelope,
        envelope_to=addresses,
        client_recipients=addresses,
        final_disposition=disposition,
        detection_reasons=campaign.reasons(slots) if is_detection or family.reasons else (),
        threat_categories=family.threats if is_detection else (),
        validation=sender.validation,
        delivery_mode=mode,
        delivery_status=statuses,
        is_quarantined=is_held,
        is_phish_submission=False,
        edf_hash=campaign.edf_hash,
        htmltext_structure_hash=campaign.htmltext_structure_hash,
        smtp_helo_server_ip=sender.network.helo,
        smtp_previous_hop_ip=sender.network.hop,
        x_originating_ip=sender.network.originating,
        properties=_properties(campaign, rng),
        sender_info=sender.network.info,
        scanned_at=round(at, 3),
        sent_at=float(int(at - rng.uniform(2, 40))),
        kind=family.kind,
        language=language,
        source=campaign,
        seed=own_seed,
    )


def _display_name(pattern: str, slots: dict[str, str]) -> str:
    """The sender's display name with its gaps filled."""
    return pattern.format_map(slots) if "{" in pattern else pattern


def _mode(person: Person, rng: Random) -> str:
    modes = MODES[person.domain]
    return rng.choices([mode for mode, _ in modes], [weight for _, weight in modes])[0]


def _delivery(disposition: str, mode: str, rng: Random, people: Sequence[Person], *, is_held: bool) -> tuple[str, ...]:
    """One status per copy, in agreement with the verdict and the way its domain is connected."""
    if is_held:
        return _statuses(*["quarantined"] * len(people))
    result = []
    for person in people:
        luck = rng.random()
        if mode in {"BCC", "JOURNAL"} or person.domain == company.ACQUIRED:
            result.append("delivered")
        elif luck < MOVED.get(disposition, 0):
            result.append("moved" if rng.random() < 0.96 else "move_failed")
        elif luck > 0.997:
            result.append("deferred")
        elif luck > 0.993:
            result.append("bounced")
        elif luck > 0.991 or (disposition in {"SPAM", "SPOOF"} and luck > 0.94):
            result.append("rejected")
        elif luck > 0.990:
            result.append("queued")
        else:
            result.append("delivered")
    return _statuses(*result)


_ALLOWED_PARTNER = tuple(
    Properties(allowlisted_pattern=partner.domain, allowlisted_pattern_type="acceptable_sender")
    for partner in company.SUPPLIERS[:4]
)


def _properties(campaign: Campaign, rng: Random) -> Properties:
    family, sender = campaign.family, campaign.sender
    if family.allowed:
        return _allowed(sender.domain, family.allowed)
    if family.disposition == "NONE" and family.style is SenderStyle.SUPPLIER:
        return next((entry for entry in _ALLOWED_PARTNER if entry.allowlisted_pattern == sender.domain), NO_PROPERTIES)
    if family.disposition == "SPAM" and campaign.seed % 9 == 0:
        return _blocked(sender.domain)
    if family.kind == "false-positive-mailer" and rng.random() < 0.08:
        return _allowed(sender.address, "quarantine_release")
    return NO_PROPERTIES


@lru_cache(maxsize=2048)
def _allowed(pattern: str, kind: str) -> Properties:
    return Properties(allowlisted_pattern=pattern, allowlisted_pattern_type=kind)


@lru_cache(maxsize=2048)
def _blocked(pattern: str) -> Properties:
    return Properties(blocklisted_message=True, blocklisted_pattern=pattern)


def _queue_id(rng: Random) -> str:
    return "4" + "".join(rng.choices(QUEUE_LETTERS, k=14))


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _investigate_id(postfix_id: str, at: float, rng: Random) -> str:
    return f"{postfix_id}-{_stamp(at)}-{rng.getrandbits(32):08x}"


def _report(rng: Random, records: list[MailRecord], count: int, now: float) -> list[MailRecord]:
    """Copies of delivered messages that a recipient reported as phishing, some of them plain newsletters."""
    likely = {"MALICIOUS": 30, "MALICIOUS-BEC": 30, "SUSPICIOUS": 20, "SPOOF": 14, "SPAM": 10, "BULK": 2, "NONE": 0.12}
    weights = list(
        accumulate(
            0.0
            if record.is_quarantined
            else 60.0
            if record.kind == "phishing-simulation"
            else likely.get(record.final_disposition, 0.0)
            for record in records
        )
    )
    if not weights or weights[-1] == 0:
        return []
    return [reported_copy(records[bisect_right(weights, rng.random() * weights[-1])], rng, now) for _ in range(count)]


def reported_copy(original: MailRecord, rng: Random, now: float) -> MailRecord:
    """The record that appears when a recipient reports `original`: same message, its own ids, later."""
    at = min(original.scanned_at + 60 + rng.expovariate(1 / (3 * HOUR)), now - rng.random() * 60)
    at = max(at, original.scanned_at + 1)
    postfix_id = _queue_id(rng)
    values = {name: getattr(original, name) for name in MailRecord.__slots__}
    reporter = _single(rng.choice(original.client_recipients))
    values.update(
        id=_investigate_id(postfix_id, at, rng),
        postfix_id=postfix_id,
        postfix_id_outbound=None,
        alert_id=f"{postfix_id}-{_stamp(at)}" if original.alert_id else None,
        client_recipients=reporter,
        delivery_mode="SIMULATION_SUBMISSION" if original.kind == "phishing-simulation" else "REVIEW_SUBMISSION",
        delivery_status=_statuses("delivered"),
        is_quarantined=False,
        is_phish_submission=True,
        scanned_at=round(at, 3),
    )
    return MailRecord(**values)


KINDS = tuple(dict.fromkeys(family.kind for family in FAMILIES))
