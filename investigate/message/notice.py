"""What we notice ourselves in the facts of a message: contradictions an attentive reader would point at.

Observations, not verdicts: each is true of honest mail now and then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dashboard.emailsec.types import Attachment, Detections, Message, ValidationStatus
from dashboard.web.text import defang, punycode, split_address
from investigate.message.links import LinkView, same_owner
from investigate.message.lookalike import has_hidden_characters, imitates, mixed_alphabets
from investigate.message.reasons import Jump, Reason

MOST_LINKS = 10  # sentences about single links; the table marks all of them
_ADDRESS = re.compile(r"[\w.+-]{1,64}@((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})")
_PROGRAMS = frozenset(
    {
        "ade", "adp", "apk", "app", "appx", "bat", "chm", "cmd", "com", "cpl", "dll", "exe", "hta", "img",
        "inf", "iso", "jar", "js", "jse", "lnk", "mde", "msc", "msi", "msp", "ps1", "reg", "scr", "sct",
        "shb", "sys", "vb", "vbe", "vbs", "vhd", "vhdx", "wsc", "wsf", "wsh", "xll",
    }
)  # fmt: skip
_PAGES = frozenset({"htm", "html", "shtml", "xhtml", "svg", "mht", "mhtml"})
_MACROS = frozenset({"docm", "dotm", "xlsm", "xltm", "xlam", "pptm", "potm", "ppam", "ppsm", "one"})
_HARMLESS_LOOKING = frozenset(
    {"doc", "docx", "xls", "xlsx", "ppt", "pptx", "pdf", "txt", "jpg", "jpeg", "png", "gif", "csv"}
)


def noticed(message: Message, detections: Detections | None, links: list[LinkView]) -> Iterator[Reason]:
    """Everything we noticed, in no order; without detections only what the message itself shows."""
    yield from _sender(message)
    yield from _domains(message, links)
    yield from _hidden(message)
    if detections is not None:
        yield from _links(links)
        for number, attachment in enumerate(detections.attachments, start=1):
            yield from _attachment(attachment, Jump.attachment(number, len(detections.attachments)))


def sender_differences(message: Message) -> tuple[str, str, str]:
    """(name, envelope, reply-to): the domain each names where it is not that of From, else ""."""
    _, own = split_address(message.from_)
    named = domain_in_name(message)
    _, envelope = split_address(message.envelope_from)
    _, answers = split_address(message.replyto)
    return (
        named,
        envelope if envelope and own and not same_owner(envelope, own) else "",
        answers if answers and own and not same_owner(answers, own) else "",
    )


def domain_in_name(message: Message) -> str:
    """The domain of an address inside the display name, where it is not that of From."""
    found = _ADDRESS.search((message.from_name or "")[:1_000])
    _, own = split_address(message.from_)
    return found[1] if found and own and not same_owner(found[1], own) else ""


def own_domains(message: Message) -> set[str]:
    """Domains of the mailboxes it was for: they are ours."""
    addresses = message.client_recipients or message.envelope_to
    return {domain.casefold() for _, domain in map(split_address, addresses[:200]) if domain}


def _sender(message: Message) -> Iterator[Reason]:
    name, envelope, answers = sender_differences(message)
    _, own = split_address(message.from_)
    if name:
        yield Reason(
            "The display name shows an address of another domain than the sender's own.",
            evidence=f"{defang(name)}, sent from {defang(own)}",
            weight=80,
        )
    if answers:
        yield Reason(
            "Answers go to another domain than the one it says it comes from.",
            evidence=f"{defang(answers)} instead of {defang(own)}",
            weight=70,
        )
    if envelope:
        yield Reason(
            "The envelope names another domain than From; mailing services do this, and so do forgers.",
            evidence=f"{defang(envelope)} and {defang(own)}",
            weight=40,
        )
    ours = own_domains(message)
    if own and any(same_owner(own, domain) for domain in ours) and message.validation.dmarc == ValidationStatus.FAIL:
        yield Reason("It claims to come from your own domain, and DMARC failed.", evidence=defang(own), weight=90)


def _domains(message: Message, links: list[LinkView]) -> Iterator[Reason]:
    ours = sorted(own_domains(message))
    places = [
        ("The sender's domain", split_address(message.from_)[1], None),
        ("The domain answers go to", split_address(message.replyto)[1], None),
        *(("A link's domain", link.host, Jump.link(link.number, len(links))) for link in links),
    ]
    seen = set()
    for place, domain, jump in places:
        if not domain or (place, domain) in seen:
            continue
        seen.add((place, domain))
        imitated = next((own for own in ours if imitates(domain, own)), "")
        ascii_form = punycode(domain)
        spelled = f"{defang(domain)} ({ascii_form})" if ascii_form else defang(domain)
        if imitated:
            yield Reason(
                f"{place} looks like your own.", evidence=f"{spelled} and {defang(imitated)}", jump=jump, weight=85
            )
        elif mixed_alphabets(domain):
            yield Reason(f"{place} mixes letters of different alphabets.", evidence=spelled, jump=jump, weight=82)
        elif ascii_form or domain.casefold().startswith("xn--") or ".xn--" in domain.casefold():
            yield Reason(f"{place} is written with letters beyond a to z.", evidence=spelled, jump=jump, weight=35)


def _hidden(message: Message) -> Iterator[Reason]:
    fields = (("subject", message.subject), ("sender's name", message.from_name), ("sender's address", message.from_))
    for field, value in fields:
        if value and has_hidden_characters(value):
            yield Reason(
                f"The {field} holds invisible or direction-changing characters.", evidence=value[:300], weight=60
            )


def _links(links: list[LinkView]) -> Iterator[Reason]:
    said = 0
    for link in links:
        jump = Jump.link(link.number, len(links))
        if link.is_deceptive:
            said += 1
            yield Reason(
                "A link's text names another place than the one it leads to.",
                evidence=f"{defang(link.shown_domain)} leads to {defang(link.host)}",
                jump=jump,
                weight=78,
            )
        for remark in link.remarks:
            if not remark.startswith(("the name is written", "is malformed")):
                said += 1
                yield Reason(f"A link {remark}.", evidence=link.defanged[:300], jump=jump, weight=45)
        if said >= MOST_LINKS:
            return


def _attachment(attachment: Attachment, jump: Jump) -> Iterator[Reason]:
    name = attachment.filename or ""
    if attachment.encrypted:
        yield Reason("An attachment is encrypted: no scanner can look inside.", evidence=name, jump=jump, weight=72)
    endings = [ending.strip().casefold() for ending in name.split(".")[1:]]
    if not endings:
        return
    last = endings[-1]
    if last in _PROGRAMS:
        disguised = len(endings) > 1 and endings[-2] in _HARMLESS_LOOKING
        sentence = (
            "An attachment is a program named like a document."
            if disguised
            else "An attachment is a program or disk image."
        )
        yield Reason(sentence, evidence=name, jump=jump, weight=84 if disguised else 76)
    elif last in _PAGES:
        yield Reason(
            "An attachment is a web page: it opens in the browser, past the mail filter.",
            evidence=name,
            jump=jump,
            weight=66,
        )
    elif last in _MACROS:
        yield Reason("An attachment can carry macros or scripts.", evidence=name, jump=jump, weight=64)
    if has_hidden_characters(name):
        yield Reason(
            "An attachment's name holds invisible or direction-changing characters.",
            evidence=name,
            jump=jump,
            weight=83,
        )
