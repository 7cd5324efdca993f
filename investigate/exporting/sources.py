"""Where indicators come from: one message, a campaign, or a result list, as far as the member may know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit.recorder import record
from dashboard.emailsec.enums import Disposition
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.web.errors import explain
from investigate.campaigns.queries import members_of
from investigate.exporting import indicators
from investigate.exporting.indicators import Indicator
from investigate.exporting.lists import Reading
from investigate.message import privacy
from investigate.message.notice import own_domains
from investigate.message.parts import Opened
from investigate.message.visible import opened_for
from investigate.models import CampaignBy, SeenMessage
from settings_ui import watching

MALICIOUS = frozenset({Disposition.MALICIOUS.value, Disposition.MALICIOUS_BEC.value})
MOST_REMEMBERED = 5_000  # messages of a campaign that are looked through

COVERED = "Links and attachments are left out: the body is covered. Uncover it on the message first."
NO_RIGHT = "Links and attachments are left out: your role may not read what the sender wrote."
NO_DETECTIONS = "Links and attachments are left out: Cloudflare keeps them only for mail with a detection."
OF_LISTS = "Links, attachments and IP addresses are told for single messages: open one, and take its indicators."
OF_ONE_COPY = "Links, attachments and IP addresses are those of the newest copy."


@dataclass(frozen=True)
class Source:
    """Indicators with what they are of. `remarks` say what is missing and why."""

    title: str
    found: Sequence[Indicator]
    is_malicious: bool
    targets: Sequence[str] = ()
    remarks: Sequence[str] = ()
    detail: dict[str, Any] = field(default_factory=dict)  # for the trail

    @property
    def shown(self) -> Sequence[Indicator]:
        return self.found[: indicators.MOST]

    @property
    def left_out(self) -> int:
        return max(0, len(self.found) - indicators.MOST)


def of_message(member: Member, opened: Opened) -> Source:
    """Of one message that the member has open."""
    message = opened.message
    found, remarks = of_opened(member, opened)
    day = f" of {message.scanned_at:%Y-%m-%d}" if message.scanned_at else ""
    verdict = str(message.final_disposition or "")
    return Source(
        title=f"Mail{day}, judged {verdict or 'nothing'} by Cloudflare",  # no subject: it may name one of ours
        found=found,
        is_malicious=verdict in MALICIOUS,
        targets=[message.id],
        remarks=remarks,
    )


def of_opened(member: Member, opened: Opened) -> tuple[list[Indicator], list[str]]:
    """The indicators of a message, and what of it could not be had."""
    message = opened.message
    shows_body, remark = _body_of(member, message.id)
    remarks = [remark] if remark else []
    if shows_body and opened.detections is None:
        error = opened.detections_error
        remarks.append(NO_DETECTIONS if error is None else f"Links and attachments are missing: {explain(error).title}")
    own = {*own_domains(message), *watching.own_domains()}
    return indicators.of_message(message, opened.detections, own=own, shows_body=shows_body), remarks


def looked_at(member: Member, source: Source, request: HttpRequest) -> None:
    """Write down that the member is about to be shown links or hashes of a body."""
    if of_body := sum(one.kind.is_of_body for one in source.found):
        detail = {"for": "indicators", "number": of_body}
        record(actor=member, action="message:links", targets=source.targets, detail=detail, request=request)


def _body_of(member: Member, investigate_id: str) -> tuple[bool, str]:
    """(whether the member may read what the sender wrote, why not)."""
    if not member.may(Permission.MESSAGE_READ_BODY):
        return False, NO_RIGHT
    return (False, COVERED) if privacy.is_covered(member, investigate_id) else (True, "")


def of_campaign(member: Member, by: CampaignBy, key: str) -> Source | None:
    """Of all remembered copies, and of the newest one as it can be read now; None where there is no such campaign."""
    rows = list(members_of(member, by, key)[:MOST_REMEMBERED])
    if not rows:
        return None
    own = set(watching.own_domains())
    remembered = indicators.of_seen(rows, own=own)
    read, remarks = _of_newest(member, rows[0])
    mailboxes = {address.casefold() for row in rows for address in member.scope.inside(row.recipients)}
    merged = indicators.settled([*remembered, *read], own=own, recipients=mailboxes)
    return Source(
        title=f"Campaign of {len(rows):,} messages until {rows[0].scanned_at:%Y-%m-%d}",
        found=merged,
        is_malicious=any(row.disposition in MALICIOUS for row in rows),
        targets=[rows[0].investigate_id],
        remarks=[OF_ONE_COPY, *remarks],
        detail={"by": str(by), "key": key, "messages": len(rows)},
    )


def _of_newest(member: Member, newest: SeenMessage) -> tuple[list[Indicator], list[str]]:
    try:
        return of_opened(member, opened_for(member, newest.investigate_id))
    except EmailSecurityError as error:
        return [], [f"The newest copy could not be read: {explain(error).title}"]


def of_list(reading: Reading, *, query: str) -> Source:
    """Of what the rows of a search show."""
    judged = {str(row.final_disposition or "") for row in reading.rows}
    return Source(
        title=f"{len(reading.rows):,} messages of {reading.window.start:%Y-%m-%d} to {reading.window.end:%Y-%m-%d}",
        found=indicators.of_rows(reading.rows, own=watching.own_domains()),
        is_malicious=bool(judged) and judged <= MALICIOUS,
        remarks=[OF_LISTS],
        detail={"query": query, "messages": len(reading.rows)},
    )
