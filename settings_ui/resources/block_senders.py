"""Blocked senders: whose mail is blocked, whatever it looks like."""

from __future__ import annotations

from settings_ui.patterns.matching import Against
from settings_ui.resources.description import Filter, Option, Resource
from settings_ui.resources.shared import (
    COMMENTS,
    IS_REGEX,
    PATTERN,
    PATTERN_AND_AGE,
    PATTERN_TYPE,
    pattern_problem,
    pattern_spelled,
)

BLOCK_SENDERS = Resource(
    name="block_senders",
    slug="block-senders",
    title="Blocked senders",
    singular="blocked sender",
    what="Senders whose mail is blocked, whatever detection says about it.",
    fields=(PATTERN, PATTERN_TYPE, IS_REGEX, COMMENTS),
    identity=("pattern", "pattern_type"),
    columns=("pattern", "pattern_type", "flags", "comments"),
    filters=(
        Filter("pattern", "Pattern, exactly"),
        Filter("pattern_type", "Kind", (*PATTERN_TYPE.options, Option("UNKNOWN", "unknown (old entries)"))),
    ),
    orders=PATTERN_AND_AGE,
    against=Against.SENDER,
    tried="pattern",
    rules=pattern_problem,
    spelled=pattern_spelled,
)
