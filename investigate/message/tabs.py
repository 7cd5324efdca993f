"""The parts of a message as its tabs show them: who may see which, and what each needs to be shown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from dashboard.access.models import Member
from dashboard.access.roles import Permission, allowed
from dashboard.audit.recorder import record, recording
from dashboard.emailsec.types import Attachment, Message
from investigate.campaigns import queries as campaigns
from investigate.desk.seen_before import seen_before
from investigate.fixing import queries as fixing
from investigate.message import campaign, eml, history, links, parts, privacy, trace
from investigate.message.explain import explain
from investigate.message.parts import Opened
from investigate.message.wording import verdict_word
from investigate.rules import queries as rules
from investigate.rules.standing import standing_for

MOST_HEADERS = 500
MOST_LINKS = 500
MOST_ATTACHMENTS = 300
MOST_RAW_TEXT = 1_000_000  # bytes of the raw message that are shown as text
FIRST_TAB = "why"

Context = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """Who looks at which message, and the request they look with."""

    request: HttpRequest
    member: Member
    message: Message


Reader = Callable[[Visit], Context]


@dataclass(frozen=True, slots=True)
class Tab:
    name: str
    label: str
    read: Reader
    permission: Permission = Permission.MESSAGE_READ

    @property
    def template(self) -> str:
        return f"investigate/_part_{self.name}.html"


def why(visit: Visit) -> Context:
    """Reasons, with a failure of the detections as a line of its own."""
    return why_of(visit.request, visit.member, parts.with_detections(visit.message))


def why_of(request: HttpRequest, member: Member, opened: Opened) -> Context:
    """The reasons as far as the member may read them; those that quote the body are written down as a look at it."""
    message = opened.message
    may_read = member.may(Permission.MESSAGE_READ_BODY)
    is_covered = may_read and privacy.is_covered(member, message.id)
    shows_body = may_read and not is_covered
    if shows_body and (opened.detections is not None or message.findings):
        _looked_at(Visit(request, member, message), "findings")
    return {
        "is_covered": is_covered,
        "explanation": explain(opened.message, opened.detections, shows_body=shows_body),
        "detections_error": opened.detections_error,
        "before": seen_before(member, opened.message),
        "seen_before": history.seen_before(opened.message, member.scope),
        "stands": standing_for(opened.message),
        "may_read_settings": rules.may_read(member),
        "shows_body": shows_body,
    }


def _looked_at(visit: Visit, what: str, **numbers: int) -> None:
    """Write down that the member is about to be shown what the sender wrote."""
    record(
        actor=visit.member,
        action=f"message:{what}",
        targets=[visit.message.id],
        detail=numbers,
        request=visit.request,
    )


def preview(visit: Visit) -> Context:
    return {"picture": parts.preview(visit.message)}


def link_table(visit: Visit) -> Context:
    """Each link beside the verdict of the finding that names it: the API judges links only there."""
    detections = parts.detections(visit.message)
    _looked_at(visit, "links", links=len(detections.links))
    shown = links.views((link.href, link.text) for link in detections.links[:MOST_LINKS])
    said = {
        reason.jump.anchor: reason
        for reason in reversed(explain(visit.message, detections).theirs)
        if reason.jump and reason.verdict
    }
    return {
        "links": [(link, said.get(f"link-{link.number}")) for link in shown],
        "total": len(detections.links),
        "left_out": max(0, len(detections.links) - MOST_LINKS),
    }


def attachment_table(visit: Visit) -> Context:
    """Attachments as the detections list them; hashes an older server does not give can be read from the raw mail."""
    found = parts.detections(visit.message).attachments
    _looked_at(visit, "attachments", attachments=len(found))
    lacks_hashes = any(not item.sha256 for item in found)
    context: Context = {
        "total": len(found),
        "left_out": max(0, len(found) - MOST_ATTACHMENTS),
        "lacks_hashes": lacks_hashes,
    }
    if lacks_hashes and visit.request.GET.get("source") == "raw":
        mail = eml.read(_raw_for(visit, "attachments"))
        context["cut"], context["lacks_hashes"] = mail.cut, False
        found = tuple(_hashed(found, mail.attachments))
    verdicts = (verdict_word(item.detection) if item.detection else "" for item in found)
    context["attachments"] = list(zip(found, verdicts, strict=True))[:MOST_ATTACHMENTS]
    return context


def _hashed(listed: tuple[Attachment, ...], read: list[eml.Part]) -> list[Attachment]:
    """What the API lists with the hashes we computed where name or size fit; else what the raw mail itself holds."""
    if len(listed) != len(read):
        return [_as_attachment(part) for part in read]
    return [item if item.sha256 else _as_attachment(part) for item, part in zip(listed, read, strict=True)]


def _as_attachment(part: eml.Part) -> Attachment:
    return Attachment(
        size=part.size,
        filename=part.filename or None,
        content_type=part.content_type,
        encrypted=part.is_encrypted,
        md5=part.md5,
        sha1=part.sha1,
        sha256=part.sha256,
    )


def header_list(visit: Visit) -> Context:
    """Headers as the detections list them; the raw mail's own where they list none."""
    found: list[Any] = list(parts.detections(visit.message).headers)
    source = "detections"
    if not found:
        found, source = list(eml.headers(_raw_for(visit, "headers"))), "raw"
    _looked_at(visit, "headers", headers=len(found))
    wanted = visit.request.GET.get("find", "").strip().casefold()
    shown = [
        (number, header)
        for number, header in enumerate(found, start=1)
        if wanted in header.name.casefold() or wanted in header.value.casefold()
    ]
    return {
        "headers": shown[:MOST_HEADERS],
        "total": len(found),
        "left_out": max(0, len(shown) - MOST_HEADERS),
        "find": visit.request.GET.get("find", "")[:200],
        "source": source,
        "as_text": "\n".join(f"{header.name}: {header.value}" for header in found[:MOST_HEADERS]),
    }


def _raw_for(visit: Visit, purpose: str) -> bytes:
    with recording(visit.member, "message:raw", targets=[visit.message.id], request=visit.request) as event:
        raw = parts.raw(visit.message)
        event.detail = {"for": purpose, "sha256": hashlib.sha256(raw).hexdigest()}
    return raw


def raw(visit: Visit) -> Context:
    """Only what surrounds the text: the frame asks for the text itself, which is then recorded."""
    body = parts.raw(visit.message)
    return {
        "size": len(body),
        "is_cut": len(body) > MOST_RAW_TEXT,
        "sha256": hashlib.sha256(body).hexdigest(),
        "may_keep": allowed(visit.member, Permission.EVIDENCE_KEEP),
    }


def trace_lines(visit: Visit) -> Context:
    sides = trace.sides(trace.within(parts.trace(visit.message.id), visit.message, visit.member.scope))
    polls = visit.request.GET.get("polls", "0")
    done = int(polls) if polls.isdecimal() and len(polls) < 4 else 0
    is_growing = any(side.is_growing for side in sides)
    return {
        "sides": sides,
        "is_growing": is_growing,
        "poll_in": trace.next_poll(done) if is_growing else None,
        "next_polls": done + 1,
    }


def timeline(visit: Visit) -> Context:
    """Our own actions are shown even when Cloudflare's log cannot be read."""
    log, error = parts.settled(lambda: history.upstream_log(visit.message))
    told = [source.events_of(visit.message.id, visit.member) for source in (fixing, rules)]
    more = [event for events in told for event in events]
    return {"events": history.timeline(visit.message, log or (), visit.member.scope, more), "log_error": error}


def siblings(visit: Visit) -> Context:
    message = visit.message
    by = campaign.By.SUBJECT if visit.request.GET.get("by") == "subject" else campaign.By.SENDER
    return {
        "campaign": campaign.find(message, by, visit.member.scope),
        "by": by.value,
        "sender_terms": campaign.search_terms(message, campaign.By.SENDER),
        "subject_terms": campaign.search_terms(message, campaign.By.SUBJECT),
        "has_fingerprint": bool(message.edf_hash or message.htmltext_structure_hash),
        "known": campaigns.known_of(visit.member, message),
    }


_BODY = Permission.MESSAGE_READ_BODY
TABS = {
    tab.name: tab
    for tab in (
        Tab("why", "Why", why),
        Tab("preview", "Preview", preview, _BODY),
        Tab("links", "Links", link_table, _BODY),
        Tab("attachments", "Attachments", attachment_table, _BODY),
        Tab("headers", "Headers", header_list, _BODY),
        Tab("raw", "Raw", raw, _BODY),
        Tab("trace", "Trace", trace_lines),
        Tab("history", "History", timeline),
        Tab("campaign", "Campaign", siblings),
    )
}
