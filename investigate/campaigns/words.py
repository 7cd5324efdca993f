"""What is said of campaigns and the rules that follow them."""

from __future__ import annotations

from collections.abc import Sequence

from investigate.actions import words as action_words
from investigate.models import ActionKind, CampaignBy, CampaignRule

KINDS = {
    CampaignBy.FINGERPRINT: "Fingerprint",
    CampaignBy.LAYOUT: "Layout",
    CampaignBy.SHAPE: "Sender and subject",
}
EXPLAINED = {
    CampaignBy.FINGERPRINT: "alike in content, as Cloudflare's fingerprint says",
    CampaignBy.LAYOUT: "built alike, with other words",
    CampaignBy.SHAPE: "from the same domain, with the same subject but for numbers and codes",
}
HARMFUL = "Cloudflare calls it harmful, or gives no clear verdict: no rule brings that into inboxes."
IMITATED = (
    "A rule brings mail into inboxes by fingerprint alone, for anybody can imitate a layout, a sender and a subject. "
    "Have later copies offered instead."
)
NEEDS_PANEL = "This takes a look at the message first: open it and decide there."
NOT_THERE = "Cloudflare does not know this message any more."
TOO_LATE = "The rule had its end before this was handled."


def another_rule(rule: CampaignRule | None) -> str:
    """Somebody's rule is open already."""
    if rule is None:
        return "A rule for this campaign was made just now. Reload the page."
    return f"{rule.owner_name} follows this campaign already: end that rule first."


def refused(told: Sequence[str]) -> str:
    last = next((one for one in told if one), "")
    return f"It was refused {len(told)} times{f': {last}' if last else '.'}"


def lacks_for_this(permission: str) -> str:
    return f"This one takes a right the rule's owner lacks: {permission}."


def command(rule: CampaignRule) -> str:
    """ "move to Junk", "release", "submit as Spam" """
    match rule.kind:
        case ActionKind.MOVE:
            return f"move to {action_words.folder(rule.destination)}"
        case ActionKind.RELEASE:
            return "release"
    return f"submit as {action_words.disposition(rule.destination)}"
