"""Raw files kept as evidence: sealed, whole, written down, and there when the original is gone."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from typing import Any

import pytest
import pyzipper
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from dashboard.access import sealing
from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.upstream.connection import get_client
from dashboard.upstream.models import Copy
from investigate.memory import evidence
from investigate.models import Evidence

WHY = {"reason": "ticket 4711"}


@pytest.fixture
def record(emailsec: Any) -> Any:
    return next(
        one
        for one in emailsec.store.records
        if one.final_disposition == "MALICIOUS" and not one.is_phish_submission and one.is_quarantined
    )


@pytest.fixture
def kept(record: Any, analyst: Client) -> Evidence:
    answer = analyst.post(f"/investigate/{record.id}/evidence", WHY)
    assert answer.status_code == 303, answer.content.decode()[:500]
    return Evidence.objects.get()


def files_of(answer: Any) -> bytes:
    with pyzipper.AESZipFile(io.BytesIO(answer.content)) as archive:
        archive.setpassword(b"infected")
        return bytes(archive.read("message.eml"))


def test_the_raw_file_is_fetched_once_sealed_and_written_down(kept: Evidence, record: Any, emailsec: Any) -> None:
    original = get_client().raw(record.id).encode()

    assert kept.sha256 == hashlib.sha256(original).hexdigest()
    assert (kept.size, kept.member_name, kept.subject) == (len(original), "Ana", record.subject)
    assert original[:40] not in bytes(kept.sealed)
    assert evidence.open_evidence(kept) == original
    assert kept.until is not None
    assert dt.timedelta(days=364) < kept.until - timezone.now() < dt.timedelta(days=366)
    [line] = AuditEvent.objects.filter(action="evidence:keep")
    assert (line.targets, line.reason) == ([record.id], "ticket 4711")
    assert line.detail == {"sha256": kept.sha256, "bytes": kept.size}


def test_a_form_that_is_sent_twice_keeps_once(kept: Evidence, record: Any, responder: Client) -> None:
    answer = responder.post(f"/investigate/{record.id}/evidence", WHY)

    assert answer.status_code == 303
    assert answer["Location"] == f"/investigate/evidence/{kept.pk}/"
    assert Evidence.objects.count() == 1
    assert AuditEvent.objects.filter(action="evidence:keep").count() == 1


def test_who_keeps_it_for_another_incident_has_it_as_long_as_a_new_one(
    kept: Evidence, record: Any, responder: Client
) -> None:
    Evidence.objects.update(until=timezone.now() + dt.timedelta(days=2))

    responder.post(f"/investigate/{record.id}/evidence", {"reason": "ticket 4712"})

    kept.refresh_from_db()
    assert kept.until is not None
    assert kept.until - timezone.now() > dt.timedelta(days=364)
    line = AuditEvent.objects.filter(action="evidence:keep").latest("sequence")
    assert (line.reason, line.detail) == ("ticket 4712", {"sha256": kept.sha256, "until": kept.until.isoformat()})


def test_the_rights_to_a_file_do_not_rest_on_the_page_alone(kept: Evidence, vera: Member, ana: Member) -> None:
    with pytest.raises(PermissionDenied):
        evidence.keep(actor=vera, investigate_id="m", eml=b"x", subject="", domains="", reason="ticket 1", request=None)
    with pytest.raises(PermissionDenied):
        evidence.end(actor=ana, evidence=kept, reason="ticket 1", request=None)
    assert Evidence.objects.get() == kept


def test_nobody_ends_a_file_of_copies_they_do_not_know_of(
    kept: Evidence, ben: Member, responder: Client, soup: Any
) -> None:
    Evidence.objects.update(domains=" corp.example elsewhere.example ")
    Member.objects.filter(pk=ben.pk).update(domains=["corp.example"])

    page = soup(responder.get(f"/investigate/evidence/{kept.pk}/"))
    answer = responder.post(f"/investigate/evidence/{kept.pk}/end", WHY)

    assert answer.status_code == 403
    assert not page.select(f'form[action$="/{kept.pk}/end"]')
    assert Evidence.objects.exists()


def test_a_reason_is_asked_for_before_anything_is_fetched(
    record: Any, analyst: Client, emailsec: Any, soup: Any
) -> None:
    url = f"/investigate/{record.id}/evidence"
    assert analyst.get(url).status_code == 200
    answer = analyst.post(url, {"reason": "x"})

    assert answer.status_code == 422
    assert "Say in a few words why." in soup(answer).text
    assert not Evidence.objects.exists()
    assert "raw" not in [call.operation for call in emailsec.calls]


def test_it_is_handed_out_when_the_original_is_gone(
    kept: Evidence, record: Any, analyst: Client, emailsec: Any, soup: Any
) -> None:
    original = evidence.open_evidence(kept)
    emailsec.store._by_key.clear()
    Copy.objects.all().delete()

    gone = analyst.get(f"/investigate/{record.id}/")
    assert gone.status_code == 404
    link = soup(gone).find("a", string="look at it")["href"]
    page = soup(analyst.get(link))
    answer = analyst.get(page.find("a", string="Download as .zip")["href"])

    assert files_of(answer) == original
    assert answer["Content-Disposition"].startswith("attachment")
    [line] = AuditEvent.objects.filter(action="evidence:download", phase="done")
    assert line.detail["sha256"] == kept.sha256
    again = analyst.post(f"/investigate/{record.id}/evidence", WHY)
    assert again.status_code == 404
    assert "The original is gone" in soup(again).text


@pytest.mark.parametrize("damage", ["bytes", "hash"])
def test_a_file_that_is_not_the_one_that_was_kept_is_not_handed_out(
    damage: str, kept: Evidence, analyst: Client
) -> None:
    if damage == "bytes":
        sealed = bytearray(bytes(kept.sealed))
        sealed[100] ^= 1
        Evidence.objects.update(sealed=bytes(sealed))
    else:
        Evidence.objects.update(sha256="0" * 64)

    answer = analyst.get(f"/investigate/evidence/{kept.pk}/sample.zip")

    assert answer.status_code == 500
    assert b"not handed out" in answer.content
    assert AuditEvent.objects.filter(action="evidence:download", phase="failed").exists()


def test_only_responders_end_it_early(kept: Evidence, analyst: Client, responder: Client, soup: Any) -> None:
    page, end = f"/investigate/evidence/{kept.pk}/", f"/investigate/evidence/{kept.pk}/end"
    assert soup(analyst.get(page)).select_one(f'form[action="{end}"]') is None
    assert analyst.post(end, WHY).status_code == 403
    assert responder.post(end, {"reason": ""}).status_code == 422

    assert soup(responder.get(page)).select_one(f'form[action="{end}"]') is not None
    assert responder.post(end, WHY).status_code == 302
    assert not Evidence.objects.exists()
    [line] = AuditEvent.objects.filter(action="evidence:delete")
    assert (line.reason, line.detail["sha256"]) == ("ticket 4711", kept.sha256)
    assert "No file is kept" in soup(responder.get("/investigate/evidence/")).text


def test_the_list_tells_who_kept_what_and_a_viewer_gets_no_file(kept: Evidence, viewer: Client, soup: Any) -> None:
    row = soup(viewer.get("/investigate/evidence/")).select_one(".kept tbody tr")

    assert "Ana" in row.text
    assert "ticket 4711" in row.text
    page = soup(viewer.get(row.select_one("a")["href"]))
    assert page.find("a", string="Download as .zip") is None
    assert viewer.get(f"/investigate/evidence/{kept.pk}/sample.zip").status_code == 403


def test_bodies_that_are_covered_stay_covered(
    kept: Evidence, settings: Any, analyst: Client, soup: Any, record: Any
) -> None:
    settings.PRIVACY = True
    page = f"/investigate/evidence/{kept.pk}/"
    assert analyst.get(f"{page}sample.zip").status_code == 403
    assert analyst.get(f"/investigate/{record.id}/evidence").status_code == 403

    assert soup(analyst.get(page)).select_one("form input[name=occasion]") is not None
    assert analyst.post(f"{page}uncover", {}).status_code == 422
    assert analyst.post(f"{page}uncover", {"occasion": "reported"}).status_code == 303
    assert analyst.get(f"{page}sample.zip").status_code == 200


def test_a_message_elsewhere_has_no_file_for_somebody_limited(kept: Evidence, ana: Member, analyst: Client) -> None:
    ana.domains = ["elsewhere.example"]
    ana.save(update_fields=["domains"])

    assert analyst.get(f"/investigate/evidence/{kept.pk}/").status_code == 404
    assert analyst.get(f"/investigate/evidence/{kept.pk}/sample.zip").status_code == 404
    assert b"No file is kept" in analyst.get("/investigate/evidence/").content


def test_a_new_key_seals_what_the_old_one_sealed(kept: Evidence, settings: Any) -> None:
    original = evidence.open_evidence(kept)
    settings.FACTOR_KEYS = ["n" * 40]
    call_command("rotate_factor_key")
    settings.SECRET_KEY = "another one, of more than thirty-two characters"
    kept.refresh_from_db()

    assert evidence.open_evidence(kept) == original


def test_what_is_sealed_as_a_file_is_no_secret_of_a_factor() -> None:
    import base64

    sealed = base64.urlsafe_b64encode(sealing.seal_file(b"secret")).decode()

    with pytest.raises(sealing.Unreadable):
        sealing.unseal(sealed)
