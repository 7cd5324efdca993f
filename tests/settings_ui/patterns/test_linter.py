"""Dangerous entries are named before they are saved, and ordinary ones are left in peace."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings_ui.patterns import hosts
from settings_ui.patterns.linter import Danger, Listed, Lists, lint
from tests.investigate.message.corpus import hostile_strings, needs_strings

NOTHING = Lists()
OWN = Lists(own_domains=("corp.example", "bücher.example"))


def allow(pattern: str, kind: str = "EMAIL", **values: Any) -> dict[str, Any]:
    return {
        "pattern": pattern,
        "pattern_type": kind,
        "is_regex": False,
        "is_acceptable_sender": True,
        "is_trusted_sender": False,
        "is_exempt_recipient": False,
        "verify_sender": True,
        **values,
    }


def block(pattern: str, kind: str = "EMAIL", **values: Any) -> dict[str, Any]:
    return {"pattern": pattern, "pattern_type": kind, "is_regex": False, **values}


def domain(**values: Any) -> dict[str, Any]:
    return {
        "domain": "corp.example",
        "allowed_delivery_modes": ["API"],
        "drop_dispositions": ["MALICIOUS"],
        "ip_restrictions": [],
        "require_tls_inbound": True,
        "require_tls_outbound": None,
        **values,
    }


def codes(resource: str, values: dict[str, Any], others: Lists = NOTHING) -> list[str]:
    return [danger.code for danger in lint(resource, values, others=others)]


def only(resource: str, values: dict[str, Any], others: Lists = NOTHING) -> Danger:
    found = lint(resource, values, others=others)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("resource", "values"),
    [
        ("allow_policies", allow("billing@supplier.example")),
        ("allow_policies", allow("supplier.example", "DOMAIN")),
        ("allow_policies", allow("anna@gmail.com")),
        ("allow_policies", allow("198.51.100.0/24", "IP")),
        ("allow_policies", allow("2001:db8::/48", "IP")),
        ("allow_policies", allow(r"^[a-z]+@supplier\.example$", is_regex=True)),
        ("allow_policies", allow("abuse@corp.example", is_acceptable_sender=False, is_exempt_recipient=True)),
        ("block_senders", block("spammer@gmail.com")),
        ("block_senders", block(r"@lottery-\d+\.example$", is_regex=True)),
        ("trusted_domains", {"pattern": "c0rp.example", "is_regex": False, "is_recent": False, "is_similarity": True}),
        ("content_policies", {"name": "x", "pattern": "(?i)wire transfer", "targets": ["SUBJECT"], "enabled": True}),
        ("url_ignore_patterns", {"pattern": r"^https://intranet\.corp\.example/"}),
        ("url_ignore_patterns", {"pattern": r"^https://corp\.sharepoint\.com/sites/"}),
        ("impersonation_registry", {"name": "A", "email": r"a@corp\.example", "is_email_regex": True}),
        ("impersonation_registry", {"name": "A", "email": ".*", "is_email_regex": False}),
        ("sending_domain_restrictions", {"domain": "supplier.example", "exclude": []}),
        ("domains", domain()),
        ("domains", domain(allowed_delivery_modes=["DIRECT"], ip_restrictions=["198.51.100.0/24"])),
        ("a ninth resource", {"pattern": ".*"}),
    ],
)
def test_an_ordinary_entry_is_left_in_peace(resource, values):
    assert lint(resource, values, others=OWN) == []


def test_a_button_names_what_is_accepted():
    danger = only("allow_policies", allow("GMail.com", "DOMAIN"))

    assert danger == Danger(
        code="mail_provider",
        told="Anybody gets an address at gmail.com in a minute. Name the one address instead.",
        accept="Allow all of gmail.com",
        field="pattern",
    )
    assert only("block_senders", block("gmail.com", "DOMAIN")).accept == "Block all of gmail.com"


@pytest.mark.parametrize(
    ("pattern", "kind", "code"),
    [
        ("outlook.com", "DOMAIN", "mail_provider"),
        ("co.uk", "DOMAIN", "public_suffix"),
        ("com", "DOMAIN", "public_suffix"),
        ("sendgrid.net", "DOMAIN", "shared_mailer"),
        ("eu-west-1.amazonses.com", "DOMAIN", "shared_mailer"),
        ("198.51.0.0/16", "IP", "wide_network"),
        ("198.51.100.0/23", "IP", "wide_network"),
        ("2001:db8::/47", "IP", "wide_network"),
        ("::ffff:198.51.0.0/112", "IP", "wide_network"),
    ],
)
def test_patterns_that_cover_strangers_are_dangerous_on_both_lists(pattern, kind, code):
    assert codes("allow_policies", allow(pattern, kind)) == [code]
    assert codes("block_senders", block(pattern, kind)) == [code]


@pytest.mark.parametrize("pattern", [".*", ".", "", "@", r"\w", "(a|.)", r"^.+@.+$", r"^[a-z.]+@[a-z.]+$", "(?s).*"])
def test_an_expression_that_finds_everything_is_dangerous(pattern):
    danger = only("allow_policies", allow(pattern, is_regex=True))

    assert (danger.code, danger.accept) == ("finds_everything", "Allow everything")


@pytest.mark.parametrize(
    ("pattern", "kind", "code", "accept"),
    [
        (r"@gmail\.com$", "EMAIL", "mail_provider", "Allow all of gmail.com"),
        (r"^gmail\.com$", "DOMAIN", "mail_provider", "Allow all of gmail.com"),
        (r"@(gmail|yahoo|web)\.(com|de)$", "EMAIL", "mail_provider", "Allow all of gmail.com"),
        (r"\.com$", "EMAIL", "public_suffix", "Allow everything below .com"),
        (r"amazonses\.com$", "DOMAIN", "shared_mailer", "Allow all of amazonses.com"),
    ],
)
def test_an_expression_is_judged_by_what_it_finds(pattern, kind, code, accept):
    danger = only("allow_policies", allow(pattern, kind, is_regex=True))

    assert (danger.code, danger.accept) == (code, accept)


def test_a_dot_that_stands_for_anything_is_a_hint():
    danger = only("allow_policies", allow("anna@supplier.example", is_regex=True))

    assert (danger.code, danger.is_hint) == ("loose_dot", True)
    assert r"supplier\.example" in danger.told


def test_what_cannot_be_tested_is_a_hint():
    danger = only("allow_policies", allow(r"^(?!spam).*@supplier\.example$", is_regex=True))

    assert (danger.code, danger.is_hint) == ("untestable", True)


def test_a_name_that_a_company_gives_away_is_a_hint():
    danger = only("allow_policies", allow("github.io", "DOMAIN"))

    assert (danger.code, danger.is_hint) == ("private_suffix", True)


def test_a_sender_that_need_not_prove_itself_is_dangerous():
    assert only("allow_policies", allow("a@supplier.example", verify_sender=False)).field == "verify_sender"


def test_a_trusted_sender_is_dangerous_where_an_acceptable_one_would_do():
    danger = only("allow_policies", allow("a@supplier.example", is_trusted_sender=True))

    assert (danger.code, danger.accept) == ("trusted_sender", "Skip all detections for this sender")


def test_a_trusted_expression_is_dangerous():
    values = allow(r"@supplier\.example$", is_regex=True, is_trusted_sender=True)

    assert only("allow_policies", values).code == "trusted_regex"


@pytest.mark.parametrize("pattern", ["corp.example", "CORP.example"])
def test_exempting_a_whole_own_domain_ends_its_protection(pattern):
    values = allow(pattern, "DOMAIN", is_acceptable_sender=False, is_exempt_recipient=True)

    danger = only("allow_policies", values, OWN)

    assert danger.accept == "End all detections for corp.example"
    assert "Nobody at corp.example is protected any more" in danger.told


def test_an_expression_may_exempt_a_whole_own_domain_as_well():
    values = allow(r"@corp\.example$", is_regex=True, is_acceptable_sender=False, is_exempt_recipient=True)

    assert codes("allow_policies", values, OWN) == ["exempt_domain"]


@pytest.mark.parametrize(
    ("pattern", "kind", "is_regex"),
    [
        ("corp.example", "DOMAIN", False),
        ("mail.corp.example", "DOMAIN", False),
        ("xn--bcher-kva.example", "DOMAIN", False),
        ("ceo@corp.example", "EMAIL", False),
        (r"@corp\.example$", "EMAIL", True),
    ],
)
def test_the_own_domain_is_neither_allowed_nor_blocked_without_a_second_click(pattern, kind, is_regex):
    assert codes("allow_policies", allow(pattern, kind, is_regex=is_regex), OWN) == ["own_domain_allowed"]
    assert codes("block_senders", block(pattern, kind, is_regex=is_regex), OWN) == ["own_domain_blocked"]


@pytest.mark.parametrize(
    ("mine", "theirs", "how"),
    [
        (("a@x.example", "EMAIL", False), ("A@X.example", "EMAIL", False), "is the same pattern"),
        (("bücher.example", "DOMAIN", False), ("xn--bcher-kva.example", "DOMAIN", False), "is the same pattern"),
        (("a@x.example", "EMAIL", False), ("x.example", "DOMAIN", False), "covers this address"),
        (("x.example", "DOMAIN", False), ("a@x.example", "EMAIL", False), "is an address of this domain"),
        (("198.51.100.7", "IP", False), ("198.51.100.0/28", "IP", False), "covers this network"),
        (("198.51.100.0/24", "IP", False), ("198.51.100.7", "IP", False), "lies in this network"),
        (("::ffff:198.51.100.7", "IP", False), ("198.51.100.7", "IP", False), "is the same pattern"),
        ((r"^a@x\.example$", "EMAIL", True), ("a@x.example", "EMAIL", False), "is found by this expression"),
        (("a@x.example", "EMAIL", False), (r"@x\.example$", "EMAIL", True), "finds this pattern"),
        (("a@x.example", "EMAIL", False), (r"^x\.example$", "DOMAIN", True), "finds this pattern"),
        ((r"@x\.example$", "EMAIL", True), ("x.example", "DOMAIN", False), "is found by this expression"),
    ],
)
def test_the_other_list_must_not_say_the_opposite(mine, theirs, how):
    pattern, kind, is_regex = mine
    other_pattern, other_kind, other_regex = theirs
    blocked = Lists(blocked=[Listed("the other one", block(other_pattern, other_kind, is_regex=other_regex))])
    allowed = Lists(allowed=[Listed("the other one", allow(other_pattern, other_kind, is_regex=other_regex))])

    for_allow = only("allow_policies", allow(pattern, kind, is_regex=is_regex), blocked)
    for_block = only("block_senders", block(pattern, kind, is_regex=is_regex), allowed)

    assert (for_allow.code, for_block.code) == ("conflict", "conflict")
    assert f"the other one is blocked and {how}." in for_allow.told
    assert f"the other one is allowed and {how}." in for_block.told


@pytest.mark.parametrize(
    ("pattern", "kind"), [("a@x.example", "EMAIL"), ("y.example", "DOMAIN"), ("198.51.101.0/24", "IP"), ("", "EMAIL")]
)
def test_entries_that_do_not_meet_are_no_conflict(pattern, kind):
    others = Lists(
        blocked=[
            Listed("one", block("b@x.example")),
            Listed("two", block("198.51.100.0/24", "IP")),
            Listed("three", block("(never closed", is_regex=True)),
            Listed("four", {}),
        ]
    )

    assert codes("allow_policies", allow(pattern, kind), others) == []


def test_a_recipient_is_in_no_conflict_with_senders():
    exempt = allow("a@corp.example", is_acceptable_sender=False, is_exempt_recipient=True)

    assert codes("allow_policies", exempt, Lists(blocked=[Listed("x", block("a@corp.example"))])) == []
    assert codes("block_senders", block("a@corp.example"), Lists(allowed=[Listed("x", exempt)])) == []


def test_a_policy_about_both_ends_is_in_conflict_as_a_sender():
    both = allow("a@x.example", is_exempt_recipient=True)

    assert "conflict" in codes("allow_policies", both, Lists(blocked=[Listed("x", block("a@x.example"))]))
    assert "conflict" in codes("block_senders", block("a@x.example"), Lists(allowed=[Listed("x", both)]))


def test_a_look_alike_with_both_exemptions_is_dangerous():
    values = {"pattern": "c0rp.example", "is_regex": False, "is_recent": True, "is_similarity": True}

    assert only("trusted_domains", values).code == "both_exemptions"


@pytest.mark.parametrize(
    ("resource", "values", "code", "accept"),
    [
        ("trusted_domains", {"pattern": ".*", "is_regex": True}, "finds_everything", "Trust every domain"),
        ("trusted_domains", {"pattern": "gmail.com", "is_regex": False}, "mail_provider", "Trust all of gmail.com"),
        ("content_policies", {"pattern": ".*"}, "finds_everything", "Block all mail"),
        ("content_policies", {"pattern": ""}, "finds_everything", "Block all mail"),
        ("content_policies", {"pattern": "[a-z]"}, "finds_everything", "Block all mail"),
        ("url_ignore_patterns", {"pattern": "https?://"}, "finds_everything", "Rewrite no link at all"),
        ("url_ignore_patterns", {"pattern": r"^https://docs\.google\.com/"}, "shared_host",
         "Leave all links to docs.google.com as they are"),
        ("url_ignore_patterns", {"pattern": r"sharepoint\.com"}, "shared_host",
         "Leave all links to sharepoint.com as they are"),
        ("impersonation_registry", {"email": ".+", "is_email_regex": True}, "finds_everything",
         "Accept every address"),
        ("sending_domain_restrictions", {"domain": "co.uk"}, "public_suffix", "Drop mail without TLS from co.uk"),
        ("domains", domain(drop_dispositions=["SPAM", "none"]), "drops_clean_mail", "Drop clean mail"),
        ("domains", domain(drop_dispositions=[]), "drops_nothing", "Deliver everything"),
        ("domains", domain(allowed_delivery_modes=["RETRO_SCAN"]), "scans_nothing_new", "Scan no new mail"),
        ("domains", domain(ip_restrictions=["0.0.0.0/0"]), "wide_network", "Take mail from all of 0.0.0.0/0"),
    ],
)  # fmt: skip
def test_the_other_lists_have_dangers_of_their_own(resource, values, code, accept):
    danger = only(resource, values)

    assert (danger.code, danger.accept, danger.is_hint) == (code, accept, False)


def test_a_door_that_is_open_to_all_is_a_hint():
    hint = only("domains", domain(allowed_delivery_modes=["DIRECT", "API"]))

    assert (hint.code, hint.is_hint) == ("open_to_all", True)


def test_tls_that_is_off_is_a_hint():
    danger = only("domains", domain(require_tls_inbound=False))

    assert (danger.code, danger.field, danger.is_hint) == ("tls_off", "require_tls_inbound", True)


def test_dangers_come_before_hints():
    found = lint("domains", domain(require_tls_inbound=False, drop_dispositions=["NONE"]), others=NOTHING)

    assert [danger.is_hint for danger in found] == [False, True]


def test_a_long_pattern_is_cut_on_the_button():
    danger = only("block_senders", block("a" * 500 + "@corp.example"), OWN)

    assert len(danger.accept) < 120
    values = block("b" * 60 + "." + "c" * 60 + ".sendgrid.net", "DOMAIN")
    assert only("block_senders", values).accept.endswith("…")


def test_the_tables_hold_names_as_mail_carries_them():
    for table in (hosts.PROVIDERS, hosts.MAILERS, hosts.SHARED_HOSTS):
        assert len(table) >= 40
        assert all(name == name.strip().lower() and "." in name for name in table)
    assert not hosts.PROVIDERS & hosts.MAILERS


RESOURCES = st.sampled_from(
    [
        "allow_policies", "block_senders", "trusted_domains", "impersonation_registry", "sending_domain_restrictions",
        "domains", "content_policies", "url_ignore_patterns",
    ]
)  # fmt: skip
ANYTHING = st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.lists(st.text(max_size=10), max_size=3)
FIELDS = st.sampled_from(
    [
        "pattern", "pattern_type", "is_regex", "is_trusted_sender", "is_exempt_recipient", "verify_sender", "email",
        "is_email_regex", "domain", "drop_dispositions", "ip_restrictions", "allowed_delivery_modes",
    ]
)  # fmt: skip
ENTRIES = st.dictionaries(FIELDS, ANYTHING, max_size=8)


@given(RESOURCES, ENTRIES, ENTRIES, st.text(max_size=20))
def test_no_entry_makes_it_fail(resource, values, other, name):
    others = Lists(allowed=[Listed(name, other)], blocked=[Listed(name, other)], own_domains=[name])

    for danger in lint(resource, values, others=others):
        assert danger.told
        assert danger.accept
        assert danger.field


@needs_strings
def test_hostile_strings_are_no_trouble():
    for text in hostile_strings():
        for kind in ("EMAIL", "DOMAIN", "IP"):
            for is_regex in (False, True):
                others = Lists(blocked=[Listed(text, block(text, kind))], own_domains=[text])
                for danger in lint("allow_policies", allow(text, kind, is_regex=is_regex), others=others):
                    assert len(danger.told) < 600
                    assert len(danger.accept) < 200
