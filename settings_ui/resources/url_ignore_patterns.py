"""URL ignore patterns: links that are delivered as they were written."""

from __future__ import annotations

from collections.abc import Mapping

from settings_ui.patterns import checks
from settings_ui.resources.description import Field, Resource, Shape, Values
from settings_ui.resources.shared import COMMENTS


def _rules(values: Values) -> Mapping[str, str]:
    told = checks.problem_with(str(values.get("pattern") or ""), None, is_regex=True)
    return {"pattern": told} if told else {}


URL_IGNORE_PATTERNS = Resource(
    name="url_ignore_patterns",
    slug="url-ignore-patterns",
    title="URL ignore patterns",
    singular="URL ignore pattern",
    what="Links that are not rewritten. A click on one is not looked at again.",
    fields=(
        Field(
            "pattern",
            "Regular expression",
            Shape.PATTERN,
            help="Over whole addresses, as Java writes them.",
            least=1,
            most=1024,
        ),
        COMMENTS,
    ),
    identity=("pattern",),
    columns=("pattern", "comments"),
    is_searched=False,
    tried="pattern",
    rules=_rules,
)
