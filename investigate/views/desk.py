"""The desk: the queue, and what people do with the cases in it.

htmx gets the line at the head of the message anew, and the sentence that is read out; a plain form is led back to the
message, or on to the next one of the list it came from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.web import errors
from dashboard.web.htmx import wants_partial
from investigate.actions.queries import states_for
from investigate.bulk.facts import is_id
from investigate.desk import cases, changes, collecting, notes, presence, words
from investigate.desk import queue as queues
from investigate.desk.bar import bar_for, note_form
from investigate.desk.cells import marks_for
from investigate.desk.forms import HandOverForm, NoteForm, StateForm, TakeForm, VerdictForm
from investigate.desk.queue import TABS, Filters, Tab
from investigate.message import parts
from investigate.models import Case, CaseSource, CaseState, OwnVerdict
from investigate.search.rendering import cell

Change = Callable[[Case], Case]


# --- the queue --------------------------------------------------------------------------------------------------------


@require_safe
@requires(Permission.MESSAGE_READ)
def queue(request: MemberRequest) -> HttpResponse:
    """The list, and the message beside it; htmx asks for more rows."""
    member, filters = request.user, Filters.from_query(request.GET.dict())
    after = request.GET.get("after", "")
    page = queues.page(member, filters, after=after)
    ids = [row.id for row in page.rows]
    states, marks = states_for(ids, member.scope), marks_for(ids, member)
    context = {
        "rows": [(row, cell(request, states.get(row.id), marks.get(row.id))) for row in page.rows],
        "more": filters.query(after=page.after) if page.after else "",
        "filters": filters,
        "open_id": request.GET.get("open", ""),
        "open_pane": _pane_of(member, request.GET.get("open", "")),
    }
    if wants_partial(request) and after:
        return render(request, "investigate/desk/_rows.html", context)
    counts = queues.counts(member)
    context |= {
        "tabs": [(tab, words.TABS[tab], counts.get(tab), filters.on(tab).query()) for tab in Tab],
        "counts": counts,
        "sources": [(source, words.SOURCE_LISTS[source]) for source in collecting.SOURCES],
        "dispositions": words.dispositions(),
        "verdicts": OwnVerdict.choices,
        "troubles": collecting.troubles(),
        "latest": changes.latest,
        "is_first_reading": not counts[Tab.ALL] and collecting.is_first_reading(),
    }
    return render(request, "investigate/desk/queue.html", context)


@require_safe
@requires(Permission.MESSAGE_READ)
def queue_case(request: MemberRequest, case_id: int) -> HttpResponse:
    """A report whose message is not known, as its own page; a case with a message leads there."""
    found = get_object_or_404(cases.cases_of(request.user), pk=case_id)
    if found.investigate_id:
        return redirect(queues.address_of(found))
    return render(request, "investigate/desk/report.html", _report(request, found))


@require_safe
@requires(Permission.MESSAGE_READ)
def queue_case_pane(request: MemberRequest, case_id: int) -> HttpResponse:
    """The same beside the list."""
    found = get_object_or_404(cases.cases_of(request.user), pk=case_id)
    return render(request, "investigate/desk/_report.html", _report(request, found))


def _report(request: MemberRequest, found: Case) -> dict[str, Any]:
    member = request.user
    presence.looks_at(member, found.key)
    return {
        "case": found,
        "here": presence.said(found.key, member),
        "latest": changes.latest,  # asked for by whole pages only
        "recipients": member.scope.inside(found.recipients),
        "kind": words.SOURCES[CaseSource(found.source)],
        "bar": bar_for(member, found.key, queue=_came_from(request)),
    }


# --- one case ---------------------------------------------------------------------------------------------------------


@require_safe
@requires(Permission.MESSAGE_READ)
def case(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """The line at the head of a message, anew."""
    found = cases.cases_of(request.user).filter(key=investigate_id).first()
    if found is None:
        parts.read_message(investigate_id, scope=request.user.scope)  # what is not theirs to see is not here
    if not wants_partial(request):
        return redirect(_page_of(investigate_id, found))
    return _line(request, investigate_id)


@require_POST
@requires(Permission.CASE_WORK)
def take(request: MemberRequest, investigate_id: str) -> HttpResponse:
    form = TakeForm(request.POST)
    if not form.is_valid():
        return errors.bad_request(request)
    return _change(
        request,
        investigate_id,
        lambda found: cases.take(
            actor=request.user, case=found, take_over=form.cleaned_data["take_over"], request=request
        ),
        told="You have this.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.CASE_WORK)
def hand_over(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """GET asks to whom; POST gives it to them."""
    found = _case_to_work_on(request, investigate_id)
    data = request.POST if request.method == "POST" else None
    form = HandOverForm(data, colleagues=cases.colleagues_for(found, request.user))
    if not form.is_valid():
        return _panel(request, found, form, status=422 if data is not None else 200)
    to = form.colleague
    return _change(
        request,
        investigate_id,
        lambda found: cases.hand_over(
            actor=request.user, case=found, to=to, take_over=form.cleaned_data["take_over"], request=request
        ),
        told=f"{to.display_name} has this now.",
        closes_panel=True,
    )


@require_POST
@requires(Permission.CASE_WORK)
def let_go(request: MemberRequest, investigate_id: str) -> HttpResponse:
    return _change(
        request,
        investigate_id,
        lambda found: cases.let_go(actor=request.user, case=found, request=request),
        told="It is there for everybody again.",
    )


@require_POST
@requires(Permission.CASE_WORK)
def case_state(request: MemberRequest, investigate_id: str) -> HttpResponse:
    form = StateForm(request.POST)
    if not form.is_valid():
        return errors.bad_request(request)
    state = CaseState(form.cleaned_data["state"])
    return _change(
        request,
        investigate_id,
        lambda found: cases.set_state(actor=request.user, case=found, state=state, request=request),
        told=f"State: {state.label.lower()}.",
    )


@require_POST
@requires(Permission.CASE_WORK)
def own_verdict(request: MemberRequest, investigate_id: str) -> HttpResponse:
    form = VerdictForm(request.POST)
    if not form.is_valid():
        return errors.bad_request(request)
    verdict, was = form.cleaned_data["verdict"], form.cleaned_data["was"] if "was" in request.POST else None
    return _change(
        request,
        investigate_id,
        lambda found: cases.set_verdict(actor=request.user, case=found, verdict=verdict, was=was, request=request),
        told=f"Our verdict: {words.verdict(verdict)}." if verdict else "Our verdict was taken back.",
    )


@require_POST
@requires(Permission.CASE_WORK)
def finish(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """Done; where it came out of a list of the queue, the next one of that list opens."""
    return _change(
        request,
        investigate_id,
        lambda found: cases.finish(actor=request.user, case=found, request=request),
        answer=_went_on,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def notes_on(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """GET shows the notes and a form for one more; POST writes it."""
    member = request.user
    if request.method != "POST":
        existing = cases.cases_of(member).filter(key=investigate_id).first()
        if existing is None:
            parts.read_message(investigate_id, scope=member.scope)  # what is not theirs to see is not here
        else:
            notes.mark_seen(member, existing)
        return _notes(request, investigate_id, None)
    found = _case_to_work_on(request, investigate_id)
    form = note_form(request.POST)
    if form.is_valid():
        try:
            notes.add_note(actor=member, case=found, request=request, **form.cleaned_data)
        except cases.NotPossible as reason:
            form.add_error("text", str(reason))
        except cases.Conflict as conflict:
            return _conflict(request, conflict)
        else:
            return _changed(request, found, told="Noted.", renews_notes=True)
    return _notes(request, investigate_id, form)


@require_POST
@requires(Permission.MESSAGE_READ)
def notes_seen(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """The notes beside the message were opened: who is named in them knows it now."""
    member = request.user
    found = get_object_or_404(cases.cases_of(member), key=investigate_id)
    notes.mark_seen(member, found)
    if not wants_partial(request):
        return _see_other(queues.address_of(found, _list_behind(request)))
    return render(request, "investigate/desk/_notes_seen.html")


# --- what all changes have in common ----------------------------------------------------------------------------------


def _change(
    request: MemberRequest,
    key: str,
    work: Change,
    *,
    told: str = "",
    closes_panel: bool = False,
    answer: Callable[[MemberRequest, Case], HttpResponse] | None = None,
) -> HttpResponse:
    """Carry one change out and show what is true afterwards."""
    found = _case_to_work_on(request, key)
    try:
        changed = work(found)
    except Case.DoesNotExist:
        raise Http404 from None
    except cases.Conflict as conflict:
        return _conflict(request, conflict)
    except cases.NotPossible as reason:
        return errors.answer(
            request, errors.ErrorText("This cannot be done.", str(reason), "Nothing was changed.", 409)
        )
    if answer is not None:
        return answer(request, changed)
    return _changed(request, changed, told=told, closes_panel=closes_panel)


def _changed(
    request: MemberRequest, changed: Case, *, told: str, closes_panel: bool = False, renews_notes: bool = False
) -> HttpResponse:
    if not wants_partial(request):
        return _see_other(queues.address_of(changed, _list_behind(request)))
    return _line(request, changed.key, told=told, closes_panel=closes_panel, renews_notes=renews_notes)


def _went_on(request: MemberRequest, done: Case) -> HttpResponse:
    """What a person sees who is through with one case: the next of the list they work through, if they like it so."""
    filters, advances = _list_behind(request), request.user.has_auto_advance
    following = queues.next_case(request.user, filters, done) if filters else None
    there = ""
    if filters:
        its_list = f"{reverse('investigate:queue')}?{filters.query()}"
        there = queues.address_of(following, filters) if following else its_list
    if not wants_partial(request):
        return _see_other(there if there and advances else queues.address_of(done, filters))
    if there and advances and _is_on_a_page_of_its_own(request):
        return HttpResponse(status=204, headers={"HX-Redirect": there})
    told = "Done."
    if filters and following is None:
        told += f" Nothing else waits in {words.TABS[filters.tab]}."
    elif following and advances:
        told += " The next one opens."
    response = _line(request, done.key, told=told)
    if advances:
        after = {"done": done.key, "next": following.key if following else "", "url": there}
        response["HX-Trigger-After-Settle"] = json.dumps({"mw:done": after})
    return response


def _line(
    request: MemberRequest, key: str, *, told: str = "", closes_panel: bool = False, renews_notes: bool = False
) -> HttpResponse:
    """The line, and beside an answer to a click the row's cell and the sentence that is read out."""
    member = request.user
    context: dict[str, Any] = {"bar": bar_for(member, key, queue=_came_from(request)), "told": told}
    if told:
        acted, mark = states_for([key], member.scope).get(key), marks_for([key], member).get(key)
        context |= {"cell": cell(request, acted, mark), "investigate_id": key}
        context |= {"closes_panel": closes_panel, "renews_notes": renews_notes}
        return render(request, "investigate/desk/_answer.html", context)
    return render(request, "investigate/desk/_line.html", context)


def _notes(request: MemberRequest, key: str, form: NoteForm | None) -> HttpResponse:
    """The notes and the form, with what was typed into it where it was refused."""
    bar = bar_for(request.user, key, queue=_came_from(request))
    bar = replace(bar, note_form=form) if form is not None else bar
    status = 200 if form is None else 422
    if not wants_partial(request):
        context = {"bar": bar, "case": bar.case, "back": _page_of(key, bar.case)}
        return render(request, "investigate/desk/notes.html", context, status=status)
    response = render(request, "investigate/desk/_case_notes.html", {"bar": bar, "is_open": True}, status=status)
    response["HX-Retarget"], response["HX-Reswap"] = "#case-notes", "outerHTML"
    return response


def _panel(request: MemberRequest, found: Case, form: HandOverForm, *, status: int) -> HttpResponse:
    """The form that asks to whom, below the line; without htmx a page of its own."""
    context = {"form": form, "case": found, "queue": _came_from(request), "back": queues.address_of(found)}
    if not wants_partial(request):
        return render(request, "investigate/desk/hand_over.html", context, status=status)
    response = render(request, "investigate/desk/_hand_over.html", context, status=status)
    response["HX-Retarget"], response["HX-Reswap"] = "#case-panel", "innerHTML"
    return response


def _conflict(request: MemberRequest, conflict: cases.Conflict) -> HttpResponse:
    """Who has it, and the way to insist; the line and what was typed stay as they are."""
    context = {"told": str(conflict), "case": conflict.case, "may_take_over": conflict.may_take_over}
    if not wants_partial(request):
        context |= {"back": _page_of(conflict.case.key, conflict.case)}
        return render(request, "investigate/desk/conflict.html", context, status=409)
    response = render(request, "investigate/desk/_conflict.html", context, status=409)
    response["HX-Retarget"], response["HX-Reswap"] = "#notice", "innerHTML"
    return response


def _case_to_work_on(request: MemberRequest, key: str) -> Case:
    """The case, made now where there is only a message and something is to be done with it.

    Raises NotFound where there is nothing for this member.
    """
    member = request.user
    found = cases.cases_of(member).filter(key=key).first()
    if found is not None:
        return found
    message = parts.read_message(key, scope=member.scope)
    if request.method != "POST":
        return cases.unwritten(message)
    with transaction.atomic():
        return cases.ensure(message)


def _came_from(request: MemberRequest) -> str:
    """The list of the queue that the person works through, "" where they came from elsewhere."""
    filters = _list_behind(request)
    return filters.tab.value if filters else ""


def _list_behind(request: MemberRequest) -> Filters | None:
    """From the page htmx asked from (the queue, or a message that was opened out of it), or from the form itself."""
    current = request.htmx.current_url if wants_partial(request) else None
    address = urlsplit(current or "")
    query = dict(parse_qsl(address.query)) if current else {}
    if address.path == reverse("investigate:queue"):
        return Filters.from_query(query)
    tab = query.get("queue") or request.POST.get("queue") or request.GET.get("queue") or ""
    return Filters(tab=Tab(tab)) if tab in TABS else None


def _is_on_a_page_of_its_own(request: MemberRequest) -> bool:
    address = urlsplit(request.htmx.current_url or "")
    return "queue" in dict(parse_qsl(address.query)) and address.path != reverse("investigate:queue")


def _pane_of(member: Member, key: str) -> str:
    """Where the pane that the address names is read; "" where there is nothing for this member."""
    found = cases.cases_of(member).filter(key=key).first() if is_id(key) else None
    return f"{queues.address_of(found)}pane" if found else ""


def _page_of(key: str, found: Case | None) -> str:
    return queues.address_of(found) if found else reverse("investigate:message", args=[key])


def _see_other(url: str) -> HttpResponse:
    return HttpResponse(status=303, headers={"Location": url})
