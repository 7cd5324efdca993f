"""The result of a job as a file: every copy is in it, no cell is a formula, and it is written while it is read."""

from __future__ import annotations

import csv
import io
import tracemalloc

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.access.models import Member
from dashboard.audit.models import AuditEvent
from dashboard.web import csv_cells
from investigate.bulk import results_csv
from investigate.models import BulkJob
from tests.investigate.bulk.job_rows import chunk_of, counted, item_of, job_of, many

pytestmark = pytest.mark.django_db


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.fixture
def mixed(ana: Member) -> BulkJob:
    job = job_of(ana, "done")
    chunk = chunk_of(job, 1, "partly_done")
    item_of(
        job, "a", "partly_done", chunk=chunk,
        copies=[("j.doe@corp.example", True, "OK"), ("bea@corp.example", False, "mailbox full")],
    )  # fmt: skip
    item_of(job, "b", "skipped", explanation="The message was purged.", recipients=["x@corp.example", "y@corp.example"])
    return counted(job)


def test_each_copy_is_a_line_with_what_became_of_it(mixed: BulkJob, analyst: Client) -> None:
    answer = analyst.get(reverse("investigate:job_result", args=[mixed.pk]))
    lines = table(answer.getvalue())

    assert [(line["recipient"], line["state"], line["answer"], line["chunk"]) for line in lines] == [
        ("j.doe@corp.example", "done", "moved", "1"),
        ("bea@corp.example", "refused", "mailbox full", "1"),
        ("x@corp.example", "left out", "The message was purged.", ""),
        ("y@corp.example", "left out", "The message was purged.", ""),
    ]
    assert lines[0]["sender"] == "billing@pay-pal.example"
    assert lines[0]["time"].endswith("Z")
    assert answer["Content-Disposition"] == f'attachment; filename="mailwarden-job-{mixed.pk}.csv"'
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "no-store" in answer["Cache-Control"]


def test_lines_end_as_the_standard_says_and_quotes_are_doubled(ana: Member, analyst: Client) -> None:
    job = job_of(ana, "done")
    item_of(job, "a", "done", subject='Say "hi", then\nleave')
    content = analyst.get(reverse("investigate:job_result", args=[job.pk])).getvalue()

    assert b'"Say ""hi"", then\nleave"' in content
    assert content.count(b"\r\n") == 2
    assert table(content)[0]["subject"] == 'Say "hi", then\nleave'


def test_the_byte_order_mark_is_there_only_when_asked_for(mixed: BulkJob, analyst: Client) -> None:
    url = reverse("investigate:job_result", args=[mixed.pk])

    assert analyst.get(url).getvalue().startswith(b"investigate_id,")
    assert analyst.get(f"{url}?bom=1").getvalue().startswith(b"\xef\xbb\xbfinvestigate_id,")


@pytest.mark.parametrize(
    "subject",
    [
        "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '"=1', "'=1", " =1", ' "\' =1', "\n=1", "\uff1d1", " \t=1",
    ],
)  # fmt: skip
def test_no_cell_becomes_a_formula(subject: str, ana: Member, analyst: Client) -> None:
    job = job_of(ana, "done")
    item_of(job, "a", "done", subject=subject, recipients=[f"{subject}@corp.example"], facts={"from": subject})
    (line,) = table(analyst.get(reverse("investigate:job_result", args=[job.pk])).getvalue())

    assert line["subject"] == line["sender"] == f"'{subject}"
    assert line["recipient"].startswith("'")
    assert line["investigate_id"] == "a"


@pytest.mark.parametrize("subject", ["Invoice = 3", "a-b", "user@corp.example", "", '"quoted"'])
def test_other_cells_stay_as_they_are(subject: str) -> None:
    assert csv_cells.inert(subject) == subject


def test_the_file_is_written_down_in_the_audit_trail(mixed: BulkJob, analyst: Client) -> None:
    analyst.get(reverse("investigate:job_result", args=[mixed.pk])).getvalue()

    event = AuditEvent.objects.get(action="job:export")
    assert event.actor_name == "Ana"
    assert event.detail == {"job": str(mixed.pk), "messages": 2}


def test_a_large_job_is_never_held_as_a_whole(ana: Member) -> None:
    """Ten times the messages may not need more memory than a step of them does."""
    job = job_of(ana, "running")
    many(job, 5500, facts={"from": "x" * 200})
    pieces = results_csv.lines(job)
    next(pieces)
    tracemalloc.start()
    next(pieces)
    one_step = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    number = sum(piece.count(b"\r\n") for piece in pieces)
    whole = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert number == 5000
    assert whole < 3 * one_step


def test_messages_that_are_added_or_packed_while_it_is_read_are_not_lost_or_doubled(ana: Member) -> None:
    job = job_of(ana, "running")
    many(job, 1200)
    pieces = results_csv.lines(job)
    head, first = next(pieces), next(pieces)
    job.items.update(state="done", action=chunk_of(job, 1, "done"))
    ids = [line["investigate_id"] for line in table(b"".join([head, first, *pieces]))]

    assert len(ids) == len(set(ids)) == 1200
