"""Requests for review: the list, one of them, and what people do with it: escalate, answer, report as missed.

What is asked of Cloudflare goes the way of every action: decided once, undone while it waits, sent by a worker.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission
from dashboard.audit.exporting import check_room
from dashboard.emailsec.enums import CustomerStatus, SubmissionOrder, SubmitterType
from dashboard.emailsec.errors import EmailSecurityError, NotFound
from dashboard.emailsec.types import SHORT_DISPOSITIONS, Message
from dashboard.web import errors
from dashboard.web.errors import ErrorText
from dashboard.web.htmx import wants_partial
from dashboard.web.times import age
from investigate.actions import services, words
from investigate.actions.decision import Decision
from investigate.actions.queries import announcement, states_for
from investigate.actions.services import ConfirmationNeeded, Conflict, NotPossible
from investigate.desk import cases
from investigate.exporting import tables
from investigate.message.visible import message_for
from investigate.models import ActionKind, OwnVerdict, SeenSubmission
from investigate.search.window import say_range, words_for
from investigate.submissions import answering, criteria, figures, listing, offering, presenting
from investigate.submissions.criteria import BOTH, PRESETS, Criteria
from investigate.submissions.forms import AnswerForm, SubmitForm

TABS = [("TEAM", "Team"), ("USER", "Users"), (BOTH, "Both")]
ORDERS = [
    (SubmissionOrder.REQUESTED_AT, "Requested"),
    (SubmissionOrder.SUBJECT, "Subject"),
    (SubmissionOrder.ORIGINAL_DISPOSITION, "Was"),
    (SubmissionOrder.REQUESTED_DISPOSITION, "Asked for"),
    (SubmissionOrder.OUTCOME_DISPOSITION, "Answer"),
    (SubmissionOrder.SUBMISSION_ID, "Id"),
]


# --- reading ----------------------------------------------------------------------------------------------------------


@require_safe
@requires(Permission.MESSAGE_READ)
def submissions(request: MemberRequest) -> HttpResponse:
    """The list with its figures; htmx asks the same address for both alone."""
    member, asked = request.user, criteria.read(request.GET)
    found = listing.read(member, asked, is_forced="fresh" in request.GET)
    window = found.window
    became = figures.outcomes(member, start=window.start, end=window.end, kind=asked.kind)
    context: dict[str, Any] = {
        "criteria": asked,
        "listing": found,
        "rows": presenting.shown(found.rows),
        "open_id": request.GET.get("open", ""),
        "explained": errors.explain(found.problem) if found.problem else None,
        "figures": became,
        "numbers": _line(asked, "", figures.Line("", became.accepted, became.rejected, became.open))["numbers"],
        "median": age(window.end - became.median_time, now=window.end) if became.median_time is not None else "",
        "tables": _tables(asked, became),
        "range_says": say_range(window, dt.UTC),
        "next_query": "" if found.is_last else asked.pinned(window).address(page=asked.page + 1),
        "previous_query": asked.pinned(window).address(page=asked.page - 1) if asked.page > 1 else "",
        "here_query": asked.address(page=asked.page),
    }
    if wants_partial(request):
        return render(request, "investigate/submissions/_results.html", context)
    return render(request, "investigate/submissions/list.html", context | _choices(asked) | _opened(context))


@require_safe
@requires(Permission.MESSAGE_READ)
def submission(request: MemberRequest, submission_id: str) -> HttpResponse:
    """One of them as its own page."""
    return render(request, "investigate/submissions/submission.html", _detail(request, _found(request, submission_id)))


@require_safe
@requires(Permission.MESSAGE_READ)
def submission_pane(request: MemberRequest, submission_id: str) -> HttpResponse:
    """The same beside the list."""
    return render(request, "investigate/submissions/_article.html", _detail(request, _found(request, submission_id)))


@require_safe
@requires(Permission.MESSAGE_READ)
def submission_original(request: MemberRequest, submission_id: str) -> HttpResponse:
    """The message it is about, and what can be asked for: loaded by itself, because it costs a call."""
    row = _found(request, submission_id)
    if not wants_partial(request):
        return _see_other(reverse("investigate:submission", args=[submission_id]))
    return render(request, "investigate/submissions/_original.html", _original(request, row))


@require_safe
@requires(Permission.MESSAGE_READ)
def submissions_file(request: MemberRequest) -> HttpResponse:
    """The list as a file, out of the memory: `format=csv` or `json`, with the criteria of the list."""
    kind = request.GET.get("format", "csv")
    if kind not in tables.KINDS:
        raise Http404
    member, asked = request.user, criteria.read(request.GET)
    check_room(member)
    rows = listing.rows_for_export(member, asked, limit=tables.MOST_ROWS + 1)
    table = presenting.table_of(rows[: tables.MOST_ROWS], about=asked.values(), is_cut=len(rows) > tables.MOST_ROWS)
    return tables.as_file(
        table, kind=kind, action="submission:export", actor=member, request=request, detail={"query": asked.address()}
    )


# --- acting -----------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_RECLASSIFY)
def escalate(request: MemberRequest, submission_id: str) -> HttpResponse:
    """Submit a user's report again in the team's name, with a verdict of ours."""
    row = _found(request, submission_id)
    if row.type != SubmitterType.USER:
        raise Http404
    context = _original(request, row)
    form = SubmitForm(request.POST or None)
    if not form.is_valid() or context["message"] is None:
        template = "_original.html" if wants_partial(request) else "escalate.html"
        status = 422 if request.method == "POST" else 200
        context |= {"form": form} | _detail_of(request, row)
        return render(request, f"investigate/submissions/{template}", context, status=status)
    decision = _decision(context["message"], form, escalates=row.submission_id)
    return _act(request, decision, form, back=reverse("investigate:submission", args=[submission_id]), row=row)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_RECLASSIFY)
def missed_detection(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """Report mail as missed after a reclassification was refused. GET fetches its file, so that it is there to send."""
    member = request.user
    message = message_for(member, investigate_id)
    form = SubmitForm(request.POST or None)
    if form.is_valid():
        decision = _decision(message, form, as_missed=True, eml=offering.file_of(message, member).raw)
        return _act(request, decision, form, back=reverse("investigate:message", args=[message.id]))
    context = {
        "message": message,
        "form": form,
        "verdicts": offering.verdicts(message, member, as_missed=True, chosen=request.GET.get("expected", "")),
        "file": offering.file_of(message, member),
        "operation_key": uuid.uuid4().hex,
    }
    template = "_missed.html" if wants_partial(request) else "missed.html"
    status = 422 if request.method == "POST" else 200
    return render(request, f"investigate/submissions/{template}", context, status=status)


@require_POST
@requires(Permission.CASE_WORK)
def answer(request: MemberRequest, submission_id: str) -> HttpResponse:
    """Say that a user's report was reviewed on our side."""
    row = _found(request, submission_id)
    if row.type != SubmitterType.USER:
        raise Http404
    form, conflict = AnswerForm(request.POST), None
    if form.is_valid():
        found = form.cleaned_data
        try:
            answering.answer(
                actor=request.user,
                submission=row,
                verdict=OwnVerdict(found["verdict"]),
                text=found["text"],
                operation_key=found["operation_key"],
                takes_over=found["take_over"],
                request=request,
            )
        except cases.Conflict as problem:
            conflict = problem
        else:
            if not wants_partial(request):
                return _see_other(reverse("investigate:submission", args=[submission_id]))
            context = _detail(request, row) | {"told": "Our answer is kept."}
            return render(request, "investigate/submissions/_article.html", context)
    context = _detail(request, row) | {"answer_form": form, "conflict": conflict}
    template = "_answer.html" if wants_partial(request) else "submission.html"
    response = render(request, f"investigate/submissions/{template}", context, status=409 if conflict else 422)
    response["HX-Retarget"], response["HX-Reswap"] = "#answer", "outerHTML"
    return response


def _act(
    request: MemberRequest, decision: Decision, form: SubmitForm, *, back: str, row: SeenSubmission | None = None
) -> HttpResponse:
    """Decide it the way all actions are decided, and show where it stands."""
    try:
        action = services.act(
            actor=request.user, decision=decision, operation_key=form.cleaned_data["operation_key"], request=request
        )
    except Conflict as conflict:
        return errors.answer(request, ErrorText(str(conflict), "", "Nothing was sent.", 409))
    except (NotPossible, ConfirmationNeeded) as reason:
        return errors.answer(request, ErrorText("This cannot be done.", str(reason), "Nothing was sent.", 409))
    if not wants_partial(request):
        return _see_other(reverse("investigate:action", args=[action.pk]))
    context = {"announcement": announcement(action, request.user), "back": back, "oob": True}
    if row is None:
        view = states_for([decision.investigate_ids[0]], request.user.scope).get(decision.investigate_ids[0])
        return render(
            request, "investigate/submissions/_sent.html", context | {"view": view, "may_undo": _undo(request, view)}
        )
    return render(request, "investigate/submissions/_original.html", _original(request, row) | context)


def _decision(
    message: Message, form: SubmitForm, *, escalates: str = "", as_missed: bool = False, eml: bytes | None = None
) -> Decision:
    return Decision(
        kind=ActionKind.RECLASSIFY,
        investigate_ids=(message.id,),
        expected_disposition=form.cleaned_data["expected_disposition"],
        reason=form.cleaned_data["reason"],
        escalates=escalates,
        as_missed=as_missed,
        eml=eml,
    )


# --- contexts ---------------------------------------------------------------------------------------------------------


def _original(request: MemberRequest, row: SeenSubmission) -> dict[str, Any]:
    """The message as it is now, or what keeps it from being shown; and the verdicts that can be asked for."""
    member = request.user
    (shown,) = presenting.shown([row])
    context: dict[str, Any] = {"shown": shown, "message": None, "is_gone": False, "operation_key": uuid.uuid4().hex}
    name = presenting.original_id(row)
    if not name:
        return context | {"is_gone": True}
    try:
        message = message_for(member, name)
    except NotFound:
        return context | {"is_gone": True}
    except EmailSecurityError as problem:
        return context | {"explained": errors.explain(problem)}
    view = states_for([message.id], member.scope).get(message.id)
    may_ask = member.may(Permission.MESSAGE_RECLASSIFY)
    return context | {
        "message": message,
        "now": presenting.Verdict(str(message.final_disposition or "")),
        "view": view,
        "may_undo": _undo(request, view),
        "is_open": view is not None and view.is_open,
        "may_ask": may_ask,
        "lacks": "" if may_ask else words.lacks(Permission.MESSAGE_RECLASSIFY),
        "verdicts": offering.verdicts(message, member, chosen=row.requested) if may_ask else None,
    }


def _detail(request: MemberRequest, row: SeenSubmission) -> dict[str, Any]:
    return _detail_of(request, row) | {"answer_form": AnswerForm(initial={"operation_key": uuid.uuid4().hex})}


def _detail_of(request: MemberRequest, row: SeenSubmission) -> dict[str, Any]:
    detail = presenting.detail(request.user, row)
    return {"detail": detail, "shown": detail.shown}


def _choices(asked: Criteria) -> dict[str, Any]:
    return {
        "tabs": [(label, asked.address(type=value), value == asked.type) for value, label in TABS],
        "ranges": [
            (words_for(last), asked.address(last=last, start="", end=""), last == asked.range_name) for last in PRESETS
        ],
        "dispositions": [(value.value, words.disposition(value.value)) for value in SHORT_DISPOSITIONS],
        "reviews": [(value.value, presenting.REVIEW[value.value]) for value in CustomerStatus],
        "orders": [(value.value, label) for value, label in ORDERS],
    }


def _opened(context: dict[str, Any]) -> dict[str, str]:
    """The pane's address, where the page's address says what is open."""
    name = context["open_id"]
    known = any(row.id == name for row in context["rows"])
    return {"open_pane": reverse("investigate:submission_pane", args=[name]) if known else ""}


def _tables(asked: Criteria, found: figures.Outcomes) -> list[tuple[str, str, list[dict[str, Any]]]]:
    """(heading, column, lines) of what became of them by analyst, by sender and by reason; each number is a list."""
    return [
        (heading, name, [_line(asked, name, line) for line in lines])
        for heading, name, lines in (
            ("By who sent them", "by", found.by_member),
            ("By sender of the mail", "sender", found.by_sender),
            ("By reason", "reason", found.by_reason),
        )
    ]


def _line(asked: Criteria, name: str, line: figures.Line) -> dict[str, Any]:
    value = line.name or criteria.UNKNOWN
    plain = Criteria(type=asked.type, last=asked.last, start=asked.start, end=asked.end)
    numbers = [
        (number, what or "in all", plain.address(**({name: value} if name else {}), answer=what))
        for number, what in (
            (line.accepted, "accepted"),
            (line.rejected, "rejected"),
            (line.open, "open"),
            (line.total, ""),
        )
    ]
    return {"name": line.name, "numbers": numbers}


def _undo(request: MemberRequest, view: Any) -> bool:
    return view is not None and view.may_undo(request.user)


def _found(request: MemberRequest, submission_id: str) -> SeenSubmission:
    row = listing.find(request.user, submission_id)
    if row is None:
        raise Http404
    return row


def _see_other(url: str) -> HttpResponse:
    return HttpResponse(status=303, headers={"Location": url})
