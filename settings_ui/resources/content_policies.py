"""Content policies: words in a subject or a body that block a message."""

from __future__ import annotations

from collections.abc import Mapping

from settings_ui.patterns import checks
from settings_ui.patterns.matching import Against
from settings_ui.resources.description import YES_NO, Field, Filter, Option, Resource, Shape, Values


def _rules(values: Values) -> Mapping[str, str]:
    told = checks.problem_with(str(values.get("pattern") or ""), None, is_regex=True)
    return {"pattern": told} if told else {}


CONTENT_POLICIES = Resource(
    name="content_policies",
    slug="content-policies",
    title="Content policies",
    singular="content policy",
    what="Regular expressions over subjects and bodies. A message that matches one is blocked.",
    fields=(
        Field("name", "Name", Shape.LINE, least=1, most=256),
        Field(
            "pattern",
            "Regular expression",
            Shape.PATTERN,
            help="As Java writes them.",
            least=1,
            most=2048,
        ),
        Field(
            "targets",
            "Where it looks",
            Shape.CHOICES,
            options=(Option("SUBJECT", "subject"), Option("BODY", "body")),
            least=1,
            most=2,
            default=["SUBJECT"],
        ),
        Field(
            "enabled",
            "Switched on",
            Shape.FLAG,
            help="A policy that is off is kept and does nothing.",
            word="on",
            default=True,
        ),
        Field("notes", "Notes", Shape.TEXT, help="Kept at Cloudflare.", most=4096, is_optional=True),
    ),
    identity=("name",),
    columns=("name", "pattern", "targets", "flags"),
    filters=(Filter("name", "Name, exactly"), Filter("enabled", "Switched on", YES_NO)),
    orders=(Option("name", "Name"), Option("created_at", "Age")),
    note="notes",
    against=Against.SUBJECT,
    tried="pattern",
    rules=_rules,
)
