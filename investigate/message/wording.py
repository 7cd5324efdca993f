"""Words for the API's values, the same on every part of a message. What we do not know is shown as it came."""

from __future__ import annotations

from dashboard.emailsec.types import DeliveryStatus, Disposition, Message, MessageDeliveryMode

_VERDICTS = {Disposition.MALICIOUS_BEC: "BEC", Disposition.NONE: "Clean"}
ALLOW_TYPES = {
    "quarantine_release": "released from quarantine before",
    "acceptable_sender": "acceptable sender",
    "allowed_sender": "allowed sender",
    "allowed_recipient": "exempt recipient",
    "domain_similarity": "trusted look-alike domain",
    "domain_recency": "trusted new domain",
    "managed_acceptable_sender": "acceptable sender kept by Cloudflare",
    "outbound_ndr": "non-delivery report of own mail",
}
_MODES = {
    MessageDeliveryMode.BCC: "a BCC copy: nothing was held or delivered by Cloudflare",
    MessageDeliveryMode.JOURNAL: "a journal copy: nothing was held or delivered by Cloudflare",
    MessageDeliveryMode.API: "scanned in the mailbox after delivery",
    MessageDeliveryMode.RETRO_SCAN: "found by a later scan of the mailbox",
}


def verdict_word(disposition: Disposition) -> str:
    """MALICIOUS is "Malicious", NONE is "Clean"; a value nobody knows stays as it came."""
    if not disposition.is_known:
        return str(disposition)
    return _VERDICTS.get(disposition, str(disposition).capitalize())


def is_clean(message: Message) -> bool:
    return message.final_disposition == Disposition.NONE


def state_words(message: Message) -> str:
    """Where the copies are: "Quarantined", "Delivered", "2 delivered, 1 bounced"."""
    if message.is_quarantined:
        return "Quarantined"
    counted: dict[DeliveryStatus, int] = {}
    for status in message.delivery_status:
        counted[status] = counted.get(status, 0) + 1
    words = [(str(status).replace("_", " "), count) for status, count in counted.items()]
    if not words:
        return ""
    if len(words) == 1:
        return words[0][0].capitalize()
    return ", ".join(f"{count} {word}" for word, count in words)


def mode_words(message: Message) -> str:
    """What the delivery mode means for an analyst; "" for ordinary inline mail."""
    if message.delivery_mode is None or message.delivery_mode == MessageDeliveryMode.DIRECT:
        return ""
    return _MODES.get(message.delivery_mode, str(message.delivery_mode).replace("_", " ").lower())
