"""Acting on a message, and everything about an action afterwards.

htmx gets pieces for the places that show the message (row, pane head, status line); a plain form is led to the receipt.
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, polls, recently_proved, requires
from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.emailsec.types import Message
from dashboard.web import errors
from dashboard.web.htmx import wants_partial
from dashboard.web.text import dom_id
from investigate import undoing
from investigate.actions import queries, services, words
from investigate.actions.decision import Decision, least_permission_for
from investigate.actions.feasibility import ActionOffer, affected_recipients
from investigate.actions.forms import ActionForm, ReasonForm, SettleForm
from investigate.actions.services import ConfirmationNeeded, Conflict, NotPossible
from investigate.actions.within import is_within, theirs
from investigate.approvals.needs import takes_two
from investigate.bulk import jobs
from investigate.bulk.progress import JobView, chunk_views
from investigate.bulk.upstream import presenting
from investigate.bulk.upstream import services as upstream
from investigate.fixing.queries import fix_of
from investigate.message.visible import message_for
from investigate.models import Action, BulkJob, UpstreamJob
from investigate.search.rendering import mark_of

FILTERS = [
    ("", "All"),
    ("mine", "Mine"),
    ("open", "Open"),
    ("unknown", "Unknown"),
    ("person", "Needs a person"),
    ("released", "Released"),
]


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.MESSAGE_READ)
def act(request: MemberRequest, investigate_id: str) -> HttpResponseBase:
    """POST decides; GET shows the panel that asks for a reason, or for the message as a file."""
    if request.method != "POST":
        return _ask(request, investigate_id)
    form = ActionForm(request.POST, request.FILES)
    if not form.is_valid():
        return _invalid(request, investigate_id, form)
    if _purges_alone(form):
        return recently_proved()(_act)(request, investigate_id, form)
    return _act(request, investigate_id, form)


def _purges_alone(form: ActionForm) -> bool:
    """Nobody else looks at it, so whoever does it proves first who they are: before the panel asks for a reason."""
    permission = least_permission_for(form.cleaned_data["kind"], destination=form.cleaned_data["destination"])
    return permission == Permission.MESSAGE_PURGE and not takes_two(permission)


def _act(request: MemberRequest, investigate_id: str, form: ActionForm) -> HttpResponse:
    try:
        decision = form.decision(investigate_id)
        action = services.act(
            actor=request.user, decision=decision, operation_key=form.cleaned_data["operation_key"], request=request
        )
    except ConfirmationNeeded as needed:
        if decision.is_confirmed:
            form.add_error("reason", "Say in a few words why.")
        return _panel(request, form, needed.message, needed.offer, status=422 if decision.is_confirmed else 200)
    except Conflict as conflict:
        return _conflict(request, conflict)
    except NotPossible as reason:
        return errors.answer(request, errors.ErrorText("This cannot be done.", str(reason), "Nothing was sent.", 409))
    return _acted(request, action)


@require_safe
@requires(Permission.MESSAGE_READ)
def foot(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """The actions below an open message, renewed after one of them; a panel that is open stays as it is."""
    if not wants_partial(request):
        return _see_other(reverse("investigate:message", args=[investigate_id]))
    try:
        message = message_for(request.user, investigate_id)
    except EmailSecurityError:
        return HttpResponse(status=204)  # the old buttons stay; each of them is checked again when it is pressed
    context = {"foot": queries.foot(message, request.user), "oob": True}
    return render(request, "investigate/_action_buttons.html", context)


@require_safe
@polls("part", "n")
@requires(Permission.MESSAGE_READ)
def action(request: MemberRequest, action_id: uuid.UUID) -> HttpResponse:
    """The receipt; `?part=row` and `?part=head` are the small pieces that keep themselves current."""
    found = _action(request, action_id)
    if found.job is not None:
        return _chunk(request, found, found.job)
    place = request.GET.get("part", "")
    if wants_partial(request) and place == "notice":
        return render(request, "investigate/_action_notice.html", _notice(request, found))
    if wants_partial(request) and place in ("row", "head"):
        return render(request, "investigate/_action_poll.html", pieces_of(request, found) | {"place": place})
    template = "investigate/_receipt.html" if wants_partial(request) else "investigate/action.html"
    return render(request, template, _receipt(request, found))


@require_safe
@requires(Permission.MESSAGE_READ)
def actions(request: MemberRequest) -> HttpResponse:
    """Everybody's newest actions."""
    show = request.GET.get("show", "")
    context = {"listed": queries.latest(request.user, show), "show": show, "filters": FILTERS}
    return render(request, "investigate/actions.html", context)


@require_POST
@requires(Permission.MESSAGE_READ)
def undo(request: MemberRequest, action_id: uuid.UUID) -> HttpResponse:
    return _changed(
        request, lambda member: services.undo(actor=member, action=_action(request, action_id), request=request)
    )


@require_POST
@requires(Permission.MESSAGE_READ)
def undo_last(request: MemberRequest) -> HttpResponse:
    """Undo one's newest decision that still waits: an action, or a job."""
    try:
        undone = undoing.undo_last(actor=request.user, request=request)
    except Conflict as conflict:
        return _conflict(request, conflict)
    except (jobs.Conflict, upstream.Conflict) as conflict:
        return errors.answer(request, errors.ErrorText("Too late to undo.", str(conflict), "", 409))
    if undone is None:
        text = errors.ErrorText("Nothing to undo.", "None of your actions and jobs waits to be sent.", "", 409)
        return errors.answer(request, text)
    return _acted(request, undone) if isinstance(undone, Action) else _job_undone(request, undone)


@require_POST
@requires(Permission.MESSAGE_READ)
def reason(request: MemberRequest, action_id: uuid.UUID) -> HttpResponse:
    """Say why, afterwards."""
    found, form = _action(request, action_id), ReasonForm(request.POST)
    if found.job_id is not None:
        raise Http404  # the reason of a chunk is its job's
    if not form.is_valid():
        template = "investigate/_receipt.html" if wants_partial(request) else "investigate/action.html"
        return _in_place(render(request, template, _receipt(request, found) | {"form": form}, status=422))
    return _changed(
        request,
        lambda member: services.add_reason(
            actor=member, action=found, reason=form.cleaned_data["reason"], request=request
        ),
        shows_receipt=True,
    )


@require_POST
@requires(Permission.MESSAGE_READ)
def look(request: MemberRequest, action_id: uuid.UUID) -> HttpResponse:
    """Look an unknown outcome up now."""

    def now(member: Member) -> Action:
        found = _action(request, action_id)
        services.look_now(actor=member, action=found, request=request)
        return found

    return _changed(request, now, shows_receipt=True)


@require_POST
@requires(Permission.MESSAGE_READ)
def settle(request: MemberRequest, action_id: uuid.UUID) -> HttpResponse:
    """Decide what became of an action that waits for a person."""
    form = SettleForm(request.POST)
    if not form.is_valid():
        return errors.bad_request(request)
    as_done = form.cleaned_data["outcome"] == "done"
    return _changed(
        request,
        lambda member: services.settle(
            actor=member, action=_action(request, action_id), as_done=as_done, request=request
        ),
        shows_receipt=True,
    )


def _changed(request: MemberRequest, change: Any, *, shows_receipt: bool = False) -> HttpResponse:
    """Carry a change of an action out, and show what is true afterwards."""
    try:
        changed = change(request.user)
    except Conflict as conflict:
        return _conflict(request, conflict)
    if shows_receipt and wants_partial(request):
        if changed.job is not None:
            return _chunk(request, changed, changed.job)
        return render(request, "investigate/_receipt.html", _receipt(request, changed))
    return _acted(request, changed)


def _acted(request: MemberRequest, action: Action) -> HttpResponse:
    if not wants_partial(request):
        return _see_other(reverse("investigate:action", args=[action.pk]))
    context = pieces_of(request, action)
    response = render(request, "investigate/_action_answer.html", context)
    # A notice about an earlier action on this message looks again, and finds itself overtaken.
    response["HX-Trigger-After-Settle"] = f"mw:acted-{dom_id(context['view'].investigate_id)}"
    return response


def _job_undone(request: MemberRequest, job: BulkJob | UpstreamJob) -> HttpResponse:
    if isinstance(job, BulkJob):
        view = JobView(job, request.user)
        title, told, url = view.title, view.sentence, view.url
    else:
        asked = presenting.JobView(str(job.pk), job, None)
        title, told = f"{asked.title}, at Cloudflare", asked.sentence
        url = reverse("investigate:upstream_job", args=[job.pk])
    if not wants_partial(request):
        return _see_other(url)
    return render(request, "investigate/bulk/_undone.html", {"title": title, "told": told, "url": url})


def _conflict(request: MemberRequest, conflict: Conflict) -> HttpResponse:
    """What stands instead, with its receipt; the row beside it shows the same."""
    if conflict.other is not None and conflict.other.job is not None:
        if not is_within(conflict.other.job.scope, request.user.scope):
            return errors.answer(request, errors.ErrorText(str(conflict), "", "Nothing was sent.", 409))
        return _conflict_with_job(request, str(conflict), conflict.other.job)
    if not wants_partial(request) or conflict.other is None:
        told = queries.listed(conflict.other, request.user).sentence if conflict.other else ""
        return errors.answer(request, errors.ErrorText(str(conflict), told, "Nothing was sent.", 409))
    context = _notice(request, conflict.other) | {"title": str(conflict)}
    response = render(request, "investigate/_action_conflict.html", context, status=409)
    response["HX-Retarget"], response["HX-Reswap"] = "#notice", "innerHTML"
    return response


def _conflict_with_job(request: MemberRequest, told: str, job: BulkJob) -> HttpResponse:
    """The message belongs to a chunk of a job; what becomes of that is told on the job's page."""
    view = JobView(job, request.user)
    if not wants_partial(request):
        return errors.answer(request, errors.ErrorText(told, f"Job: {view.title}.", "Nothing was sent.", 409))
    response = render(request, "investigate/bulk/_in_job.html", {"told": told, "view": view}, status=409)
    response["HX-Retarget"], response["HX-Reswap"] = "#notice", "innerHTML"
    return response


def _chunk(request: MemberRequest, chunk: Action, job: BulkJob) -> HttpResponse:
    """The receipt of a chunk: what was sent and answered as a whole. Its messages are on the job's page."""
    number = request.GET.get("n", "0")
    delay, poll = queries.chunk_poll(int(number) if number.isdecimal() and len(number) < 6 else 0)
    (shown,) = chunk_views([chunk])
    context = {"shown": shown, "view": JobView(job, request.user), "delay": delay, "poll": poll}
    template = "investigate/bulk/_chunk.html" if wants_partial(request) else "investigate/bulk/chunk.html"
    return render(request, template, context)


def _notice(request: MemberRequest, other: Action) -> dict[str, Any]:
    """Context of the notice about somebody's (or one's own) action that stands in the way, while it is the newest."""
    listed = queries.listed(other, request.user)
    who, then = words.to_others(other, listed.copies)
    return pieces_of(request, other) | {
        "is_own": other.actor_id == request.user.pk,
        "told": listed.sentence,
        "who": who,
        "then": then,
        "is_newest": queries.is_newest(other, listed.investigate_id),
    }


def _ask(request: MemberRequest, investigate_id: str) -> HttpResponse:
    """The panel of one action, before it is decided; without an action, as after a reload, the message."""
    if "kind" not in request.GET:
        return _see_other(reverse("investigate:message", args=[investigate_id]))
    asked = request.GET.copy()
    asked["operation_key"] = uuid.uuid4().hex
    form = ActionForm(asked)
    if not form.is_valid():
        raise Http404
    decision: Decision = form.decision(investigate_id)
    message = message_for(request.user, investigate_id)
    offer = services.offer_for(message, request.user, decision)
    if offer is None:
        raise Http404
    fresh = ActionForm(initial=form.cleaned_data)
    return _panel(request, fresh, message, offer, key=form.cleaned_data["operation_key"])


def _panel(
    request: MemberRequest, form: ActionForm, message: Message, offer: ActionOffer, *, key: str = "", status: int = 200
) -> HttpResponse:
    recipients = affected_recipients(message, offer.kind)
    context = {
        "form": form,
        "offer": offer,
        "message": message,
        "investigate_id": message.id,
        "recipients": recipients,
        "what": words.future(offer.kind, offer.destination, offer.expected_disposition),
        "verb": _verb(offer, len(recipients)),
        "help": words.FOLDER_HELP.get(offer.destination, ""),
        "operation_key": key or form.data.get("operation_key", ""),
    }
    template = "investigate/_action_panel.html" if wants_partial(request) else "investigate/act.html"
    return _in_place(render(request, template, context, status=status), "#action-panel")


def _invalid(request: MemberRequest, investigate_id: str, form: ActionForm) -> HttpResponse:
    context = {"form": form, "investigate_id": investigate_id, "operation_key": uuid.uuid4().hex}
    template = "investigate/_action_panel.html" if wants_partial(request) else "investigate/act.html"
    return _in_place(render(request, template, context, status=422), "#action-panel")


def _verb(offer: ActionOffer, copies: int) -> str:
    """What the button says: it names the danger and its size."""
    some = words.counted(copies, "copy") if copies else "the message"
    if offer.expected_disposition:
        return f"Submit as {offer.label}"
    if offer.destination:
        return {"RecoverableItemsDeletions": f"Soft-delete {some}", "RecoverableItemsPurges": f"Purge {some}"}.get(
            offer.destination, f"Move {some} to {offer.label}"
        )
    return f"Release {some}"


def pieces_of(request: MemberRequest, action: Action) -> dict[str, Any]:
    """Context of the small pieces, and which of them the page that asked has a place for."""
    view = queries.view_of(action, request.user.scope)
    number = request.GET.get("n", "0")
    poll = int(number) if number.isdecimal() and len(number) < 6 else 0
    delay, following = view.poll_after(poll)
    shows_row, shows_head = _places(request, view.investigate_id)
    return {
        "view": view,
        "mark": mark_of(view.investigate_id, request.user),
        "may_undo": view.may_undo(request.user),
        "delay": delay,
        "poll": following,
        "announcement": queries.announcement(action, request.user),
        "shows_row": shows_row,
        "shows_head": shows_head,
    }


def _places(request: MemberRequest, investigate_id: str) -> tuple[bool, bool]:
    """Whether the page behind this request shows the message as a row, and in a pane or as a page."""
    htmx = request.htmx
    address = urlsplit(htmx.current_url_abs_path or "") if htmx else urlsplit("")
    path = unquote(address.path)
    if path == unquote(reverse("investigate:message", args=[investigate_id])):
        return False, True
    if path == reverse("investigate:search"):
        return True, investigate_id in parse_qs(address.query).get("open", [])
    return False, False


def _receipt(request: MemberRequest, action: Action) -> dict[str, Any]:
    member = request.user
    listed = queries.listed(action, member)
    return pieces_of(request, action) | {
        "listed": listed,
        "offers_missed": listed.offers_missed and member.may(Permission.MESSAGE_RECLASSIFY),
        "action": action,
        "is_own": action.actor_id == member.pk,
        "form": ReasonForm(initial={"reason": action.reason}),
        "fix": fix_of(action),
    }


def _in_place(response: HttpResponse, target: str = "#receipt") -> HttpResponse:
    response["HX-Retarget"] = target
    response["HX-Reswap"] = "outerHTML" if target == "#receipt" else "innerHTML"
    return response


def _see_other(url: str) -> HttpResponse:
    return HttpResponse(status=303, headers={"Location": url})


def _action(request: MemberRequest, action_id: uuid.UUID) -> Action:
    # Chunks of another account's jobs do not exist here, as those jobs do not; nor does what is outside one's scope.
    ours = Action.objects.filter(Q(job=None) | Q(job__account_id=settings.CLOUDFLARE_ACCOUNT_ID), pk=action_id)
    found = get_object_or_404(theirs(ours, request.user.scope).select_related("actor", "job", "approval"))
    if found.job is not None and not is_within(found.job.scope, request.user.scope):
        raise Http404
    return found
