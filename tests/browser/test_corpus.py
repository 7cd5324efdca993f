"""Every message of a folder of real mail in a real browser: found, opened, pictured and read raw; nothing comes alive."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser import live
from tests.browser.live import OpenPage, requested, run_in_page
from tests.investigate.message.corpus import MAIL, mail_files, needs_mail

# ruff: noqa: E501 - the script stays readable
pytestmark = [pytest.mark.browser, pytest.mark.corpus, pytest.mark.django_db(transaction=True), needs_mail]

# Opens each message in the pane as a person would, then its preview and its raw text, as their tabs do.
OPEN_ALL = r"""
async (ids, clean) => {
  window.htmx.config.defaultSettleDelay = 0;
  const wrong = [];
  const live = "script, svg, math, object, embed, style, link, meta, base, video, audio, template, form[action^=http]";
  const detail = document.getElementById("detail");
  for (const id of ids) {
    const here = `/investigate/${id}`;
    await window.htmx.ajax("GET", `${here}/pane`, { target: "#detail", swap: "innerHTML" });
    const message = detail.querySelector(".message");
    if (!message || message.dataset.id !== id) { wrong.push(`${id}: not opened: ${detail.textContent.slice(0, 200)}`); continue; }
    for (const part of ["preview", "raw"]) {
      const answer = await fetch(`${here}/parts/${part}`, { headers: { "HX-Request": "true", "HX-Target": `panel-${part}` } });
      if (answer.status !== 200) { wrong.push(`${id} ${part}: ${answer.status}`); continue; }
      document.getElementById(`panel-${part}`).innerHTML = await answer.text();
    }
    const picture = detail.querySelector("#picture img");
    if (picture) {
      await picture.decode().catch(() => wrong.push(`${id}: its picture cannot be shown`));
      if (picture.naturalWidth !== picture.width && !picture.naturalWidth) wrong.push(`${id}: an empty picture`);
    }
    const frame = detail.querySelector("#raw-frame");
    if (frame) {
      if (frame.getAttribute("sandbox") !== "") wrong.push(`${id}: the raw text is not in a sandbox`);
      const text = await fetch(frame.getAttribute("src"));
      const type = text.headers.get("content-type") ?? "";
      if (text.status !== 200 || !type.startsWith("text/plain")) wrong.push(`${id}: raw ${text.status} ${type}`);
      if (!(text.headers.get("content-security-policy") ?? "").startsWith("sandbox")) wrong.push(`${id}: raw text without a sandbox`);
      if (!(await text.text()).length) wrong.push(`${id}: no raw text`);
    }
    if (clean.includes(id) === Boolean(frame)) wrong.push(`${id}: ${frame ? "raw text of clean mail" : "no raw text"}`);
    const found = [...detail.querySelectorAll(live)].map((element) => element.localName);
    if (found.length) wrong.push(`${id}: holds ${found}`);
    for (const element of detail.querySelectorAll("*"))
      for (const { name } of element.attributes) if (name.startsWith("on")) wrong.push(`${id}: ${name} on ${element.localName}`);
    if (document.documentElement.scrollWidth > innerWidth) wrong.push(`${id}: wider than the window`);
  }
  return wrong;
}
"""


def all_rows(page: Page) -> set[str]:
    """Ids of all rows, after loading page after page."""
    run_in_page(
        page,
        """async () => {
          window.htmx.config.defaultSettleDelay = 0;
          for (let button; (button = document.querySelector("#load-more")); ) {
            const before = document.querySelectorAll("#results tr[data-id]").length;
            button.click();
            for (let n = 0; n < 400 && document.querySelectorAll("#results tr[data-id]").length === before; n += 1)
              await new Promise((done) => setTimeout(done, 25));
          }
        }""",
    )
    return set(page.locator("#results tr[data-id]").evaluate_all("rows => rows.map(row => row.dataset.id)"))


def test_every_real_message_can_be_found_opened_pictured_and_read(
    live_server: Any, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with live.simulated(monkeypatch, mail_dir=MAIL, wide_search_days=400.0) as simulator:
        records = simulator.store.records
        assert len(records) == len(mail_files()) > 200
        live.analyst()
        page = open_page(live.desk(live_server))
        seen = requested(page.context)
        answers: list[str] = []
        page.on(
            "response", lambda response: response.status >= 400 and answers.append(f"{response.status} {response.url}")
        )

        page.goto("/investigate/?last=30d&clean=1&fresh=1")
        assert all_rows(page) == {record.id for record in records}
        page.wait_for_load_state("networkidle")

        clean = [record.id for record in records if not record.is_detection]
        ids = [record.id for record in records]
        for some in (ids[start : start + 50] for start in range(0, len(ids), 50)):
            assert run_in_page(page, OPEN_ALL, some, clean) == []

        assert answers == []
        assert [url for url in seen if not url.startswith(live_server.url)] == []
        opened = {call.path.split("/")[-1] for call in simulator.calls if call.operation == "preview"}
        assert len(opened) >= 1
