"""What a first visit costs, and what the strict content security policy allows."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import django_htmx
import pytest
from django.conf import settings

STATIC = Path(settings.BASE_DIR) / "static"
TEMPLATES = Path(settings.BASE_DIR) / "templates"


def compressed(files: list[Path]) -> int:
    return sum(len(gzip.compress(file.read_bytes(), 9)) for file in files)


def test_style_sheets_stay_small() -> None:
    assert compressed(list(STATIC.glob("css/*.css"))) <= 12_000


def test_first_visit_stays_small() -> None:
    htmx = Path(django_htmx.__file__).parent / "static/django_htmx/htmx-2.min.js"
    files = [*STATIC.glob("css/*.css"), *STATIC.glob("js/*.js"), *STATIC.glob("img/*"), htmx]
    assert compressed(files) <= 45_000  # and 13,000 for a page of 100 rows, of 60,000 in all


@pytest.mark.parametrize("folder", ["css", "js"])
def test_every_file_is_linked_by_the_frame(folder: str) -> None:
    linked = (TEMPLATES / "base.html").read_text() + (TEMPLATES / "includes/_scripts.html").read_text()
    assert {file.name for file in (STATIC / folder).iterdir()} == set(re.findall(rf"'{folder}/([\w.-]+)'", linked))


@pytest.mark.parametrize("script", sorted(STATIC.glob("js/*.js")), ids=lambda script: script.name)
def test_scripts_need_nothing_the_policy_forbids(script: Path) -> None:
    forbidden = (
        r"innerHTML\s*=|outerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://|^import "
    )
    assert not re.search(forbidden, script.read_text(), re.MULTILINE)


@pytest.mark.parametrize("sheet", sorted(STATIC.glob("css/*.css")), ids=lambda sheet: sheet.name)
def test_style_sheets_load_nothing(sheet: Path) -> None:
    assert not re.search(r"@import|url\(", sheet.read_text())
