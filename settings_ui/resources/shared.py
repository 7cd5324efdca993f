"""Fields and rules that several resources have in common."""

from __future__ import annotations

from settings_ui.patterns import checks
from settings_ui.resources.description import Field, Option, Shape, Values

PATTERN = Field("pattern", "Pattern", Shape.PATTERN, least=1, most=1024)
PATTERN_TYPE = Field(
    "pattern_type",
    "Kind",
    Shape.CHOICE,
    options=(
        Option("EMAIL", "address", "One mailbox: name@company.example"),
        Option("DOMAIN", "domain", "Everybody at company.example"),
        Option("IP", "IP", "One address or a network: 198.51.100.0/28"),
    ),
    default="EMAIL",
)
IS_REGEX = Field(
    "is_regex",
    "Regular expression",
    Shape.FLAG,
    help="The pattern is a regular expression, as Java writes them.",
    word="regex",
)
COMMENTS = Field(
    "comments",
    "Comments",
    Shape.TEXT,
    help="Kept at Cloudflare and seen by everybody who may see the list there.",
    most=1024,
    is_optional=True,
)
PATTERN_AND_AGE = (Option("pattern", "Pattern"), Option("created_at", "Age"))


def pattern_problem(values: Values) -> dict[str, str]:
    """What is wrong with the pattern, for its kind."""
    told = checks.problem_with(
        str(values.get("pattern") or ""), values.get("pattern_type"), is_regex=bool(values.get("is_regex"))
    )
    return {"pattern": told} if told else {}


def pattern_spelled(values: Values) -> Values:
    """The entry as it is sent: a domain in other letters goes out in the form that mail carries."""
    sent = checks.as_sent(
        str(values["pattern"]), values.get("pattern_type", "DOMAIN"), is_regex=bool(values.get("is_regex"))
    )
    return {**values, "pattern": sent}
