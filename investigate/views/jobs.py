"""Jobs: the list, one job as it runs, what became of each message, and what may be done about it.

Whatever a page polls here is answered from the job's own row, and with 204 where nothing has changed.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, OuterRef, Q, Sum
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from dashboard.access.decorators import MemberRequest, polls, requires
from dashboard.access.roles import Permission
from dashboard.audit.exporting import record_export
from dashboard.audit.refusals import record_refusal
from dashboard.web import errors
from dashboard.web.htmx import wants_partial
from investigate.bulk import jobs as services
from investigate.bulk import notices, progress, results, results_csv
from investigate.bulk.again import STATES as AGAIN
from investigate.bulk.again import AgainForm
from investigate.bulk.progress import JobView
from investigate.models import LIVE_JOBS, Action, ActionItem, ActionState, BulkJob, JobSource, JobState
from investigate.views import rehearsal
from investigate.views.asked import job_or_404, looks_since, number_in

FILTERS = [("", "All"), ("mine", "Mine"), ("running", "Running"), ("ended", "Ended")]
REHEARSED = (JobState.COLLECTING, JobState.REHEARSAL, JobState.FAILED)
MOST_WATCHED = 20  # jobs of the list that keep themselves current
VANISHING = ("open", "unknown")  # lists that lose their rows at the end: not while somebody looks at them
_LARGEST_KEY = 2**63 - 1


@require_safe
@polls("part")
@requires(Permission.MESSAGE_READ)
def jobs(request: MemberRequest) -> HttpResponse:
    """Everybody's jobs, those under way first; `?part=live` is what keeps those current."""
    if wants_partial(request) and request.GET.get("part") == "live":
        return _live(request)
    show, member = request.GET.get("show", ""), request.user
    listed = progress.newest(member, show)
    live = [view for view in listed if view.is_live]
    context = {
        **_watched(live[:MOST_WATCHED]),
        "rest": live[MOST_WATCHED:] + [view for view in listed if not view.is_live],
        "show": show,
        "filters": FILTERS,
        "may_run": member.may(Permission.JOB_RUN),
        "sees_all": member.scope.is_whole,
    }
    return render(request, "investigate/bulk/jobs.html", context)


@require_safe
@requires(Permission.MESSAGE_READ)
def job(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """The rehearsal while there is nothing else to see, then the job."""
    found = job_or_404(request, job_id)
    member = request.user
    notices.mark_seen(member, found)
    if found.state in REHEARSED:
        return rehearsal.show(request, found)
    view, show = JobView(found, member), request.GET.get("show", "")
    if found.state == JobState.AWAITING_APPROVAL and view.approval is not None:
        return rehearsal.show_request(request, found, view.approval)
    context = _progress(request, view) | {
        "page": results.messages_of(found, show=show),
        "show": show,
        "listed": view.ended,
        "again": _again(view),
    }
    return render(request, "investigate/bulk/job.html", context)


@require_safe
@polls()
@requires(Permission.MESSAGE_READ)
def job_progress(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """What moves on the page of a job; 204 where it is as the page shows it."""
    if not wants_partial(request):
        return _see_other(job_id)
    if _is_unchanged(request, job_id):
        return HttpResponse(status=204)
    view = JobView(job_or_404(request, job_id), request.user)
    context = _progress(request, view) | _beside(request, view) | {"oob": True}
    return render(request, "investigate/bulk/_progress.html", context)


@require_safe
@requires(Permission.MESSAGE_READ)
def job_chunks(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """Every chunk of a job, newest first, a page at a time."""
    found = job_or_404(request, job_id)
    chunks, before = progress.chunks_before(found, number_in(request, "before"))
    context = {"view": JobView(found, request.user), "chunks": chunks, "before": before}
    template = "investigate/bulk/_chunks.html" if wants_partial(request) else "investigate/bulk/chunks.html"
    return render(request, template, context)


@require_safe
@requires(Permission.MESSAGE_READ)
def job_messages(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """The messages of a job, filtered; with `after` the rows below those that are there."""
    found, show, after = job_or_404(request, job_id), request.GET.get("show", ""), number_in(request, "after")
    if not wants_partial(request) and not after:
        return _see_other(job_id, f"?show={show}#messages" if show in dict(_shows()) else "#messages")
    view = JobView(found, request.user)
    page = results.messages_of(found, show=show, after=after)
    context = {"view": view, "page": page, "show": show, "listed": view.ended}
    if not wants_partial(request):
        return render(request, "investigate/bulk/messages.html", context)
    template = "investigate/bulk/_message_rows.html" if after else "investigate/bulk/_messages.html"
    return render(request, template, context)


@require_safe
@requires(Permission.MESSAGE_READ)
def job_message(request: MemberRequest, job_id: uuid.UUID, item_id: int) -> HttpResponse:
    """What became of each copy of one message."""
    found = job_or_404(request, job_id)
    if item_id > _LARGEST_KEY:
        raise Http404
    items = ActionItem.objects.filter(job=found).select_related("action").defer("action__request", "attachment")
    item = get_object_or_404(items.prefetch_related("receipts"), pk=item_id)
    receipts = list(item.receipts.all())
    done = sum(1 for receipt in receipts if receipt.is_done)
    context = {
        "view": JobView(found, request.user),
        "message": results.message_view(
            found,
            item,
            copies=len(receipts),
            done=done,
            needs_person=item.action is not None and item.action.needs_person,
        ),
        "copies": results.copies_of(found, item),
    }
    template = "investigate/bulk/_copies.html" if wants_partial(request) else "investigate/bulk/copies.html"
    return render(request, template, context)


@require_safe
@requires(Permission.MESSAGE_READ)
def job_result(request: MemberRequest, job_id: uuid.UUID) -> HttpResponseBase:
    """What became of every copy, as a file; written down in the audit trail, because it leaves with mail addresses."""
    found, with_mark = job_or_404(request, job_id), request.GET.get("bom") == "1"
    record_export(
        actor=request.user,
        action="job:export",
        refers_to=found.audit_sequence,
        detail={"job": found.pk, "messages": sum(found.counts.values())},
        request=request,
    )
    response = StreamingHttpResponse(
        results_csv.lines(found, with_mark=with_mark), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="mailwarden-job-{found.pk}.csv"'
    return response


@require_safe
@polls()
@requires(Permission.MESSAGE_READ)
def job_notices(request: MemberRequest) -> HttpResponse:
    """Tell a member, on whatever page they are, that jobs of theirs have ended; 204 where that is on the screen.

    `told` are the jobs whose notices are there, `page` is the one whose page it is.
    """
    if not wants_partial(request):
        return _see_other(None)
    member = request.user
    ended = [one for one in notices.unseen(member) if str(one.pk) != request.GET.get("page")]
    told = request.GET.getlist("told")
    is_watching = bool(ended) or notices.are_to_come(member)
    if is_watching and told == [str(one.pk) for one in ended]:
        return HttpResponse(status=204)
    context = {"ended": notices.told(member, ended), "is_over": bool(told), "is_watching": is_watching}
    return render(request, "investigate/bulk/_notices.html", context)


@require_POST
@requires(Permission.MESSAGE_READ)
def dismiss_notices(request: MemberRequest) -> HttpResponse:
    """Somebody has closed the notices of these jobs, for all their tabs."""
    member = request.user
    for one in notices.unseen(member):
        if str(one.pk) in request.POST.getlist("told"):
            notices.mark_seen(member, one)
    return HttpResponse(status=204) if wants_partial(request) else _see_other(None)


@require_POST
@requires(Permission.JOB_RUN)
def cancel_job(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    return _changed(request, job_id, partial(services.cancel, expects=request.POST.get("expects", "")))


@require_POST
@requires(Permission.JOB_RUN)
def pause_job(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    return _changed(request, job_id, services.pause)


@require_POST
@requires(Permission.JOB_RUN)
def resume_job(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    return _changed(request, job_id, services.resume)


@require_POST
@requires(Permission.JOB_RUN)
def retry_job(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    return _changed(request, job_id, services.retry_failed)


@require_POST
@requires(Permission.JOB_RUN)
def look_job(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    return _changed(request, job_id, services.look_now)


@require_POST
@requires(Permission.JOB_RUN)
def job_again(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """A new rehearsal of another action on the messages of this job."""
    earlier, member = job_or_404(request, job_id), request.user
    form = AgainForm(member, request.POST)
    if not form.is_valid():
        text = errors.ErrorText("No rehearsal was begun.", form.problem, "Nothing was sent.", 422)
        return errors.answer(request, text)
    try:
        begun = services.begin(
            actor=member,
            source=JobSource.JOB,
            **form.begun(),
            terms=[("job", str(earlier.pk)), ("states", AGAIN[form.cleaned_data["states"]])],
            operation_key=form.cleaned_data["operation_key"],
            request=request,
        )
    except services.Conflict as conflict:
        return _conflict(request, conflict)
    return _see_other(begun.pk)


def _changed(request: MemberRequest, job_id: uuid.UUID, change: Callable[..., BulkJob]) -> HttpResponse:
    """Carry out what somebody wants of a job, and show what is true afterwards."""
    member, found = request.user, job_or_404(request, job_id)
    try:
        changed = change(actor=member, job=found, request=request)
    except services.Conflict as conflict:
        return _conflict(request, conflict)
    except services.NotPossible as reason:
        text = errors.ErrorText("This cannot be done.", str(reason), "Nothing was changed.", 409)
        return errors.answer(request, text)
    except PermissionDenied:
        why = JobView(found, member).may_not
        if not why:
            raise  # names the right that is missing
        record_refusal(request, why)
        return errors.answer(request, errors.ErrorText("This is not yours to do.", why, "Nothing was changed.", 403))
    if not wants_partial(request):
        return _see_other(changed.pk)
    notices.mark_seen(member, changed)
    view = JobView(changed, member)
    context = _progress(request, view) | _beside(request, view) | {"oob": True, "announces": True}
    return render(request, "investigate/bulk/_progress.html", context)


def _conflict(request: MemberRequest, conflict: services.Conflict) -> HttpResponse:
    """Somebody was faster: what they made of the job stands beside the notice."""
    view = JobView(conflict.job, request.user)
    if not wants_partial(request):
        text = errors.ErrorText(str(conflict), view.sentence, "Open the job to see how it stands.", 409)
        return errors.answer(request, text)
    context = _progress(request, view) | _beside(request, view) | {"told": str(conflict)}
    response = render(request, "investigate/bulk/_conflict.html", context, status=409)
    response["HX-Retarget"], response["HX-Reswap"] = "#notice", "innerHTML"
    return response


def _progress(request: MemberRequest, view: JobView) -> dict[str, Any]:
    """Context of what moves. A page that polls says since when it looks, and how many ends its list of messages has."""
    now = timezone.now()
    since = looks_since(request, now) if request.method == "GET" else now
    listed = _sent(request, "listed")
    news = view.ended - int(listed) if listed.isdecimal() and len(listed) < 8 else 0
    return {
        "view": view,
        "job": view.job,
        "since": int(since.timestamp()),
        "every": progress.poll_after(since, now),
        "news": f"{news:,}" if news > 0 else "",
    }


def _beside(request: MemberRequest, view: JobView) -> dict[str, Any]:
    """What else of the page is out of date. Its list of messages is renewed by itself only when the job has ended, and
    only where nobody has gone into it: with no row open and no second page, each row comes back where it was.
    """
    context: dict[str, Any] = {}
    if _sent(request, "known") not in ("", view.job.state):
        context |= {"about_is_new": True, "again": _again(view)}
    show = _sent(request, "show")
    is_older = _sent(request, "listed") not in ("", str(view.ended))
    if view.has_ended and is_older and show not in VANISHING and not _sent(request, "reading"):
        context |= {"page": results.messages_of(view.job, show=show), "show": show, "listed": view.ended}
    return context


def _again(view: JobView) -> AgainForm | None:
    """Another action, on the messages of which there are any: those that were done before all."""
    if not view.member.may(Permission.JOB_RUN):
        return None
    states = next((one for one in ("done", "failed") if view.number(one)), "all")
    return AgainForm(view.member, initial={"operation_key": uuid.uuid4().hex, "states": states})


def _sent(request: MemberRequest, name: str) -> str:
    return (request.GET if request.method == "GET" else request.POST).get(name, "")


def _is_unchanged(request: MemberRequest, job_id: uuid.UUID) -> bool:
    """Whether the page shows the job as it is, and need not poll more calmly from now on."""
    found = progress.of_account_within(request.user.scope, pk=job_id).annotate(is_late=_is_late())
    row = found.values_list("version", "is_late").first()
    if row is None:
        raise Http404
    if row[1] and request.GET.get("waits") != ActionState.SENDING:  # time alone made it late
        return False
    now = timezone.now()
    is_due = number_in(request, "every") >= progress.poll_after(looks_since(request, now), now)
    return request.GET.get("v") == str(row[0]) and is_due


def _is_late() -> Exists:
    """Whether the answer to a chunk of a job is late."""
    return Exists(Action.objects.filter(progress.late(), job=OuterRef("pk")))


def _live(request: MemberRequest) -> HttpResponse:
    """Rows of the jobs under way, and of those a page has seen under way: they stay where they are when they end."""
    ids = [one for text in request.GET.get("ids", "").split(",")[:MOST_WATCHED] if (one := _uuid(text))]
    shown = _wanted(request) & Q(state__in=LIVE_JOBS) | Q(pk__in=ids)
    wanted = progress.of_account_within(request.user.scope).filter(shown)
    late = Count("pk", filter=Q(_is_late()))
    now = wanted.aggregate(number=Count("pk"), versions=Sum("version"), late=late)
    if request.GET.get("v") == _stamp(now["number"], now["versions"] or 0, now["late"]):
        return HttpResponse(status=204)
    found = wanted.defer("progress", "not_found").order_by("-created_at", "pk")[:MOST_WATCHED]
    context = _watched([JobView(job, request.user) for job in found]) | {"show": request.GET.get("show", "")}
    return render(request, "investigate/bulk/_live_jobs.html", context)


def _wanted(request: MemberRequest) -> Q:
    """Which jobs under way the list shows with its filter."""
    match request.GET.get("show", ""):
        case "mine":
            return Q(actor=request.user)
        case "ended":
            return Q(pk__in=[])
    return Q()


def _watched(live: list[JobView]) -> dict[str, Any]:
    return {
        "live": live,
        "ids": ",".join(str(view.job.pk) for view in live),
        "stamp": _stamp(len(live), sum(view.job.version for view in live), sum(view.is_late for view in live)),
        "is_polling": any(view.is_live for view in live),
    }


def _stamp(number: int, versions: int, late: int) -> str:
    """Versions only grow, so the same number of jobs with the same sum of versions has not changed; but a chunk whose
    answer is late is so by the clock alone.
    """
    return f"{number}-{versions}-{late}"


def _shows() -> list[tuple[str, str]]:
    return [(value, label) for value, label, _ in results.FILTERS if value]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _see_other(job_id: uuid.UUID | None, end: str = "") -> HttpResponse:
    url = reverse("investigate:job", args=[job_id]) if job_id else reverse("investigate:jobs")
    return HttpResponse(status=303, headers={"Location": f"{url}{end}"})
