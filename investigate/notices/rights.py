"""Who may be told, and where. Asked when a rule is saved, and again whenever it does something."""

from __future__ import annotations

from django.conf import settings

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.scope import Scope
from dashboard.access.sealing import Unreadable, unseal
from investigate.models import Channel, NoticeRule
from investigate.notices import words
from investigate.notices.receivers import check_url
from investigate.saved.queries import view_for


def is_own_address(member: Member, address: str) -> bool:
    return bool(member.email) and member.email.casefold() == address.casefold()


def oversees(member: Member) -> bool:
    """Whether somebody sees everybody's notices: what they hold may come from all domains."""
    return member.may(Permission.NOTICE_SEND) and member.scope.is_whole


def why_not(rule: NoticeRule) -> str:
    """Why the rule may tell nobody anything now; "" where it may."""
    owner = rule.owner
    if not owner.is_active:
        return words.OWNER_LEFT
    if not owner.may(Permission.MESSAGE_READ):
        return words.OWNER_SEES_NOTHING
    if view_for(owner, rule.view_id) is None:
        return words.VIEW_GONE
    try:
        target = unseal(rule.target)
    except Unreadable:
        return words.UNREADABLE
    if rule.channel == Channel.MAIL:
        if not settings.SENDS_MAIL:
            return words.MAIL_OFF
        return "" if owner.may(Permission.NOTICE_SEND) or is_own_address(owner, target) else words.NOT_OWN
    if not owner.may(Permission.NOTICE_SEND):
        return words.NOT_OWN
    try:
        check_url(target)
    except ValueError as problem:
        return words.NOT_ALLOWED.format(why=problem)
    return ""


def still_covers(rule: NoticeRule, domains: list[str]) -> bool:
    """Whether what was gathered within these domains may still be told to the owner's receiver."""
    return rule.owner.scope.holds(Scope(frozenset(domains)))
