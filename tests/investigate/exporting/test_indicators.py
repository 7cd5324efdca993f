"""Which indicators a person sees, which of them are ticked, and that nothing leaves that is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import stix2
from bs4 import BeautifulSoup
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.access.roles import Role
from dashboard.audit.models import AuditEvent
from dashboard.emailsec.types import Attachment, Detections, Link, Message
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from dashboard.web.text import defang
from investigate.exporting import indicators
from investigate.exporting.indicators import Indicator, Kind
from investigate.memory.remembering import remember

Soup = Callable[..., BeautifulSoup]
OURS = "corp.example"


def page_of(record: Any) -> str:
    return reverse("investigate:indicators", args=[record.id])


def ticks(page: BeautifulSoup) -> dict[str, bool]:
    """The values on the page, by whether they are ticked."""
    return {
        li.select_one("code").text: li.select_one("input").has_attr("checked") for li in page.select(".indicators li")
    }


def taken(page: BeautifulSoup, **values: str) -> dict[str, Any]:
    """The form as it stands."""
    keys = [field["value"] for field in page.select("[name=take]") if field.has_attr("checked")]
    title = page.select_one("[name=title]")["value"]
    return {"take": keys, "format": "txt", "tlp": "amber", "title": title, **values}


def message(**values: Any) -> Message:
    given = {"id": "m-1", "from_": "billing@pay-pal.example", "client_recipients": (f"bea@{OURS}",)} | values
    return Message(**given)


def found_in(
    given: Message, *, links: tuple[str, ...] = (), files: tuple[Attachment, ...] = ()
) -> dict[str, Indicator]:
    detections = Detections(links=tuple(Link(href=href) for href in links), attachments=files)
    found = indicators.of_message(given, detections, own=[OURS], shows_body=True)
    return {one.value: one for one in found}


def test_senders_domains_links_hashes_and_addresses_are_found() -> None:
    found = found_in(
        message(
            envelope_from="bounce@mailer.example",
            replyto="Pay@Reply.example",
            smtp_helo_server_ip="8.8.8.8",
            x_originating_ip="2606:4700::1",
            edf_hash="edf-1",
        ),
        links=("HTTPS://Login.pay-pal.example/a?b#c", "mailto:x@y.example", "javascript:alert(1)"),
        files=(Attachment(filename="a.pdf", sha256="A" * 64, md5="b" * 32), Attachment(sha256="no hash")),
    )

    assert {value for value, one in found.items() if one.kind == Kind.SENDER} == {
        "billing@pay-pal.example",
        "bounce@mailer.example",
        "Pay@reply.example",
    }
    assert {"pay-pal.example", "mailer.example", "reply.example", "login.pay-pal.example"} <= set(found)
    assert [value for value, one in found.items() if one.kind == Kind.URL] == ["HTTPS://Login.pay-pal.example/a?b#c"]
    assert {"a" * 64, "b" * 32, "8.8.8.8", "2606:4700::1", "edf-1"} <= set(found)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("bea@corp.example", indicators.RECIPIENT),
        ("corp.example", indicators.OWN),
        ("it@sub.corp.example", indicators.OWN),
        ("sub.corp.example", indicators.OWN),
        ("https://www.corp.example/login", indicators.OWN),
        ("https://evil.example/?to=bea%40corp.example", indicators.NAMES_OURS),
        ("https://evil.example/YmVhQGNvcnAuZXhhbXBsZQ", indicators.NAMES_OURS),
        ("bounce+bea=corp.example@list.example", indicators.NAMES_OURS),
        ("gmail.com", indicators.PROVIDER),
        ("10.1.2.3", indicators.PRIVATE),
        ("corp.example.evil.example", ""),
        ("https://corp.example.evil.example/login", ""),
        ("eve@gmail.com", ""),
    ],
)
def test_what_is_ours_or_everybodys_is_not_ticked(value: str, why: str) -> None:
    found: dict[str, Indicator] = {}
    for sender in ("bea@corp.example", "it@sub.corp.example", "eve@gmail.com", "bounce+bea=corp.example@list.example"):
        found |= found_in(
            message(from_=sender, x_originating_ip="10.1.2.3"),
            links=(
                "https://www.corp.example/login",
                "https://evil.example/?to=bea%40corp.example",
                "https://evil.example/YmVhQGNvcnAuZXhhbXBsZQ",
                "https://corp.example.evil.example/login",
            ),
        )

    assert found[value].why_not == why


def test_a_sender_who_writes_to_himself_makes_none_of_his_places_ours() -> None:
    found = found_in(
        message(to=("billing@pay-pal.example", "amy@corp.example"), replyto="amy@corp.example"),
        links=("https://login.pay-pal.example/a",),
    )

    for value in ("billing@pay-pal.example", "pay-pal.example", "https://login.pay-pal.example/a"):
        assert found[value].why_not == "", value
    assert found["amy@corp.example"].why_not == indicators.RECIPIENT


@pytest.mark.parametrize("zone", ["eth0", "\nharmless.example", "'] OR [domain-name:value = 'corp.example"])
def test_what_stands_behind_an_ip_address_is_left_out(zone: str) -> None:
    found = found_in(message(from_="", x_originating_ip=f"2606:4700::1%{zone}"))

    assert list(found) == ["2606:4700::1"]


@pytest.mark.parametrize("sender", ["", "no address", "a@b", "a b@c.example", "a@c.example\nb@d.example", "@x.example"])
def test_what_is_no_address_is_no_indicator(sender: str) -> None:
    assert found_in(message(from_=sender)) == {}


def test_a_person_sees_them_first_and_takes_what_is_ticked(analyst: Client, threat: Any, soup: Soup) -> None:
    page = soup(analyst.get(page_of(threat)))
    shown = ticks(page)
    link = threat.links()[0]
    wanted = [value for value, is_ticked in shown.items() if is_ticked]
    assert any(value.startswith("hxxp") for value in wanted), link

    response = analyst.post(page_of(threat), taken(page))

    assert response.content.decode().splitlines() == wanted
    assert response["Content-Disposition"].startswith('attachment; filename="mailwarden-indicators-txt-')
    assert response["X-Content-Type-Options"] == "nosniff"
    event = AuditEvent.objects.get(action="indicator:export")
    assert event.targets == [threat.id]
    assert event.detail["format"] == "txt"
    assert sum(event.detail["numbers"].values()) == len(wanted)
    assert event.detail["ours"] == 0
    for address in threat.client_recipients:
        assert defang(address.rpartition("@")[2]) not in wanted


@pytest.mark.parametrize("name", ["csv", "txt", "stix", "misp"])
def test_each_format_is_handed_out(analyst: Client, threat: Any, soup: Soup, name: str) -> None:
    page = soup(analyst.get(page_of(threat)))
    response = analyst.post(page_of(threat), taken(page, format=name, tlp="red", real="on"))

    assert response.status_code == 200
    if name == "stix":
        assert stix2.parse(response.content.decode()).type == "bundle"
    if name == "misp":
        assert json.loads(response.content)["Event"]["Tag"][0]["name"] == "tlp:red"
    if name in ("csv", "txt"):
        assert b"http" in response.content
        assert b"hxxp" not in response.content


def test_nothing_ticked_is_no_file_and_what_was_chosen_stays(analyst: Client, threat: Any, soup: Soup) -> None:
    page = soup(analyst.get(page_of(threat)))
    response = analyst.post(page_of(threat), taken(page, format="misp", title="Ours", take=[]))

    again = soup(response)
    assert response.status_code == 422
    assert "Tick at least one indicator." in again.select_one(".errors").text
    assert again.select_one("[name=title]")["value"] == "Ours"
    assert again.select_one("[name=format][value=misp]").has_attr("checked")
    assert not any(ticks(again).values())
    assert not AuditEvent.objects.filter(action="indicator:export").exists()


def test_a_form_cannot_put_anything_of_its_own_into_a_file(analyst: Client, threat: Any, soup: Soup) -> None:
    page = soup(analyst.get(page_of(threat)))
    response = analyst.post(page_of(threat), taken(page, take=["evil.example", "x" * 20]))

    assert response.status_code == 422


def test_without_the_right_to_the_body_there_are_no_links_or_hashes(viewer: Client, threat: Any, soup: Soup) -> None:
    page = soup(viewer.get(page_of(threat)))

    assert "your role may not read what the sender wrote" in page.select_one(".remark").text
    assert ticks(page)
    kinds = [legend.text for legend in page.select(".indicators legend")]
    assert not [kind for kind in kinds if kind.startswith(("Links", "SHA", "MD5"))]
    assert not [value for value in ticks(page) if value.startswith("hxxp")]


def test_a_covered_body_gives_none_until_it_is_uncovered(
    analyst: Client, threat: Any, soup: Soup, settings: Any
) -> None:
    settings.PRIVACY = True
    page = soup(analyst.get(page_of(threat)))
    assert "the body is covered" in page.select_one(".remark").text
    assert not [value for value in ticks(page) if value.startswith("hxxp")]
    assert not AuditEvent.objects.filter(action="message:links").exists()

    analyst.post(reverse("investigate:uncover", args=[threat.id]), {"occasion": "reported", "tab": "links"})

    assert [value for value in ticks(soup(analyst.get(page_of(threat)))) if value.startswith("hxxp")]
    assert AuditEvent.objects.filter(action="message:links", targets=[threat.id]).exists()


def test_hashes_of_attachments_are_among_them(analyst: Client, enclosed: Any, soup: Soup) -> None:
    listed = {file.sha256 for file in get_client().detections(enclosed.id).attachments if file.sha256}
    assert listed <= set(ticks(soup(analyst.get(page_of(enclosed)))))


def test_a_campaign_gives_the_senders_of_all_its_copies(
    analyst: Client, threat: Any, soup: Soup, emailsec: Simulator
) -> None:
    one = get_client().message(threat.id)
    remember([one, msgspec.structs.replace(one, id="other-1", from_="second@other-shop.example")])
    address = f"{reverse('investigate:campaign_indicators')}?by=edf&key={one.edf_hash}"

    page = soup(analyst.get(address))
    assert {defang(one.from_.casefold()), "second[@]other-shop[.]example"} <= {
        value.casefold() for value in ticks(page)
    }
    response = analyst.post(address, taken(page))
    assert b"second[@]other-shop[.]example" in response.content
    assert AuditEvent.objects.get(action="indicator:export").detail["messages"] == 2


def test_a_result_list_gives_what_its_rows_show(analyst: Client, threat: Any, soup: Soup) -> None:
    address = f"{reverse('investigate:list_indicators')}?last=30d&disposition=MALICIOUS"
    page = soup(analyst.get(address))

    assert defang(threat.from_.casefold()) in {value.casefold() for value in ticks(page)}
    response = analyst.post(page.select_one("form[method=post][action*=indicators]")["action"], taken(page))
    assert response.status_code == 200
    assert "disposition=MALICIOUS" in AuditEvent.objects.get(action="indicator:export").detail["query"]


def test_a_foreign_message_is_an_unknown_one(threat: Any, emailsec: Simulator) -> None:
    member = Member.objects.create(username="sam", role=Role.ANALYST, domains=["elsewhere.example"])
    client = Client()
    client.force_login(member)

    assert client.get(page_of(threat)).status_code == 404
    assert client.post(page_of(threat), {"take": ["x"]}).status_code == 404


def test_files_of_indicators_count_towards_the_hour(analyst: Client, threat: Any, soup: Soup, settings: Any) -> None:
    settings.EXPORTS_PER_HOUR = 1
    form = taken(soup(analyst.get(page_of(threat))))

    assert [analyst.post(page_of(threat), form).status_code for _ in range(2)] == [200, 429]
