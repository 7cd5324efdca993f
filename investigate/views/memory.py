"""The own memory: its search, which makes no call, and the files that are kept as evidence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission, allowed
from dashboard.access.scope import spaced
from dashboard.audit.recorder import recording
from dashboard.emailsec.errors import NotFound
from dashboard.emailsec.types import Message
from dashboard.web.errors import ErrorText, answer
from investigate.memory import evidence as keeping
from investigate.memory import searching
from investigate.memory.forms import MemoryForm, ReasonForm
from investigate.memory.searching import Place
from investigate.message import parts, privacy, sample
from investigate.message.privacy import UncoverForm
from investigate.models import Evidence
from investigate.views.asked import number_in
from investigate.views.message import COVERED, NOT_OFFERED, body_answer

EVIDENCE_PER_PAGE = 100
GONE = ErrorText(
    "The original is gone.",
    "Cloudflare does not have this message any more, so its raw file cannot be kept now.",
    "Look in the evidence whether somebody kept it before.",
    404,
)
DAMAGED = ErrorText(
    "This file is not handed out.",
    "What is stored is not what was kept.",
    "Tell an administrator: the database was changed, or a key of the installation is missing.",
    500,
)


@require_safe
@requires(Permission.MESSAGE_READ)
def memory(request: MemberRequest) -> HttpResponse:
    """What the desk has seen, newest first, as far as the filter in the address goes."""
    member, form = request.user, MemoryForm(request.GET)
    is_valid = form.is_valid()
    filters = form.filters() if is_valid else searching.Filters()
    after = Place.read(request.GET.get("after", ""))
    context = {
        "form": form,
        "said": filters.said(),
        "query": urlencode(filters.said()),
        "page": searching.search(member, filters, after=after) if is_valid else None,
        "per_page": searching.PER_PAGE,
        "is_newest": after is None,
        "extent": searching.extent(member),
    }
    return render(request, "investigate/memory/search.html", context, status=200 if is_valid else 422)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.EVIDENCE_KEEP)
@requires(Permission.MESSAGE_READ_BODY)
def keep_evidence(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """GET asks why a message's raw file shall be kept, POST fetches and seals it."""
    member = request.user
    try:
        found = parts.seen_message(investigate_id, scope=member.scope)
        if privacy.is_covered(member, found.id):
            return answer(request, COVERED)
        if why_not := parts.why_no_raw(found):
            return answer(request, replace(NOT_OFFERED, sentence=why_not))
        form = ReasonForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            context = {"form": form, "message": found, "kept": keeping.of_message(member, found.id)}
            status = 422 if form.is_bound else 200
            return render(request, "investigate/memory/keep.html", context, status=status)
        raw = parts.raw(found)
    except NotFound:
        return answer(request, GONE)
    kept = keeping.keep(
        actor=member,
        investigate_id=found.id,
        eml=raw,
        subject=found.subject or "",
        domains=spaced(found.mailboxes),
        reason=form.cleaned_data["reason"],
        request=request,
    )
    return _see_other(kept)


@require_safe
@requires(Permission.MESSAGE_READ)
def evidence(request: MemberRequest) -> HttpResponse:
    """The files that are kept, newest first."""
    pages = Paginator(keeping.evidence_for(request.user), EVIDENCE_PER_PAGE)
    return render(
        request, "investigate/memory/evidence.html", {"page": pages.get_page(number_in(request, "page") or 1)}
    )


@require_safe
@requires(Permission.MESSAGE_READ)
def evidence_file(request: MemberRequest, evidence_id: int) -> HttpResponse:
    """One file: what it is, its download, and its end."""
    return _file_page(request, _evidence_or_404(request, evidence_id))


@require_POST
@requires(Permission.MESSAGE_READ_BODY)
def uncover_evidence(request: MemberRequest, evidence_id: int) -> HttpResponse:
    """Take the reason for reading what the sender wrote; the message itself may be gone."""
    kept, form = _evidence_or_404(request, evidence_id), UncoverForm(request.POST)
    if not form.is_valid():
        return _file_page(request, kept, uncover_form=form, status=422)
    privacy.uncover(actor=request.user, message=Message(id=kept.investigate_id), reason=form.reason, request=request)
    return _see_other(kept)


@require_GET
@requires(Permission.MESSAGE_READ_BODY)
def download_evidence(request: MemberRequest, evidence_id: int) -> HttpResponse:
    """The file in an AES zip with the usual password, if it is still the one that was kept."""
    kept = _evidence_or_404(request, evidence_id)
    if privacy.is_covered(request.user, kept.investigate_id):
        return answer(request, COVERED)
    with recording(request.user, "evidence:download", targets=[kept.investigate_id], request=request) as event:
        event.detail = {"sha256": kept.sha256, "bytes": kept.size}
        try:
            eml = keeping.open_evidence(kept)
        except keeping.Damaged as problem:
            event.phase, event.detail = "failed", {"sha256": kept.sha256, "refused": str(problem)}
            return answer(request, replace(DAMAGED, sentence=str(problem)))
    name = f'attachment; filename="evidence-{kept.sha256[:16]}.zip"'
    return body_answer(sample.pack(eml).archive, "application/zip", name)


@require_POST
@requires(Permission.EVIDENCE_KEEP)
@requires(Permission.MESSAGE_PURGE)
def end_evidence(request: MemberRequest, evidence_id: int) -> HttpResponse:
    """Delete a file before its time."""
    kept, form = _evidence_or_404(request, evidence_id), ReasonForm(request.POST)
    if not form.is_valid():
        return _file_page(request, kept, form=form, status=422)
    keeping.end(actor=request.user, evidence=kept, reason=form.cleaned_data["reason"], request=request)
    return redirect("investigate:evidence")


def _evidence_or_404(request: MemberRequest, evidence_id: int) -> Evidence:
    found: Evidence = get_object_or_404(keeping.evidence_for(request.user), pk=min(evidence_id, 2**63 - 1))
    return found


def _file_page(request: MemberRequest, kept: Evidence, *, status: int = 200, **forms: Any) -> HttpResponse:
    member = request.user
    context = {
        "kept": kept,
        "is_covered": privacy.is_covered(member, kept.investigate_id),
        "may_download": allowed(member, Permission.MESSAGE_READ_BODY),
        "may_end": keeping.may_end(member, kept),
        "password": sample.PASSWORD,
        "uncover_form": UncoverForm(),
        "form": ReasonForm(),
        **forms,
    }
    return render(request, "investigate/memory/evidence_file.html", context, status=status)


def _see_other(kept: Evidence) -> HttpResponse:
    response = redirect("investigate:evidence_file", kept.pk)
    response.status_code = 303
    return response
