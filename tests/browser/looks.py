"""Whether a screen can be used by everybody: as axe checks it, in both themes, with targets that can be hit."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SMALLEST = 24  # pixels of a target, WCAG 2.5.8

# Controls that are shown; links inside a sentence and rows, which are clicked as a whole, are exempt.
TARGETS = """
() => [...document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select, textarea")]
  .filter(one => one.checkVisibility({visibilityProperty: true}))
  .filter(one => !one.closest(".sr, .skip, .rows .c-subject, p:not(.verdicts, .bar)"))
  .map(one => one.closest("label") ?? one)
  .map(one => [one, one.getBoundingClientRect()])
  .filter(([, box]) => box.width && box.height && (box.width < SMALLEST - .5 || box.height < SMALLEST - .5))
  .map(([one, box]) => `${one.outerHTML.slice(0, 120)} is ${box.width} x ${box.height}`)
""".replace("SMALLEST", str(SMALLEST))


def violations(page: Page) -> list[str]:
    # The frame of the raw mail is a document without scripts, into which axe cannot be put.
    found = Axe().run(page, context={"exclude": [["iframe"]]})
    return [
        f"{page.url}: {violation['id']}: {violation['help']}: {[node['target'] for node in violation['nodes'][:3]]}"
        for violation in found.response["violations"]
    ]


def check(page: Page, what: str) -> None:
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        found: list[dict[str, Any]] = Axe().run(page).response["violations"]
        assert not found, f"{what}, {theme}: {[(one['id'], one['nodes'][0]['html'][:200]) for one in found]}"
    assert page.evaluate(TARGETS) == [], what
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{what} scrolls sideways"
