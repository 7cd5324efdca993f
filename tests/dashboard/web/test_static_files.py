"""What a first visit costs, and what the strict content security policy allows."""

from __future__ import annotations

import re
from pathlib import Path

import brotli
import django_htmx
import pytest
from django.conf import settings

STATIC = Path(settings.BASE_DIR) / "static"
TEMPLATES = Path(settings.BASE_DIR) / "templates"


def compressed(files: list[Path]) -> int:
    """As WhiteNoise sends them to a browser that asks over HTTPS, or this very machine."""
    return sum(len(brotli.compress(file.read_bytes())) for file in files)


def linked_by(*templates: str) -> list[Path]:
    """The files of ours these templates link."""
    text = "".join((TEMPLATES / name).read_text() for name in templates)
    return [STATIC / name for name in dict.fromkeys(re.findall(r"static '((?:css|js|img)/[\w.-]+)'", text))]


FIRST_VISIT = linked_by("base.html", "includes/_scripts.html", "investigate/search.html")


def test_style_sheets_stay_small() -> None:
    sheets = [file for file in FIRST_VISIT if file.suffix == ".css"]
    assert len(sheets) > 5
    assert compressed(sheets) <= 14_000


def test_first_visit_stays_small() -> None:
    htmx = Path(django_htmx.__file__).parent / "static/django_htmx/htmx-2.min.js"
    assert compressed([*FIRST_VISIT, htmx]) <= 45_800  # and 14,200 for a page of 100 rows, of 60,000 in all


def test_every_file_is_linked_by_a_page() -> None:
    pages = [str(page.relative_to(TEMPLATES)) for page in TEMPLATES.rglob("*.html")]
    assert set(linked_by(*pages)) == {file for file in STATIC.rglob("*") if file.is_file()}


@pytest.mark.parametrize("script", sorted(STATIC.glob("js/*.js")), ids=lambda script: script.name)
def test_scripts_need_nothing_the_policy_forbids(script: Path) -> None:
    forbidden = (
        r"innerHTML\s*=|outerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://|^import "
    )
    assert not re.search(forbidden, script.read_text(), re.MULTILINE)


@pytest.mark.parametrize("sheet", sorted(STATIC.glob("css/*.css")), ids=lambda sheet: sheet.name)
def test_style_sheets_load_nothing(sheet: Path) -> None:
    assert not re.search(r"@import|url\(", sheet.read_text())
