"""Impersonation registry: names that others write under, and the addresses they really have."""

from __future__ import annotations

from collections.abc import Mapping

from settings_ui.patterns import checks
from settings_ui.patterns.matching import Against
from settings_ui.resources.description import Field, Filter, Option, Resource, Shape, Values
from settings_ui.resources.shared import COMMENTS

_PROVENANCES = (
    Option("A1S_INTERNAL", "entered by hand"),
    Option("SNOOPY-CASB_OFFICE_365", "Microsoft 365, by CASB"),
    Option("SNOOPY-OFFICE_365", "Microsoft 365"),
    Option("SNOOPY-GOOGLE_DIRECTORY", "Google directory"),
)


def _rules(values: Values) -> Mapping[str, str]:
    told = checks.problem_with(str(values.get("email") or ""), "EMAIL", is_regex=bool(values.get("is_email_regex")))
    return {"email": told} if told else {}


def _spelled(values: Values) -> Values:
    return {**values, "email": checks.as_sent(str(values["email"]), "EMAIL", is_regex=bool(values["is_email_regex"]))}


def _fixed_because(values: Values) -> str:
    if values.get("provenance") in (None, "", "A1S_INTERNAL"):
        return ""
    return "It comes from your directory, and Cloudflare takes changes only from there."


IMPERSONATION_REGISTRY = Resource(
    name="impersonation_registry",
    slug="impersonation-registry",
    title="Impersonation registry",
    singular="registry entry",
    what="People whose names are misused. Mail under such a name from another address is looked at more strictly.",
    fields=(
        Field("name", "Name", Shape.LINE, help="As it stands before the address in mail.", least=1, most=1024),
        Field(
            "email", "Address", Shape.PATTERN, help="The address this person really writes from.", least=1, most=1024
        ),
        Field(
            "is_email_regex",
            "Regular expression",
            Shape.FLAG,
            help="The address is a regular expression, as Java writes them.",
            word="regex",
        ),
        COMMENTS,
        Field("provenance", "From", Shape.CHOICE, options=_PROVENANCES, is_optional=True, is_ours_to_read=True),
        Field("directory_id", "Directory", Shape.NUMBER, is_optional=True, is_ours_to_read=True),
        Field("directory_node_id", "Entry of the directory", Shape.NUMBER, is_optional=True, is_ours_to_read=True),
        Field("external_directory_node_id", "Its id there", Shape.LINE, is_optional=True, is_ours_to_read=True),
    ),
    identity=("name", "email"),
    columns=("name", "email", "flags", "provenance"),
    filters=(Filter("provenance", "From", _PROVENANCES),),
    orders=(Option("name", "Name"), Option("email", "Address"), Option("created_at", "Age")),
    against=Against.NAME,
    tried="name",
    rules=_rules,
    spelled=_spelled,
    fixed_because=_fixed_because,
)
