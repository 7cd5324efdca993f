"""What colleagues do, as it reaches an open page: a small question every few seconds, an answer when it matters."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.access.decorators import MemberRequest, polls, requires
from dashboard.access.roles import Permission
from investigate.bulk.facts import is_id
from investigate.desk import changes, presence
from investigate.desk.showing import pieces_for
from investigate.message.visible import is_known_to

MOST_CELLS = 200  # messages a page asks for at once


@require_safe
@polls()
@requires(Permission.MESSAGE_READ)
def live(request: MemberRequest) -> HttpResponse:
    """Which messages changed after `since`, and who else has the `open` one open; nothing where nothing is new."""
    member = request.user  # `requires` let nobody else in
    news = changes.since(_number(request.GET.get("since", "")), member)
    open_id = _id(request.GET.get("open", ""))
    here = ""
    if open_id and is_known_to(member, open_id):
        presence.still_looks_at(member, open_id)
        here = presence.said(open_id, member)
    is_new = here != request.GET.get("here", "")
    if not (news.investigate_ids or news.is_everything or is_new):
        return HttpResponse(status=204)
    context = {"news": news, "here": here, "open_id": open_id if is_new else ""}
    return render(request, "investigate/_live_news.html", context)


@require_safe
@polls()
@requires(Permission.MESSAGE_READ)
def live_cells(request: MemberRequest) -> HttpResponse:
    """The cells of some messages as they are now, and the state of the open one; each only where the page has it."""
    ids = [name for name in request.GET.getlist("id")[:MOST_CELLS] if is_id(name)]
    open_id = _id(request.GET.get("open", ""))
    context = {"pieces": pieces_for(request, ids, open_id=open_id if open_id in ids else "")}
    return render(request, "investigate/_live_cells.html", context)


def _id(text: str) -> str:
    """What can be an id; "" for what no row can hold."""
    return text if is_id(text) else ""


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0
