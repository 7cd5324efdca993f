"""The facts at the top of a message, ready to be shown."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.emailsec.types import Detections, Message, ValidationStatus
from dashboard.web.text import punycode, split_address
from investigate.actions import words
from investigate.message import notice
from investigate.message.wording import mode_words, state_words, verdict_word
from investigate.models import ActionItem, ActionKind, ActionState

COPIES_SHOWN = 2
MOST_COPIES_SHOWN = 200  # behind "+n"; the template cuts there


@dataclass(frozen=True, slots=True)
class Address:
    """An address taken apart so that its domain stands out."""

    local: str
    domain: str
    ascii_domain: str
    whole: str

    @classmethod
    def of(cls, address: str | None) -> Address | None:
        if not address:
            return None
        local, domain = split_address(address)
        return cls(local, domain, punycode(domain), address)


@dataclass(frozen=True, slots=True)
class Head:
    message: Message
    verdict: str
    verdict_value: str
    state: str
    mode: str
    sender: Address | None
    name_differs: str
    envelope: Address | None
    envelope_differs: bool
    reply_to: Address | None
    reply_to_differs: bool
    recipients: list[Address]
    more_recipients: list[Address]
    copies: int
    auth: list[tuple[str, str]]  # ("SPF", "fail")
    network: list[str]
    address: str
    asked: str  # what we asked Cloudflare to call it, "" if we did not

    @property
    def recipients_left_out(self) -> int:
        return max(0, len(self.more_recipients) - MOST_COPIES_SHOWN)

    @property
    def id(self) -> str:
        return self.message.id


def head(message: Message, detections: Detections | None) -> Head:
    named, envelope, answers = notice.sender_differences(message)
    addresses = [address for address in map(Address.of, message.recipients) if address]
    validation = message.validation
    results = (("SPF", validation.spf), ("DKIM", validation.dkim), ("DMARC", validation.dmarc))
    return Head(
        message=message,
        verdict=verdict_word(message.final_disposition) if message.final_disposition else "No verdict",
        verdict_value=str(message.final_disposition or ""),
        state=state_words(message),
        mode=mode_words(message),
        sender=Address.of(message.from_),
        name_differs=named,
        envelope=Address.of(message.envelope_from),
        envelope_differs=bool(envelope),
        reply_to=Address.of(message.replyto),
        reply_to_differs=bool(answers),
        recipients=addresses[:COPIES_SHOWN],
        more_recipients=addresses[COPIES_SHOWN:],
        copies=len(message.client_recipients),
        auth=[(name, str(result)) for name, result in results if isinstance(result, ValidationStatus)],
        network=_network(detections),
        address=(detections.sender_info.ip if detections else None) or message.smtp_helo_server_ip or "",
        asked=_asked(message),
    )


def _network(detections: Detections | None) -> list[str]:
    """Name and number of the sender's network and its place, as far as they are known."""
    if detections is None:
        return []
    info = detections.sender_info
    system = f"AS{info.as_number}" if info.as_number is not None else ""
    named = " ".join(part for part in (info.as_name, f"({system})" if info.as_name and system else system) if part)
    place = ", ".join(part for part in (info.geo or "").split("/") if part.strip(" -"))
    return [fact for fact in (named, place) if fact]


def _asked(message: Message) -> str:
    """The disposition our last submission asked for, once it was accepted."""
    item = (
        ActionItem.objects.filter(investigate_id=message.id, action__kind=ActionKind.RECLASSIFY, state=ActionState.DONE)
        .select_related("action")
        .order_by("-action__created_at")
        .first()
    )
    return words.disposition(item.action.expected_disposition) if item else ""
