"""The first page of the settings rooms: what each list is, and what happens to it."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission
from settings_ui.lists.summary import summary


@require_safe
@requires(Permission.POLICY_READ, whole=True)
def overview(request: MemberRequest) -> HttpResponse:
    return render(request, "settings_ui/overview.html", {"summary": summary()})
