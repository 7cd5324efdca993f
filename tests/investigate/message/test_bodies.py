"""What a sender wrote leaves us only in forms no browser runs, for those who may, and written down."""

from __future__ import annotations

import base64
import io
import json

import pytest
import pyzipper
from PIL import Image

from dashboard.audit.models import AuditEvent
from dashboard.web.text import dom_id
from investigate.message.tabs import MOST_RAW_TEXT
from investigate.views.message import RAW_TEXT_ENDS

BODIES = {
    "preview.png": ("image/png", 'inline; filename="preview.png"', "message:preview"),
    "raw.txt": ("text/plain; charset=utf-8", 'inline; filename="raw.txt"', "message:raw"),
    "message.eml": ("message/rfc822", 'attachment; filename="message-{dom}.eml"', "message:download_eml"),
    "sample.zip": ("application/zip", 'attachment; filename="sample-{dom}.zip"', "message:download_sample"),
}


@pytest.mark.parametrize("name", BODIES)
def test_headers_of_a_body(name, analyst, threat):
    content_type, disposition, _ = BODIES[name]

    response = analyst.get(f"/investigate/{threat.id}/{name}")

    assert response.status_code == 200
    assert response["Content-Type"] == content_type
    assert response["Content-Disposition"] == disposition.format(dom=dom_id(threat.id))
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"].startswith("sandbox; default-src 'none'; frame-ancestors")
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response["Cache-Control"] == "no-store"


def test_only_the_raw_text_may_stand_in_a_frame_and_only_in_ours(analyst, threat):
    framed = analyst.get(f"/investigate/{threat.id}/raw.txt")
    others = [analyst.get(f"/investigate/{threat.id}/{name}") for name in BODIES if name != "raw.txt"]

    assert framed["X-Frame-Options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in framed["Content-Security-Policy"]
    assert {response["X-Frame-Options"] for response in others} == {"DENY"}
    assert all("frame-ancestors 'none'" in response["Content-Security-Policy"] for response in others)


@pytest.mark.parametrize("name", BODIES)
def test_each_reading_is_written_down_before_and_after(name, analyst, threat):
    for _ in range(2):  # the second time from our copy: still a reading
        analyst.get(f"/investigate/{threat.id}/{name}")

    rows = AuditEvent.objects.filter(action=BODIES[name][2])
    assert [row.phase for row in rows] == ["attempt", "done", "attempt", "done"]
    assert {row.actor_name for row in rows} == {"Ana"}
    assert {tuple(row.targets) for row in rows} == {(threat.id,)}
    assert threat.subject not in str([row.detail for row in rows])


def test_rendering_clean_mail_is_written_down(analyst, clean):
    analyst.post(f"/investigate/{clean.id}/preview")

    phases = AuditEvent.objects.filter(action="message:render_preview").values_list("phase", flat=True)
    assert list(phases) == ["attempt", "done"]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("member", ["viewer", "auditor", "policy_manager"])
def test_who_may_not_gets_nothing(name, member, threat, calls, request):
    client = request.getfixturevalue(member)

    response = client.get(f"/investigate/{threat.id}/{name}")

    assert response.status_code == 403
    assert calls() == []
    assert not AuditEvent.objects.filter(action=BODIES[name][2], phase="done").exists()


@pytest.mark.parametrize("name", BODIES)
def test_the_signed_out_get_nothing(name, client, threat):
    assert client.get(f"/investigate/{threat.id}/{name}").status_code == 302


def test_a_viewer_cannot_have_mail_rendered(viewer, clean, calls):
    assert viewer.post(f"/investigate/{clean.id}/preview").status_code == 403
    assert calls() == []


@pytest.mark.parametrize("name", BODIES)
def test_clean_mail_has_no_body_and_no_call_is_made_for_it(name, analyst, clean, calls):
    response = analyst.get(f"/investigate/{clean.id}/{name}")

    assert response.status_code == 404
    assert "lean mail" in response.text
    assert calls() == ["message"]


@pytest.mark.parametrize("name", BODIES)
def test_an_upstream_failure_is_a_page_not_a_body(name, analyst, threat, emailsec):
    emailsec.faults.next("preview" if "png" in name else "raw", times=None, status=403)

    response = analyst.get(f"/investigate/{threat.id}/{name}")

    assert response.status_code == 502
    assert response["Content-Type"].startswith("text/html")


def test_the_picture_is_our_own_drawing(analyst, threat):
    picture = Image.open(io.BytesIO(analyst.get(f"/investigate/{threat.id}/preview.png").content))

    assert picture.format == "PNG"
    assert picture.info == {}


def test_the_eml_is_the_message_byte_for_byte(analyst, threat):
    assert analyst.get(f"/investigate/{threat.id}/message.eml").content == threat.eml().encode()


def test_the_sample_opens_with_the_usual_password(analyst, threat):
    archive = analyst.get(f"/investigate/{threat.id}/sample.zip").content

    with pyzipper.AESZipFile(io.BytesIO(archive)) as opened:
        opened.setpassword(b"infected")
        assert opened.read("message.eml") == threat.eml().encode()


def test_the_text_view_marks_what_cannot_be_seen_and_counts_lines(analyst, threat, emailsec):
    raw = "Subject: a\u202egpj.exe\r\n\r\n<script>x</script>\x00"
    body = json.dumps({"success": True, "errors": [], "messages": [], "result": {"raw": raw}})
    emailsec.faults.next("raw", body=body, content_type="application/json")

    text = analyst.get(f"/investigate/{threat.id}/raw.txt?numbers").text

    assert text == "1  Subject: a[U+202E]gpj.exe\n2  \n3  <script>x</script>\u2400"


def test_the_text_view_ends_after_a_megabyte_and_the_eml_does_not(analyst, threat, emailsec):
    raw = "Subject: long\r\n\r\n" + "\u200b" * 400_000
    body = json.dumps({"success": True, "errors": [], "messages": [], "result": {"raw": raw}})
    emailsec.faults.next("raw", body=body, content_type="application/json")

    panel = analyst.get(f"/investigate/{threat.id}/parts/raw", headers={"HX-Request": "true"}).text
    text = analyst.get(f"/investigate/{threat.id}/raw.txt").text

    assert "The text below ends after 1 MB" in panel
    assert text.endswith("[U+200B]" + RAW_TEXT_ENDS), "a character cut in two is left out"
    assert text.count("[U+200B]") == (MOST_RAW_TEXT - 17) // 3
    assert analyst.get(f"/investigate/{threat.id}/message.eml").content == raw.encode()


def test_bodies_are_only_read(analyst, threat):
    for name in BODIES:
        assert analyst.post(f"/investigate/{threat.id}/{name}").status_code == 405
    assert analyst.get(f"/investigate/{threat.id}/preview").status_code == 405


def test_a_picture_that_is_refused_is_not_handed_out(analyst, threat, emailsec):
    body = '{"success":true,"errors":[],"messages":[],"result":{"screenshot":"%s"}}'
    fake = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"<script>" * 10).decode()
    emailsec.faults.next("preview", body=body % fake, content_type="application/json")

    response = analyst.get(f"/investigate/{threat.id}/preview.png")

    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")
    assert list(AuditEvent.objects.values_list("phase", flat=True)) == ["attempt", "failed"]
