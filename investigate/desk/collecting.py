"""What comes onto the desk by itself: detections, what users reported, what PhishGuard reported.

The same readings fill the memory (see `mail.py`), so that the account is read once for both.

Each source has a mark: how far it was read, and a reading that goes on. A round claims the mark, makes a few calls of
low priority, and stores what each page brought before it asks for the next one. It reads again some time before the
mark, because lists grow late and clocks differ; what is known already makes nothing twice: the database sees to that.

Of the account's mail a round asks for the newest page first. What that page leaves unread (a first reading, an outage,
a memory that was widened) is put off to `older` and read with the calls that are left, so that it holds up nothing
that comes in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import structlog
from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone

from dashboard.access.scope import spaced
from dashboard.audit.chain import storable_text
from dashboard.audit.recorder import record
from dashboard.emailsec import errors
from dashboard.emailsec.enums import CustomerStatus, SortDirection, SubmissionOrder, SubmitterType
from dashboard.emailsec.requests import SearchQuery
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import Message, PhishGuardReport, SlowSearch, Submission
from dashboard.installation.values import setting
from dashboard.upstream.connection import get_client
from dashboard.upstream.ring import ring
from dashboard.web.text import split_address
from investigate.bulk.facts import is_id
from investigate.desk import mail, words
from investigate.desk.cases import all_cases, ensure
from investigate.desk.changes import note_change
from investigate.memory.remembering import remember
from investigate.models import Case, CaseReport, CaseSource, CaseState, QueueMark, SeenSubmission
from investigate.submissions.remembering import remember_submissions

log = structlog.get_logger("mailwarden.desk")

TASK = "investigate.tasks.collect_queue"
SOURCES = (CaseSource.DETECTION, CaseSource.SUBMISSION, CaseSource.PHISHGUARD)
EVERY = dt.timedelta(seconds=55)  # a sweep comes more often, and the next one after a minute shall find it due
CLAIM = dt.timedelta(minutes=8)  # longer than a round, whose last call may be slow
ROUND = dt.timedelta(minutes=4)  # then no further call is begun
OLDER_FOR = dt.timedelta(seconds=40)  # nor one for older mail: the newest is asked for again after a minute
OVERLAP = {
    CaseSource.DETECTION: mail.OVERLAP,
    CaseSource.SUBMISSION: dt.timedelta(hours=1),
    CaseSource.PHISHGUARD: dt.timedelta(days=1),  # written up long after the mail came, and listed by the mail's time
}
LONGEST_RANGE = dt.timedelta(days=30)  # further back the service does not look
SHORTEST_RANGE = dt.timedelta(minutes=2)  # not cut in halves any more
LOST = (errors.SearchExpired, errors.ForeignLocation, errors.Rejected)  # the place to go on at
OUTCOMES_WITHIN = dt.timedelta(days=14)  # what Cloudflare has not answered by then is looked at when somebody asks
PAGES_A_ROUND = 6
LOOKUPS_FOR_ONE = 3  # by its id in both stores, and by a search
LOOKUPS_A_ROUND = 20  # calls that look for the messages reports are about
REPORTS_PER_PAGE = 100
CALL_SECONDS = 10.0
PATIENCE_WITH_A_REPORT = dt.timedelta(minutes=10)  # whose message is searched slowly; then it stands alone
BEFORE_A_REPORT, AFTER_A_REPORT = dt.timedelta(days=3), dt.timedelta(hours=1)  # where its message is searched
KEPT = dt.timedelta(days=90)
AT_ONCE = 500  # cases a statement deletes, so that nobody waits for a lock


@dataclass
class Reading:
    """A range that is read page by page, as it is kept between two rounds."""

    start: str
    end: str
    cursor: str = ""
    page: int = 1
    location: str = ""  # where a slow search will be answered
    since: str = ""  # when that search was begun
    of_all_mail: bool = False
    queue_from: str = ""  # of a first reading, which goes back further for the memory than for the desk

    @property
    def wanted_from(self) -> dt.datetime | None:
        """The oldest mail that comes onto the desk; None for all."""
        return dt.datetime.fromisoformat(self.queue_from) if self.queue_from else None

    @property
    def has_place(self) -> bool:
        """Whether it goes on somewhere, which the service may have forgotten."""
        return bool(self.cursor or self.location)

    def begun_again(self) -> Reading:
        return replace(self, cursor="", page=1, location="", since="")

    @property
    def window(self) -> tuple[dt.datetime, dt.datetime]:
        return dt.datetime.fromisoformat(self.start), dt.datetime.fromisoformat(self.end)


@dataclass
class Round:
    """One claimed mark, and what this round may still ask."""

    mark: QueueMark
    reading: Reading
    lookups: int
    until: dt.datetime
    new: list[str] = field(default_factory=list)

    def check_time(self) -> None:
        """Raise AskedEnough once the round has lasted long enough."""
        if timezone.now() > self.until:
            raise AskedEnough


class AskedEnough(Exception):
    """The round has made its calls; what is done stays done, and the next one goes on."""


class AnswersLater(Exception):
    """The search for a report's message is slow: this report has to wait, the others do not."""


# --- when -------------------------------------------------------------------------------------------------------------


def ring_if_due() -> None:
    """Ring for each source that nobody has read for a minute."""
    now = timezone.now()
    account = settings.CLOUDFLARE_ACCOUNT_ID
    waits = set(QueueMark.objects.filter(account_id=account).exclude(_is_due(now)).values_list("source", flat=True))
    for source in SOURCES:
        if source not in waits and not ring(TASK, source.value):
            return  # the broker is away; the next sweep is not far


def collect(source: str) -> None:
    """One round of one source, if it is due and nobody else does it."""
    mark = _claim(CaseSource(source))
    if mark is None:
        return
    began = Round(mark, _reading_of(mark), LOOKUPS_A_ROUND, timezone.now() + ROUND)
    try:
        is_finished = _READERS[CaseSource(source)](began)
    except AskedEnough:
        _update(mark, claimed_at=None, tried_at=None, explanation="")
    except errors.ShareUsedUp:  # what was read is kept; it goes on as soon as there are calls again
        _update(mark, claimed_at=None, tried_at=None, explanation="")
    except LOST as problem:  # the range is read from its beginning: all that is known stays
        _update(mark, claimed_at=None, explanation=_told(problem), reading={})
    except errors.EmailSecurityError as problem:
        _update(mark, claimed_at=None, explanation=_told(problem))
    else:
        if is_finished:
            _update(mark, claimed_at=None, explanation="")
        else:
            _update(mark, claimed_at=None, tried_at=None, explanation="")  # goes on with the next sweep
    if began.new:
        log.info("queue_grew", source=source, cases=len(began.new))


def troubles() -> list[tuple[str, QueueMark]]:
    """(source in words, its mark) of each source that cannot be read at the moment."""
    marks = QueueMark.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID).exclude(explanation="")
    return [(words.SOURCE_LISTS[CaseSource(mark.source)], mark) for mark in marks.order_by("source")]


def is_first_reading() -> bool:
    """Whether detections have never been read to the end."""
    mark = QueueMark.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, source=CaseSource.DETECTION).first()
    return mark is None or mark.covered_until is None or any(kept["queue_from"] for kept in mark.older)


def forget_old() -> None:
    """Cases that hold nothing of ours: done long ago without a verdict or a note, or never worked on at all."""
    before = timezone.now() - KEPT
    is_done = Q(state=CaseState.DONE, done_at__lt=before)
    is_untouched = Q(source=CaseSource.PERSON, version=1, changed_at__lt=before)
    old = Case.objects.filter(is_done | is_untouched, verdict="", notes=None)
    while ids := list(old.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        old.filter(pk__in=ids).delete()


def complete_since(mark: QueueMark | None) -> dt.datetime | None:
    """From when on the memory holds all that is remembered; None before the first reading."""
    if mark is None or mark.complete_since is None:
        return None
    unread = [Reading(**kept).window[1] for kept in mark.older]
    return max(mark.complete_since, timezone.now() - dt.timedelta(days=setting("MEMORY_DAYS")), *unread)


def _is_due(now: dt.datetime) -> Q:
    is_free = Q(claimed_at=None) | Q(claimed_at__lt=now - CLAIM)
    return is_free & (Q(tried_at=None) | Q(tried_at__lte=now - EVERY))


def _claim(source: CaseSource) -> QueueMark | None:
    now = timezone.now()
    QueueMark.objects.get_or_create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        source=source,
        defaults={"read_until": now - dt.timedelta(days=setting("QUEUE_DAYS"))},
    )
    ours = QueueMark.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, source=source)
    if not ours.filter(_is_due(now)).update(claimed_at=now, tried_at=now):
        return None
    return ours.filter(claimed_at=now).first()


def _update(mark: QueueMark, **values: Any) -> bool:
    """Write to the mark while this round still has it: a round that slept too long was overtaken."""
    return bool(QueueMark.objects.filter(pk=mark.pk, claimed_at=mark.claimed_at).update(**values))


def _store(mark: QueueMark, **values: Any) -> None:
    """Store how far the round came. Raises AskedEnough where it was overtaken."""
    if not _update(mark, **values):
        raise AskedEnough
    for name, value in values.items():
        setattr(mark, name, value)


def _reading_of(mark: QueueMark) -> Reading:
    if mark.reading:
        return Reading(**mark.reading)
    now = timezone.now()
    if mark.source == CaseSource.DETECTION:
        reading = _first_reading(mark, now) if mail.is_first_reading(mark) else _what_came(mark, now)
        reading.of_all_mail = bool(setting("MEMORY_ALL_MAIL"))
        return reading
    reading = _what_came(mark, now)
    if mark.source == CaseSource.SUBMISSION and now.hour != mark.read_until.hour:
        reading = _with_those_waiting(reading)
    return reading


def _what_came(mark: QueueMark, now: dt.datetime) -> Reading:
    start = max(mark.read_until - OVERLAP[CaseSource(mark.source)], now - LONGEST_RANGE)
    return Reading(start.isoformat(), now.isoformat())


def _with_those_waiting(reading: Reading) -> Reading:
    """Once an hour, from the oldest submission that has no outcome yet: outcomes come after hours, or days."""
    start, end = reading.window
    waiting = SeenSubmission.objects.filter(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, outcome="", requested_at__gt=end - OUTCOMES_WITHIN
    )
    oldest = waiting.order_by("requested_at").values_list("requested_at", flat=True).first()
    if oldest is None or oldest >= start:
        return reading
    return Reading(oldest.isoformat(), reading.end, queue_from=reading.start)


def _first_reading(mark: QueueMark, now: dt.datetime) -> Reading:
    """Back as far as the memory shall begin; onto the desk comes only what is not too old for it. It holds all that was
    put off before, whose place it takes."""
    put_off = [Reading(**kept) for kept in mark.older]
    first_day = now - dt.timedelta(days=setting("QUEUE_DAYS"))
    queue_from = min(mark.read_until, first_day, *(old.wanted_from or old.window[0] for old in put_off))
    days = max(setting("MEMORY_FIRST_DAYS"), setting("QUEUE_DAYS"))
    start = min(mark.read_until, now - dt.timedelta(days=days), *(old.window[0] for old in put_off))
    start = max(start, now - LONGEST_RANGE)
    return Reading(start.isoformat(), now.isoformat(), queue_from=queue_from.isoformat())


# --- mail -------------------------------------------------------------------------------------------------------------


def _read_mail(began: Round) -> bool:
    """The newest page first, then of the older mail as much as there is time and calls for."""
    mark, pages = began.mark, mail.PAGES_A_ROUND
    if mark.reading:  # begun before readings were put off
        _put_off(mark, began.reading)
    elif not _is_just_read(mark) and _leave_something_to_read(began):
        reading = _reading_of(mark)
        page = mail.read_page(reading, priority=Priority.COLLECT)
        began.new += page.new
        _put_off(mark, reading, is_read=page.is_last)
        pages -= 1
    until = timezone.now() + OLDER_FOR
    while (older := _newest_put_off(mark)) is not None:
        if pages <= 0 or timezone.now() > until or not _read_older(began, older):
            return False
        pages -= 1
    return True


def _is_just_read(mark: QueueMark) -> bool:
    """Whether the newest mail can wait: while there is older mail to read, rounds come more often than every minute."""
    if not mark.older:
        return False
    newest = Reading(**mark.older[-1])
    is_awaited = bool(newest.location) and not newest.cursor and not newest.queue_from  # the newest mail itself is slow
    return is_awaited or timezone.now() - mark.read_until < EVERY


def _leave_something_to_read(began: Round) -> bool:
    """Take what people's searches brought, and whether that leaves anything to ask for."""
    new, is_enough = mail.take_from_searches(began.mark)
    _store(began.mark, read_until=began.mark.read_until, covered_until=began.mark.covered_until)
    began.new += new
    return not is_enough


def _put_off(mark: QueueMark, reading: Reading, *, is_read: bool = False) -> None:
    """Move the mark to the end of a reading; what it leaves unread waits with the older mail, newest last."""
    start, end = reading.window
    is_wider = reading.of_all_mail and not mark.of_all_mail
    goes_on = mark.complete_since is not None and start <= mark.read_until and not is_wider
    older = [] if reading.queue_from else mark.older  # a first reading goes over all the others
    _store(
        mark,
        reading={},
        older=older if is_read else [*older, asdict(reading)],
        read_until=end,
        covered_until=end,
        complete_since=mark.complete_since if goes_on else start,
        of_all_mail=reading.of_all_mail,
    )


def _newest_put_off(mark: QueueMark) -> Reading | None:
    """Of what was put off, as far as the service still looks back."""
    oldest = timezone.now() - LONGEST_RANGE
    while mark.older:
        reading = Reading(**mark.older[-1])
        start, end = reading.window
        if start >= oldest or reading.has_place:
            return reading
        left = [asdict(replace(reading, start=oldest.isoformat()))] if oldest < end else []
        since = max(mark.complete_since or oldest, min(oldest, end))
        _store(mark, older=[*mark.older[:-1], *left], complete_since=since)
    return None


def _read_older(began: Round, reading: Reading) -> bool:
    """One page of it; False where it has to wait for its answer, or for calls."""
    others = began.mark.older[:-1]
    if reading.of_all_mail and not setting("MEMORY_ALL_MAIL"):
        reading = replace(reading.begun_again(), of_all_mail=False)
    try:
        page = mail.read_page(reading, priority=Priority.CATCH_UP)
    except errors.BudgetExhausted:
        return False
    except LOST:
        if reading.has_place:
            _store(began.mark, older=[*others, *_halves(reading)])
        raise
    began.new += page.new
    if page.is_last:
        _store(began.mark, older=others)
    elif page.is_slow and not reading.location:
        _store(began.mark, older=[*others, *_halves(reading)])
    else:
        _store(began.mark, older=[*others, asdict(reading)])
    return not page.is_slow


def _halves(reading: Reading) -> list[dict[str, Any]]:
    """What was lost is read again in smaller parts, so that each loss costs less and the reading comes to an end."""
    again = reading.begun_again()
    start, end = again.window
    if end - start < SHORTEST_RANGE:
        return [asdict(again)]
    middle = start + (end - start) / 2
    older = replace(again, end=(middle + mail.RESOLUTION).isoformat())
    return [asdict(older), asdict(replace(again, start=middle.isoformat()))]


def _told(problem: errors.EmailSecurityError) -> str:
    return storable_text(words.not_read(problem), limit=500)


# --- reports ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """A user's submission or a report of the managed service, as the desk needs it."""

    source: CaseSource
    upstream_id: str
    title: str
    reported_by: str
    asked_for: str
    reported_at: dt.datetime
    postfix_id: str
    edf_hash: str
    sender: str
    recipients: tuple[str, ...]
    disposition: str


def _read_submissions(began: Round) -> bool:
    """All requests for review are remembered; what users reported and nobody has reviewed comes onto the desk."""
    client = get_client()
    start, end = began.reading.window

    def page(number: int) -> tuple[list[Report], bool]:
        asked_at = timezone.now()
        found = client.submissions(
            start=start,
            end=end,
            order=SubmissionOrder.REQUESTED_AT,
            direction=SortDirection.ASC,
            page=number,
            per_page=REPORTS_PER_PAGE,
            budget=CALL_SECONDS,
            priority=Priority.COLLECT,
        )
        mail.each_at_least(lambda some: remember_submissions(some, seen_at=asked_at), found.items, "submission_id")
        is_open = (item for item in found.items if _is_open(item, began.reading.wanted_from))
        return [_of_user(item, end) for item in is_open if item.type in (None, SubmitterType.USER)], found.is_last

    return _read_reports(began, page)


def _is_open(item: Submission, queue_from: dt.datetime | None) -> bool:
    """Whether nobody has reviewed it, and it is not so old that it is read for its outcome alone."""
    is_news = queue_from is None or item.requested_at is None or item.requested_at >= queue_from
    return is_news and item.customer_status in (None, CustomerStatus.UNREVIEWED)


def _read_phishguard(began: Round) -> bool:
    client = get_client()
    start, end = began.reading.window

    def page(number: int) -> tuple[list[Report], bool]:
        found = client.phishguard_reports(
            start=start,
            end=end,
            page=number,
            per_page=REPORTS_PER_PAGE,
            budget=CALL_SECONDS,
            priority=Priority.COLLECT,
        )
        return [_of_phishguard(item, end) for item in found.items], found.is_last

    return _read_reports(began, page)


def _of_user(item: Submission, now: dt.datetime) -> Report:
    return Report(
        source=CaseSource.SUBMISSION,
        upstream_id=storable_text(item.submission_id, limit=255),
        title=storable_text(item.subject or ""),
        reported_by=storable_text(item.requested_by or "", limit=500),
        asked_for=storable_text(str(item.requested_disposition or ""), limit=40),
        reported_at=item.requested_at or now,
        postfix_id=item.original_postfix_id or "",
        edf_hash=item.original_edf_hash or "",
        sender="",
        recipients=(item.requested_by,) if item.requested_by else (),
        disposition=storable_text(str(item.original_disposition or ""), limit=40),
    )


def _of_phishguard(item: PhishGuardReport, now: dt.datetime) -> Report:
    return Report(
        source=CaseSource.PHISHGUARD,
        upstream_id=storable_text(item.id, limit=255),
        title=storable_text(item.title or ""),
        reported_by="PhishGuard",
        asked_for=storable_text(str(item.disposition or ""), limit=40),
        reported_at=item.created_at or item.fields.occurred_at or now,
        postfix_id=item.fields.postfix_id or "",
        edf_hash="",
        sender=item.fields.from_ or "",
        recipients=item.fields.to,
        disposition=storable_text(str(item.disposition or ""), limit=40),
    )


def _read_reports(began: Round, page: Callable[[int], tuple[list[Report], bool]]) -> bool:
    for _ in range(PAGES_A_ROUND):
        began.check_time()
        reports, is_last = page(began.reading.page)
        for report in _unknown(began.mark, reports):
            try:
                _take_in(began, report)
            except AnswersLater:
                continue  # as long as it waits, the overlap reads it again
            except (AskedEnough, errors.EmailSecurityError, OperationalError):
                raise  # not about this report
            except Exception as problem:  # noqa: BLE001  what one report holds must not keep others from the desk
                log.error("report_not_taken_in", id=report.upstream_id, error=type(problem).__name__)
        if is_last:
            _store(began.mark, reading={}, read_until=began.reading.window[1])
            return True
        began.reading.page += 1
        _store(began.mark, reading=asdict(began.reading))
    return False


def _unknown(mark: QueueMark, reports: Iterable[Report]) -> list[Report]:
    by_id = {report.upstream_id: report for report in reports}
    ours = CaseReport.objects.filter(account_id=mark.account_id, source=mark.source)
    known = set(ours.filter(upstream_id__in=list(by_id)).values_list("upstream_id", flat=True))
    return [report for name, report in by_id.items() if name not in known]


def _take_in(began: Round, report: Report) -> None:
    """Put a report onto the desk: at its message, or alone where that cannot be found."""
    message = _message_of(began, report)
    if message is not None:
        remember([message])
    with transaction.atomic():
        if message is not None:
            case = ensure(message, report.source)
        else:
            case = _case_with_fingerprint(report) or _case_of_its_own(report)
        _, is_new = CaseReport.objects.get_or_create(
            account_id=case.account_id,
            source=report.source,
            upstream_id=report.upstream_id,
            defaults={
                "case": case,
                "title": report.title,
                "reported_by": report.reported_by,
                "asked_for": report.asked_for,
                "reported_at": report.reported_at,
            },
        )
        if is_new:
            _open_again(case, report)
            note_change([case.key])
            began.new.append(case.key)


def take_report(item: PhishGuardReport) -> Case:
    """Put one report onto the desk now, because somebody asked for it; what is there already stays one.

    Raises AnswersLater where the search for its message is slow, and what the calls raise.
    """
    mark = QueueMark(account_id=settings.CLOUDFLARE_ACCOUNT_ID, source=CaseSource.PHISHGUARD)
    now = timezone.now()
    report = _of_phishguard(item, now)
    ours = CaseReport.objects.filter(account_id=mark.account_id, source=mark.source, upstream_id=report.upstream_id)
    if not ours.exists():
        _take_in(Round(mark, Reading("", ""), LOOKUPS_FOR_ONE, now + ROUND), report)
    return ours.select_related("case").get().case


def _message_of(began: Round, report: Report) -> Message | None:
    """The message a report names by its postfix id: among those people reported, the others, and in a search."""
    name = report.postfix_id
    if not is_id(name):
        return None
    reported_first = report.source == CaseSource.SUBMISSION
    for submission in (reported_first, not reported_first):
        _spend(began)
        try:
            return get_client().message(name, submission=submission, budget=CALL_SECONDS, priority=Priority.COLLECT)
        except (errors.NotFound, errors.Rejected):  # an id that cannot be one is refused by some servers
            continue
        except (errors.Unavailable, errors.UnexpectedReply):  # for this message, or for all: the search will tell
            continue
    _spend(began)
    try:
        answer = get_client().search(
            SearchQuery(
                start=report.reported_at - BEFORE_A_REPORT,
                end=report.reported_at + AFTER_A_REPORT,
                detections_only=False,
                subject=None if report.source == CaseSource.PHISHGUARD else report.title,
                sender=report.sender,
            ),
            budget=CALL_SECONDS,
            priority=Priority.COLLECT,
        )
    except errors.Rejected:  # it cannot be searched by what this report holds
        return None
    if isinstance(answer, SlowSearch):
        if timezone.now() - report.reported_at < PATIENCE_WITH_A_REPORT:
            raise AnswersLater
        return None
    return next((message for message in answer.messages if is_id(message.id) and _is_about(report, message)), None)


def _is_about(report: Report, message: Message) -> bool:
    """By its postfix id, or as a copy with the same fingerprint that went to who reported it."""
    if report.postfix_id in (message.postfix_id, message.postfix_id_outbound):
        return True
    reporter = report.reported_by.casefold()
    went_there = reporter in {name.casefold() for name in message.mailboxes}
    return bool(report.edf_hash) and report.edf_hash == message.edf_hash and went_there


def _spend(began: Round) -> None:
    began.check_time()
    if began.lookups <= 0:
        raise AskedEnough
    began.lookups -= 1


def _case_with_fingerprint(report: Report) -> Case | None:
    """The case of a message with the same fingerprint and subject that went to who reported it."""
    if not report.edf_hash:
        return None
    alike = all_cases().filter(edf_hash=report.edf_hash, subject=report.title).order_by("-created_at")[:50]
    reporter = report.reported_by.casefold()
    return next((case for case in alike if reporter in {name.casefold() for name in case.recipients}), None)


def _case_of_its_own(report: Report) -> Case:
    now = timezone.now()
    sender = storable_text(report.sender.strip().casefold(), limit=500)
    case, _ = Case.objects.get_or_create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        key=f"{report.source}:{report.upstream_id}",
        defaults={
            "source": report.source,
            "created_at": now,
            "changed_at": now,
            "due_at": now + dt.timedelta(hours=setting("OVERDUE_HOURS")),
            "subject": report.title,
            "sender": sender,
            "sender_domain": storable_text(split_address(sender)[1], limit=255),
            "recipients": [storable_text(name) for name in report.recipients],
            "domains": storable_text(spaced(report.recipients)),
            "disposition": report.disposition,
            "edf_hash": storable_text(report.edf_hash, limit=255),
            "scanned_at": report.reported_at,
        },
    )
    return case


def _open_again(case: Case, report: Report) -> None:
    """A report of what was done already is news: somebody should look again."""
    now = timezone.now()
    opened = all_cases().filter(pk=case.pk, state=CaseState.DONE)
    due_at = now + dt.timedelta(hours=setting("OVERDUE_HOURS"))
    if opened.update(
        state=CaseState.NEW, done_at=None, done_by="", due_at=due_at, changed_at=now, version=F("version") + 1
    ):
        record(actor=None, action="case:reopened", targets=[case.key], detail={"report": report.upstream_id})


_READERS: dict[CaseSource, Callable[[Round], bool]] = {
    CaseSource.DETECTION: _read_mail,
    CaseSource.SUBMISSION: _read_submissions,
    CaseSource.PHISHGUARD: _read_phishguard,
}
