"""What must hold for every address, template and error, whoever adds the next one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver

from dashboard.access.models import Member
from dashboard.access.roles import ROLES, Permission, Role
from dashboard.installation.described import DESCRIBED
from dashboard.web.context import Frame

TEMPLATES = Path(settings.BASE_DIR) / "templates"
KEY = re.compile(r'data-key="([^"{]+)"')


def _patterns(resolver: URLResolver, prefix: str = "") -> list[tuple[str, URLPattern]]:
    found: list[tuple[str, URLPattern]] = []
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        found += _patterns(entry, path) if isinstance(entry, URLResolver) else [(path, entry)]
    return found


ADDRESSES = _patterns(get_resolver())


@pytest.mark.parametrize(("path", "pattern"), ADDRESSES, ids=[path or "/" for path, _ in ADDRESSES])
def test_every_address_declares_who_may_open_it(path: str, pattern: URLPattern) -> None:
    permission = getattr(pattern.callback, "required_permission", None)
    reason = getattr(pattern.callback, "is_public", None)

    assert permission or reason, f"{path} neither requires a permission nor says why anybody may open it"
    assert not (permission and reason), f"{path} is public and requires a permission"
    assert permission is None or permission in set(Permission)


def test_roles_hold_only_known_permissions_and_every_permission_is_held_by_somebody() -> None:
    assert set(ROLES) == set(Role)
    assert set().union(*ROLES.values()) == set(Permission)


def test_viewers_policy_managers_and_auditors_read_no_bodies_and_act_on_nothing() -> None:
    for role in (Role.VIEWER, Role.POLICY_MANAGER, Role.AUDITOR):
        held = {permission for permission in ROLES[role] if permission.startswith("message:")}
        assert held == {Permission.MESSAGE_READ}, role


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("_*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_every_partial_says_what_it_is_and_what_it_needs(path: Path) -> None:
    first = path.read_text().lstrip().splitlines()[0]

    assert re.match(r"\{#.+#\}|\{% comment", first), "the first line of a partial is a comment: what it is, its context"


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.relative_to(TEMPLATES)))
def test_no_template_opens_a_safety_valve(path: Path) -> None:
    text = path.read_text()

    for danger in (
        r"\|\s*safe\b",
        r"autoescape\s+(off|false)",
        r"\sstyle=",
        r"\son[a-z]+=",
        r"hx-on",
        r"<script(?![^>]*\ssrc=)",
        r"javascript:",
    ):
        assert not re.search(danger, text), danger


@pytest.mark.parametrize("folder", ["dashboard", "investigate", "settings_ui"])
def test_no_code_marks_text_as_safe_html(folder: str) -> None:
    for path in (Path(settings.BASE_DIR) / folder).rglob("*.py"):
        assert not re.search(r"mark_safe|format_html|SafeString|csrf_exempt", path.read_text()), path


@pytest.mark.parametrize("folder", ["dashboard", "investigate", "settings_ui"])
def test_no_code_reads_past_a_value_that_an_admin_may_have_set(folder: str) -> None:
    names = "|".join(DESCRIBED)
    past = re.compile(rf"""\bsettings\.({names})\b|\bgetattr\(\s*settings,\s*["']({names})["']""")
    for path in (Path(settings.BASE_DIR) / folder).rglob("*.py"):
        found = past.search(path.read_text())
        assert not found, f'{path} reads {found[0]}: setting("{found[1] or found[2]}") is what counts'


def test_no_page_takes_a_key_of_the_top_bar(rf: RequestFactory, ada: Member) -> None:
    """Keys of the top bar work everywhere; a page that uses one of them leaves its room instead."""
    request = rf.get("/")
    request.user = ada
    held = {room.key for room in Frame(request).menu}
    bars = [path for path in TEMPLATES.rglob("*.html") if path.parent == TEMPLATES / "includes"]
    held |= {key for path in bars for key in KEY.findall(path.read_text()) if key.startswith("g ")}
    assert {"g o", "g s", "g e", "g v", "g ,"} <= held

    for path in TEMPLATES.rglob("*.html"):
        if path not in bars:
            taken = held & set(KEY.findall(path.read_text()))
            assert not taken, f"{path.relative_to(TEMPLATES)} uses {', '.join(sorted(taken))}, which the top bar holds"
