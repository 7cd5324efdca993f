"""The seal of the audit trail: each row carries a hash over itself and the row before.

An export as JSON lines can be verified anywhere, without Mailwarden. Each line is one row. Take `hash` and
`previous_hash` out of it and write what is left as JSON again: keys sorted, no spaces between tokens, every character
beyond ASCII as \\uXXXX. `hash` is the SHA-256, in hexadecimal, of `previous_hash` followed by that text.
`previous_hash` is the `hash` of the row whose `sequence` is one less; row 1 has 64 zeros there. In Python:

    row = json.loads(line)
    found, before = row.pop("hash"), row.pop("previous_hash")
    text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    assert found == hashlib.sha256((before + text).encode()).hexdigest()

`manage.py verify_audit --file export.jsonl` does the same and checks that each row follows the one before.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from dashboard.audit.models import AuditEvent

NO_HASH = "0" * 64
# PostgreSQL stores neither of these in text or JSON; both can come out of a mail.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable_text(value: str, *, limit: int | None = None) -> str:
    text = _UNSTORABLE.sub("\ufffd", value)
    return text if limit is None or len(text) <= limit else text[: limit - 1] + "…"


def storable(value: Any) -> Any:
    """The value as every database gives it back unchanged: the row read must have the hash of the row written.

    Fractions become text because PostgreSQL spells numbers in its own way (1e20 comes back as an integer).
    """
    match value:
        case None | bool() | int():
            return value
        case str():
            return storable_text(value)
        case dict():
            return {storable_text(str(key)): storable(entry) for key, entry in value.items()}
        case list() | tuple() | set() | frozenset():
            return [storable(entry) for entry in value]
        case dt.datetime():
            return value.isoformat()
        case _:
            return storable_text(str(value))


def seal(event: AuditEvent) -> str:
    """SHA-256 over the previous row's hash and the canonical JSON of everything else in this one."""
    return hashlib.sha256((event.previous_hash + _canonical(sealed(event))).encode()).hexdigest()


def sealed(event: AuditEvent) -> dict[str, Any]:
    """Everything of a row that its hash vouches for."""
    return {
        "sequence": event.sequence,
        "at": event.at.astimezone(dt.UTC).isoformat(timespec="microseconds"),
        "actor_id": event.actor_id,
        "actor_name": event.actor_name,
        "address": event.address,
        "action": event.action,
        "phase": event.phase,
        "refers_to": event.refers_to,
        "targets": event.targets,
        "reason": event.reason,
        "detail": event.detail,
    }


def line(event: AuditEvent) -> str:
    """A row as one line of JSON, with its hashes: what leaves in exports and streams. One row in, one line out."""
    return _canonical({**sealed(event), "previous_hash": event.previous_hash, "hash": event.hash})


def read_line(text: str) -> AuditEvent:
    """A row out of such a line. Raises ValueError where it is none."""
    row = json.loads(text)
    try:
        event = AuditEvent(**row | {"at": dt.datetime.fromisoformat(row["at"]), "sequence": int(row["sequence"])})
    except (KeyError, TypeError) as problem:
        raise ValueError("not a row of the trail") from problem
    if not (isinstance(event.hash, str) and isinstance(event.previous_hash, str)):
        raise ValueError("not a row of the trail")
    return event


def _canonical(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def first_break(
    events: Iterable[AuditEvent], *, head: tuple[int, str], after: tuple[int, str] = (0, NO_HASH)
) -> str | None:
    """Why the chain is not whole, in one sentence about its first broken link; None where it is.

    `head` is the last sequence number and hash as they are remembered elsewhere. `events` come in order of sequence and
    begin with the row that follows `after`, which is known to be good.
    """
    sequence, link = after
    for event in events:
        if event.sequence != sequence + 1:
            return f"Row {sequence + 1} is missing: row {sequence} is followed by row {event.sequence}."
        if event.previous_hash != link:
            return f"Row {event.sequence} does not continue row {sequence}: one of them was replaced."
        if event.hash != seal(event):
            return f"Row {event.sequence} was changed after it was written."
        sequence, link = event.sequence, event.hash
    last, last_hash = head
    if sequence < last:
        return f"Rows {sequence + 1} to {last} are missing from the end."
    if link != last_hash:
        return f"Row {sequence} is not the one that was recorded as the last."
    return None
