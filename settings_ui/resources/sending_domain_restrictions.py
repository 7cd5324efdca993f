"""Sending domain restrictions: senders whose mail must come over TLS."""

from __future__ import annotations

from settings_ui.patterns import checks
from settings_ui.patterns.matching import Against
from settings_ui.resources.description import Field, Option, Resource, Shape
from settings_ui.resources.shared import COMMENTS

SENDING_DOMAIN_RESTRICTIONS = Resource(
    name="sending_domain_restrictions",
    slug="sending-domain-restrictions",
    title="Sending domain restrictions",
    singular="sending domain restriction",
    what="Domains that must send over TLS. Mail from them that comes without it is dropped.",
    fields=(
        Field(
            "domain",
            "Domain",
            Shape.PATTERN,
            least=1,
            most=253,
            check=checks.problem_with_domain,
            spelled=checks.ascii_domain,
        ),
        Field(
            "exclude",
            "Except",
            Shape.LIST,
            help="Subdomains that may send without TLS, one on each line.",
            most=1000,
            default=[],
            check=checks.problem_with_domain,
            spelled=checks.ascii_domain,
        ),
        COMMENTS,
    ),
    identity=("domain",),
    columns=("domain", "exclude", "comments"),
    orders=(Option("domain", "Domain"), Option("created_at", "Age")),
    against=Against.SENDER_DOMAIN,
    tried="domain",
)
