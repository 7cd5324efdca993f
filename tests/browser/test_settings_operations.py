"""Every operation on the account's settings in a real browser, on today's API and on the older one.

After each step the official SDK reads the lists back from the service: exactly what was decided is there, and all the
rest is as it was.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dashboard.simulator.mail.company import ACQUIRED
from dashboard.web import csv_cells
from settings_ui.resources import BY_NAME
from tests.browser.conftest import PASSWORD, start_desk
from tests.browser.settings_rooms import MORE_MANAGERS, NEW, Account, account_behind, fill_in

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
Values = dict[str, Any]
SETTLED = 40_000  # milliseconds for undo window, worker and poll together
OURS = "kiosk"  # a word in everything these tests make


@pytest.fixture(scope="module", params=["current", "seed"])
def account(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An installation of its own, where ending the protection of a domain takes two."""
    with ExitStack() as resources:
        desk = start_desk(
            tmp_path_factory.mktemp(request.param),
            simulator=["--messages", "200", "--seed", "5", "--profile", request.param],
            env={"MAILWARDEN_SECOND_PERSON": "unprotect"},
            resources=resources,
        )
        desk.stack.manage("shell", "-c", f"{PASSWORD = }\n{MORE_MANAGERS}")
        yield resources.enter_context(account_behind(desk, request.param))


@dataclass(frozen=True)
class Case:
    """What is done with one list: by the API's names, as forms ask for them."""

    name: str
    new: Values  # what is typed into the form of a new entry
    stands: Values  # what the account says then, beyond what was typed
    edit: Values  # one field changed, one emptied
    more: tuple[Values, Values]  # two entries made elsewhere, removed together
    accept: str = ""  # the button that saves the edit in spite of its danger
    filtered: Values = field(default_factory=dict)  # filters that keep the new entry and not all of the others

    @property
    def slug(self) -> str:
        return BY_NAME[self.name].slug

    @property
    def label(self) -> str:
        return BY_NAME[self.name].label(self.new)


def _sender(pattern: str) -> Values:
    return {"pattern": pattern, "pattern_type": "EMAIL", "is_regex": False}


def _allowed(pattern: str) -> Values:
    flags = {"is_acceptable_sender": True, "is_trusted_sender": False, "is_exempt_recipient": False}
    return _sender(pattern) | flags | {"verify_sender": True}


def _trusted(pattern: str) -> Values:
    return {"pattern": pattern, "is_regex": False, "is_recent": True, "is_similarity": False}


CASES = (
    Case(
        "allow_policies",
        new={
            "pattern": f"{OURS}-allow.example",
            "pattern_type": "DOMAIN",
            "is_acceptable_sender": True,
            "comments": "ticket 4711",
        },
        stands={"is_regex": False, "is_trusted_sender": False, "is_exempt_recipient": False, "verify_sender": True},
        edit={"verify_sender": False, "comments": None},
        accept="Allow without proof",
        more=(_allowed(f"one@{OURS}-allow.example"), _allowed(f"two@{OURS}-allow.example")),
        filtered={"pattern_type": "DOMAIN", "is_acceptable_sender": "true"},
    ),
    Case(
        "block_senders",
        new={"pattern": f"fraud@{OURS}-block.example", "pattern_type": "EMAIL", "comments": "<b>& 'ticket' \"4711\""},
        stands={"is_regex": False},
        edit={"pattern": f"scam@{OURS}-block.example", "comments": None},
        more=(_sender(f"one@{OURS}-block.example"), _sender(f"two@{OURS}-block.example")),
        filtered={"pattern_type": "EMAIL"},
    ),
    Case(
        "trusted_domains",
        new={"pattern": f"{OURS}-trust.example", "is_similarity": True, "comments": "ticket 4711"},
        stands={"is_regex": False, "is_recent": False},
        edit={"is_recent": True, "comments": None},
        accept="Trust it in both ways",
        more=(_trusted(f"one.{OURS}-trust.example"), _trusted(f"two.{OURS}-trust.example")),
        filtered={"is_recent": "false"},
    ),
    Case(
        "impersonation_registry",
        new={"name": f"Kim Ås ({OURS})", "email": f"kim@{OURS}-people.example", "comments": "ticket 4711"},
        stands={"is_email_regex": False},
        edit={"email": f"kim.as@{OURS}-people.example", "comments": None},
        more=(
            {"name": f"One {OURS}", "email": f"one@{OURS}-people.example", "is_email_regex": False},
            {"name": f"Two {OURS}", "email": f"two@{OURS}-people.example", "is_email_regex": False},
        ),
        filtered={"provenance": "A1S_INTERNAL"},
    ),
    Case(
        "sending_domain_restrictions",
        new={"domain": f"{OURS}-tls.example", "exclude": [f"news.{OURS}-tls.example"], "comments": "ticket 4711"},
        stands={},
        edit={"exclude": [f"news.{OURS}-tls.example", f"jobs.{OURS}-tls.example"], "comments": None},
        more=(
            {"domain": f"one.{OURS}-tls.example", "exclude": []},
            {"domain": f"two.{OURS}-tls.example", "exclude": []},
        ),
    ),
    Case(
        "content_policies",
        new={
            "name": f"Toner ({OURS})",
            "pattern": r"(?i)toner.{0,20}invoice",
            "targets": ["SUBJECT", "BODY"],
            "enabled": True,
            "notes": "ticket 4711",
        },
        stands={},
        edit={"enabled": False, "notes": None},
        more=(
            {"name": f"One {OURS}", "pattern": "oneoneone", "targets": ["BODY"], "enabled": False},
            {"name": f"Two {OURS}", "pattern": "twotwotwo", "targets": ["BODY"], "enabled": False},
        ),
        filtered={"enabled": "true"},
    ),
    Case(
        "url_ignore_patterns",
        new={"pattern": rf"https://wiki\.{OURS}-links\.example/.*", "comments": "ticket 4711"},
        stands={},
        edit={"pattern": rf"https://wiki\.{OURS}-links\.example/pages/.*", "comments": None},
        more=(
            {"pattern": rf"https://one\.{OURS}-links\.example/.*"},
            {"pattern": rf"https://two\.{OURS}-links\.example/.*"},
        ),
    ),
)


def enter(open_page: OpenPage, account: Account, member: str) -> Page:
    """A page of this member, who signs in once for all tests."""
    if member in account.sessions:
        return open_page(account.desk, member=None, storage_state=account.sessions[member])
    page = open_page(account.desk, member=member)
    account.sessions[member] = page.context.storage_state()
    return page


def save(page: Page, values: Values, *, accept: str = "") -> None:
    """Fill in the form and save it; `accept`: the button that takes on what is dangerous about it."""
    form = page.locator("#entry-form form")
    fill_in(form, values)
    if accept:
        page.watched.allowed_statuses.add(422)
    form.get_by_role("button", name="Save").click()
    if accept:
        expect(form).to_contain_text("Nothing is saved yet.")
        form.get_by_role("button", name=accept).click()
    comes_to(page, "done")


def comes_to(page: Page, state: str) -> None:
    """What the receipt or the page of a change says in the end."""
    expect(page.locator("main .verdicts .state")).to_have_attribute("data-state", state, timeout=SETTLED)


def remove(page: Page, slug: str, entry_id: str) -> str:
    """Decide that one entry goes, from its own page; the address of the change."""
    page.goto(f"/settings/{slug}/{entry_id}/")
    page.get_by_role("link", name="Remove d", exact=True).click()
    page.locator("#entry-form button.danger").click()
    return page.locator("main .verdicts a").get_attribute("href") or ""


def as_said(account: Account, case: Case, values: Values) -> Values:
    """The values as this generation says them back: the older one shows no remark of a registry entry."""
    fields = {field.name: None for field in BY_NAME[case.name].sent} | values
    if account.is_seed and case.name == "impersonation_registry":
        del fields["comments"]
    return fields


def finds(page: Page, account: Account, case: Case, made: str) -> None:
    """The new entry is found by search, filters and order: each time the rows are those that the SDK is given."""
    resource = BY_NAME[case.name]
    page.goto(f"/settings/{case.slug}/")
    rows = page.locator("#entries tr[data-id]")
    expect(page.locator(f"tr[data-id='{made}']")).to_contain_text(case.label)
    if resource.orders:
        asks(page, account, case, search=OURS)
        asks(page, account, case, search=OURS, order=resource.orders[0].value, direction="desc")
        page.goto(f"/settings/{case.slug}/?search=nobody-has-this")
        expect(rows).to_have_count(0)
    if case.filtered:
        page.goto(f"/settings/{case.slug}/")
        asks(page, account, case, **case.filtered)
        expect(page.locator(f"tr[data-id='{made}']")).to_be_visible()
    page.goto(f"/settings/{case.slug}/")


def asks(page: Page, account: Account, case: Case, **asked: str) -> None:
    form = page.locator("#asked")
    if any(name in case.filtered for name in asked):
        form.locator("summary").click()
    shown = {name: value for name, value in asked.items() if name != "direction"}
    if asked.get("direction") == "desc":
        shown["order"] = f"-{asked['order']}"  # the page asks for both at once
    fill_in(form, shown)
    wanted = account.listed(case.name, **asked)
    with page.expect_response(lambda answer: f"/settings/{case.slug}/?" in answer.url):
        form.get_by_role("button", name="Show").click()
    for place, entry_id in enumerate(wanted):
        expect(page.locator("#entries tr[data-id]").nth(place)).to_have_attribute("data-id", entry_id)
    expect(page.locator("#entries tr[data-id]")).to_have_count(len(wanted))


def refuses_what_the_server_lacks(page: Page, slug: str) -> None:
    page.watched.allowed_statuses.add(404)
    page.goto(f"/settings/{slug}/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("This account's API has no")
    page.goto("/settings/")
    expect(page.locator(f"nav.aside a[href='/settings/{slug}/']")).to_have_count(0)


def post(page: Page, address: str, data: Values) -> int:
    """The status of a form that is sent without a page."""
    token = next(cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "csrf")
    return page.request.post(address, form=data, headers={"X-CSRFToken": token}).status


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.slug)
def test_every_operation_on_a_list(account: Account, open_page: OpenPage, case: Case) -> None:
    page = enter(open_page, account, "pia")
    if account.is_seed and case.name in NEW:
        refuses_what_the_server_lacks(page, case.slug)
        return
    rest = account.state(case.name)

    page.goto(f"/settings/{case.slug}/")
    page.get_by_role("link", name="New c", exact=True).click()
    save(page, case.new)
    (made,) = account.state(case.name).keys() - rest.keys()
    stands = as_said(account, case, {**case.new, **case.stands})
    assert account.state(case.name) == {**rest, made: stands}

    others = [account.add(case.name, values) for values in case.more]
    rest = {one: values for one, values in account.state(case.name).items() if one != made}
    finds(page, account, case, made)

    page.locator(f"tr[data-id='{made}'] a.open").click()
    opened = page.locator(f"article[data-id='{made}']")
    expect(opened.get_by_role("heading", name=case.label)).to_be_visible()
    opened.get_by_role("link", name="Edit e", exact=True).click()
    save(page, case.edit, accept=case.accept)
    stands = as_said(account, case, {**stands, **case.edit})
    assert account.state(case.name) == {**rest, made: stands}
    patches = [detail["fields"] for detail in account.done(case.name, "patch") if detail["id"] == made]
    assert patches == [sorted(case.edit.keys() & stands.keys())]

    rosa = enter(open_page, account, "rosa")
    remove(rosa, case.slug, made)
    comes_to(rosa, "waiting")
    rosa.get_by_role("button", name="Undo").click()
    comes_to(rosa, "cancelled")
    assert account.state(case.name) == {**rest, made: stands}

    alone = remove(page, case.slug, made)
    page.goto(f"/settings/{case.slug}/")
    for one in others:
        page.locator(f"tr[data-id='{one}'] input[name=id]").check()
    page.get_by_role("button", name="Remove 2").click()
    page.locator("#entry-form button.danger").click()
    comes_to(page, "done")
    page.goto(alone)
    comes_to(page, "done")
    assert account.state(case.name) == {one: values for one, values in rest.items() if one not in others}
    assert sorted(detail["id"] for detail in account.done(case.name, "delete")) == sorted([made, *others])
    together = 0 if account.is_seed else min(1, len(BY_NAME[case.name].kind.batch))
    assert account.calls().count(f"{case.name}.batch") == together
    assert f"{case.name}.put" not in account.calls()


DOMAIN = f"{OURS}-domain.example"
DOMAIN_EDITS = (
    {"allowed_delivery_modes": ["DIRECT", "BCC"]},
    {"drop_dispositions": ["MALICIOUS", "MALICIOUS-BEC", "SUSPICIOUS"]},
    {"regions": ["DE", "US"]},
    {"ip_restrictions": ["198.51.100.0/24", "2001:db8::/48"]},
    {"lookback_hops": 7},
    {"require_tls_inbound": True},
    {"require_tls_outbound": True},
    {"folder": "AllItems", "transport": f"mx2.{DOMAIN}"},
    {"folder": None},
)


def test_a_domain_is_protected_changed_and_given_up_by_two(account: Account, open_page: OpenPage) -> None:
    page = enter(open_page, account, "pia")
    domain, label = (protects(page, account), DOMAIN) if not account.is_seed else acquired(page, account)
    rest = account.state("domains")
    stands = rest.pop(domain)

    for edit in DOMAIN_EDITS:
        page.goto(f"/settings/domains/{domain}/edit")
        save(page, edit)
        stands |= edit
        assert account.state("domains") == {**rest, domain: stands}
    always = ["ip_restrictions"] if account.is_seed else []
    patches = [detail["fields"] for detail in account.done("domains", "patch") if detail["id"] == domain]
    assert patches == [sorted({*edit, *always}) for edit in DOMAIN_EDITS]

    other = next(iter(rest))
    page.goto("/settings/domains/")
    for one in (domain, other):
        page.locator(f"tr[data-id='{one}'] input[name=id]").check()
    page.get_by_role("button", name="Remove 2").click()
    form = page.locator("#entry-form")
    form.locator(f"#entry-typed-{domain}").fill(label)
    form.locator(f"#entry-typed-{other}").fill(label)
    page.watched.allowed_statuses.add(422)
    form.get_by_role("button", name="Ask for approval").click()
    expect(form).to_contain_text("Write its name exactly as it stands here.")
    form.locator(f"#entry-typed-{other}").fill(rest[other]["domain"])
    form.get_by_label("Reason").fill("sold with the kiosks")
    form.get_by_role("button", name="Ask for approval").click()
    expect(form).to_contain_text("waits for a second person")
    assert account.state("domains") == {**rest, domain: stands}

    ines = open_page(account.desk, member="ines")
    ines.goto("/investigate/approvals/")
    ines.get_by_role("link", name="Remove 2 protected domains").click()
    expect(ines.locator("main")).to_contain_text("sold with the kiosks")
    assert account.state("domains") == {**rest, domain: stands}
    ines.get_by_role("button", name="Remove 2 protected domains").click()
    comes_to(ines, "done")
    del rest[other]
    assert account.state("domains") == rest
    assert {detail["id"] for detail in account.done("domains", "delete")} == {domain, other}
    assert "domains.bulk_delete" not in account.calls()


def protects(page: Page, account: Account) -> str:
    """A new domain, made by hand, with the record that proves it."""
    rest = account.state("domains")
    new = {
        "domain": DOMAIN,
        "allowed_delivery_modes": ["API"],
        "drop_dispositions": ["MALICIOUS", "SPAM"],
        "ip_restrictions": ["192.0.2.0/24"],
        "regions": ["GLOBAL"],
        "lookback_hops": 3,
        "transport": f"mx1.{DOMAIN}",
        "folder": "Inbox",
    }
    page.goto("/settings/domains/")
    page.get_by_role("link", name="New c", exact=True).click()
    save(page, new)
    (made,) = account.state("domains").keys() - rest.keys()
    nothing = {"integration_id": None, "require_tls_inbound": None, "require_tls_outbound": None}
    assert account.state("domains") == {**rest, made: new | nothing}

    record = account.verification(made)
    page.goto(f"/settings/domains/{made}/")
    for said in (record["txt_record_name"], record["txt_record_value"]):
        expect(page.locator("#verification")).to_contain_text(said)
    return str(made)


def acquired(page: Page, account: Account) -> tuple[str, str]:
    """Where domains cannot be made, which the service tells whoever tries first: one that was there before."""
    page.watched.allowed_statuses.add(404)
    for name in NEW:  # that the server has none of these is learned by asking, and tells its generation
        page.goto(f"/settings/{BY_NAME[name].slug}/")
    page.goto("/settings/domains/")
    expect(page.get_by_role("button", name="New c", exact=True)).to_be_disabled()
    domain = next(one for one, values in account.state("domains").items() if values["domain"] == ACQUIRED)
    return domain, ACQUIRED


def test_a_file_adds_and_changes_and_comes_out_again(account: Account, open_page: OpenPage) -> None:
    page = enter(open_page, account, "pia")
    before = account.state("block_senders")
    changed = next(one for one, values in before.items() if values["pattern_type"] == "DOMAIN")
    pattern = before[changed]["pattern"]
    lines = [
        "pattern,pattern_type,comments",
        f"one@{OURS}-csv.example,EMAIL,=1+1",
        f'{pattern},DOMAIN,"said, in the file"',
        "no address at all,EMAIL,",
        f"198.51.100.0/24,IP,ticket {OURS}",
    ]
    page.goto("/settings/block-senders/")
    page.get_by_role("link", name="Import").click()
    file = {"name": "senders.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
    page.locator("[name=file]").set_input_files(file)
    page.get_by_role("button", name="Compare with the list").click()
    for verb, number in (("add", 2), ("change", 1), ("bad", 1)):
        expect(page.locator(f"[data-verb={verb}] tbody tr")).to_have_count(number)
    expect(page.locator("[data-verb=bad]")).to_contain_text("no address at all")
    assert account.state("block_senders") == before

    for tick in page.locator(
        "form.decide input[type=checkbox]"
    ).all():  # whether one is dangerous is the account's matter
        tick.check()
    page.locator("form.decide button").click()
    comes_to(page, "done")
    now = account.state("block_senders")
    new = sorted((now[one] for one in now.keys() - before.keys()), key=lambda one: str(one["pattern"]))
    assert new == [
        {"pattern": "198.51.100.0/24", "pattern_type": "IP", "is_regex": False, "comments": f"ticket {OURS}"},
        {"pattern": f"one@{OURS}-csv.example", "pattern_type": "EMAIL", "is_regex": False, "comments": "=1+1"},
    ]
    assert {one: now[one] for one in before} == before | {changed: before[changed] | {"comments": "said, in the file"}}
    last = account.done("block_senders", "patch")[-1]
    assert (last["id"], last["fields"]) == (changed, ["comments"])

    page.goto("/settings/block-senders/")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV", exact=True).click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text("utf-8-sig"))))
    fields = BY_NAME["block_senders"].sent
    kept = {row["id"]: {one.name: one.clean(csv_cells.as_meant(row[one.name])) for one in fields} for row in rows}
    assert kept == now


def test_a_backup_is_compared_and_restored(account: Account, open_page: OpenPage) -> None:
    page = enter(open_page, account, "pia")
    before = account.everything()
    page.goto("/settings/backup/")
    with page.expect_download() as download:
        page.get_by_role("link", name="Take a backup").click()
    taken = download.value.path().read_bytes()

    blocked, trusted = next(iter(before["block_senders"])), next(iter(before["trusted_domains"]))
    account.edit("block_senders", blocked, {"comments": "changed elsewhere"})
    account.remove("trusted_domains", trusted)
    account.add("allow_policies", _allowed(f"extra@{OURS}-backup.example"))

    page.locator("[name=file]").set_input_files(
        {"name": "backup.json", "mimeType": "application/json", "buffer": taken}
    )
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("What differs from the backup")
    groups = page.locator("[data-group]")
    expect(groups).to_have_count(3)
    for group in groups.all():
        group.locator(".all input").or_(group.locator("tbody input")).first.check()
    page.get_by_role("button", name="Show what restoring would do").click()
    runs = page.locator("main ul.stack a")
    expect(runs).to_have_count(3)
    addresses = [run.get_attribute("href") or "" for run in runs.all()]
    for address in addresses:
        page.goto(address)
        for tick in page.locator("form.decide [name=dangers]").all():  # where what comes back is dangerous
            tick.check()
        page.locator("form.decide button").click()
        expect(page.locator("main .verdicts .state")).to_be_visible()
    for address in addresses:
        page.goto(address)
        comes_to(page, "done")

    now = account.everything()
    (again,) = now["trusted_domains"].keys() - before["trusted_domains"].keys()
    before["trusted_domains"][again] = before["trusted_domains"].pop(trusted)
    assert now == before

    page.goto("/settings/backup/")
    page.get_by_role("link", name="again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The account is as the backup says")


def test_who_may_do_what(account: Account, open_page: OpenPage) -> None:
    """Analysts read the lists and change none; who changes them reads no mail; who does neither gets neither."""
    before = account.everything()
    ana = open_page(account.desk, member="ana")
    ana.goto("/settings/block-senders/")
    expect(ana.locator("tr[data-id]").first).to_be_visible()
    for key in "c#":
        expect(ana.locator(f"main [data-key='{key}']")).to_have_count(0)
    ana.locator("tr[data-id] a.open").first.click()
    expect(ana.locator("article.record")).to_be_visible()
    for name in ("Edit", "Remove"):
        expect(ana.locator("article.record").get_by_role("link", name=name)).to_have_count(0)
    entry_id = next(iter(before["block_senders"]))
    for place, data in (
        ("block-senders/new", {"pattern": f"ana@{OURS}.example", "pattern_type": "EMAIL"}),
        ("block-senders/try", {"pattern": f"ana@{OURS}.example", "pattern_type": "EMAIL"}),
        ("block-senders/remove", {"id": entry_id}),
        ("block-senders/import", {}),
        (f"block-senders/{entry_id}/edit", {"pattern": f"ana@{OURS}.example"}),
        (f"block-senders/{entry_id}/life", {"reason": "mine"}),
        (f"domains/{next(iter(before['domains']))}/edit", {}),
        ("backup/restore", {}),
    ):
        assert post(ana, f"/settings/{place}", data) == 403, place

    messages = ana.request.get("/investigate/?disposition=MALICIOUS&last=30d").text()
    message = re.search(r'data-id="([^"]+)"', messages)[1]
    pia = enter(open_page, account, "pia")
    assert pia.request.get(f"/investigate/{message}/").status == 200
    for body in ("parts/preview", "preview.png", "parts/raw", "raw.txt", "message.eml", "sample.zip"):
        assert pia.request.get(f"/investigate/{message}/{body}", headers={"HX-Request": "true"}).status == 403, body

    vera = open_page(account.desk, member="vera")
    entry = f"block-senders/{entry_id}/"
    for place in ("", "block-senders/", entry, "block-senders/export", "changes/", "observed/", "backup/"):
        assert vera.request.get(f"/settings/{place}").status == 403, place
    assert account.everything() == before
