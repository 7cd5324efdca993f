"""What users and PhishGuard reported comes onto the desk: at its message, or alone where that cannot be found."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import structlog
from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import F
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
from dashboard.web.text import split_address
from investigate.bulk.facts import is_id
from investigate.desk import mail
from investigate.desk.cases import all_cases, ensure
from investigate.desk.changes import note_change
from investigate.desk.rounds import ROUND, AskedEnough, Reading, Round, store, what_came
from investigate.memory.remembering import remember
from investigate.models import Case, CaseReport, CaseSource, CaseState, QueueMark, SeenSubmission
from investigate.submissions.remembering import remember_submissions

log = structlog.get_logger("mailwarden.desk")

OUTCOMES_WITHIN = dt.timedelta(days=14)  # what Cloudflare has not answered by then is looked at when somebody asks
PAGES_A_ROUND = 6
LOOKUPS_FOR_ONE = 3  # by its id in both stores, and by a search
REPORTS_PER_PAGE = 100
CALL_SECONDS = 10.0
PATIENCE_WITH_A_REPORT = dt.timedelta(minutes=10)  # whose message is searched slowly; then it stands alone
BEFORE_A_REPORT, AFTER_A_REPORT = dt.timedelta(days=3), dt.timedelta(hours=1)  # where its message is searched
OVERLAP = dt.timedelta(hours=1)
OVERLAP_OF_PHISHGUARD = dt.timedelta(days=1)  # written up long after the mail came, and listed by the mail's time


class AnswersLater(Exception):
    """The search for a report's message is slow: this report has to wait, the others do not."""


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


# --- reading what was reported ----------------------------------------------------------------------------------------


def begin_submissions(mark: QueueMark, now: dt.datetime) -> Reading:
    reading = what_came(mark, now, overlap=OVERLAP)
    return _with_those_waiting(reading) if now.hour != mark.read_until.hour else reading


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


def read_submissions(began: Round) -> bool:
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


def begin_phishguard(mark: QueueMark, now: dt.datetime) -> Reading:
    return what_came(mark, now, overlap=OVERLAP_OF_PHISHGUARD)


def read_phishguard(began: Round) -> bool:
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
            store(began.mark, reading={}, read_until=began.reading.window[1])
            return True
        began.reading.page += 1
        store(began.mark, reading=asdict(began.reading))
    return False


def _unknown(mark: QueueMark, reports: Iterable[Report]) -> list[Report]:
    by_id = {report.upstream_id: report for report in reports}
    ours = CaseReport.objects.filter(account_id=mark.account_id, source=mark.source)
    known = set(ours.filter(upstream_id__in=list(by_id)).values_list("upstream_id", flat=True))
    return [report for name, report in by_id.items() if name not in known]


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


# --- one report -------------------------------------------------------------------------------------------------------


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
