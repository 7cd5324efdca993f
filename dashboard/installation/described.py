"""The values an admin may set in the browser, each described once: its words, its bounds, what makes it less safe.

`dashboard/settings.py` takes the bounds from here for the environment's value, so nothing here knows Django.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

NOBODY_NEEDS_MORE = 1_000_000  # where the environment knows no upper bound
FAR_MORE = 2  # times as many: a limit raised by that is a safeguard loosened

Kind = Literal["number", "flag", "words"]


class Bounds(TypedDict):
    least: int
    most: int | None


@dataclass(frozen=True)
class Described:
    """One value. `name` is that of the setting; the environment's variable is the same after MAILWARDEN_."""

    name: str
    group: str
    label: str
    help: str
    unit: str = ""
    least: int = 0
    most: int | None = None
    kind: Kind = "number"
    words: Mapping[str, str] | None = None

    @property
    def variable(self) -> str:
        return f"MAILWARDEN_{self.name}"

    @property
    def highest(self) -> int:
        return self.most if self.most is not None else NOBODY_NEEDS_MORE

    def read(self, stored: Any) -> Any:
        """A stored value as the setting's own type; None where there is none, or none that can be understood."""
        if self.kind == "number":
            fits = isinstance(stored, int) and not isinstance(stored, bool) and self.least <= stored <= self.highest
            return stored if fits else None
        if self.kind == "flag":
            return stored if isinstance(stored, bool) else None
        known = isinstance(stored, list) and all(isinstance(one, str) and one in (self.words or {}) for one in stored)
        return frozenset(stored) if known else None

    def write(self, value: Any) -> Any:
        """The value as JSON holds it."""
        return sorted(value) if self.kind == "words" else value

    def say(self, value: Any) -> str:
        """The value as people read it."""
        if self.kind == "flag":
            return "on" if value else "off"
        if self.kind == "words":
            return "; ".join(words for name, words in (self.words or {}).items() if name in value) or "nothing"
        return f"{value:,} {self.unit}".strip()


RETENTION, LIMITS, TIMES, CALLS, SAFETY = "How long it is kept", "Limits", "Times", "Calls", "Safeguards"

DESCRIBED: Mapping[str, Described] = {
    one.name: one
    for one in (
        Described(
            "MEMORY_DAYS",
            RETENTION,
            "Remembered messages",
            "A message nobody needs any more is forgotten so long after it was last seen. Less takes effect at the"
            " next clean-up, and what is forgotten does not come back.",
            "days",
            1,
            3650,
        ),
        Described(
            "EVIDENCE_DAYS",
            RETENTION,
            "Sealed evidence",
            "Raw files kept as evidence are deleted so long after they were taken.",
            "days",
            1,
            3650,
        ),
        Described(
            "NOTICE_DAYS",
            RETENTION,
            "List of sent notices",
            "How long it can be read what was sent, and whether it arrived.",
            "days",
            1,
            3650,
        ),
        Described(
            "BODY_RETENTION_HOURS",
            RETENTION,
            "Previews and raw mail",
            "What was fetched to be looked at is kept so long, for the next who looks.",
            "hours",
        ),
        Described(
            "LARGE_JOB",
            LIMITS,
            "A large job",
            "More messages than this in one job need the right to act on very many messages, and a second person where"
            " large jobs take one.",
            "messages",
        ),
        Described("BULK_LIMIT", LIMITS, "The largest job", "One job takes no more than this.", "messages", 1),
        Described(
            "EXPORTS_PER_HOUR", LIMITS, "Exports", "Files one member may take within an hour.", "files an hour", 1
        ),
        Described(
            "OVERDUE_HOURS",
            TIMES,
            "Overdue",
            "A case is overdue so long after it came onto the desk; delivered Malicious mail sooner. Counts for cases"
            " that come from now on.",
            "hours",
            1,
            720,
        ),
        Described(
            "CLAIM_MINUTES",
            TIMES,
            "A claim on a case",
            "Away for so long, a member no longer has the case, and others may take it.",
            "minutes",
            1,
        ),
        Described(
            "APPROVAL_HOURS",
            TIMES,
            "A request for a second person",
            "Then it expires, and so does an approval that was not used.",
            "hours",
            1,
            720,
        ),
        Described(
            "ACCEPT_DAYS", TIMES, "A rule for one sender", "The longest life such a rule may be given.", "days", 1, 365
        ),
        Described(
            "END_NOTICE_DAYS",
            TIMES,
            "The end of a rule",
            "It is announced so long before, to whom the rule belongs.",
            "days",
            1,
            60,
        ),
        Described(
            "VIEW_MINUTES",
            CALLS,
            "Saved views",
            "Between two readings of one view, whoever looks at it.",
            "minutes",
            1,
            60,
        ),
        Described(
            "COLLECTOR_SHARE",
            CALLS,
            "The collector's share",
            "The memory is filled with no more than this share of the call budget.",
            "percent",
            1,
            50,
        ),
        Described(
            "SECOND_PERSON",
            SAFETY,
            "What takes a second person",
            "One member asks, another one approves.",
            kind="words",
            words={
                "purge": "purges",
                "release_malicious": "releases of Malicious mail",
                "large": "large jobs",
                "unprotect": "the end of a domain's protection",
            },
        ),
        Described(
            "PRIVACY",
            SAFETY,
            "Privacy mode",
            "What senders wrote is covered until a member gives a reason for reading it.",
            kind="flag",
        ),
    )
}


def bounds(name: str) -> Bounds:
    """The bounds of a number, for who reads it from the environment."""
    return {"least": DESCRIBED[name].least, "most": DESCRIBED[name].most}


def names_that_take_two() -> tuple[str, ...]:
    return tuple(DESCRIBED["SECOND_PERSON"].words or ())


def _fewer_second_persons(before: Any, after: Any) -> str:
    gone = [
        words for name, words in (DESCRIBED["SECOND_PERSON"].words or {}).items() if name in set(before) - set(after)
    ]
    if not gone:
        return ""
    return f"One person alone will be enough for: {'; '.join(gone)}. Nobody else looks before it happens."


def _privacy_off(before: Any, after: Any) -> str:
    if not before or after:
        return ""
    return "Everybody with the right to read bodies reads them at once: no reason is asked for and none is kept."


def _larger_jobs(before: Any, after: Any) -> str:
    if after < FAR_MORE * before or after == before:
        return ""
    return (
        f"Jobs of up to {after:,} messages (instead of {before:,}) will need neither the right to act on very many"
        " messages nor a second person."
    )


LOOSENS: Mapping[str, Callable[[Any, Any], str]] = {
    "SECOND_PERSON": _fewer_second_persons,
    "PRIVACY": _privacy_off,
    "LARGE_JOB": _larger_jobs,
}


def loosened(name: str, before: Any, after: Any) -> str:
    """What a change takes away from the team's safety, in a sentence; "" where it takes nothing."""
    return LOOSENS[name](before, after) if name in LOOSENS else ""
