"""Nothing leaves without a row: what a sender wrote, files, and settings that may explain an action later."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.audit import words
from dashboard.audit.models import AuditEvent
from dashboard.simulator import Simulator
from dashboard.upstream.connection import get_client
from investigate.message.tabs import TABS
from investigate.models import BulkJob, Evidence, JobState
from tests.conftest import HTMX
from tests.test_invariants import ADDRESSES

pytestmark = pytest.mark.django_db
BODY = Permission.MESSAGE_READ_BODY


@pytest.fixture
def detection(emailsec: Simulator) -> Any:
    return next(r for r in emailsec.store.records if r.is_detection and r.links())


@pytest.fixture
def clean(emailsec: Simulator) -> Any:
    return next(
        r
        for r in emailsec.store.records
        if not r.is_detection and r.delivery_status[0] == "delivered" and r.delivery_mode == "DIRECT"
    )


@pytest.fixture
def enclosed(emailsec: Simulator) -> Any:
    return next(r for r in emailsec.store.records if r.is_detection and r.attachments())


def seen(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def looks() -> list[tuple[str, str, list[str], str]]:
    rows = AuditEvent.objects.exclude(phase="attempt").exclude(action="access:refused")
    return list(rows.values_list("action", "actor_name", "targets", "address"))


GUARDED = [pattern for _, pattern in ADDRESSES if getattr(pattern.callback, "required_permission", None) == BODY]


def test_some_addresses_hand_out_bodies() -> None:
    assert {"preview_image", "raw_text", "download_eml", "download_sample", "render_preview"} <= {
        pattern.name for pattern in GUARDED
    }


def place(name: str, browser: Client, detection: Any) -> tuple[str, str]:
    """(address, what its rows are about) of a guarded address; what it shows is made where it is not there yet."""
    if name in ("download_evidence", "uncover_evidence"):
        browser.post(reverse("investigate:keep_evidence", args=[detection.id]), {"reason": "a case for the law"})
        return reverse(f"investigate:{name}", args=[Evidence.objects.get().pk]), detection.id
    if name.startswith("phishguard"):
        report = get_client().phishguard_reports().items[0]
        return reverse(f"investigate:{name}", args=[report.id]) + "?last=30d", f"phishguard:{report.id}"
    return reverse(f"investigate:{name}", args=[detection.id]), detection.id


@pytest.mark.parametrize("name", sorted(pattern.name for pattern in GUARDED))
def test_every_address_behind_the_right_to_read_bodies_writes_a_row(
    name: str, analyst: Client, detection: Any, clean: Any, settings: Any
) -> None:
    detection = clean if name == "render_preview" else detection
    url, target = place(name, analyst, detection)
    before = len(looks())
    settings.PRIVACY = "uncover" in name  # elsewhere there is nothing to uncover

    is_form = name == "render_preview" or "uncover" in name
    values = {"occasion": "reported", "tab": "headers"} if is_form else None
    answer = (analyst.post if is_form else analyst.get)(url, values, headers=HTMX, REMOTE_ADDR="192.0.2.7")

    assert answer.status_code == 200 or (name, answer.status_code) == ("uncover_evidence", 303), name
    assert answer.status_code == 303 or len(seen(answer)) > 100
    rows = looks()[before:]
    assert rows, f"{name} handed out a body and left no row"
    assert all(row[1:] == ("Ana", [target], "192.0.2.7") for row in rows)


@pytest.mark.parametrize("tab", sorted(tab.name for tab in TABS.values()))
@pytest.mark.parametrize("as_page", [True, False], ids=["page", "part"])
def test_every_part_that_shows_what_the_sender_wrote_writes_a_row(
    tab: str, as_page: bool, analyst: Client, viewer: Client, detection: Any, enclosed: Any
) -> None:
    """A part shows the body where it shows more than the role without the right is shown."""
    detection = enclosed if tab == "attachments" else detection
    page = f"{reverse('investigate:message', args=[detection.id])}?tab={tab}"
    part = reverse("investigate:part", args=[detection.id, tab])

    def body_words(client: Client) -> set[str]:
        shown = client.get(page if as_page else part, headers={} if as_page else HTMX).content.decode()
        hosts = {re.sub(r"^https?://([^/:?#]+).*$", r"\1", link.href) for link in detection.links()}
        names = {one.filename for one in detection.attachments() if one.filename}
        return {word for word in hosts | names if word in shown or word.replace(".", "[.]") in shown}

    reads = body_words(analyst) - body_words(viewer)
    if reads or tab in ("links", "attachments", "headers"):
        assert any(who == "Ana" and targets == [detection.id] for _, who, targets, _ in looks()), (tab, reads)


def test_the_pane_beside_the_list_writes_a_row(analyst: Client, detection: Any) -> None:
    analyst.get(reverse("investigate:pane", args=[detection.id]))

    assert [row[0] for row in looks()] == ["message:findings"]


def test_who_reads_no_bodies_writes_no_looks(viewer: Client, detection: Any) -> None:
    viewer.get(reverse("investigate:message", args=[detection.id]))

    assert looks() == []


def test_preferences_that_may_explain_an_action_are_written_down(analyst: Client, ana: Member) -> None:
    form = {
        "theme": "dark", "density": "standard", "text_size": "13", "time_zone": "UTC", "undo_seconds": "0",
        "has_single_keys": "on",
    }  # fmt: skip

    assert analyst.post("/account/preferences/", form).status_code == 303
    event = AuditEvent.objects.get()
    assert (event.action, event.detail) == ("account:preferences", {"undo_seconds": 0, "has_auto_advance": False})

    assert analyst.post("/account/preferences/", form | {"theme": "light"}).status_code == 303
    assert AuditEvent.objects.count() == 1


def test_results_of_jobs_count_among_the_files_an_hour_allows(analyst: Client, ana: Member, settings: Any) -> None:
    settings.EXPORTS_PER_HOUR = 2
    job = BulkJob.objects.create(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID, actor=ana, actor_name="Ana", kind="move", destination="JunkEmail",
        state=JobState.DONE, operation_key="k", created_at=timezone.now(), due_at=timezone.now(),
    )  # fmt: skip
    url = reverse("investigate:job_result", args=[job.pk])

    assert [analyst.get(url).status_code for _ in range(3)] == [200, 200, 429]
    assert "Retry-After" in analyst.get(url)
    assert [row[0] for row in looks()] == ["job:export", "job:export"]


def _recorded_actions() -> set[str]:
    """Every literal `resource:verb` that is handed to a recorder, in the code as it is."""
    found: set[str] = set()
    for folder in ("dashboard", "investigate", "settings_ui"):
        for path in (Path(settings.BASE_DIR) / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _is_recorder(_name_of(node.func)):
                    given = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "action")]
                    found |= {
                        value.value
                        for value in given
                        if isinstance(value, ast.Constant)
                        and isinstance(value.value, str)
                        and re.fullmatch(r"[a-z_]+:[a-z_]+", value.value)
                    }
    return found


def _is_recorder(name: str) -> bool:
    return name.removeprefix("_").startswith("record") or name in ("note", "_raw_as")


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_every_action_the_code_records_has_words() -> None:
    assert {"message:look", "job:begin", "audit:export"} <= _recorded_actions()
    assert _recorded_actions() - set(words.ACTIONS) == set()
    assert {words.resource(action) for action in words.ACTIONS} == set(words.RESOURCES)
