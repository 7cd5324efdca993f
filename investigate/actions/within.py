"""Actions as somebody reads them who is limited to some recipient domains: without the copies elsewhere, and without
what was said of those. Members without such a limit get everything as it is, and pay nothing for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models import Exists, OuterRef, QuerySet

from dashboard.access.scope import Scope
from investigate.models import Action, ActionItem, ActionState, BulkJob, Receipt

_ENDS = (ActionState.DONE, ActionState.PARTLY_DONE, ActionState.FAILED)


def theirs(actions: QuerySet[Action], scope: Scope) -> QuerySet[Action]:
    """Those about a message of which a copy is inside."""
    if scope.is_whole:
        return actions
    return actions.filter(Exists(ActionItem.objects.filter(scope.q("domains"), action=OuterRef("pk"))))


def jobs_within(jobs: QuerySet[BulkJob], scope: Scope) -> QuerySet[BulkJob]:
    """Those whose messages are all inside: the jobs of members who were limited to no more than this."""
    if scope.is_whole:
        return jobs
    names = [pk for pk, domains in jobs.exclude(scope=[]).values_list("pk", "scope") if is_within(domains, scope)]
    return jobs.filter(pk__in=names)


def is_within(domains: Sequence[str], scope: Scope) -> bool:
    """Whether the scope holds that of a job."""
    return scope.holds(Scope(frozenset(domains)))


def trim(action: Action, receipts: Sequence[Receipt], scope: Scope, domains: str) -> list[Receipt]:
    """The receipts of one message inside; the action is cut to what they tell, in memory alone.

    `domains` are those of all the message's recipients, as its item keeps them.
    """
    inside = receipts_within(receipts, scope)
    if scope.covers_domains(domains) and len(inside) == len(receipts):
        return inside
    action.explanation, action.evidence = "", []
    if action.state in _ENDS and inside:
        action.state = end_of(inside)
    return inside


def receipts_within(receipts: Iterable[Receipt], scope: Scope) -> list[Receipt]:
    """Those of copies inside; an answer may name copies nobody asked for."""
    if scope.is_whole:
        return list(receipts)
    return [receipt for receipt in receipts if not receipt.recipient or scope.covers(receipt.recipient)]


def end_of(receipts: Sequence[Receipt]) -> ActionState:
    """What these copies together came to."""
    done = sum(bool(receipt.is_done) for receipt in receipts)
    if done == len(receipts):
        return ActionState.DONE
    return ActionState.PARTLY_DONE if done else ActionState.FAILED
