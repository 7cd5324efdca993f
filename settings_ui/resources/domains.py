"""Protected domains: whose mail is scanned, and how it gets to the scan."""

from __future__ import annotations

from dashboard.access.roles import Permission
from settings_ui.patterns import checks
from settings_ui.resources.description import Field, Filter, Option, Resource, Shape

_MODES = (
    Option("DIRECT", "direct", "Mail flows through Cloudflare (MX)"),
    Option("BCC", "BCC", "A copy of each message is sent to Cloudflare"),
    Option("JOURNAL", "journal", "The mail system journals to Cloudflare"),
    Option("API", "API", "Cloudflare reads the mailboxes"),
    Option("RETRO_SCAN", "retro scan", "Mail of the past is scanned once"),
)
_DISPOSITIONS = tuple(
    Option(value, word)
    for value, word in (
        ("MALICIOUS", "Malicious"),
        ("MALICIOUS-BEC", "BEC"),
        ("SUSPICIOUS", "Suspicious"),
        ("SPOOF", "Spoof"),
        ("SPAM", "Spam"),
        ("BULK", "Bulk"),
        ("ENCRYPTED", "Encrypted"),
        ("EXTERNAL", "External"),
        ("UNKNOWN", "Unknown"),
        ("NONE", "Clean"),
    )
)
_STATUSES = tuple(Option(value, value.lower()) for value in ("PENDING", "ACTIVE", "FAILED", "TIMEOUT"))
_TLS = "Without it such mail is taken all the same."


def _read(name: str, label: str, group: str, shape: Shape = Shape.LINE) -> Field:
    return Field(name, label, shape, is_optional=True, is_ours_to_read=True, group=group)


DOMAINS = Resource(
    name="domains",
    slug="domains",
    title="Protected domains",
    singular="protected domain",
    what="The domains whose mail is scanned. Ending the protection of one cannot be undone.",
    fields=(
        Field(
            "domain",
            "Domain",
            Shape.PATTERN,
            least=1,
            most=253,
            is_fixed=True,
            check=checks.problem_with_domain,
            spelled=checks.ascii_domain,
        ),
        Field(
            "allowed_delivery_modes",
            "How mail may arrive",
            Shape.CHOICES,
            heading="Arrives by",
            options=_MODES,
            least=1,
            most=10,
            default=["API"],
            group="Delivery",
        ),
        Field(
            "drop_dispositions",
            "Verdicts that are not delivered",
            Shape.CHOICES,
            heading="Dropped",
            options=_DISPOSITIONS,
            most=10,
            default=["MALICIOUS"],
            group="Delivery",
        ),
        Field(
            "ip_restrictions",
            "Only from these networks",
            Shape.LIST,
            help="Networks that may deliver mail for it, one on each line: 192.0.2.0/24. None: from everywhere.",
            most=100,
            default=[],
            check=checks.problem_with_network,
            group="Delivery",
        ),
        Field(
            "regions",
            "Regions",
            Shape.CHOICES,
            options=tuple(Option(value, value) for value in ("GLOBAL", "AU", "DE", "IN", "US")),
            least=1,
            most=10,
            default=["GLOBAL"],
            help="Where mail is processed.",
            group="Delivery",
        ),
        Field(
            "lookback_hops",
            "Lookback hops",
            Shape.NUMBER,
            least=1,
            most=20,
            default=2,
            is_optional=True,
            is_never_null=True,
            help="How many of your own servers stand before Cloudflare.",
            group="Delivery",
        ),
        Field(
            "transport",
            "Delivered on to",
            Shape.LINE,
            most=253,
            is_optional=True,
            is_never_null=True,
            help="The mail server that takes scanned mail: mx1.company.example.",
            group="Delivery",
        ),
        Field(
            "require_tls_inbound",
            "TLS is required on the way in",
            Shape.MAYBE,
            is_optional=True,
            is_never_null=True,
            help=_TLS,
            group="Delivery",
        ),
        Field(
            "require_tls_outbound",
            "TLS is required on the way on",
            Shape.MAYBE,
            is_optional=True,
            is_never_null=True,
            help=_TLS,
            group="Delivery",
        ),
        Field(
            "folder",
            "Folder that is scanned",
            Shape.CHOICE,
            options=(Option("AllItems", "all folders"), Option("Inbox", "inbox")),
            is_optional=True,
            group="Integration",
        ),
        Field(
            "integration_id",
            "Integration",
            Shape.LINE,
            most=36,
            is_optional=True,
            check=checks.problem_with_uuid,
            help="The id of the mailbox integration at Cloudflare.",
            group="Integration",
        ),
        _read("status", "State", "State"),
        _read("authorization", "Authorization", "State"),
        _read("spf_status", "SPF", "State"),
        _read("dmarc_status", "DMARC", "State"),
        _read("inbox_provider", "Mailbox provider", "Integration"),
        _read("o365_tenant_id", "Microsoft 365 tenant", "Integration"),
        _read("emails_processed", "Mail processed", "State"),
    ),
    identity=("domain",),
    columns=("domain", "status", "allowed_delivery_modes", "drop_dispositions", "spf_status", "dmarc_status"),
    filters=(
        Filter("domain", "Domains, exactly", takes_several=True),
        Filter("status", "State", _STATUSES),
        Filter("active_delivery_mode", "Arrives by", _MODES),
        Filter("allowed_delivery_mode", "May arrive by", _MODES),
        Filter("integration_id", "Integration"),
    ),
    orders=(Option("domain", "Domain"), Option("created_at", "Age")),
    note="",
    write=Permission.DOMAIN_WRITE,
    remove=Permission.DOMAIN_WRITE,
    may_expire=False,
    takes_typing=True,
    is_atomic=False,
    wants_networks=True,
)
