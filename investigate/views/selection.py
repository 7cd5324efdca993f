"""From the list to a rehearsal: what is ticked, or everything the search finds."""

from __future__ import annotations

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission
from dashboard.web import errors
from dashboard.web.htmx import wants_partial
from investigate.bulk import jobs
from investigate.bulk.forms import BeginForm


@require_POST
@requires(Permission.JOB_RUN)
def begin_job(request: MemberRequest) -> HttpResponse:
    """Begin a rehearsal; nothing is sent before it is decided on the page this leads to."""
    form = BeginForm(request.POST)
    if not form.is_valid():
        return errors.answer(
            request, errors.ErrorText("No rehearsal was begun.", form.problem, "Nothing was sent.", 422)
        )
    try:
        job = jobs.begin(
            actor=request.user,  # `requires` let nobody else in
            operation_key=form.cleaned_data["operation_key"],
            request=request,
            **form.begun(),
        )
    except jobs.Conflict as conflict:
        advice = "Search again to begin another; the job of the first time is among the jobs."
        return errors.answer(request, errors.ErrorText("No rehearsal was begun.", str(conflict), advice, 409))
    url = reverse("investigate:job", args=[job.pk])
    if wants_partial(request):
        return HttpResponseClientRedirect(url)
    return HttpResponse(status=303, headers={"Location": url})
