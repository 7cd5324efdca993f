"""Lists and backups as files in a real browser: uploaded, looked at, decided, carried out by a worker, put back."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import start_desk
from tests.browser.looks import violations
from tests.browser.settings_rooms import Account, account_behind

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Page]
SETTLED = 60_000  # milliseconds for undo window, calls and polls together
ADDED, BAD = 2_200, 40


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with ExitStack() as resources:
        desk = start_desk(
            tmp_path_factory.mktemp("files"),
            simulator=["--messages", "100", "--seed", "5"],
            resources=resources,
        )
        yield resources.enter_context(account_behind(desk, "current"))


def choose(page: Page, label: str, name: str, data: bytes) -> None:
    page.get_by_label(label, exact=True).set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    )


def downloaded(page: Page, link: str) -> bytes:
    with page.expect_download() as found:
        page.get_by_role("link", name=link).click()
    return Path(found.value.path()).read_bytes()


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def done(page: Page) -> None:
    """The page comes to the end by itself."""
    expect(page.locator(".progress .state[data-state=done]").first).to_be_visible(timeout=SETTLED)


def test_thousands_of_lines_are_looked_at_decided_carried_out_and_mended(account: Account, open_page: OpenPage) -> None:
    page = open_page(account.desk, member="pia")
    before = account.state("block_senders")
    lines = [f"wave{number}@parcels.example;EMAIL;Lures with parcels" for number in range(ADDED)]
    lines += [f"no address {number};EMAIL;=1+1" for number in range(BAD)]
    page.goto("/settings/block-senders/")
    page.get_by_role("link", name="Import").click()
    choose(page, "File", "wave.csv", ("Pattern;Kind;Comments\r\n" + "\r\n".join(lines)).encode("utf-16"))
    page.get_by_role("button", name="Compare with the list").click()

    expect(page.locator(".sofar")).to_have_text(f"Adds {ADDED:,}, changes 0, removes 0; {BAD} lines cannot be used.")
    expect(page.locator("[data-verb=add] tbody tr")).to_have_count(50)
    assert violations(page) == []
    bad = table(downloaded(page, "Download them, to mend and upload again"))
    assert len(bad) == BAD
    assert bad[0]["Pattern"] == "no address 0"
    assert bad[0]["Comments"] == "'=1+1"
    assert bad[0]["problem"].startswith("pattern: This is no address.")
    assert account.state("block_senders") == before

    page.get_by_label("Reason").fill("Parcels, second wave")
    page.get_by_role("button", name=f"Add {ADDED:,} in blocked senders", exact=True).click()
    done(page)
    expect(page.locator("main")).to_contain_text("Parcels, second wave")
    assert len(account.done("block_senders", "create")) == ADDED
    assert account.calls().count("block_senders.batch") == 3

    out = table(downloaded_list(page))
    assert len(out) == len(before) + ADDED
    mended = "pattern,comments,problem\r\n" + "".join(f"mended{n}@parcels.example,x,old words\r\n" for n in range(BAD))
    page.goto("/settings/block-senders/import")
    choose(page, "File", "mended.csv", mended.encode())
    page.get_by_role("button", name="Compare with the list").click()
    expect(page.locator(".sofar")).to_have_text(f"Adds {BAD}, changes 0, removes 0.")
    page.get_by_role("button", name="Discard the dry run").click()
    expect(page.locator("main")).to_contain_text("Discarded by")
    assert len(account.done("block_senders", "create")) == ADDED


def downloaded_list(page: Page) -> bytes:
    page.goto("/settings/block-senders/")
    return downloaded(page, "CSV")


def test_a_file_that_is_none_is_refused_with_the_focus_on_why(account: Account, open_page: OpenPage) -> None:
    page = open_page(account.desk, member="pia")
    page.watched.allowed_statuses.add(422)
    page.goto("/settings/trusted-domains/import")
    page.get_by_label("the whole list").check()
    choose(page, "File", "letter.txt", b"Dear all,\nplease block these.\n")
    page.get_by_role("button", name="Compare with the list").click()

    expect(page.locator(".errors")).to_be_focused()
    expect(page.locator(".errors")).to_contain_text("The first line names no column of this list.")
    expect(page.get_by_label("the whole list")).to_be_checked()
    assert violations(page) == []


def test_a_backup_is_taken_compared_and_put_back_in_parts(account: Account, open_page: OpenPage) -> None:
    page = open_page(account.desk, member="pia")
    page.goto("/settings/backup/")
    assert violations(page) == []
    backup = downloaded(page, "Take a backup")
    before = {name: state for name, state in account.everything().items() if name != "block_senders"}
    gone, changed, *_ = before["trusted_domains"]
    account.remove("trusted_domains", gone)
    account.edit("trusted_domains", changed, {"comments": "somebody was here"})
    extra = account.add("url_ignore_patterns", {"pattern": "https://kiosk\\.example/.*"})

    choose(page, "Backup", "before.json", backup)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("heading", name="What differs from the backup")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("group", name="Trusted domains: 1 only in the backup").get_by_label("This one").check()
    page.get_by_role("group", name="Trusted domains: 1 different").get_by_label("This one").check()
    page.get_by_role("group", name="URL ignore patterns: 1 only in the account").get_by_label("This one").check()
    page.get_by_role("button", name="Show what restoring would do").click()

    expect(page.get_by_role("heading", name="2 lists would change")).to_be_visible()
    assert violations(page) == []
    runs = page.locator(".files li a")
    addresses = [link.get_attribute("href") for link in runs.all()]
    for address, command in zip(
        addresses, ("Add 1 and change 1 in trusted domains", "Remove 1 in URL ignore patterns"), strict=True
    ):
        page.goto(str(address))
        for tick in page.locator(
            "form.decide input[type=checkbox]"
        ).all():  # which entries differ is the account's matter
            tick.check()
        page.get_by_role("button", name=re.compile(f"^{command}")).click()
        done(page)

    now = account.everything()
    assert extra not in now["url_ignore_patterns"]
    assert now["trusted_domains"][changed] == before["trusted_domains"][changed]
    for name, state in before.items():
        assert contents(now[name]) == contents(state), name
    page.goto("/settings/backup/")
    page.get_by_role("link", name=re.compile("Compare .*before.json again")).click()
    expect(page.get_by_role("heading", name="The account is as the backup says")).to_be_visible()


def contents(state: dict[str, dict[str, object]]) -> list[str]:
    """Without ids: what is made again gets another one."""
    return sorted(json.dumps(values, sort_keys=True) for values in state.values())
