"""Every hostile string in every place a page shows: inert in a real browser.

A page made from hostile strings may hold no element and no attribute that the same page made from plain ones does not
hold. What may vary (addresses, labels, copied text) is checked by its form: addresses stay on this origin, ids keep
their pattern, and no character that deceives the eye is left bare.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db.models.functions import Now
from django.test import Client
from playwright.sync_api import Page, expect

from dashboard.simulator import Simulator
from dashboard.simulator.mail.blocks import Paragraph
from dashboard.simulator.mail.record import (
    Attachment,
    Finding,
    Header,
    Link,
    MailContent,
    MailRecord,
    Properties,
    SenderInfo,
    ThreatCategory,
    TraceLine,
    Validation,
)
from dashboard.simulator.state import Action as LogEntry
from investigate.actions import queries, sending
from investigate.models import Action, ActionState
from tests.browser import live
from tests.browser.live import OpenPage, requested, run_in_page
from tests.investigate.message.corpus import hostile_strings, needs_strings

# ruff: noqa: E501 - the script and the table of plain values stay readable

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), needs_strings]

BUNDLE = 40  # strings in the lists of one message
FEW = 8  # strings in one action
TABS = ("why", "links", "attachments", "headers", "trace", "history", "campaign", "raw", "preview")
# Plain values of every form that makes the page show another element: what is odd about them is not hostile.
PLAIN = (
    "plain", "several plain words", "plain.example", "someone@plain.example", "a@b.example c@d.example",
    "https://plain.example/path?x=1", "http://192.0.2.1:8080/x", "https://someone@plain.example/", "b\u00fccher.example",
    "someone@b\u00fccher.example", "https://b\u00fccher.example/", "\u0430\u0440\u0440le.example", "a" * 3000, "plain " * 400,
    "two\nlines", " ", "", "0", "invoice.pdf", "invoice.pdf.exe", "data:text/plain,x", "mailto:a@plain.example",
    "192.0.2.1", "javascript:void", "/only/a/path", "//plain.example/x", "plain example.com words",
    "Someone <someone@plain.example>", "https://bit.ly/x", "https://xn--bcher-kva.example/",
)  # fmt: skip

WATCH = r"""
(free, bare) => {
  const FREE = new Set(free);
  const BARE = new RegExp(bare, "u");
  const own = (name) => name !== "" && !["htmx-added", "htmx-settling", "htmx-swapping", "htmx-request"].includes(name);
  const shape = (element) => {
    const attributes = [...element.attributes].filter(({ name }) => name !== "data-current" && name !== "aria-current" && !(name === "hidden" && element.localName === "section")).map(({ name, value }) => {
      if (name === "class") return `class=${value.split(/\s+/).filter(own).sort().join(".")}`;
      return FREE.has(name) ? name : `${name}=${value}`;
    });
    return `${element.localName}[${attributes.filter((text) => text !== "class=").sort().join(" ")}]`;
  };
  const wrong = new Set();
  const look = (element) => {
    for (const { name, value } of element.attributes) {
      if (name.startsWith("on")) wrong.add(`handler ${name} on ${element.localName}`);
      if (/^(href|src|action|formaction|hx-get|hx-post|hx-push-url|data-href|data-other)$/.test(name) && value !== "true") {
        let origin = "";
        try { origin = new URL(value, location.href).origin; } catch { origin = "unreadable"; }
        if (origin !== location.origin) wrong.add(`${name} leads to ${value.slice(0, 200)}`);
      }
      if (name === "id" && !/^[a-z]+(-[a-z]+)*(-[0-9a-f]{12}|-\d+|_[a-z_]+(_\d+)?|_[a-z]+_[a-z]+)?$/.test(value)) wrong.add(`id ${value.slice(0, 200)}`);
      if (!/^(value|data-id)$/.test(name) && BARE.test(value)) wrong.add(`bare character in ${name} of ${element.localName}: ${value.slice(0, 200)}`);
    }
    for (const node of element.localName === "textarea" ? [] : element.childNodes)
      if (node.nodeType === Node.TEXT_NODE && BARE.test(node.data)) wrong.add(`bare character in ${element.localName}.${element.className}: ${node.data.slice(0, 200)}`);
      else if (node.nodeType === Node.COMMENT_NODE) wrong.add("a comment");
  };
  const shapes = (root) => {
    const found = new Set();
    const walk = (element, above) => {
      look(element);
      const here = `${above} > ${shape(element)}`;
      found.add(here);
      for (const child of element.children) walk(child, here);
    };
    for (const child of root.children) walk(child, root.localName);
    return found;
  };
  window.htmx.config.defaultSettleDelay = 0;
  window.watch = {
    shapes: (selector) => [...shapes(document.querySelector(selector))],
    wrong: () => [...wrong],
    ids: () => {
      const seen = new Map();
      for (const { id } of document.querySelectorAll("[id]")) seen.set(id, (seen.get(id) ?? 0) + 1);
      return [...seen].filter(([, count]) => count > 1).map(([id]) => id);
    },
    // Load each address into a place; the shapes all of them have, each with the first address that showed it.
    visit: async (steps, target) => {
      const found = new Map();
      for (const { verb = "GET", url, values, tab, into = target } of steps) {
        if (!tab) {
          await window.htmx.ajax(verb, url, { target: values ? "#status" : into, swap: values ? "none" : "innerHTML", values });
        } else {
          const panel = document.getElementById(`panel-${tab}`);
          const settled = new Promise((done) => panel.addEventListener("htmx:afterSettle", done, { once: true }));
          document.getElementById(`tab-${tab}`).click();
          if (panel.hasAttribute("hx-get")) await settled;
        }
        for (const one of shapes(document.querySelector(target))) if (!found.has(one)) found.set(one, `${url} ${tab ?? ""}`);
        if (document.documentElement.scrollWidth > innerWidth) wrong.add(`${url} ${tab ?? ""} makes the page wider than the window`);
      }
      return [...found];
    },
  };
}
"""
# Attributes that hold what the mail says or where it is; checked by form, not by value.
FREE = [
    "id", "href", "src", "title", "alt", "value", "aria-label", "datetime", "action", "width", "height", "for",
    "hx-get", "hx-post", "data-id", "data-copy", "data-domain", "data-until", "data-since",
    "data-anchor", "aria-describedby", "hx-push-url",
    "aria-controls", "aria-labelledby", "data-verdict", "data-why", "data-jump", "data-result", "data-other",
]  # fmt: skip
BARE = (
    r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
    r"|[\ud800-\udfff]|[\u{e0000}-\u{e0fff}]"
)


@dataclass
class Everything:
    """Content in which these texts stand wherever a sender, or the service, can put one."""

    texts: Sequence[str]

    def content(self, _record: MailRecord) -> MailContent:
        some = tuple(self.texts)
        return MailContent(
            headers=tuple(Header(text, text) for text in some),
            links=tuple(Link(text, other) for text, other in zip(some, [*some[1:], some[0]], strict=True)),
            attachments=tuple(
                Attachment(text, text, 1200, False, text, text[:32], text[:40], text[:64]) for text in some
            ),
            findings=tuple(
                Finding(
                    text,
                    detail=text,
                    field=text,
                    portion=text,
                    reason=text,
                    value=text,
                    attachment=text,
                    detection=text,
                    score=0.5,
                )
                for text in some
            ),
            threat_categories=tuple(ThreatCategory(n, text, text) for n, text in enumerate(some)),
            blocks=(Paragraph("A picture of plain words."),),
            body_text="\n".join(some),
            eml="Subject: x\r\n\r\n" + "\r\n".join(some),
        )


class TracedRecord(MailRecord):
    def trace_lines(self, direction: str) -> tuple[TraceLine, ...]:  # noqa: ARG002 - both sides alike
        return tuple(TraceLine(n, self.scanned_at, text) for n, text in enumerate(self.source.texts, start=1))


def mail(name: str, texts: Sequence[str], *, age: float = 0.0, sane: bool = False) -> MailRecord:
    """A message with the first text in every field of its own and all of them in every list.

    `sane` leaves the fields alone that decide what can be done with it.
    """
    text = texts[0]
    at = time.time() - 7200 - age
    recipients = ("reader@corp.example",) if sane else (text, f"reader@{text}", "reader@corp.example")
    return TracedRecord(
        id=name,
        postfix_id=f"postfix-{name}" if sane else text,
        postfix_id_outbound=text,
        alert_id=None if sane else text,
        message_id=text,
        subject=text,
        from_=text,
        from_name=text,
        to=recipients,
        to_name=(text,),
        cc=(text,),
        replyto=f"{text}@reply.example",
        envelope_from=f"sender@{text}",
        envelope_to=recipients,
        client_recipients=recipients,
        final_disposition="SPAM" if sane else text.strip() or "SPAM",
        detection_reasons=tuple(texts),
        threat_categories=tuple(texts),
        validation=Validation(text, text, "fail", text),
        delivery_mode="DIRECT" if sane else text,
        delivery_status=("delivered",) if sane else (text, text, "delivered"),
        is_quarantined=False,
        is_phish_submission=False,
        edf_hash=text,
        htmltext_structure_hash=text,
        smtp_helo_server_ip=text,
        smtp_previous_hop_ip=text,
        x_originating_ip=text,
        properties=Properties(text, text, True, text),
        sender_info=SenderInfo(text, f"{text}/{text}/-", text, 64500, text),
        scanned_at=at,
        sent_at=at,
        kind="hostile",
        language="en",
        source=Everything(texts),
        seed=1,
    )


def bundles(texts: Sequence[str], size: int = BUNDLE) -> list[Sequence[str]]:
    return [texts[start : start + size] for start in range(0, len(texts), size)]


def packed(texts: Iterable[str], limit: int) -> list[str]:
    """All texts in as few as possible, each of them whole where it fits into `limit` characters."""
    found = [""]
    for text in texts:
        joined = f"{found[-1]} {text}" if found[-1] else text
        if len(joined) <= limit:
            found[-1] = joined
        else:
            found.append(text)
    return found


def log_of(simulator: Simulator, texts: Iterable[str], record: MailRecord) -> None:
    """Put the texts into the service's action log of a message."""
    for text in texts:
        entry = LogEntry(
            "MOVE", record.scanned_at + 60, record.scanned_at + 60, True, text, text, text, text, text, text, text
        )
        other = LogEntry(
            text, record.scanned_at + 61, record.scanned_at + 61, False, text, text, text, text, text, text, text
        )
        simulator.store.touched(record).log.extend([entry, other])


STRINGS = hostile_strings()


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with live.simulated(monkeypatch, records=[], arrival_interval=0.0) as simulator:
        yield simulator


@pytest.fixture
def page(simulator: Simulator, live_server: Any, open_page: OpenPage) -> Iterator[Page]:
    live.analyst()
    page = open_page(live.desk(live_server))
    seen = requested(page.context)
    prepare(page)
    yield page
    assert [url for url in seen if "hx-probe" in urlsplit(url).path] == []
    assert page.evaluate("window.watch.wrong()") == []


def prepare(page: Page) -> None:
    page.evaluate(f"(given) => ({WATCH})(...given)", [FREE, BARE])


def serve(simulator: Simulator, records: Iterable[MailRecord]) -> None:
    for record in records:
        simulator.add(record)


def visit(page: Page, steps: list[dict[str, Any]], target: str) -> dict[str, str]:
    """The shapes of all addresses, a part at a time: each has the time of a whole run, so a slow machine is no failure."""
    found: dict[str, str] = {}
    for start in range(0, len(steps), 50):
        script = "(steps, target) => window.watch.visit(steps, target)"
        found = dict(run_in_page(page, script, steps[start : start + 50], target)) | found
    return found


def compare(hostile: dict[str, str] | Iterable[str], plain: Iterable[str]) -> None:
    """Nothing in the one that the other does not hold."""
    known = set(plain)
    where = hostile if isinstance(hostile, dict) else dict.fromkeys(hostile, "")
    strange = [f"{shape.rpartition(' > ')[2]}  at {where[shape]}  in {shape}" for shape in where if shape not in known]
    assert not strange, f"{len(strange)} elements or attributes no plain value makes:\n" + "\n".join(strange[:20])


def whole_list(page: Page, number: int) -> None:
    """Load page after page below the list until all rows are there."""
    run_in_page(
        page,
        """async () => {
          for (let button; (button = document.querySelector("#load-more")); ) {
            const before = document.querySelectorAll("#results tr[data-id]").length;
            button.click();
            for (let n = 0; n < 400 && document.querySelectorAll("#results tr[data-id]").length === before; n += 1)
              await new Promise((done) => setTimeout(done, 25));
          }
        }""",
    )
    assert page.locator("#results tr[data-id]").count() == number


def layout(page: Page) -> tuple[bool, list[float]]:
    """Whether the page fits its window, and the heights of its rows."""
    return tuple(
        page.evaluate(
            """() => [document.documentElement.scrollWidth <= innerWidth,
                [...new Set([...document.querySelectorAll("#results tr[data-id]")].map((row) => row.getBoundingClientRect().height))]]"""
        )
    )


def test_rows_and_cards(simulator: Simulator, page: Page) -> None:
    page.watched.allowed_statuses.add(404)  # the first row opens by itself; an id that cannot be printed names nothing
    plain = [mail(f"plain-{n}", [text, text], age=6 * 3600 + n) for n, text in enumerate(PLAIN)]
    serve(simulator, plain)
    page.goto("/investigate/?last=24h&fresh=1")
    prepare(page)
    whole_list(page, len(plain))
    known = page.evaluate("window.watch.shapes('#results')")
    fits, heights = layout(page)
    assert fits
    page.set_viewport_size({"width": 390, "height": 800})
    card = max(layout(page)[1])
    page.set_viewport_size({"width": 1440, "height": 900})

    rows = [mail(f"{text}-{n}".replace("/", "|"), [text, text], age=n) for n, text in enumerate(STRINGS)]
    serve(simulator, rows)
    page.wait_for_load_state("networkidle")  # the first row opens by itself
    page.goto("/investigate/?last=6h&fresh=1")
    prepare(page)
    whole_list(page, len(rows))

    compare(page.evaluate("window.watch.shapes('#results')"), known)
    assert page.evaluate("window.watch.ids()") == []
    assert layout(page) == (True, heights)
    page.set_viewport_size({"width": 390, "height": 800})
    fits, cards = layout(page)
    assert fits, "a card is wider than a telephone"
    assert max(cards) <= card
    ours = ("Response Status Error Code 404", "htmx:sendAbort", "htmx:afterRequest")  # leaving while a pane loads
    page.watched.faults[:] = [fault for fault in page.watched.faults if not any(text in fault for text in ours)]


# Where a finding's verdict is another than the message's, the reason carries its chip; a value such as "none" is another.
OTHER_VERDICT = (
    "section > article[class=message data-domain data-id] > div[class=panels] > "
    "section[aria-labelledby id role=tabpanel tabindex=0] > ol[class=reasons] > li[] > p[] > span[class=chip data-verdict]"
)


def test_pane_page_and_tabs(simulator: Simulator, page: Page) -> None:
    every = mail("plain-all", PLAIN)
    plain = [mail(f"plain-{n}", [text] * 3) for n, text in enumerate(PLAIN)]
    hostile = [mail(f"message-{n}", [text]) for n, text in enumerate(STRINGS)]
    lists = [mail(f"bundle-{n}", texts) for n, texts in enumerate(bundles(STRINGS))]
    serve(simulator, [*plain, every, *hostile, *lists])
    for record in [every, *lists]:
        log_of(simulator, record.source.texts, record)
    page.goto("/investigate/?last=24h&fresh=1")
    prepare(page)

    def steps(records: list[MailRecord], tabs: Iterable[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for record in records:
            found.append({"url": f"/investigate/{record.id}/pane"})
            found += [{"url": record.id, "tab": tab} for tab in tabs]
        return found

    known = visit(page, [*steps(plain, ("links",)), *steps(plain[:4], ("campaign",)), *steps([every], TABS)], "#detail")
    assert len(known) > 200, "too little of the message was seen"
    compare(visit(page, steps(hostile, []), "#detail"), [*known, OTHER_VERDICT])
    compare(visit(page, steps(lists, TABS), "#detail"), known)

    known_page: set[str] = set()
    for record in [every, plain[0], plain[2], plain[3], plain[9], *lists]:
        page.goto(f"/investigate/{record.id}/")
        prepare(page)
        shapes = page.evaluate("window.watch.shapes('body')")
        if record in lists:
            compare(shapes, known_page)
        known_page |= set(shapes)
        assert layout(page)[0], record.id
        assert page.evaluate("window.watch.ids()") == []
        assert page.evaluate("window.watch.wrong()") == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert layout(page)[0], "the message is wider than a telephone"


def acted_on(simulator: Simulator, browser: Client, records: list[MailRecord]) -> list[Action]:
    """A move of each message whose answer, and whose reason, hold the message's texts."""
    actions = []
    for record in records:
        texts = record.source.texts
        reason = " ".join(text[:120] for text in texts)[:1000].encode("utf-8", "replace").decode().replace("\x00", "")
        key = uuid.uuid4().hex
        response = browser.post(
            f"/investigate/{record.id}/actions/",
            {"kind": "move", "destination": "JunkEmail", "operation_key": key, "reason": reason},
        )
        assert response.status_code == 303, (record.id, response.status_code)
        action = Action.objects.get(operation_key=key)
        copies = [
            {"success": n % 2 == 0, "status": text, "recipient": text, "destination": text, "operation": text,
             "message_id": text, "completed_timestamp": text}
            for n, text in enumerate(["reader@corp.example", *texts])
        ]  # fmt: skip
        body = json.dumps({"success": True, "errors": [], "messages": [], "result": copies})
        simulator.faults.next("move_one", body=body, applied=True)
        Action.objects.filter(pk=action.pk).update(due_at=Now())
        sending.send(action.pk)
        action.refresh_from_db()
        assert action.state not in (ActionState.WAITING, ActionState.SENDING), (record.id, action.state)
        actions.append(action)
    return actions


def test_receipts_and_the_list_of_actions(simulator: Simulator, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MOST_LISTED", 1000)
    browser = Client()
    browser.login(username="ana", password=live.PASSWORD)
    plain = [mail(f"plain-{n}", [text or "x"] * 2, sane=True) for n, text in enumerate(PLAIN)]
    plain += [mail("plain-all", PLAIN[: 2 * FEW], sane=True)]
    hostile = [mail(f"message-{n}", texts, sane=True) for n, texts in enumerate(bundles(STRINGS, FEW))]
    serve(simulator, [*plain, *hostile])
    known_actions = acted_on(simulator, browser, plain)
    page.goto("/investigate/?last=24h&fresh=1")
    prepare(page)
    known_rows = page.evaluate("window.watch.shapes('#results')")  # as they came, and below as live updates left them
    known = visit(page, [{"url": f"/investigate/actions/{action.pk}/"} for action in known_actions], "#detail")
    known |= visit(page, [{"url": f"/investigate/{record.id}/parts/history"} for record in plain], "#detail")
    expect(page.locator("#results .c-us .state").first).to_be_visible()
    known_rows += page.evaluate("window.watch.shapes('#results')")
    page.goto("/investigate/actions/")
    prepare(page)
    known_list = page.evaluate("window.watch.shapes('body')")

    actions = acted_on(simulator, browser, hostile)
    page.goto("/investigate/actions/")
    prepare(page)
    compare(page.evaluate("window.watch.shapes('body')"), known_list)
    assert page.evaluate("window.watch.ids()") == []
    assert layout(page)[0], "the list of actions is wider than the window"
    assert page.evaluate("window.watch.wrong()") == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert layout(page)[0], "the list of actions is wider than a telephone"
    page.set_viewport_size({"width": 1440, "height": 900})

    page.goto("/investigate/?last=24h&fresh=1")
    prepare(page)
    compare(page.evaluate("window.watch.shapes('#results')"), known_rows)
    compare(visit(page, [{"url": f"/investigate/actions/{action.pk}/"} for action in actions], "#detail"), known)
    compare(visit(page, [{"url": f"/investigate/{record.id}/parts/history"} for record in hostile], "#detail"), known)


def test_what_the_api_says_went_wrong(simulator: Simulator, page: Page) -> None:
    page.watched.allowed_statuses.add(422)
    page.goto("/investigate/?last=24h&fresh=1")
    prepare(page)

    def refusals(texts: Sequence[str], name: str) -> dict[str, str]:
        found: dict[str, str] = {}
        key = {"kind": "move", "destination": "JunkEmail"}
        for place, operation, steps in (
            ("#detail", "message", [{"url": f"/investigate/{name}-{n}/pane"} for n, _ in enumerate(texts)]),
            ("#results", "search", [{"url": f"/investigate/?subject={name}-{n}"} for n, _ in enumerate(texts)]),
            ("#notice", "message", [
                {"verb": "POST", "url": f"/investigate/{name}-{n}/actions/",
                 "values": {**key, "operation_key": uuid.uuid4().hex}}
                for n, _ in enumerate(texts)
            ]),
        ):  # fmt: skip
            for text in texts:
                simulator.faults.next(operation, status=422, message=text)
            found |= visit(page, steps, place)
            assert not simulator.faults.pending
            assert page.locator(place).inner_text().count("Cloudflare refused this.") == 1
        return found

    known = refusals(PLAIN, "plain")
    compare(refusals(packed(STRINGS, 280), "hostile"), known)
    page.watched.faults[:] = [fault for fault in page.watched.faults if "Response Status Error Code 422" not in fault]


def test_what_a_person_searches_for(simulator: Simulator, page: Page) -> None:
    serve(simulator, [mail(f"plain-{n}", [text], age=n) for n, text in enumerate(PLAIN)])
    page.goto("/investigate/?last=24h&fresh=1")
    prepare(page)
    page.watched.allowed_statuses.add(422)  # words that cannot be used are refused, and named

    fields = ("q", "sender", "subject", "recipient", "message_id")

    def asked(texts: Sequence[str]) -> dict[str, str]:
        queries = [
            dict(zip(fields, some, strict=False)) for some in bundles([text[:600] for text in texts], len(fields))
        ]
        queries += [{"q": text[:2000]} for text in packed(texts, 300)]
        queries += [{"line": text[:2000]} for text in packed(texts, 300)]
        queries += [{"disposition": text[:600]} for text in packed(texts, 300)]
        # Each state of the page once, whatever the texts lead to.
        queries += [{"line": line} for line in ("last:30d", "from:a to:b,c last:7d is:spam", "subject:nothing", "x:y")]
        queries += [{name: "x"} for name in (*fields, "foo")]
        asked = page.evaluate("(all) => all.map((one) => new URLSearchParams(one).toString())", queries)
        steps = [{"url": f"/investigate/?last=24h&{query}", "into": "#results"} for query in asked]
        return visit(page, steps, "main")

    compare(asked(STRINGS), asked(PLAIN))
    page.watched.faults[:] = [fault for fault in page.watched.faults if "Response Status Error Code 422" not in fault]
