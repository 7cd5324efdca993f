"""What makes messages look alike although no fingerprint says so: the sender's domain, and the subject's fixed part."""

from __future__ import annotations

import re

from investigate.models import CampaignBy, SeenMessage

LONGEST = 255
_PREFIX = re.compile(
    r"^(?:\s*(?:re|fwd?|aw|wg|tr|sv|antw|ext(?:ernal)?)\s*[:\]]\s*|\s*\[[^\]]{1,30}\]\s*)+", re.IGNORECASE
)
_CHANGING = re.compile(r"\S*\d\S*")  # numbers, dates, amounts, reference codes
_WORD = re.compile(r"[^\W\d_]+")


def shape_of(sender_domain: str, subject: str) -> str:
    """`domain words of the subject`, without reply marks and what changes from copy to copy; "" where nothing is left.

    >>> shape_of("pay.example", "RE: Invoice 4711 is overdue!")
    'pay.example invoice is overdue'
    """
    words = _WORD.findall(_CHANGING.sub(" ", _PREFIX.sub("", subject[:500])).casefold())
    return f"{sender_domain} {' '.join(words)}"[:LONGEST].strip() if words and sender_domain else ""


def key_of(seen: SeenMessage, by: CampaignBy) -> str:
    """The message's key of this kind; "" where it has none."""
    match by:
        case CampaignBy.FINGERPRINT:
            return seen.edf_hash
        case CampaignBy.LAYOUT:
            return seen.structure_hash
        case CampaignBy.SHAPE:
            return seen.shape


def campaign_of(seen: SeenMessage) -> str:
    """The campaign a message counts to where each counts once, as `by:key`: the surest likeness it has; "" for none."""
    for by in CampaignBy:
        if key := key_of(seen, by):
            return f"{by}:{key}"
    return ""


COLUMN = {CampaignBy.FINGERPRINT: "edf_hash", CampaignBy.LAYOUT: "structure_hash", CampaignBy.SHAPE: "shape"}
"""The column of `SeenMessage` that holds the key."""
