"""What this room says, on its pages and in what it sends."""

from __future__ import annotations

from typing import Any

from investigate.models import Channel, NoticeRule, NoticeState, Rhythm

CHANNELS = {
    Channel.MAIL: "E-mail",
    Channel.WEBHOOK: "Signed webhook",
    Channel.SLACK: "Slack-compatible",
    Channel.TEAMS: "Teams workflow",
}
STATES = {
    NoticeState.WAITING: "waiting",
    NoticeState.SENDING: "sending",
    NoticeState.ARRIVED: "arrived",
    NoticeState.FAILED: "failed",
}
NO_ADDRESS = (
    "No notice can be sent: a notice links to this desk, and MAILWARDEN_ADDRESS, where people reach it, is not set."
)
NO_MAIL = "E-mail is not offered, because MAILWARDEN_EMAIL_URL is not set."
OWNER_LEFT = "Who set it up is no longer in the team."
OWNER_SEES_NOTHING = "Who set it up may not see messages any more."
VIEW_CLOSED = "A view you may not open any more"
VIEW_GONE = "Who set it up may not open the view any more."
NOT_OWN = "It goes to others, and who set it up has no right to send notices to others any more."
MAIL_OFF = "Mail is not set up any more."
UNREADABLE = "Its target cannot be read: the key it was sealed with is not set any more."
NOT_ALLOWED = "Its receiver is not allowed any more: {why}."
GONE = "The receiver said again and again that nothing is there: {answer}."
DELETED = "The notice was deleted before this arrived."
OFF = "The notice was switched off before this arrived."
NARROWED = "Who set it up is limited to other domains since, so this was not sent."
NO_ANSWER = "It was begun, and no answer was ever noted."


def rhythm(rule: NoticeRule) -> str:
    if rule.rhythm == Rhythm.DAILY:
        return f"daily at {rule.hour:02}:00 UTC"
    return "hourly" if rule.rhythm == Rhythm.HOURLY else "at once"


def counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,}".replace(",", "\u2009") + f" {one if number == 1 else many or one + 's'}"


def headline(content: dict[str, Any], view: str) -> str:
    if content.get("test"):
        return f"A test notice of {view}"
    return f"{counted(content['messages'], 'new message')} in {view}"


def summary(content: dict[str, Any]) -> str:
    """How the new ones divide, where that says more than their number."""
    if content.get("test"):
        return "Somebody tries whether notices of this view arrive here. Nothing was found, nothing needs to be done."
    together, alone = content["campaigns"], content["alone"]
    if not together:
        return ""
    of_campaigns = counted(together, "campaign")
    return f"{of_campaigns}, and {counted(alone, 'message')} alone." if alone else f"{of_campaigns}."


def known(content: dict[str, Any]) -> str:
    """More of what was told already."""
    messages, campaigns = content["known"]["messages"], content["known"]["campaigns"]
    if not messages:
        return ""
    return f"And {messages} more of {counted(campaigns, 'campaign')} you know."


def left_out(content: dict[str, Any], shown: int) -> str:
    """What is not listed one by one."""
    rest = content["all_groups"] - shown
    return f"{counted(rest, 'more campaign or message', 'more campaigns or messages')} in the view." if rest > 0 else ""
