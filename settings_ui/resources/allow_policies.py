"""Allow policies: whose mail detection leaves alone, wholly or in part."""

from __future__ import annotations

from collections.abc import Mapping

from settings_ui.patterns.matching import Against
from settings_ui.resources.description import YES_NO, Field, Filter, Option, Resource, Shape, Values
from settings_ui.resources.shared import (
    COMMENTS,
    IS_REGEX,
    PATTERN,
    PATTERN_AND_AGE,
    PATTERN_TYPE,
    pattern_problem,
    pattern_spelled,
)


def _rules(values: Values) -> Mapping[str, str]:
    problems = pattern_problem(values)
    if not any(values.get(name) for name in ("is_acceptable_sender", "is_trusted_sender", "is_exempt_recipient")):
        problems["is_acceptable_sender"] = "Choose at least one: a rule that allows nothing has no effect."
    return problems


ALLOW_POLICIES = Resource(
    name="allow_policies",
    slug="allow-policies",
    title="Allow policies",
    singular="allow policy",
    what="Mail that detection leaves alone, wholly or in part. The narrowest rule that helps is the best one.",
    fields=(
        PATTERN,
        PATTERN_TYPE,
        IS_REGEX,
        Field(
            "is_acceptable_sender",
            "Acceptable sender",
            Shape.FLAG,
            help="Its mail is no longer called Spam, Spoof or Bulk. Malicious and Suspicious still apply.",
            word="acceptable",
            group="What it allows",
        ),
        Field(
            "is_trusted_sender",
            "Trusted sender",
            Shape.FLAG,
            help="Skips all detections and does not follow links. A hijacked mailbox passes unseen.",
            word="trusted",
            group="What it allows",
        ),
        Field(
            "is_exempt_recipient",
            "Exempt recipient",
            Shape.FLAG,
            help="Skips all detections for mail to this recipient, whoever sends it.",
            word="exempt recipient",
            group="What it allows",
        ),
        Field(
            "verify_sender",
            "Only mail that proves its sender",
            Shape.FLAG,
            help="The rule counts only where DMARC, SPF or DKIM passes. Without it anybody can write under this name.",
            word="verified",
            default=True,
            group="What it allows",
        ),
        COMMENTS,
    ),
    identity=("pattern", "pattern_type"),
    columns=("pattern", "pattern_type", "flags", "comments"),
    filters=(
        Filter("pattern", "Pattern, exactly"),
        Filter("pattern_type", "Kind", (*PATTERN_TYPE.options, Option("UNKNOWN", "unknown (old entries)"))),
        Filter("is_acceptable_sender", "Acceptable sender", YES_NO),
        Filter("is_trusted_sender", "Trusted sender", YES_NO),
        Filter("is_exempt_recipient", "Exempt recipient", YES_NO),
        Filter("verify_sender", "Proves its sender", YES_NO),
    ),
    orders=PATTERN_AND_AGE,
    against=Against.SENDER,
    tried="pattern",
    rules=_rules,
    spelled=pattern_spelled,
)
