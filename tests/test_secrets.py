"""What is secret goes where it must and nowhere else: the API token, and what a mail says.

Everything a person does is done once without and once with every failure, at the most talkative log level; afterwards
the logs, the error pages, the database and the broker's folder are searched for the markers.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import re
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.apps import apps
from django.conf import settings
from django.db import models
from django.test import Client

from dashboard.access.models import Member
from dashboard.emailsec import EmailSecurityClient, TokenCredentials
from dashboard.emailsec.transport import RetryTransport
from dashboard.logs import configure_logging
from dashboard.simulator import Simulator
from dashboard.simulator.mail.blocks import Paragraph
from dashboard.simulator.mail.record import MailContent, MailRecord
from dashboard.upstream.connection import shared_meter, use_client
from investigate.actions import reconciling, sending, sweep
from investigate.models import Action, SearchRun
from investigate.search import runs
from tests.conftest import HTMX
from tests.simulated import simulated_account

pytestmark = pytest.mark.django_db

TOKEN = "marker-token-5b1f0c9e"
SUBJECT = "marker-subject-quarterly-7731"
BODY = "marker-body-swordfish-4410"
SEARCHED = "marker-searched-0917"  # what a person looked for
MARKERS = (TOKEN, SUBJECT, BODY, SEARCHED)

FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    **{str(status): {"status": status} for status in (401, 403, 404, 422, 429, 500)},
    "echo": {"status": 422, "message": f"Bearer {TOKEN} may not see {SUBJECT}: {BODY}"},
    "html": {"body": f"<h1>{TOKEN} {SUBJECT} {BODY}</h1>", "content_type": "text/html"},
    "html 502": {"status": 502, "body": f"<h1>{TOKEN} {SUBJECT} {BODY}</h1>", "content_type": "text/html"},
    "cut off": {"truncate": 900},
    "wrong shape": {"body": json.dumps({"success": True, "result": [[SUBJECT], BODY, {"id": [TOKEN]}]})},
    "success: false": {"success_false": True, "message": f"{TOKEN} {SUBJECT} {BODY}"},
    "foreign": {"location": f"https://evil.example/{TOKEN}"},
    "redirect": {"status": 302, "headers": {"Location": f"https://evil.example/{TOKEN}/{SUBJECT}"}},
    "silence": {"hang": 30.0},
    "lost": {"lose_answer": True},
}

# Where mail is kept on purpose: as long as it is useful, and for nobody but the pages that show it.
COPIES = {
    ("investigate", "searchrun", "body"),
    ("upstream", "copy", "body"),
    ("investigate", "actionitem", "subject"),
    ("investigate", "case", "subject"),
    ("investigate", "fix", "subject"),
    ("investigate", "actionitem", "attachment"),
}
# Words that are what the row is about: what the search asks for, and the API's own words beside its failure.
KEPT_WORDS = {
    ("investigate", "searchrun", "parameters"): {SEARCHED},
    ("investigate", "searchrun", "error_text"): {SUBJECT, BODY},
    ("investigate", "action", "explanation"): {SUBJECT, BODY},
    ("investigate", "actionitem", "explanation"): {SUBJECT, BODY},
    ("investigate", "receipt", "status"): {SUBJECT, BODY},
    ("audit", "auditevent", "detail"): {SUBJECT, BODY},
}


class Marked:
    """A generated message's own content with the markers in its body."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def content(self, record: MailRecord) -> MailContent:
        real = self.source.content(record)
        return replace(
            real,
            blocks=(Paragraph(BODY),),
            body_text=BODY,
            eml=f"Subject: {SUBJECT}\r\nFrom: a@b.example\r\n\r\n{BODY}\r\n",
        )


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything any logger says at DEBUG, both as our own log line and with all fields and the traceback."""
    out = io.StringIO()
    root = logging.getLogger()
    configure_logging(level="DEBUG", pretty=False)
    (ours,) = [handler for handler in root.handlers if type(handler) is logging.StreamHandler]
    ours.setStream(out)
    yield out
    configure_logging(level="WARNING", pretty=False)


@pytest.fixture
def simulator(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setattr(settings, "CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.setattr(settings, "CALL_LIMIT", 1_000_000)
    simulator = simulated_account(
        messages=60,
        seed=3,
        token=TOKEN,
        rate_limit=None,
        arrival_interval=0.0,
    )
    for record in simulator.store.records:
        record.subject = SUBJECT
        record.source = Marked(record.source)  # type: ignore[assignment]
    client = EmailSecurityClient(
        account_id=settings.CLOUDFLARE_ACCOUNT_ID,
        credentials=TokenCredentials(TOKEN),
        base_url=settings.CLOUDFLARE_BASE_URL,
        transport=RetryTransport(httpx.WSGITransport(app=simulator), meter=shared_meter(), sleep=lambda _seconds: None),
    )
    with use_client(client):
        yield simulator


def pages(browser: Client, simulator: Simulator, fault: dict[str, Any]) -> Iterator[Any]:
    """All that can be asked for, each call going wrong in the given way."""

    def ask(url: str, operation: str, **headers: str) -> Any:
        simulator.faults.clear()
        if fault:
            simulator.faults.next(operation, times=None, **fault)
        thaw()
        response = browser.get(url, headers=headers)
        simulator.faults.clear()
        return response

    yield ask(f"/investigate/?last=30d&q={SEARCHED}&fresh=1", "search")
    yield ask("/investigate/?last=30d&fresh=1", "search", **HTMX)
    for record in [record for record in simulator.store.records if record.is_detection][:2]:
        here = f"/investigate/{record.id}"
        yield ask(f"{here}/pane", "message", **HTMX)
        yield ask(f"{here}/", "message")
        yield ask(f"{here}/", "detections")
        for part, operation in (("preview", "preview"), ("raw", "raw"), ("trace", "trace"), ("history", "action_log")):
            yield ask(f"{here}/parts/{part}", operation, **HTMX)
        yield ask(f"{here}/preview.png", "preview")
        for file in ("raw.txt", "message.eml", "sample.zip"):
            yield ask(f"{here}/{file}", "raw")
    yield ask("/investigate/actions/", "*")


HARMFUL = ("MALICIOUS", "MALICIOUS-BEC")  # whose release takes a second person


def thaw() -> None:
    """As if every Retry-After were over."""
    for model in apps.get_app_config("upstream").get_models():
        if model.__name__ == "CallBudget":
            model.objects.update(frozen_until=None)


def act(browser: Client, simulator: Simulator, fault: dict[str, Any]) -> None:
    """A move, a release and a submission, each sent and, where its outcome is unknown, looked up."""
    free = [record for record in simulator.store.records if not Action.objects.filter(items__investigate_id=record.id)]
    held = next(r for r in free if r.final_disposition not in HARMFUL and set(r.delivery_status) == {"quarantined"})
    clean = [r for r in free if not r.is_detection and set(r.delivery_status) == {"delivered"}]
    threat = next(r for r in free if r.is_detection and r is not held)
    thaw()
    for record, what in (
        (clean[0], {"kind": "move", "destination": "JunkEmail"}),
        (held, {"kind": "release"}),
        (threat, {"kind": "reclassify", "expected_disposition": "NONE"}),
    ):
        key = uuid.uuid4().hex
        browser.post(f"/investigate/{record.id}/actions/", {**what, "operation_key": key}, headers=HTMX)
        action = Action.objects.filter(operation_key=key).first()
        if action is None:
            continue
        simulator.faults.clear()
        if fault:
            simulator.faults.next("*", times=2, **fault)
        Action.objects.filter(pk=action.pk).update(due_at=action.created_at)
        sending.send(action.pk)
        Action.objects.filter(pk=action.pk).update(next_look_at=action.created_at)
        reconciling.look_up(action.pk)
        simulator.faults.clear()
        browser.get(f"/investigate/actions/{action.pk}/")
    sweep.sweep_actions()
    for run in SearchRun.objects.all().defer("body"):
        runs.continue_run(run.pk)


def texts(value: Any) -> Iterator[str]:
    """Everything readable in a column's value; packed bytes are unpacked."""
    if isinstance(value, bytes | memoryview):
        raw = bytes(value)
        with contextlib.suppress(zlib.error):
            raw = zlib.decompress(raw)
        yield raw.decode("utf-8", "replace")
    elif value is not None:
        yield json.dumps(value, default=str, ensure_ascii=False)


def in_database() -> list[tuple[str, str, str, str]]:
    """(app, model, column, marker) of every place where a marker stands."""
    found = set()
    for model in apps.get_models():
        columns = [field for field in model._meta.local_fields if not isinstance(field, models.ForeignKey)]
        for row in model._base_manager.values_list(*(field.name for field in columns)):
            for field, value in zip(columns, row, strict=True):
                for text in texts(value):
                    found |= {
                        (model._meta.app_label, model._meta.model_name or "", field.name, marker)
                        for marker in MARKERS
                        if marker in text
                    }
    return sorted(found)


def in_broker() -> list[str]:
    """Every message the broker ever took, readable: Celery packs its bodies in base64."""
    found = []
    for path in settings.DATA_DIR.joinpath("queue").rglob("*"):
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            packed = re.findall(r"[A-Za-z0-9+/=]{24,}", text)
            found.append(text)
            for piece in packed:
                with contextlib.suppress(ValueError):
                    found.append(base64.b64decode(piece, validate=True).decode("utf-8", "replace"))
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_neither_token_nor_mail_leaves_its_place(
    name: str, simulator: Simulator, responder: Client, ben: Member, logged: io.StringIO
) -> None:
    fault = FAULTS[name]
    answered = list(pages(responder, simulator, fault))
    act(responder, simulator, fault)

    for response in answered:
        html = response.content.decode("utf-8", "replace") if not response.streaming else ""
        assert TOKEN not in html, response.request["PATH_INFO"]
        assert "evil.example" not in html
        if name.startswith("html"):
            assert f"<h1>{TOKEN}" not in html
            assert f"{SUBJECT} {BODY}" not in html, "a page repeats what somebody sent instead of the API's answer"

    log = logged.getvalue()
    assert log.count("emailsec_call") > 12, "the log was not captured"
    assert [line for line in log.splitlines() if any(marker in line for marker in MARKERS)] == []

    columns = [
        place for place in in_database() if place[:3] not in COPIES and place[3] not in KEPT_WORDS.get(place[:3], set())
    ]
    assert columns == []
    if name == "none":
        assert any(place[:3] in COPIES for place in in_database()), "the markers were never in the database at all"

    messages = in_broker()
    assert any("send_action" in message for message in messages), "the broker's folder was not read"
    assert [message for message in messages if any(marker in message for marker in MARKERS)] == []


def test_a_defect_of_ours_shows_and_logs_no_mail(
    simulator: Simulator, responder: Client, logged: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception whose text quotes the mail: neither the error page nor the log line repeats it."""

    def broken(*_: Any) -> None:
        raise ValueError(f"cannot show {SUBJECT} {BODY} with {TOKEN}")

    monkeypatch.setattr("investigate.views.message.head", broken)
    responder.raise_request_exception = False
    record = next(record for record in simulator.store.records if record.is_detection)

    response = responder.get(f"/investigate/{record.id}/")

    assert response.status_code == 500
    for marker in MARKERS:
        assert marker not in response.content.decode()
        assert marker not in logged.getvalue()
    assert "ValueError" in logged.getvalue()
