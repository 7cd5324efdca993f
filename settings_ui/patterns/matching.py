"""What a pattern would have matched among recent messages.

Compares with the mail of the whole account and shows metadata of what matches: pages that use it are for members who
may read messages, and all of them (`whole=True`).
"""

from __future__ import annotations

import datetime as dt
import operator
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Literal

from dashboard.emailsec.enums import Disposition, PatternType
from dashboard.web.times import minutes
from settings_ui.patterns import checks, reading, regex
from settings_ui.patterns.reading import EVERYTHING, Narrowing, Reading, Sampled

SUBDOMAINS_COUNT = False
"""Whether a domain's subdomains are matched by it. Source: unknown, no document says."""

MOST_SHOWN = 50
_NO_SUBDOMAINS = "Subdomains are not counted: it is not known whether Cloudflare does."
_LONGEST_TRY = 3.0  # seconds of comparing; a pattern that takes longer is not tried any further
_TRUE = frozenset({"true", "1", "on", "yes"})


class Against(StrEnum):
    """What a pattern is compared with."""

    SENDER = "sender"
    RECIPIENT = "recipient"
    SENDER_DOMAIN = "sender_domain"
    SUBJECT = "subject"
    NAME = "name"
    NOTHING = "nothing"


State = Literal["done", "searching", "untestable", "broken", "unavailable"]


@dataclass(frozen=True)
class TriedMessage:
    """One message that would have matched. All of it is hostile text."""

    investigate_id: str
    from_: str
    from_name: str
    to: str  # the first recipient
    to_count: int
    subject: str
    disposition: Disposition | None
    scanned_at: dt.datetime | None

    @property
    def verdict(self) -> str:
        """Malicious, Clean, BEC: theirs, in words."""
        return _word(self.disposition or "no verdict")


@dataclass(frozen=True)
class Tried:
    """What came of a try. While it is "searching" the figures are those of what was read so far; ask again in 2 s."""

    state: State
    told: str
    total: int = 0
    by_disposition: list[tuple[Disposition | str, int]] = field(default_factory=list)  # worst first
    messages: list[TriedMessage] = field(default_factory=list)  # newest first, MOST_SHOWN at most
    basis: str = ""
    is_complete: bool = False
    retry_after: int = 0  # seconds, where it is "unavailable"


class _CannotTry(Exception):
    def __init__(self, state: State, told: str) -> None:
        super().__init__(told)
        self.tried = Tried(state, told)


@dataclass(frozen=True)
class _Test:
    """How one message is judged, and how the API can help to find candidates."""

    matches: Callable[[Sampled], bool]
    narrowing: Narrowing = EVERYTHING
    remark: str = ""


def try_pattern(
    *, against: Against, pattern: str, pattern_type: str | None, is_regex: bool, also: Mapping[str, str] | None = None
) -> Tried:
    """Compare a pattern with the messages of 30 days, or as many of the newest as there is time for.

    NAME looks for a registered person's name in front of another address: `pattern` is the name, `also["email"]` the
    registered address, which is a regular expression if `is_regex` or `also["is_email_regex"]` says so. Never raises
    for what a person typed or what the API answers.
    """
    try:
        test = _test(against, pattern, pattern_type, is_regex=is_regex, also=also or {})
    except _CannotTry as cannot:
        return cannot.tried
    found = _candidates(test)
    if found.problem:
        return Tried("unavailable", _unavailable(found), retry_after=found.retry_after)
    if found.is_open and not found.rows:
        return Tried("searching", f"Still looking through {reading.DAYS} days of mail. Nothing is known yet.")
    return _judged(test, found)


# --- what is compared -------------------------------------------------------------------------------------------------


def _test(
    against: Against, pattern: str, pattern_type: str | None, *, is_regex: bool, also: Mapping[str, str]
) -> _Test:
    match against:
        case Against.NOTHING:
            told = "A body's text and the links of mail are not in what can be searched; it cannot be tested here."
            raise _CannotTry("untestable", told)
        case Against.SUBJECT:
            return _subject_test(pattern, is_regex=is_regex)
        case Against.NAME:
            is_email_regex = is_regex or also.get("is_email_regex", "").casefold() in _TRUE
            return _name_test(pattern, also.get("email", ""), is_email_regex=is_email_regex)
        case Against.SENDER_DOMAIN:
            pattern_type = PatternType.DOMAIN
    kind = PatternType(pattern_type) if pattern_type else _looks_like(pattern)
    if is_regex:
        found_in = _runnable(pattern).found_in
        return _Test(lambda row: any(map(found_in, _texts(row, against, kind))))
    if told := checks.problem_with(pattern, str(kind), is_regex=False):
        raise _CannotTry("broken", told)
    if kind == PatternType.IP:
        return _ip_test(pattern)
    wanted = checks.as_sent(pattern, str(kind), is_regex=False).casefold()
    narrowing = Narrowing(recipient=wanted) if against == Against.RECIPIENT else Narrowing(sender=wanted)
    remark = "" if kind == PatternType.EMAIL or SUBDOMAINS_COUNT else _NO_SUBDOMAINS
    return _Test(lambda row: wanted in _texts(row, against, kind), narrowing, remark)


def _runnable(pattern: str) -> regex.Pattern:
    outcome = regex.compiled(pattern)
    if isinstance(outcome, regex.Pattern):
        return outcome
    raise _CannotTry("broken" if isinstance(outcome, regex.Broken) else "untestable", outcome.told)


def _subject_test(pattern: str, *, is_regex: bool) -> _Test:
    if is_regex:
        found_in = _runnable(pattern).found_in
        return _Test(lambda row: found_in(row.subject))
    if not pattern.strip():
        raise _CannotTry("broken", "Write a pattern.")
    wanted = pattern.casefold()
    return _Test(lambda row: wanted in row.subject.casefold())


def _name_test(name: str, email: str, *, is_email_regex: bool) -> _Test:
    wanted = _folded(name)
    if not wanted:
        raise _CannotTry("broken", "Write the name first.")
    if not email.strip():
        raise _CannotTry("broken", "Write the address as well: mail from it is what does not count.")
    is_own = _runnable(email).found_in if is_email_regex else partial(operator.eq, email.strip().casefold())
    return _Test(lambda row: _folded(row.from_name) == wanted and not is_own(_address(row.from_)))


def _ip_test(pattern: str) -> _Test:
    wanted = checks.network_of(pattern)

    def matches(row: Sampled) -> bool:
        networks = map(checks.network_of, row.ips)
        return any(wanted and network and checks.covers(wanted, network) for network in networks)

    return _Test(matches)


def _looks_like(pattern: str) -> PatternType:
    if checks.network_of(pattern) is not None:
        return PatternType.IP
    return PatternType.EMAIL if "@" in pattern else PatternType.DOMAIN


def _texts(row: Sampled, against: Against, kind: PatternType) -> tuple[str, ...]:
    """What of a message a pattern of this kind is compared with."""
    if kind == PatternType.IP:
        return row.ips
    addresses = row.recipients if against == Against.RECIPIENT else (row.from_, row.envelope_from)
    known = (_address(text) for text in addresses if text)
    if kind == PatternType.DOMAIN:
        return tuple(checks.ascii_domain(domain) or domain for domain in (text.rpartition("@")[2] for text in known))
    return tuple(known)


def _address(text: str) -> str:
    """The address alone, where a name may stand before it."""
    if text.endswith(">") and "<" in text:
        text = text[text.rindex("<") + 1 : -1]
    return text.strip().casefold()


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


# --- what is found ----------------------------------------------------------------------------------------------------


def _candidates(test: _Test) -> Reading:
    if test.narrowing == EVERYTHING:
        return reading.sample()
    return reading.whole_sample() or reading.narrowed(test.narrowing)


def _judged(test: _Test, found: Reading) -> Tried:
    give_up = time.monotonic() + _LONGEST_TRY
    matched: list[Sampled] = []
    for row in found.rows:
        if test.matches(row):
            matched.append(row)
        if time.monotonic() > give_up:
            return Tried("untestable", "It takes too long to be tested here. Make it simpler, or save it untested.")
    counted = Counter(_disposition(row) for row in matched)
    by_disposition = sorted(((value or "no verdict", count) for value, count in counted.items()), key=_worst_first)
    basis = _basis(found, is_narrowed=test.narrowing != EVERYTHING)
    told = _sentence(len(matched), by_disposition, basis)
    if found.is_open:
        told = f"Still reading. {told}"
    return Tried(
        state="searching" if found.is_open else "done",
        told=f"{told} {test.remark}".strip(),
        total=len(matched),
        by_disposition=by_disposition,
        messages=[_shown(row) for row in matched[:MOST_SHOWN]],
        basis=basis,
        is_complete=found.is_whole,
    )


def _shown(row: Sampled) -> TriedMessage:
    return TriedMessage(
        investigate_id=row.id,
        from_=row.from_,
        from_name=row.from_name,
        to=row.recipients[0] if row.recipients else "",
        to_count=len(row.recipients),
        subject=row.subject,
        disposition=_disposition(row),
        scanned_at=row.scanned_at,
    )


def _disposition(row: Sampled) -> Disposition | None:
    return Disposition(row.disposition) if row.disposition else None


_SEVERITY = list(Disposition)


def _worst_first(counted: tuple[Disposition | str, int]) -> tuple[int, int, str]:
    value, count = counted
    is_known = isinstance(value, Disposition) and value.is_known
    return (_SEVERITY.index(Disposition(value)) if is_known else len(_SEVERITY), -count, str(value))


# --- words ------------------------------------------------------------------------------------------------------------


def _basis(found: Reading, *, is_narrowed: bool) -> str:
    if found.is_whole:
        return f"in {reading.DAYS} days"
    times = [row.scanned_at for row in found.rows if row.scanned_at is not None]
    whose = " from or to it" if is_narrowed else ""
    back = f", back to {min(times).astimezone(dt.UTC):%-d %b}" if times else ""
    return f"of the newest {len(found.rows):,}{whose or ' messages'}{back}"


def _sentence(total: int, by_disposition: list[tuple[Disposition | str, int]], basis: str) -> str:
    """Would have matched 214 in 30 days, 3 of them Malicious."""
    if not total:
        return f"Would have matched {'nothing' if basis.startswith('in ') else 'none'} {basis}."
    words = [(_word(value), count) for value, count in by_disposition]
    if len(words) == 1:
        verdicts = words[0][0] if total == 1 else f"all of them {words[0][0]}"
    else:
        worst = [(word, count) for word, count in words if word != "Clean"][:3]
        first, *others = worst
        verdicts = ", ".join([f"{first[1]:,} of them {first[0]}", *(f"{count:,} {word}" for word, count in others)])
    return f"Would have matched {total:,} {basis}, {verdicts}."


def _word(value: Disposition | str) -> str:
    if not isinstance(value, Disposition) or not value.is_known:
        return str(value)[:40]
    return {Disposition.NONE: "Clean", Disposition.MALICIOUS_BEC: "BEC"}.get(value, str(value).capitalize())


def _unavailable(found: Reading) -> str:
    wait = minutes(found.retry_after)
    match found.problem:
        case "BudgetExhausted" | "RateLimited":
            return f"The account's call budget is used up. Try again in {wait}; saving needs no try."
        case "NotFinished":
            return f"Cloudflare has not finished searching its mail. Try again in {wait}; saving needs no try."
        case "CredentialsRefused" | "NotPermitted":
            return "Our API token may not search mail; whoever runs Mailwarden must renew it. Saving needs no try."
        case "Unavailable":
            return f"Cloudflare could not be reached. Try again in {wait}; saving needs no try."
    return f"Cloudflare's answer could not be used. Try again in {wait}; saving needs no try."
