"""What an address asks of a list; what it cannot mean is named and never an error."""

from __future__ import annotations

import pytest
from django.http import QueryDict

from settings_ui.lists.criteria import Criteria, misses, read
from settings_ui.resources import BY_NAME, RESOURCES

ALLOW, LINKS, DOMAINS = BY_NAME["allow_policies"], BY_NAME["url_ignore_patterns"], BY_NAME["domains"]


def test_an_address_is_read_and_written_alike() -> None:
    said = "search=a+b&pattern_type=DOMAIN&verify_sender=true&order=pattern&direction=desc&per_page=50&page=3"

    criteria = read(ALLOW, QueryDict(said))

    assert criteria == Criteria(
        search="a b",
        filters={"pattern_type": "DOMAIN", "verify_sender": "true"},
        order="pattern",
        direction="desc",
        page=3,
        per_page=50,
    )
    assert criteria.query() == said


@pytest.mark.parametrize(
    "said",
    [
        "foo=bar",
        "page=0",
        "page=-1",
        "page=1e3",
        "page=9999999",
        "page=%D9%A1",  # an Arabic digit
        "per_page=7",
        "order=comments",
        "direction=sideways",
        "pattern_type=domain",
        "verify_sender=yes",
        "pattern=%00",
        "search=a%0Ax",
        "is_regex=true",
    ],
)
def test_what_it_cannot_mean_is_named_and_ignored(said: str) -> None:
    criteria = read(ALLOW, QueryDict(said))

    assert criteria == Criteria(ignored=criteria.ignored)
    assert len(criteria.ignored) == 1
    assert criteria.ignored[0].startswith(said.partition("=")[0] + "=")


def test_too_much_text_is_no_filter() -> None:
    assert read(ALLOW, QueryDict(f"pattern={'x' * 1025}")).filters == {}
    assert read(ALLOW, QueryDict(f"search={'x' * 1025}")).search == ""


def test_of_a_repeated_parameter_the_last_that_means_something_counts_and_the_others_are_named() -> None:
    criteria = read(ALLOW, QueryDict("page=2&page=3&page=x&pattern_type=IP&pattern_type=EMAIL"))

    assert (criteria.page, criteria.filters) == (3, {"pattern_type": "EMAIL"})
    assert set(criteria.ignored) == {"page=2", "page=x", "pattern_type=IP"}


@pytest.mark.parametrize(
    "said",
    ["domain=a.example&domain=b.example", "domain=a.example,+b.example&domain=a.example", "domain=a.example+b.example"],
)
def test_a_filter_that_takes_several_texts_takes_them_all(said: str) -> None:
    criteria = read(DOMAINS, QueryDict(said))

    assert (criteria.filters, criteria.ignored) == ({"domain": ("a.example", "b.example")}, ())
    assert criteria.query() == "domain=a.example&domain=b.example"
    assert misses(criteria.filters, {"domain": "B.example"}) == set()
    assert misses(criteria.filters, {"domain": "c.example"}) == {"domain"}


def test_of_too_many_texts_the_rest_is_named() -> None:
    criteria = read(DOMAINS, QueryDict("&".join(f"domain=d{number}.example" for number in range(22)) + "&domain=%00"))

    assert len(criteria.filters["domain"]) == 20
    assert set(criteria.ignored) == {"domain=d20.example", "domain=d21.example", "domain=\0"}


def test_empty_fields_of_the_form_say_nothing() -> None:
    assert read(ALLOW, QueryDict("search=&order=&direction=&pattern=+&page=&open=7")) == Criteria()


def test_a_list_without_order_and_search_takes_neither() -> None:
    criteria = read(LINKS, QueryDict("search=x&order=pattern&direction=asc&page=2"))

    assert (criteria.search, criteria.order, criteria.direction, criteria.page) == ("", "", "", 2)
    assert len(criteria.ignored) == 3


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.slug)
def test_every_filter_and_order_of_a_description_is_one_the_client_takes(resource: object) -> None:
    assert {one.name for one in resource.filters} == set(resource.kind.filters)
    assert {one.value for one in resource.orders} == set(resource.kind.order)


@pytest.mark.parametrize(
    ("filters", "values", "missed"),
    [
        ({"verify_sender": "true"}, {"verify_sender": False}, {"verify_sender"}),
        ({"verify_sender": "true"}, {"verify_sender": True}, set()),
        ({"verify_sender": "false"}, {"verify_sender": None}, set()),  # not told is no miss
        ({"pattern": "A@b.example"}, {"pattern": "a@B.example"}, set()),
        ({"pattern": "b.example"}, {"pattern": "a@b.example"}, {"pattern"}),
        ({"status": "ACTIVE"}, {"status": "active"}, set()),
        ({"allowed_delivery_mode": "BCC"}, {"allowed_delivery_modes": ["API", "BCC"]}, set()),
        ({"active_delivery_mode": "BCC"}, {"allowed_delivery_modes": ["API"]}, {"active_delivery_mode"}),
    ],
)
def test_what_comes_is_compared_with_what_was_asked(
    filters: dict[str, str], values: dict[str, object], missed: set[str]
) -> None:
    assert misses(filters, values) == missed
