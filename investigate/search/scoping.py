"""A search within some recipient domains: what is asked for somebody limited to them, and what of the answer they get.

The service is asked for each domain by itself, and every row is looked at again: what the service takes for a recipient
is the sender's writing, too. The page goes on showing the search as the member wrote it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dashboard.access.scope import Scope
from dashboard.emailsec.rows import MessageRow
from investigate.message.visible import trimmed_row
from investigate.search.criteria import MOST_BRANCHES, Criteria


def asked_for(criteria: Criteria, scope: Scope) -> Criteria | None:
    """The search with a branch for each domain of the scope, or for those its own recipients name.

    None where all of these are outside: then nothing is asked, and nothing is found.
    """
    if scope.is_whole:
        return criteria
    if not criteria.recipient:
        return replace(criteria, recipient=tuple(sorted(scope.domains)))
    inside = tuple(value for value in criteria.recipient if scope.covers(value if "@" in value else f"@{value}"))
    return replace(criteria, recipient=inside) if inside else None


def why_not_within(criteria: Criteria, scope: Scope) -> str:
    """Why this search cannot be asked within the scope, as a sentence, or ""."""
    if scope.is_whole:
        return ""
    asked = asked_for(criteria, scope)
    if asked is None or asked.branch_count <= MOST_BRANCHES:
        return ""
    domains = len(asked.recipient)
    if criteria.recipient:
        return f"These filters make {asked.branch_count:,} searches side by side; {MOST_BRANCHES} is the most."
    return (
        f"With the {domains:,} recipient domains you are limited to, these filters make {asked.branch_count:,} "
        f"searches side by side; {MOST_BRANCHES} is the most. Name some of the domains with to:, or take values away."
    )


def rows_within(rows: Sequence[MessageRow], criteria: Criteria, scope: Scope) -> Sequence[MessageRow]:
    """The rows that exist for this scope, without the recipients outside."""
    return rows if scope.is_whole else [trimmed_row(row, scope) for row in rows_seen(rows, criteria, scope)]


def rows_seen(rows: Sequence[MessageRow], criteria: Criteria, scope: Scope) -> Sequence[MessageRow]:
    """The rows that exist for this scope, whole.

    Words and domains are looked for among all recipients: a row found by one outside alone would tell of them.
    """
    if scope.is_whole:
        return rows
    terms = [term.casefold() for term in (*criteria.q.split(), *criteria.domain)]
    return [row for row in rows if scope.sees(row.mailboxes) and not (terms and _is_found_by_others(row, terms, scope))]


def _is_found_by_others(row: MessageRow, terms: Sequence[str], scope: Scope) -> bool:
    everybody = (*row.mailboxes, *(row.wire_envelope_to or ()), *(row.wire_to or ()))
    outside = " ".join(address for address in everybody if not scope.covers(address)).casefold()
    if not outside:
        return False
    inside = (
        *(row.subject, row.from_, row.from_name, row.envelope_from, row.replyto, row.message_id),
        *scope.inside(everybody),
    )
    told = " ".join(text for text in inside if text).casefold()
    return any(term in outside and term not in told for term in terms)
