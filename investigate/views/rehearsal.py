"""A job before it is decided: its messages being collected, then the rehearsal, and the decision."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any
from urllib.parse import parse_qs

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.access.decorators import MemberRequest, polls, requires
from dashboard.access.models import Member
from dashboard.access.roles import Permission, roles_with
from dashboard.audit.refusals import record_refusal
from dashboard.installation.values import setting
from dashboard.web import errors
from dashboard.web.htmx import wants_partial
from investigate.actions.decision import least_permission_for
from investigate.approvals.needs import right_to_ask
from investigate.bulk import jobs, outlook, progress, rehearsal, rights
from investigate.bulk.again import AgainForm, KeyForm
from investigate.bulk.deciding import DecideForm
from investigate.bulk.outlook import Overlap
from investigate.bulk.progress import JobView
from investigate.bulk.upstream import asking, queries
from investigate.models import ActionKind, Approval, BulkJob, JobSource, JobState
from investigate.search.criteria import Criteria
from investigate.views.asked import job_or_404, looks_since, number_in

WAITS = dt.timedelta(seconds=3)  # a step that is due later than that waits for something
SAMPLED = (JobState.REHEARSAL, JobState.AWAITING_APPROVAL)
PIECES = {
    JobState.COLLECTING: "investigate/bulk/_collecting.html",
    JobState.REHEARSAL: "investigate/bulk/_rehearsal.html",
    JobState.FAILED: "investigate/bulk/_not_collected.html",
}


def show(request: MemberRequest, job: BulkJob) -> HttpResponse:
    """The page of a job that is not decided; `jobs.job` has asked for the right to see it."""
    if wants_partial(request) and "sample" in request.GET and job.state in SAMPLED:
        return render(request, "investigate/bulk/_sample.html", _rehearsed(request, job))
    return render(request, "investigate/bulk/rehearsal.html", _context(request, job))


def show_request(request: MemberRequest, job: BulkJob, approval: Approval) -> HttpResponse:
    """A job that waits for a second person is shown with its request; other tens of its messages come from here."""
    if wants_partial(request) and "sample" in request.GET:
        return show(request, job)
    return HttpResponse(status=303, headers={"Location": reverse("investigate:approval", args=[approval.pk])})


@require_safe
@polls()
@requires(Permission.MESSAGE_READ)
def rehearsal_progress(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """How far collecting has come, and in the end the rehearsal; 204 where it is as the page shows it."""
    job = job_or_404(request, job_id)
    if not wants_partial(request):
        return HttpResponse(status=303, headers={"Location": _url(job)})
    if job.state not in PIECES:  # decided or discarded in another tab
        return HttpResponse(headers={"HX-Redirect": _url(job)})
    now = timezone.now()
    is_due = number_in(request, "every") >= progress.poll_after(looks_since(request, now), now)
    if request.GET.get("v") == str(job.version) and is_due:
        return HttpResponse(status=204)
    return render(request, PIECES[JobState(job.state)], _context(request, job) | {"oob": True})


@require_POST
@requires(Permission.JOB_RUN)
def decide(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """Let it happen: with a reason, and the number of messages the person read."""
    job, member = job_or_404(request, job_id), request.user
    if job.actor_id != member.pk:
        told = f"{job.actor_name} rehearses this and decides it."
        record_refusal(request, told)
        return errors.answer(request, errors.ErrorText("This is not yours to do.", told, "Nothing was sent.", 403))
    form = DecideForm(request.POST)
    if not form.is_valid():
        return _again(request, job, form)
    read_of = form.cleaned_data.pop("acknowledged").split(",")
    unread = [one for one in _overlaps(job) if str(one.job.pk) not in read_of]
    if unread:
        form.add_error(None, "Other jobs hold some of these messages. To go on all the same, press once more.")
        return _again(request, job, form)
    try:
        decided = jobs.decide(actor=member, job=job, **form.cleaned_data, request=request)
    except jobs.Outdated:
        return _again(request, job, form, status=409)
    except jobs.NotPossible as reason:
        form.add_error(None, str(reason))
        return _again(request, job, form)
    except jobs.Conflict as conflict:
        text = errors.ErrorText(str(conflict), "", "Open the job again to see how it stands.", 409)
        return errors.answer(request, text)
    if wants_partial(request):
        return HttpResponse(headers={"HX-Redirect": _url(decided)})
    return HttpResponse(status=303, headers={"Location": _url(decided)})


@require_POST
@requires(Permission.JOB_RUN)
def recollect_job(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """The same rehearsal once more, after its messages could not be collected, or were long ago."""
    earlier, form = job_or_404(request, job_id), KeyForm(request.POST)
    if not form.is_valid():
        text = errors.ErrorText("No rehearsal was begun.", form.problem, "Nothing was sent.", 422)
        return errors.answer(request, text)
    try:
        job = jobs.collect_again(actor=request.user, job=earlier, request=request, **form.cleaned_data)
    except (jobs.NotPossible, jobs.Conflict) as problem:
        return errors.answer(
            request, errors.ErrorText("No rehearsal was begun.", str(problem), "Nothing was sent.", 409)
        )
    return HttpResponse(status=303, headers={"Location": _url(job)})


@require_POST
@requires(Permission.JOB_RUN_LARGE)
def take_over_job(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """A rehearsal becomes who may decide it; it still waits to be decided."""
    job = job_or_404(request, job_id)
    if job.actor_id != request.user.pk:  # the second click of a pair
        try:
            jobs.take_over(actor=request.user, job=job, request=request)
        except jobs.Conflict as conflict:
            text = errors.ErrorText(str(conflict), "", "Open the job again to see how it stands.", 409)
            return errors.answer(request, text)
    return HttpResponse(status=303, headers={"Location": _url(job)})


def _overlaps(job: BulkJob) -> list[Overlap]:
    return outlook.overlaps(job) if job.state == JobState.REHEARSAL else []


def _again(request: MemberRequest, job: BulkJob, form: DecideForm, *, status: int = 422) -> HttpResponse:
    """The form with what is wrong, and everything the person wrote."""
    if job.state != JobState.REHEARSAL:
        text = errors.ErrorText("This job was decided or discarded already.", "", "Open it to see how it stands.", 409)
        return errors.answer(request, text)
    template = "investigate/bulk/_decide.html" if wants_partial(request) else "investigate/bulk/rehearsal.html"
    context = _rehearsed(request, job)
    read_of = ",".join(str(one.job.pk) for one in context["rehearsal"].overlaps)
    response = render(request, template, context | {"form": form, "acknowledged": read_of}, status=status)
    if wants_partial(request):  # whatever the status is
        response["HX-Retarget"], response["HX-Reswap"] = "#decide", "outerHTML"
    return response


def _context(request: MemberRequest, job: BulkJob) -> dict[str, Any]:
    if job.state == JobState.REHEARSAL:
        return _rehearsed(request, job)
    now, member = timezone.now(), request.user
    since = looks_since(request, now)
    found = sum(job.counts.values())
    waits_until = job.due_at if job.due_at and job.claimed_at is None and job.due_at > now + WAITS else None
    return {
        "job": job,
        "view": JobView(job, member),
        "what": rehearsal.wanted(job),
        "found": found,
        "found_words": f"{found:,}",
        "waits_until": waits_until,
        "may_control": rights.may_control(member, job),
        "since": int(since.timestamp()),
        "every": progress.poll_after(since, now),
        "again": _other_action(member),
        "retry": _retry(job, member),
        "who_decides": _who_decides(job, found),
    }


def _rehearsed(request: MemberRequest, job: BulkJob) -> dict[str, Any]:
    member = request.user
    shown = rehearsal.rehearsal_of(job, member, sample=number_in(request, "sample"))
    return {
        "job": job,
        "view": JobView(job, member),
        "rehearsal": shown,
        "summary": shown.summary,
        "may_control": rights.may_control(member, job),
        "form": DecideForm(
            initial={
                "reason": job.reason,
                "decision_key": uuid.uuid4().hex,
                "expected_count": shown.messages,
            }
        ),
        "again": _other_action(member),
        "is_for_cloudflare": _is_for_cloudflare(job, member),
        "may_take_over": rights.may_take_over(member, job),
        "retry": _retry(job, member, is_outdated=bool(shown.outdated)),
    }


def _who_decides(job: BulkJob, found: int) -> str:
    """Who may run what is being collected, once it is more than its owner may."""
    if found <= setting("LARGE_JOB") or (
        job.actor is not None and job.actor.may(right_to_ask(Permission.JOB_RUN_LARGE))
    ):
        return ""
    *others, last = [role.value.replace("_", " ") for role in roles_with(Permission.JOB_RUN_LARGE)]
    holders = f"{', '.join(others)} or {last}" if others else last
    return (
        f"More than {setting('LARGE_JOB'):,} messages: {job.actor_name} may collect and look at them; "
        f"a member with the role {holders} takes the rehearsal over and decides it."
    )


def _is_for_cloudflare(job: BulkJob, member: Member) -> bool:
    """Whether Cloudflare itself could do this with what the search finds."""
    if job.source != JobSource.SEARCH or job.kind == ActionKind.RECLASSIFY or not member.scope.is_whole:
        return False
    if not member.may(right_to_ask(Permission.JOB_RUN_LARGE)):
        return False
    return not asking.why_not(Criteria.from_query(parse_qs(job.query))) and not queries.is_known_missing()


def _other_action(member: Member) -> AgainForm | None:
    """The same messages rehearsed for something else."""
    if not member.may(Permission.JOB_RUN):
        return None
    return AgainForm(member, initial={"operation_key": uuid.uuid4().hex, "states": "all"})


def _retry(job: BulkJob, member: Member, *, is_outdated: bool = False) -> KeyForm | None:
    """The button that collects the messages of a failed rehearsal anew, or of one that is outdated."""
    needed = (Permission.JOB_RUN, right_to_ask(least_permission_for(job.kind, destination=job.destination)))
    if not (job.state == JobState.FAILED or is_outdated) or not all(map(member.may, needed)):
        return None
    return KeyForm(initial={"operation_key": uuid.uuid4().hex})


def _url(job: BulkJob) -> str:
    return reverse("investigate:job", args=[job.pk])
