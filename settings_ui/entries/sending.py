"""Make, look up and remove entries at Cloudflare.

The order is what keeps a rule from being made twice: a listing of the pattern first, the claim and the note that it
leaves before the call, and after a call without an answer nothing but listings. The comment of a rule names its entry.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import structlog
from django.conf import settings
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission, allowed
from dashboard.audit.chain import storable_text
from dashboard.emailsec import Priority, errors, every
from dashboard.emailsec.enums import PatternType
from dashboard.emailsec.types import AllowPolicy
from dashboard.upstream.connection import get_client
from dashboard.upstream.patience import until_next_look
from dashboard.upstream.words import refusal
from settings_ui.entries import transitions, words
from settings_ui.entries.knowing import who
from settings_ui.entries.rules import PATTERN_LIMIT
from settings_ui.models import Entry, EntryState
from settings_ui.resources import BY_NAME, Resource, Values

log = structlog.get_logger("mailwarden.entries")

CALL_SECONDS = settings.CALL_SECONDS / 3  # a listing and the call after it end well before the claim does
STALE_SECONDS = settings.CALL_SECONDS  # between claim and call; a worker held up longer may have been overtaken
_MOST_PAGES, _PER_PAGE = 20, 1000  # of a server that ignores the filter
_LATER, _LATEST = 60.0, 3600.0  # seconds until a call that failed is tried again
_DUPLICATE = 409
_NOT_CONFIRMED = "Cloudflare has not confirmed it yet."


def send(entry_id: uuid.UUID | str, *, clock: Callable[[], float] = time.monotonic) -> None:
    """Make one rule that is due. Harmless when it is not, when it is gone, and when another worker has it."""
    claimed = clock()
    entry = transitions.claim(entry_id)
    if entry is None:
        return
    if told := _why_not_any_more(entry):
        transitions.store_failed(entry, told)
        return
    try:
        there = _find(entry)
    except errors.REFUSED as problem:
        transitions.store_failed(entry, refusal(problem))
        return
    except errors.EmailSecurityError as problem:
        transitions.give_back(entry, after=_pause(problem, entry.attempt), explanation=words.pause(problem))
        return
    if there is not None:
        _take_over(entry, there)
    elif clock() - claimed > STALE_SECONDS:
        transitions.give_back(entry, after=0)
    elif transitions.note_sent(entry):
        _create(entry)


def look_up(entry_id: uuid.UUID | str) -> None:
    """Look for one rule whose create had no answer, if a look is due. Nothing is ever sent again."""
    entry = transitions.take_for_look(entry_id)
    if entry is None:
        return
    try:
        there = _find(entry)
    except errors.EmailSecurityError as problem:
        log.warning("entry_look_failed", entry=str(entry.pk), error=type(problem).__name__, status=problem.status)
        transitions.look_again(entry, after=max(problem.retry_after or 0.0, _LATER), is_counted=False)
        return
    if there is not None:
        _take_over(entry, there)
        return
    wait = until_next_look(entry.sent_at, entry.looks)
    if wait is None:
        transitions.store_failed(entry, f"Looked {entry.looks + 1} times after no answer came; it is not there.")
    else:
        transitions.look_again(entry, after=wait, is_counted=True)


def remove(entry_id: uuid.UUID | str) -> None:
    """Remove one entry whose time is over, again and again until it is provably gone.

    One that became another entry meanwhile, because somebody changed its pattern elsewhere, is left alone.
    """
    entry = transitions.take_for_removal(entry_id)
    if entry is None:
        return
    try:
        there = get_client().entry(entry.resource, entry.upstream_id, budget=CALL_SECONDS)
    except errors.NotFound:
        transitions.store_removed(entry, explanation="" if entry.sent_at else words.GONE_ALREADY)
        return
    except errors.EmailSecurityError as problem:
        _remove_later(entry, problem)
        return
    resource = BY_NAME[entry.resource]
    if _is_another(resource, entry.values, there.values()):
        pattern = storable_text(resource.label(there.values()), limit=PATTERN_LIMIT)
        told = words.became_another(entry, pattern)
        transitions.hold_back(entry, pattern=pattern, values=there.values(), explanation=told)
    elif transitions.note_removal_sent(entry):
        _delete(entry)


def _delete(entry: Entry) -> None:
    try:
        get_client().delete_entry(entry.resource, entry.upstream_id, budget=CALL_SECONDS)
    except errors.NotFound:
        is_gone = _is_gone(entry)
    except errors.EmailSecurityError as problem:
        _remove_later(entry, problem)
        return
    else:
        is_gone = True
    if is_gone:
        transitions.store_removed(entry)
    else:
        transitions.remove_later(entry, after=_LATER, explanation=_NOT_CONFIRMED)


def _remove_later(entry: Entry, problem: errors.EmailSecurityError) -> None:
    log.warning("entry_not_removed", entry=str(entry.pk), error=type(problem).__name__, status=problem.status)
    told = refusal(problem) if isinstance(problem, errors.REFUSED) else _NOT_CONFIRMED
    transitions.remove_later(entry, after=_pause(problem, entry.looks + 1), explanation=f"{told} It is tried again.")


def _is_another(resource: Resource, then: Values, now: Values) -> bool:
    """Whether what makes an entry this entry was changed; what an older server does not say counts as unchanged."""
    pairs = [(then.get(name), now.get(name)) for name in (*resource.identity, "is_regex")]
    return any(str(one).casefold() != str(other).casefold() for one, other in pairs if None not in (one, other))


def _is_gone(entry: Entry) -> bool:
    """Whether the service itself says so: a delete may have been answered by something in between."""
    try:
        get_client().entry(entry.resource, entry.upstream_id, budget=CALL_SECONDS)
    except errors.NotFound:
        return True
    except errors.EmailSecurityError:
        return False
    return False


def _create(entry: Entry) -> None:
    try:
        made = get_client().create_entry(entry.resource, entry.values, budget=CALL_SECONDS)
    except (errors.RateLimited, errors.Unavailable) as problem:
        transitions.give_back(entry, after=_pause(problem, entry.attempt), explanation=words.pause(problem))
    except errors.REFUSED as problem:
        log.warning("entry_refused", entry=str(entry.pk), error=type(problem).__name__, status=problem.status)
        if problem.status == _DUPLICATE:
            _settle_by_twin(entry)
        else:
            transitions.store_failed(entry, refusal(problem))
    except errors.EmailSecurityError as problem:
        log.warning("entry_unknown", entry=str(entry.pk), error=type(problem).__name__, status=problem.status)
        transitions.store_unknown(entry, look_after=float(settings.QUIET_SECONDS))
    else:
        transitions.store_active(entry, made.id)


def _settle_by_twin(entry: Entry) -> None:
    """Settle an entry that was refused because one like it stands, which came after the look for it."""
    try:
        there = _find(entry)
    except errors.EmailSecurityError:
        there = None
    if there is None:
        transitions.store_failed(entry, words.elsewhere(entry.pattern))
    else:
        _take_over(entry, there)


def _find(entry: Entry) -> AllowPolicy | None:
    """The rule for this pattern that stands at Cloudflare: ours, else anybody's."""
    client = get_client()
    found = [
        policy
        for policy in every(
            lambda page: client.entries(
                entry.resource,
                filters={"pattern": entry.pattern},
                page=page,
                per_page=_PER_PAGE,
                budget=CALL_SECONDS,
                priority=Priority.ACTION,
            ),
            most_pages=_MOST_PAGES,
        )
        if isinstance(policy, AllowPolicy)
        and (policy.pattern or "").casefold() == entry.pattern
        and policy.pattern_type in (None, PatternType.EMAIL)
    ]
    return next((policy for policy in found if _is_ours(entry, policy)), found[0] if found else None)


def _is_ours(entry: Entry, policy: AllowPolicy) -> bool:
    """Whether the comment names this entry, or an earlier one that was given up and came to stand after all."""
    said = policy.comments or ""
    given_up = transitions.of_account().filter(pattern=entry.pattern, state=EntryState.FAILED)
    return any(f"Mailwarden {key}" in said for key in [entry.pk, *given_up.values_list("pk", flat=True)])


def _take_over(entry: Entry, there: AllowPolicy) -> None:
    """Settle an entry by the rule that stands there already."""
    if not _is_ours(entry, there):
        known = who(entry.resource, [there.id])[there.id]
        transitions.store_failed(entry, words.stands_already(entry.pattern, known))
    else:
        told = "Checked: the rule was made." if entry.state == EntryState.UNKNOWN else "The rule stood there already."
        transitions.store_active(entry, there.id, explanation=told)


def _why_not_any_more(entry: Entry) -> str:
    """Whether who decided may do this now, by the rights in the database now, and there is time left."""
    owner: Member | None = entry.owner
    if owner is None or not allowed(owner, Permission.POLICY_ACCEPT) or not owner.scope.is_whole:
        return f"{entry.owner_name} no longer has the right to do this."
    if entry.expires_at is None or entry.expires_at <= timezone.now():
        return "Its end had come before it could be sent."
    return ""


def _pause(problem: errors.EmailSecurityError, tries: int) -> float:
    return max(1.0, problem.retry_after or min(_LATEST, 15.0 * 2 ** min(max(tries - 1, 0), 8)))
