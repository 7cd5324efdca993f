"""Why a message was judged as it was, in plain sentences, most decisive first.

Two groups that are never mixed: what Cloudflare said, and what we noticed ourselves when we looked at the same facts.
Each sentence names its evidence and, where there is one, the place to look at. Values come from the message: the
template makes them visible and isolates them; a sentence itself holds only our words or the API's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from dashboard.emailsec.types import Detections, Disposition, Finding, Message, Validation, ValidationStatus
from dashboard.web.text import defang, split_address
from investigate.message import notice
from investigate.message.links import LinkView, registrable, views
from investigate.message.reasons import Jump, Reason, ranked
from investigate.message.wording import ALLOW_TYPES, verdict_word

SEVERITY = {
    Disposition.MALICIOUS_BEC: 90,
    Disposition.MALICIOUS: 90,
    Disposition.SPOOF: 80,
    Disposition.SUSPICIOUS: 75,
    Disposition.SPAM: 65,
    Disposition.BULK: 62,
}
_PLAIN_FINDING = 60
HIDDEN = "(hidden)"
_TELLS_NOTHING = 3  # letters; such texts are part of many words
_URL = re.compile(r"\b(?:h(?:tt|xx)ps?|f(?:tp|xp)s?|file|mailto|tel):\S+", re.IGNORECASE)
_DOTTED = re.compile(r"(?<![\w.])[\w@%+-]+(?:\[?\.\]?[\w@-]+)*\[?\.\]?[^\W\d_]{2,}\b")
_WORD = re.compile(r"[\w@%+.\[\]-]+")  # all that a dotted name may be made of
_LONGEST_NAME = 300  # of a host or a file; within a word one is looked for from each of its signs
_FAILED = {
    "dmarc": (58, "DMARC failed: the domain in From does not vouch for this message."),
    "spf": (56, "SPF failed: the server that sent it may not send for the envelope's domain."),
    "dkim": (54, "DKIM failed: the signature does not fit the message."),
}


@dataclass(frozen=True, slots=True)
class Explanation:
    verdict: str  # one sentence: how it was judged and what was done
    theirs: list[Reason]
    ours: list[Reason]


def explain(message: Message, detections: Detections | None, *, shows_body: bool = True) -> Explanation:
    """All reasons for one message; without detections (clean mail, or the call failed) what the message itself says.

    Without `shows_body`, nothing of what the sender put into the body: no link, no file name, no value of a finding.
    """
    if not shows_body:
        message, detections = _without_body(message, detections)
    links = views((link.href, link.text) for link in detections.links) if detections else []
    return Explanation(
        verdict=_verdict(message, detections),
        theirs=ranked(_theirs(message, detections, links)),
        ours=ranked(notice.noticed(message, detections, links)),
    )


def _without_body(message: Message, detections: Detections | None) -> tuple[Message, Detections | None]:
    masked = _masking(message, detections)

    def bare(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        left_out: dict[str, None] = dict.fromkeys(("value", "attachment", "detail"))
        return tuple(replace(one, name=masked(one.name), reason=masked(one.reason), **left_out) for one in findings)

    reasons = tuple(masked(reason) for reason in message.detection_reasons)
    message = replace(message, findings=bare(message.findings), detection_reasons=reasons)
    if detections is not None:
        found = bare(detections.findings)
        detections = replace(detections, findings=found, headers=(), links=(), attachments=())
    return message, detections


def _masking(message: Message, detections: Detections | None) -> Callable[[str | None], str]:
    """Takes out of Cloudflare's own words what they quote of the body: file names, links, their hosts and texts.

    The sender's own domains stay: they stand in the head of the message as well. Where the detections are not known,
    everything goes that could be a file or a host.
    """
    senders = domains_of(message.from_, message.envelope_from)
    spelled = {spelling for text in _quotable(message, detections) for spelling in (text, defang(text))}
    secrets = sorted((text for text in spelled if not _is_within(text, senders)), key=len, reverse=True)

    def masked(words: str | None) -> str:
        words = _URL.sub(HIDDEN, words or "")
        for secret in secrets:
            if secret.casefold() in words.casefold():
                words = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, words, flags=re.IGNORECASE)
        return words if detections is not None else without_quotes(words, senders)

    return masked


def without_quotes(reason: str, senders: Collection[str]) -> str:
    """A reason of a message whose body nobody looked at, without what could be a link, a host or a file name."""
    return _WORD.sub(lambda word: _without_names(word[0], senders), _URL.sub(HIDDEN, reason))


def _without_names(word: str, senders: Collection[str]) -> str:
    if "." not in word:
        return word
    if len(word) > _LONGEST_NAME:
        return HIDDEN
    return _DOTTED.sub(lambda found: found[0] if _is_within(found[0], senders) else HIDDEN, word)


def domains_of(*addresses: str | None) -> set[str]:
    return {split_address(address)[1].casefold() for address in addresses} - {""}


def _quotable(message: Message, detections: Detections | None) -> set[str]:
    """Everything of the body that a reason may quote, as far as anything about the message tells it."""
    findings = [*message.findings, *(detections.findings if detections else ())]
    told = [text for finding in findings for text in (finding.attachment, finding.value)]
    if detections is not None:
        told += [file.filename for file in detections.attachments]
        for link in views((link.href, link.text) for link in detections.links):
            told += [link.href, link.text, link.host, registrable(link.host)]
    return {text.strip() for text in told if text and len(text.strip()) > _TELLS_NOTHING}


def _is_within(name: str, domains: Collection[str]) -> bool:
    """Whether a host, or that of an address, is one of these or below it."""
    host = name.casefold().rpartition("@")[2]
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def _verdict(message: Message, detections: Detections | None) -> str:
    disposition = message.final_disposition or (detections.final_disposition if detections else None)
    if disposition is None:
        return "Cloudflare gave no verdict."
    judged = f"Cloudflare judged it {verdict_word(disposition)}"
    action = (detections.action or "") if detections else ""
    if message.is_quarantined:
        return judged + " and holds it in quarantine."
    if action and action.casefold() not in ("none", "quarantined"):
        return f"{judged}; action: {action.replace('_', ' ').lower()}."
    return judged + "."


def _theirs(message: Message, detections: Detections | None, links: list[LinkView]) -> Iterator[Reason]:
    yield from _lists(message)
    findings = (detections.findings if detections else ()) or message.findings
    said: set[str] = set()
    for finding in findings:
        reason = _finding(finding, detections, links)
        said.update(_folded(text) for text in (finding.reason, finding.detail, finding.name, reason.sentence) if text)
        yield reason
    for at, sentence in enumerate(message.detection_reasons):
        if sentence.strip() and _folded(sentence) not in said:
            yield Reason(_sentence(sentence), weight=61 - min(at, 20) / 100)
    yield from _authentication(message, detections)
    yield from _categories(message, detections)


def _lists(message: Message) -> Iterator[Reason]:
    properties = message.properties
    if properties.blocklisted_message or properties.blocklisted_pattern:
        yield Reason(
            "It matches an entry of the block list.", evidence=properties.blocklisted_pattern or "", weight=100
        )
    if properties.allowlisted_pattern or properties.allowlisted_pattern_type:
        kind = properties.allowlisted_pattern_type or ""
        words = ALLOW_TYPES.get(kind.casefold(), kind.replace("_", " "))
        named = f" ({words})" if words else ""
        yield Reason(f"It matches an allow policy{named}.", evidence=properties.allowlisted_pattern or "", weight=99)


def _finding(finding: Finding, detections: Detections | None, links: list[LinkView]) -> Reason:
    name = (finding.name or "").strip()
    sentence = finding.reason or finding.detail or name.replace("_", " ") or "A finding without a description"
    places = (place for place in (finding.portion, finding.field_name) if place)
    # Often the same place, spelled twice.
    where = list({_folded(place).removesuffix("s"): place for place in places}.values())
    aside = [name] if name and _folded(name) != _folded(sentence) else []
    aside += [finding.detail] if finding.reason and finding.detail and finding.detail != finding.reason else []
    aside += [f"in {' of the '.join(where)}"] if where else []
    aside += [f"score {_score(finding.score)}"] if finding.score is not None else []
    weight = SEVERITY.get(finding.detection, _PLAIN_FINDING) if finding.detection else _PLAIN_FINDING
    return Reason(
        _sentence(sentence),
        evidence=_inert(finding.value, links) or finding.attachment or "",
        aside=tuple(aside),
        verdict=finding.detection,
        jump=_place(finding, detections, links),
        weight=weight + min(max(finding.score or 0.0, 0.0), 100.0) / 200,
    )


def _score(score: float) -> str:
    """Shares of one with two places, so that scores below one another compare; others as they come."""
    return f"{score:.2f}" if 0 < score < 1 else f"{score:g}"


def _inert(value: str | None, links: list[LinkView]) -> str:
    """A finding's value, defanged where it is a link or the host of one; other values stay as they came."""
    text = value or ""
    is_target = "://" in text or text.casefold() in {link.host.casefold() for link in links}
    return defang(text) if is_target else text


def _place(finding: Finding, detections: Detections | None, links: list[LinkView]) -> Jump | None:
    """Where the finding can be looked at, when it names something that is there."""
    if detections is None:
        return None
    wanted = {text.casefold() for text in (finding.attachment, finding.value, finding.detail) if text}
    for number, attachment in enumerate(detections.attachments, start=1):
        names = (attachment.filename, attachment.sha256, attachment.sha1, attachment.md5)
        if any(name and name.casefold() in wanted for name in names):
            return Jump.attachment(number, len(detections.attachments))
    value = (finding.value or "").casefold()
    for link in links:
        if value and (link.href.casefold() in wanted or value in (link.host.casefold(), link.href.casefold())):
            return Jump.link(link.number, len(links))
    field = (finding.field_name or "").casefold().replace("_", "-")
    for number, header in enumerate(detections.headers, start=1):
        if field and header.name.casefold() == field:
            return Jump("headers", f"header-{number}", f"header {header.name}")
    return None


def _authentication(message: Message, detections: Detections | None) -> Iterator[Reason]:
    validation = message.validation
    if detections and not any((validation.spf, validation.dkim, validation.dmarc)):
        validation = detections.validation
    comment = validation.comment or ""
    for method, (weight, sentence) in _FAILED.items():
        if getattr(validation, method) == ValidationStatus.FAIL:
            yield Reason(sentence, evidence=comment, weight=weight)
            comment = ""
    if all_of(validation, ValidationStatus.PASS):
        yield Reason("SPF, DKIM and DMARC passed: it does come from the domain it names.", evidence=comment, weight=10)
    elif all_of(validation, ValidationStatus.NONE):
        yield Reason("The sender's domain offers no SPF, DKIM or DMARC to check.", evidence=comment, weight=30)


def all_of(validation: Validation, result: ValidationStatus) -> bool:
    return {validation.spf, validation.dkim, validation.dmarc} == {result}


def _categories(message: Message, detections: Detections | None) -> Iterator[Reason]:
    described = (
        {category.name: category.description or "" for category in detections.threat_categories if category.name}
        if detections
        else {}
    )
    for name in dict.fromkeys((*described, *message.threat_categories)):
        yield Reason(
            f"Threat category: {_sentence(name)}", aside=(described[name],) if described.get(name) else (), weight=50
        )


def _sentence(text: str) -> str:
    """The API's words as a sentence: white space folded, a capital first, a full stop last."""
    folded = " ".join(text.split())
    if "." not in folded.partition(" ")[0].rstrip("."):  # a domain keeps its spelling
        folded = folded[:1].upper() + folded[1:]
    return folded if folded.endswith((".", "!", "?", "…")) else folded + "."


def _folded(text: str) -> str:
    return " ".join(text.replace("_", " ").split()).rstrip(".").casefold()


def texts(reasons: Iterable[Reason]) -> list[str]:
    return [reason.sentence for reason in reasons]
