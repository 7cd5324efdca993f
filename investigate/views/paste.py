"""Paste anything: a text becomes a job's rehearsal. What it holds is shown before anything is asked."""

from __future__ import annotations

import uuid

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.models import Member
from dashboard.access.roles import Permission, roles_with
from dashboard.web import errors
from dashboard.web.htmx import wants_partial
from investigate.bulk import jobs
from investigate.bulk.paste_form import PasteForm
from investigate.bulk.pasting import MOST_TERMS
from investigate.models import BulkJob, JobSource


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def paste(request: MemberRequest) -> HttpResponse:
    """The box; a POST with `check` only reads what is in it, any other begins the job."""
    member = request.user
    if request.method != "POST":
        return _page(request, PasteForm(member, initial={"operation_key": uuid.uuid4().hex}))
    if not member.may(Permission.JOB_RUN):
        raise PermissionDenied(Permission.JOB_RUN.value)
    form = PasteForm(member, request.POST, request.FILES)
    is_valid = form.is_valid()
    if "check" in request.POST:
        return _recognised(request, form) if wants_partial(request) else _page(request, form)
    if not is_valid:
        return _recognised(request, form, status=422) if wants_partial(request) else _page(request, form, status=422)
    try:
        job = _begin(request, member, form)
    except jobs.Conflict as conflict:
        return errors.answer(request, errors.ErrorText(str(conflict), "", "Reload the page to begin another.", 409))
    address = reverse("investigate:job", args=[job.pk])
    if wants_partial(request):
        return HttpResponse(status=200, headers={"HX-Redirect": address})
    return HttpResponse(status=303, headers={"Location": address})


def _begin(request: MemberRequest, member: Member, form: PasteForm) -> BulkJob:
    key = form.cleaned_data["operation_key"]
    # The second click of a pair comes a moment later: it means the range that was pinned with the first.
    pinned = BulkJob.objects.filter(operation_key=key, actor=member).values_list("query", flat=True).first()
    return jobs.begin(
        actor=member,
        source=JobSource.PASTE,
        **form.action(),
        query=pinned or form.query(),
        terms=form.job_terms(),
        operation_key=key,
        request=request,
    )


def _page(request: MemberRequest, form: PasteForm, status: int = 200) -> HttpResponse:
    member = request.user
    holders = [role.value.replace("_", " ") for role in roles_with(Permission.JOB_RUN)]
    context = {
        "form": form,
        "may_run": member.may(Permission.JOB_RUN),
        "holders": holders,
        "most": MOST_TERMS,
        "file_again": request.FILES["file"].name if "file" in request.FILES else "",
    }
    return render(request, "investigate/bulk/paste.html", context, status=status)


def _recognised(request: MemberRequest, form: PasteForm, status: int = 200) -> HttpResponse:
    """What the box holds, beside the box: text and file stay as they are."""
    context = {"form": form, "most": MOST_TERMS, "shows_errors": status != 200}
    response = render(request, "investigate/bulk/_recognised.html", context, status=status)
    response["HX-Retarget"], response["HX-Reswap"] = "#recognised", "outerHTML"
    return response
