"""What putting a message right would do, step by step, and why a step cannot be or need not be."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.scope import domain_of
from dashboard.emailsec.types import Disposition, Message, ValidationStatus
from investigate.actions import words as action_words
from investigate.actions.decision import MALICIOUS, Decision
from investigate.actions.feasibility import ActionOffer, affected_recipients, possible_actions
from investigate.approvals.needs import Needed
from investigate.fixing import words
from investigate.models import ActionKind, FixStepKind
from settings_ui.entries import services as rules
from settings_ui.entries.rules import last_day
from settings_ui.entries.words import until

USUAL_DAYS = 30
CLEAN = Disposition.NONE.value
_SPARED = (Disposition.SPAM, Disposition.SPOOF, Disposition.BULK)


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """One step as it is offered."""

    kind: FixStepKind
    what: str  # "Releases 2 copies"
    why_not: str = ""
    is_needless: bool = False  # there is nothing to do, which is no lack
    note: str = ""
    takes_two: Needed | None = None
    recipients: tuple[str, ...] = ()

    @property
    def is_possible(self) -> bool:
        return not self.why_not


@dataclass(frozen=True)
class Plan:
    """All steps in their order; `rule` is taken only if it is asked for."""

    release: PlannedStep
    submit: PlannedStep
    rule: PlannedStep
    address: str  # whom the rule would accept

    @property
    def certain(self) -> tuple[PlannedStep, PlannedStep]:
        return self.release, self.submit

    @property
    def why_not(self) -> str:
        """Why nothing of this can be done, or ""."""
        if any(step.is_possible for step in (*self.certain, self.rule)):
            return ""
        return next(step.why_not for step in (self.submit, self.release) if not step.is_needless)


def is_detection(message: Message) -> bool:
    """Whether Cloudflare called it anything worse than clean; only then it can be a false positive."""
    return message.final_disposition not in (None, Disposition.NONE)


def plan(message: Message, member: Member) -> Plan:
    offers = possible_actions(message, member)
    release = next(offer for offer in offers if offer.kind == ActionKind.RELEASE)
    submit = next(offer for offer in offers if offer.expected_disposition == CLEAN)
    return Plan(_release(message, release), _submit(submit), rule_of(message, member), sender_of(message))


def decision_of(kind: str, investigate_id: str, reason: str) -> Decision:
    """A step as the action it is carried out by. Its panel said what would happen."""
    is_release = kind == FixStepKind.RELEASE
    return Decision(
        kind=ActionKind.RELEASE if is_release else ActionKind.RECLASSIFY,
        investigate_ids=(investigate_id,),
        expected_disposition="" if is_release else CLEAN,
        reason=reason,
        is_confirmed=True,
    )


def sender_of(message: Message) -> str:
    return (message.from_ or "").strip().casefold()


def usual_end(now: dt.datetime | None = None) -> dt.date:
    """The last day of a rule, where nobody chooses another."""
    now = now or timezone.now()
    return min(now + dt.timedelta(days=USUAL_DAYS), last_day(now)).date()


def _release(message: Message, offer: ActionOffer) -> PlannedStep:
    kind = FixStepKind.RELEASE
    if not message.is_quarantined:
        return PlannedStep(
            kind=kind, what="Releases nothing", why_not=offer.why_not or words.NOT_HELD, is_needless=True
        )
    copies = affected_recipients(message, ActionKind.RELEASE)
    return PlannedStep(
        kind=kind,
        what=f"Releases {action_words.counted(len(copies), 'copy')}",
        why_not=offer.why_not,
        takes_two=offer.takes_two,
        recipients=tuple(copies),
    )


def _submit(offer: ActionOffer) -> PlannedStep:
    why_not = offer.why_not or ("On this server the message has to be added as a file." if offer.needs_eml else "")
    return PlannedStep(kind=FixStepKind.SUBMIT_CLEAN, what="Submits it to Cloudflare as clean", why_not=why_not)


def rule_of(message: Message, member: Member, *, made_by: str = "") -> PlannedStep:
    """A rule that accepts the sender; `made_by`: the operation key of the form whose own rule is not in its way."""
    address = sender_of(message)
    note = "" if message.final_disposition in _SPARED else words.rule_is_limited(message.final_disposition)
    return PlannedStep(
        kind=FixStepKind.ACCEPT_SENDER,
        what="Accepts the sender",
        why_not=_why_no_rule(message, member, address, made_by),
        note=note,
    )


def _why_no_rule(message: Message, member: Member, address: str, made_by: str) -> str:
    if not member.may(Permission.POLICY_ACCEPT):
        return action_words.lacks(Permission.POLICY_ACCEPT)
    if message.final_disposition in MALICIOUS:
        return words.NO_RULE_FOR_MALICIOUS
    if told := rules.why_not_accepted(member, address):
        return told
    if _is_own(message, address):
        return words.OWN_DOMAIN
    if told := _why_not_proven(message):
        return told
    stands = rules.rule_for(address)
    if stands is None or (made_by and stands.operation_key == made_by):
        return ""
    return f"{stands.owner_name} made a rule for this address already, {until(stands)}."


def _is_own(message: Message, address: str) -> bool:
    """Whether the sender claims to be one of the mailboxes' own domains: such a rule would invite impersonation."""
    domain = domain_of(address)
    ours = {domain_of(mailbox) for mailbox in message.mailboxes} - {""}
    return any(domain == own or domain.endswith(f".{own}") for own in ours)


def _why_not_proven(message: Message) -> str:
    """A rule that asks for proof of the sender never holds for mail that cannot give it."""
    found = message.validation
    if found.dmarc == ValidationStatus.FAIL:
        return words.NOT_PROVEN.format(why="DMARC fails")
    results = (found.spf, found.dkim, found.dmarc)
    if ValidationStatus.PASS in results:
        return ""
    if found.spf == ValidationStatus.FAIL:
        return words.NOT_PROVEN.format(why="SPF fails")
    return words.NOT_PROVEN.format(why="neither SPF nor DKIM nor DMARC passes")
