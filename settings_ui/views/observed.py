"""What changed in the account's lists lately, by us or elsewhere, as whole readings of them told."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from dashboard.access.decorators import MemberRequest, polls, requires
from dashboard.access.roles import Permission
from dashboard.upstream.connection import get_client
from dashboard.web.htmx import wants_partial
from settings_ui.resources import RESOURCES
from settings_ui.watching import presenting, rounds

DAYS = (1, 7, 30)


@require_safe
@requires(Permission.POLICY_READ, whole=True)
@polls("poll")
def observed(request: MemberRequest) -> HttpResponse:
    """Everything that was different in the last days; the page asks again while a list is being read."""
    return _shown(request, _days(request.GET.get("days")))


@require_POST
@requires(Permission.POLICY_WRITE, whole=True)
@requires(Permission.POLICY_READ, whole=True)
def read_again(request: MemberRequest) -> HttpResponse:
    """Have every list read as soon as a worker can; a list that was read within the minute is not."""
    days = _days(request.POST.get("days"))
    taken = rounds.ask_now(RESOURCES)
    told = "The lists are being read." if taken else "Every list was read within the last minute."
    if wants_partial(request):
        return _shown(request, days, told=told)
    return HttpResponse(status=303, headers={"Location": f"{reverse('settings:observed')}?days={days}"})


def _days(raw: str | None) -> int:
    return int(raw) if raw in {str(days) for days in DAYS} else DAYS[0]


def _shown(request: MemberRequest, days: int, *, told: str = "") -> HttpResponse:
    client = get_client()
    lists = presenting.seen(days, offered=[one for one in RESOURCES if client.offers(one.name)])
    context = {
        "lists": [one for one in lists if one.number],
        "quiet": [one for one in lists if not one.number],
        "days": days,
        "choices": DAYS,
        "is_being_read": any(one.is_being_read for one in lists),
        "may_read_again": request.user.may(Permission.POLICY_WRITE),
        "told": told,
    }
    template = "settings_ui/observed/_observed.html" if wants_partial(request) else "settings_ui/observed/page.html"
    return render(request, template, context)
