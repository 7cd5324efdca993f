"""Jobs that Cloudflare carries out over a search: the list, a new one, one to watch, stop or delete."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, polls, requires
from dashboard.access.roles import Permission
from dashboard.emailsec import errors as api
from dashboard.emailsec.enums import BulkAction, BulkJobStatus, BulkMessageStatus
from dashboard.web import errors
from dashboard.web.errors import ErrorText, explain
from dashboard.web.htmx import wants_partial
from dashboard.web.text import visible
from investigate.bulk import notices
from investigate.bulk.upstream import asking, presenting, queries, sample, services, words
from investigate.bulk.upstream.forms import CreateForm, SettleForm
from investigate.bulk.upstream.services import Conflict, NotPossible
from investigate.forms import SearchForm
from investigate.models import SearchState, UpstreamJob
from investigate.search import presenting as searches
from investigate.search import runs
from investigate.search.results import error_of

FOLDER = "investigate/bulk/cloudflare"
STATUSES = [("", "All"), *((value.value, value.value.capitalize()) for value in BulkJobStatus)]
ACTIONS = [("", "All"), *((value.value, value.value.capitalize()) for value in BulkAction)]
COPY_STATUSES = [("", "All"), *((value.value, value.value.capitalize()) for value in BulkMessageStatus)]
MOST_PAGES = 10_000


@require_safe
@requires(Permission.MESSAGE_READ, whole=True)
def upstream_jobs(request: MemberRequest) -> HttpResponse:
    """Everybody's jobs at Cloudflare, also those made in its dashboard."""
    action, status = request.GET.get("action", ""), request.GET.get("status", "")
    context: dict[str, Any] = {"action": action, "status": status, "actions": ACTIONS, "statuses": STATUSES}
    try:
        listing = queries.listing(
            action=BulkAction(action) if action in dict(ACTIONS) and action else None,
            status=BulkJobStatus(status) if status in dict(STATUSES) and status else None,
            page=_number(request, "page", least=1),
        )
    except api.NotOnThisServer:
        return _not_offered(request)
    context |= {"listing": listing, "jobs": presenting.views_of(listing)}
    if listing.problem is not None:
        context["explained"] = explain(listing.problem)
    return render(request, f"{FOLDER}/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.JOB_RUN, whole=True)
def new_upstream_job(request: MemberRequest) -> HttpResponse:
    """GET counts the search and asks what to do with everything it finds; POST decides."""
    search = SearchForm(request.GET)
    criteria = search.criteria()
    if not search.is_valid() or (problem := asking.why_not(criteria)):
        why = search.problem if not search.is_valid() else problem
        context = {"search": search, "why_not": why, "narrower": asking.narrower(criteria)}
        return render(request, f"{FOLDER}/not_possible.html", context, status=422)
    is_exact = "exact" in request.GET and bool(criteria.subject)
    pinned = asking.pinned(criteria, timezone.now())
    if pinned != criteria:
        address = f"{reverse('investigate:new_upstream_job')}?{pinned.query(**({'exact': '1'} if is_exact else {}))}"
        return HttpResponseRedirect(address, status=307 if request.method == "POST" else 302)
    if not queries.is_offered():
        return _not_offered(request)
    run = sample.look(criteria, is_forced="fresh" in request.GET)
    context = {
        "search": search,
        "criteria": criteria,
        "chips": searches.chips(criteria),
        "range": searches.range_words(criteria, criteria.window(timezone.now())),
        "is_exact": is_exact,
        "run": run,
        "key": uuid.uuid4().hex,
    }
    if run.state in runs.OPEN:
        context["delay"] = runs.next_look(run, timezone.now())
    elif run.state == SearchState.DONE:
        counted = sample.count(run, criteria, is_exact=is_exact)
        choices = presenting.choices(request.user, counted)
        take_two = {bool(choice.takes_two) for choice in choices if not choice.why_not}
        context |= {
            "choices": choices,
            "some_take_two": True in take_two,
            "all_take_two": take_two == {True},
            "sample": counted,
            "size": words.size(counted),
            "rows": presenting.sample_rows(counted.shown, timezone.get_current_timezone()),
            "verdicts": [(verdict, presenting.verdict_word(verdict), n) for verdict, n in counted.by_verdict],
        }
        if request.method == "POST":
            return _create(request, context)
        context["form"] = CreateForm()
    else:
        failure = error_of(run)
        context["explained"] = explain(failure) if failure is not None else _NOT_COUNTED
    if request.method == "POST":
        context["explained"] = _NOT_COUNTED
    template = f"{FOLDER}/_sample.html" if wants_partial(request) else f"{FOLDER}/new.html"
    return render(request, template, context, status=409 if request.method == "POST" else 200)


_NOT_COUNTED = ErrorText(
    "The search is not counted.",
    "Nothing was sent.",
    "Count it first: a job over a search that nobody has looked at would be a blind one.",
    409,
)


def _create(request: MemberRequest, context: dict[str, Any]) -> HttpResponse:
    form = CreateForm(request.POST)
    if form.is_valid():
        try:
            job = services.create(
                actor=request.user,
                kind=form.kind,
                destination=form.destination,
                criteria=context["criteria"],
                is_exact=context["is_exact"],
                sample=context["sample"],
                reason=form.cleaned_data["reason"],
                operation_key=form.cleaned_data["operation_key"],
                request=request,
            )
        except (NotPossible, Conflict) as problem:
            return errors.answer(request, ErrorText("No job was made.", str(problem), "Nothing was sent.", 409))
        queries.forget_lists()
        return _see_other("upstream_job", str(job.pk))
    return render(request, f"{FOLDER}/new.html", context | {"form": form}, status=422)


@require_safe
@polls("n")
@requires(Permission.MESSAGE_READ, whole=True)
def upstream_job(request: MemberRequest, job_id: str) -> HttpResponse:
    """One job; the part that changes asks for itself until the job has ended."""
    is_poll = wants_partial(request)
    try:
        watched = queries.watch(job_id, is_poll=is_poll, is_forced="fresh" in request.GET)
    except api.NotOnThisServer:
        return _not_offered(request)
    except api.NotFound:
        return errors.answer(request, _NO_JOB)
    return _page(request, watched)


_NO_JOB = ErrorText(
    "Not here (any more).",
    "Cloudflare does not know this job.",
    "Its record may have been deleted; the audit trail says by whom, if it was done here.",
    404,
)


def _page(
    request: MemberRequest, watched: queries.Watched, *, told: ErrorText | None = None, status: int = 200
) -> HttpResponse:
    view, number = presenting.view_of(watched), _number(request, "n", least=0)
    if view.ours is not None:
        notices.mark_seen(request.user, view.ours)
    context = {
        "view": view,
        "delay": view.poll_after(number),
        "poll": number + 1,
        "may_control": request.user.may(Permission.JOB_RUN_LARGE),
        "settle": SettleForm(),
        "told": told,
        "reference": getattr(request, "reference", ""),
    }
    template = f"{FOLDER}/_job.html" if wants_partial(request) else f"{FOLDER}/job.html"
    return render(request, template, context, status=status)


@require_safe
@requires(Permission.MESSAGE_READ, whole=True)
def upstream_copies(request: MemberRequest, job_id: str) -> HttpResponse:
    """What became of each copy; htmx asks for the table, and for the rows below it."""
    ours = queries.find_ours(job_id)
    upstream_id = ours.upstream_id if ours else job_id
    if not upstream_id:
        return errors.answer(request, _NO_JOB)
    status, page = request.GET.get("status", ""), _number(request, "page", least=1)
    try:
        found = queries.copies(
            upstream_id,
            status=BulkMessageStatus(status) if status in dict(COPY_STATUSES) and status else None,
            page=page,
        )
    except api.NotFound:
        return errors.answer(request, _NO_JOB)
    context = {
        "job_id": upstream_id,
        "copies": [presenting.CopyView(copy) for copy in found.items],
        "found": found,
        "status": status,
        "statuses": COPY_STATUSES,
        "next_page": page + 1,
    }
    if not wants_partial(request):
        return render(request, f"{FOLDER}/copies.html", context)
    template = "_copy_rows.html" if page > 1 else "_copies.html"
    return render(request, f"{FOLDER}/{template}", context)


@require_POST
@requires(Permission.JOB_RUN_LARGE, whole=True)
def cancel_upstream_job(request: MemberRequest, job_id: str) -> HttpResponse:
    """Undo a job that Cloudflare has not been asked for, else stop it there."""

    def change(ours: UpstreamJob | None, upstream_id: str) -> None:
        if ours is not None and not upstream_id:
            services.undo(actor=request.user, job=ours, request=request)
        else:
            services.cancel(actor=request.user, job_id=upstream_id, request=request)

    return _changed(request, job_id, change, perhaps="The job may have been stopped.")


@require_POST
@requires(Permission.JOB_RUN_LARGE, whole=True)
def delete_upstream_job(request: MemberRequest, job_id: str) -> HttpResponse:
    """Delete the record of a finished job at Cloudflare."""

    def change(_ours: UpstreamJob | None, upstream_id: str) -> None:
        if not upstream_id:
            raise NotPossible("Cloudflare has no record of this job.")
        services.delete(actor=request.user, job_id=upstream_id, request=request)

    return _changed(request, job_id, change, perhaps="The record may have been deleted.", is_list=True)


@require_POST
@requires(Permission.JOB_RUN_LARGE, whole=True)
def look_upstream_job(request: MemberRequest, job_id: str) -> HttpResponse:
    """Look now for a job whose answer was lost."""

    def change(ours: UpstreamJob | None, _upstream_id: str) -> None:
        services.look_now(actor=request.user, job=_made_here(ours), request=request)

    return _changed(request, job_id, change)


@require_POST
@requires(Permission.JOB_RUN_LARGE, whole=True)
def settle_upstream_job(request: MemberRequest, job_id: str) -> HttpResponse:
    """Decide what became of a job that was not found again."""
    form = SettleForm(request.POST)
    if not form.is_valid():
        return errors.bad_request(request)
    named = form.cleaned_data["upstream_id"].strip()

    def change(ours: UpstreamJob | None, _upstream_id: str) -> None:
        services.settle(actor=request.user, job=_made_here(ours), upstream_id=named, request=request)

    return _changed(request, job_id, change)


def _changed(
    request: MemberRequest,
    job_id: str,
    change: Callable[[UpstreamJob | None, str], None],
    *,
    perhaps: str = "",
    is_list: bool = False,
) -> HttpResponse:
    """Carry a change out and lead to what is true then; what did not work is told on the job's page, read again."""
    ours = queries.find_ours(job_id)
    try:
        change(ours, ours.upstream_id if ours else job_id)
    except api.OutcomeUnknown as problem:
        advice = "It is not known, and nothing is sent again: look at the job, it tells."
        told = _told("No answer came.", perhaps, advice, 504, problem)
    except api.Rejected as problem:
        told = _told("Cloudflare refused this.", "Nothing was changed.", "The job below is as it is now.", 409, problem)
    except api.NotFound:
        return errors.answer(request, _NO_JOB)
    except (Conflict, NotPossible) as problem:
        told = ErrorText("This was not done.", str(problem), "The job below is as it is now.", 409)
    else:
        queries.forget_lists()
        return _see_other("upstream_jobs") if is_list else _see_other("upstream_job", job_id)
    queries.forget_lists()
    try:
        watched = queries.watch(job_id)
    except api.EmailSecurityError:
        return errors.answer(request, told)
    return _page(request, watched, told=told, status=told.status)


def _told(title: str, sentence: str, advice: str, status: int, problem: api.EmailSecurityError) -> ErrorText:
    api_text = visible(problem.api_message, limit=errors.API_TEXT_LIMIT)
    return ErrorText(title, sentence, advice, status, api_text=api_text)


def _made_here(ours: UpstreamJob | None) -> UpstreamJob:
    if ours is None:
        raise NotPossible("This job was not made here.")
    return ours


def _not_offered(request: MemberRequest) -> HttpResponse:
    return render(request, f"{FOLDER}/not_offered.html")


def _number(request: MemberRequest, name: str, *, least: int) -> int:
    text = request.GET.get(name, "")
    return min(MOST_PAGES, max(least, int(text))) if text.isdecimal() and len(text) < 6 else least


def _see_other(name: str, *args: str) -> HttpResponse:
    return HttpResponse(status=303, headers={"Location": reverse(f"investigate:{name}", args=args)})
