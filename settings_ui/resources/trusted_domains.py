"""Trusted domains: young or look-alike domains that are known to be harmless."""

from __future__ import annotations

from collections.abc import Mapping

from settings_ui.patterns import checks
from settings_ui.patterns.matching import Against
from settings_ui.resources.description import YES_NO, Field, Filter, Resource, Shape, Values
from settings_ui.resources.shared import COMMENTS, IS_REGEX, PATTERN, PATTERN_AND_AGE, pattern_spelled


def _rules(values: Values) -> Mapping[str, str]:
    problems: dict[str, str] = {}
    told = checks.problem_with(str(values.get("pattern") or ""), "DOMAIN", is_regex=bool(values.get("is_regex")))
    if told:
        problems["pattern"] = told
    if not values.get("is_recent") and not values.get("is_similarity"):
        problems["is_recent"] = "Choose at least one: without either the entry has no effect."
    return problems


TRUSTED_DOMAINS = Resource(
    name="trusted_domains",
    slug="trusted-domains",
    title="Trusted domains",
    singular="trusted domain",
    what="Domains that detection would find too young or too much like one of yours, and that are harmless.",
    fields=(
        PATTERN,
        IS_REGEX,
        Field(
            "is_recent",
            "Young domain",
            Shape.FLAG,
            help="That the domain was registered lately no longer counts as suspicious.",
            word="young",
            group="What is forgiven",
        ),
        Field(
            "is_similarity",
            "Look-alike",
            Shape.FLAG,
            help="That the domain looks like one of your protected domains no longer counts as Spoof.",
            word="look-alike",
            group="What is forgiven",
        ),
        COMMENTS,
    ),
    identity=("pattern",),
    columns=("pattern", "flags", "comments"),
    filters=(
        Filter("pattern", "Pattern, exactly"),
        Filter("is_recent", "Young", YES_NO),
        Filter("is_similarity", "Look-alike", YES_NO),
    ),
    orders=PATTERN_AND_AGE,
    against=Against.SENDER_DOMAIN,
    tried="pattern",
    rules=_rules,
    spelled=pattern_spelled,
)
