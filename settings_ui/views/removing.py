"""Removing entries: a page that lists exactly what goes, then the removal with its time to undo it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.web import errors
from settings_ui.changes import rights, services
from settings_ui.forms.reasons import ReasonForm
from settings_ui.forms.removing import MOST, Removal, removal_as_shown, removal_of
from settings_ui.views.form_pages import FormPage, in_form, key_of, nothing_sent
from settings_ui.views.parts import is_id, resource_or_404


@dataclass(frozen=True)
class RemovalPage(FormPage):
    """The page of one removal."""

    @property
    def url(self) -> str:
        return reverse("settings:remove", args=[self.resource.slug])

    @property
    def another(self) -> str:
        return ""

    def confirm(self, removal: Removal, reasons: forms.Form, *, problem: str = "", status: int = 200) -> HttpResponse:
        context: dict[str, Any] = {
            "removal": removal,
            "reason_form": reasons,
            "problem": problem,
            "told": _told(removal, self.member.undo_seconds),
            "button": _button(removal),
        }
        return self.answer("settings_ui/forms/_remove.html", context, status=status)

    def _heading(self, _label: str) -> str:
        return f"Remove from {self.resource.title[0].lower()}{self.resource.title[1:]}"


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.POLICY_READ, whole=True)
def remove(request: MemberRequest, slug: str) -> HttpResponse:
    """`id`: the entries. They go once a form comes back that shows them as they are at that moment.

    Many ids do not fit into an address, so a list may post them as well, without `shown`: it gets the page.
    """
    resource = resource_or_404(slug)
    page = RemovalPage(request, resource)
    needed = rights.to_remove(resource)
    if not page.member.may(needed):
        raise PermissionDenied(needed.value)
    said = request.POST if request.method == "POST" else request.GET
    ids = [one for one in said.getlist("id") if is_id(one)]
    if told := _why_not(ids):
        return page.closed(told, "")
    shown = request.POST.get("shown", "")
    try:
        removal = removal_of(resource, ids)
    except EmailSecurityError as problem:
        before = removal_as_shown(resource, shown)
        if before is None:
            raise
        return page.confirm(
            before.kept(request.POST),
            in_form(ReasonForm(request.POST)),
            problem=nothing_sent(problem),
            status=errors.explain(problem).status,
        )
    if not removal.going:
        return page.gone()
    if not shown:
        return page.confirm(removal, in_form(ReasonForm()))
    reasons = in_form(ReasonForm(request.POST))
    removal = removal.typed(request.POST)
    if not removal.was_shown(shown):
        told = "The list changed since it was shown. Look at it again: nothing was removed."
        return page.confirm(removal, reasons, problem=told, status=409)
    if not reasons.is_valid() or removal.problems:
        return page.confirm(removal, reasons, status=422)
    try:
        change = services.remove(
            actor=page.member,
            resource=resource,
            entries=removal.entries,
            typed=[one.typed for one in removal.going],
            reason=reasons.cleaned_data["reason"],
            ticket=reasons.cleaned_data["ticket"],
            operation_key=key_of(request),
            request=request,
        )
    except (services.Conflict, services.NotPossible) as problem:
        return page.confirm(removal, reasons, problem=str(problem), status=409)
    return page.saved(change)


def _why_not(ids: list[str]) -> str:
    if not ids:
        return "Nothing was chosen. Tick what is to go in the list."
    if len(set(ids)) > MOST:
        return f"{len(set(ids)):,} were chosen, and {MOST:,} is the most at a time. Choose fewer."
    return ""


def _told(removal: Removal, undo_seconds: int) -> str:
    resource, count = removal.resource, len(removal.going)
    if not resource.takes_typing:
        them = f"This {resource.singular} is" if count == 1 else f"These {count:,} entries are"
        seconds = "a second" if undo_seconds == 1 else f"{undo_seconds} seconds"
        undone = f" You can undo it for {seconds}." if undo_seconds else ""
        return f"{them} removed at Cloudflare.{undone}"
    ends = "protection of this domain: its" if count == 1 else f"protection of these {count:,} domains: their"
    second = " A second person has to agree." if rights.takes_two(resource) else ""
    return f"This ends the {ends} mail is no longer scanned. It cannot be undone.{second}"


def _button(removal: Removal) -> str:
    count = len(removal.going)
    if rights.takes_two(removal.resource):
        return "Ask for approval"
    if removal.resource.takes_typing:
        return "End its protection" if count == 1 else f"End the protection of {count:,} domains"
    return "Remove it" if count == 1 else f"Remove {count:,} entries"
