"""Each resource, as it is described: what the client knows, what the API takes, what files carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.emailsec.settings import KINDS
from settings_ui.resources import BY_NAME, RESOURCES
from settings_ui.resources.description import Field, Resource, Shape, Wrong, alike

RIGHT = {
    "allow_policies": {"pattern": "billing@supplier.example", "pattern_type": "EMAIL", "is_acceptable_sender": "yes"},
    "block_senders": {"pattern": "198.51.100.0/28", "pattern_type": "IP", "comments": "Open relay"},
    "trusted_domains": {"pattern": "parent.example", "is_similarity": "yes"},
    "impersonation_registry": {"name": "Maja Holt", "email": "maja.holt@corp.example"},
    "sending_domain_restrictions": {"domain": "bank.example", "exclude": "news.bank.example\nads.bank.example"},
    "domains": {
        "domain": "corp.example",
        "allowed_delivery_modes": "API, direct",
        "drop_dispositions": "Malicious",
        "ip_restrictions": "192.0.2.0/24",
        "regions": "GLOBAL",
        "lookback_hops": "3",
    },
    "content_policies": {"name": "Wire fraud", "pattern": "(?i)gift ?cards?", "targets": "subject", "enabled": "yes"},
    "url_ignore_patterns": {"pattern": r"https://intranet\.corp\.example/.*"},
}
every_resource = pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)


@every_resource
def test_the_description_and_the_client_name_the_same(resource: Resource) -> None:
    kind = resource.kind
    assert {field.name for field in resource.fields} == set(kind.entry(id="1").values())
    assert {one.name for one in resource.filters} == set(kind.filters)
    assert {one.value for one in resource.orders} == set(kind.order)
    assert resource.is_searched == bool(kind.order)
    assert set(resource.columns) - {"flags"} <= {field.name for field in resource.fields}
    assert {*resource.identity, *filter(None, (resource.note, resource.tried))} <= {f.name for f in resource.sent}


def test_every_resource_of_the_api_is_described_once() -> None:
    assert [resource.name for resource in RESOURCES] == list(KINDS)
    assert len({resource.slug for resource in RESOURCES}) == len(RESOURCES)


@every_resource
def test_the_service_takes_what_the_description_finds_right(resource: Resource, emailsec: object) -> None:
    from dashboard.upstream.connection import get_client

    values, problems = resource.cleaned(RIGHT[resource.name])
    assert not problems

    made = get_client().create_entry(resource.name, values)
    assert not resource.changes(made.values(), values)
    assert resource.key(made.values()) == resource.key(values)
    assert resource.label(made.values()) == resource.label(values) != ""


@every_resource
def test_an_empty_form_is_told_what_is_missing(resource: Resource) -> None:
    _, problems = resource.cleaned({})
    required = {field.name for field in resource.sent if field.least and not field.is_optional}
    assert required <= set(problems)
    assert all(told.endswith(".") for told in problems.values())


@pytest.mark.parametrize(
    ("name", "wrong", "field"),
    [
        ("allow_policies", {"is_acceptable_sender": "no"}, "is_acceptable_sender"),
        ("allow_policies", {"pattern": "supplier.example"}, "pattern"),
        ("allow_policies", {"pattern_type": "UNKNOWN"}, "pattern_type"),
        ("allow_policies", {"verify_sender": "perhaps"}, "verify_sender"),
        ("block_senders", {"pattern": "10.0.0.0/8"}, "pattern"),
        ("block_senders", {"comments": "x" * 1025}, "comments"),
        ("block_senders", {"comments": "a\x00b"}, "comments"),
        ("trusted_domains", {"is_similarity": ""}, "is_recent"),
        ("impersonation_registry", {"email": "maja.holt"}, "email"),
        ("sending_domain_restrictions", {"exclude": "news.bank.example\nnot a domain"}, "exclude"),
        ("domains", {"lookback_hops": "21"}, "lookback_hops"),
        ("domains", {"ip_restrictions": "somewhere"}, "ip_restrictions"),
        ("domains", {"regions": "MARS"}, "regions"),
        ("content_policies", {"targets": []}, "targets"),
        ("content_policies", {"pattern": "("}, "pattern"),
        ("url_ignore_patterns", {"pattern": "x" * 1025}, "pattern"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(name: str, wrong: dict[str, object], field: str) -> None:
    _, problems = BY_NAME[name].cleaned(RIGHT[name] | wrong)
    assert list(problems) == [field]


def test_an_edit_sends_what_differs_and_clears_with_null() -> None:
    resource = BY_NAME["domains"]
    before, _ = resource.cleaned(RIGHT["domains"] | {"folder": "Inbox"})
    after, _ = resource.cleaned(RIGHT["domains"] | {"domain": "other.example", "allowed_delivery_modes": "direct, API"})
    assert resource.changes(before, after) == {"folder": None}


@pytest.mark.parametrize(
    ("name", "raw", "field", "sent"),
    [
        ("block_senders", {"pattern": "bücher.example", "pattern_type": "DOMAIN"}, "pattern", "xn--bcher-kva.example"),
        ("trusted_domains", {"pattern": "bücher.example"}, "pattern", "xn--bcher-kva.example"),
        ("impersonation_registry", {"email": "maja@bücher.example"}, "email", "maja@xn--bcher-kva.example"),
        ("sending_domain_restrictions", {"exclude": "a.bücher.example"}, "exclude", ["a.xn--bcher-kva.example"]),
        ("domains", {"domain": "bücher.example"}, "domain", "xn--bcher-kva.example"),
    ],
)
def test_domains_in_other_letters_are_sent_as_mail_carries_them(
    name: str, raw: dict[str, str], field: str, sent: object
) -> None:
    values, problems = BY_NAME[name].cleaned(RIGHT[name] | raw)
    assert (values[field], problems) == (sent, {})


def test_only_entries_that_were_made_by_hand_can_be_edited() -> None:
    registry = BY_NAME["impersonation_registry"]
    assert registry.fixed_because({"provenance": "SNOOPY-OFFICE_365"})
    assert not registry.fixed_because({"provenance": "A1S_INTERNAL"})
    assert not registry.fixed_because({"provenance": None})


_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)


def _value_of(field: Field) -> st.SearchStrategy[object]:
    match field.shape:
        case Shape.FLAG:
            return st.booleans()
        case Shape.MAYBE:
            return st.none() | st.booleans()
        case Shape.NUMBER:
            return st.integers(field.least, field.most)
        case Shape.CHOICE:
            return st.sampled_from([option.value for option in field.options])
        case Shape.CHOICES:
            return st.lists(st.sampled_from([o.value for o in field.options]), min_size=field.least, unique=True)
    return _text


_fields = [
    field for resource in RESOURCES for field in resource.sent if field.check is None and field.shape is not Shape.LIST
]


@given(st.sampled_from(_fields).flatmap(lambda field: st.tuples(st.just(field), _value_of(field))))
def test_a_cell_is_read_back_as_it_was_written(drawn: tuple[Field, object]) -> None:
    field, raw = drawn
    try:
        value = field.clean(raw)
    except Wrong:
        return
    assert alike(field.clean(field.cell(value)), value)


@given(st.sampled_from(_fields), st.none() | st.integers() | st.floats() | st.lists(st.text() | st.none()) | st.text())
def test_whatever_comes_there_is_a_value_or_a_sentence(field: Field, raw: object) -> None:
    told = "."
    try:
        field.clean(raw)
    except Wrong as wrong:
        told = str(wrong)
    assert told.endswith(".")
