"""What the forms of the settings rooms answer: the form itself, what became of it, or why there is none.

Every answer is a page of its own for a plain request, the pane for htmx that opens one, and the piece `#entry-form` for
htmx that sends one.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from dashboard.access.decorators import MemberRequest
from dashboard.access.models import Member
from dashboard.emailsec.errors import EmailSecurityError
from dashboard.upstream.connection import get_client
from dashboard.web import errors
from dashboard.web.htmx import wants_partial
from dashboard.web.text import visible
from settings_ui.changes import services, words
from settings_ui.forms.building import EntryForm
from settings_ui.forms.colleagues import who_changed
from settings_ui.forms.dangers import Warnings
from settings_ui.forms.merging import Merge
from settings_ui.forms.opened import Opened
from settings_ui.forms.twins import twin_of
from settings_ui.models import Change, ChangeState
from settings_ui.resources.description import Resource, shortened
from settings_ui.views.parts import resource_or_404

AnyForm = TypeVar("AnyForm", bound=forms.Form)
Refusal = services.Conflict | services.NotPossible | EmailSecurityError
SAVED = "settings-saved"  # the event that lists listen for; `told` is what a screen reader hears afterwards


@dataclass(frozen=True)
class FormPage:
    """The page of one form. `entry_id` is "" where an entry is made; `beside`: what the form asks besides."""

    request: MemberRequest
    resource: Resource
    entry_id: str = ""

    @property
    def member(self) -> Member:
        return self.request.user

    @property
    def url(self) -> str:
        if self.entry_id:
            return reverse("settings:edit", args=[self.resource.slug, self.entry_id])
        return reverse("settings:new", args=[self.resource.slug])

    @property
    def another(self) -> str:
        """Where the next entry is made, for who has just made one."""
        return "" if self.entry_id else self.url

    def back(self, entry_id: str = "") -> str:
        """The list, with this entry open."""
        url = reverse("settings:list", args=[self.resource.slug])
        return f"{url}?{urlencode({'open': entry_id})}" if entry_id else url

    # answers

    def asked(
        self,
        form: EntryForm,
        beside: forms.Form,
        *,
        base: Opened | None = None,
        warnings: Warnings | None = None,
        twin: str = "",
        status: int = 200,
    ) -> HttpResponse:
        """The form, with what was typed and what is wrong with it."""
        context = {
            "form": form,
            "beside": beside,
            "base": base.signed(self.resource) if base else "",
            "warnings": warnings,
            "twin": twin,
            # What cannot be tried may still be dangerous, which is told there as well.
            "tried_below": self.resource.tried or next(iter(form.fields)),
        }
        return self.answer("settings_ui/forms/_form.html", context, label=self._label(form), status=status)

    def changed_meanwhile(
        self, form: EntryForm, beside: forms.Form, theirs: Opened, merge: Merge, *, is_asked_again: bool = False
    ) -> HttpResponse:
        """Both versions side by side."""
        context = {
            "form": form,
            "beside": beside,
            "base": theirs.signed(self.resource),
            "merge": merge,
            "is_asked_again": is_asked_again,
            "colleague": who_changed(self.resource, self.entry_id, was=theirs.was or {}, theirs=theirs.values),
        }
        status = 422 if is_asked_again else 409
        return self.answer("settings_ui/forms/_conflict.html", context, label=self._label(form), status=status)

    def gone(self, form: EntryForm | None = None, beside: forms.Form | None = None) -> HttpResponse:
        context = {
            "form": form,
            "beside": beside,
            "can_create": get_client().offers(self.resource.name, "create"),
            "back": self.back(),
        }
        label = self._label(form) if form is not None else ""
        return self.answer("settings_ui/forms/_gone.html", context, label=label, status=404)

    def closed(self, told: str, advice: str) -> HttpResponse:
        """There is no form, and why."""
        return self.answer("settings_ui/forms/_closed.html", {"told": told, "advice": advice})

    def refused(
        self, form: EntryForm, beside: forms.Form, problem: Refusal, *, base: Opened | None = None
    ) -> HttpResponse:
        """Nothing was sent: somebody else is at it, it cannot be done, or the account could not be asked."""
        status, twin = 409, ""
        if isinstance(problem, EmailSecurityError):
            told, status = nothing_sent(problem), errors.explain(problem).status
        else:
            told = str(problem)
        if isinstance(problem, services.Conflict) and problem.other is not None:
            twin = reverse("settings:change", args=[problem.other.pk])
        form.add_error(None, told)
        return self.asked(form, beside, base=base, twin=twin, status=status)

    def settled(
        self, form: EntryForm, beside: forms.Form, change: Change, *, base: Opened | None = None
    ) -> HttpResponse:
        """What became of it: the receipt, or the form with what Cloudflare refused."""
        line = change.lines.get()
        if change.state != ChangeState.FAILED:
            return self.saved(change, line.upstream_id)
        if line.explanation == words.GONE:
            return self.gone(form, beside)
        problems = line.problems
        for name, told in problems.items():
            form.refuse(name, told)
        if not problems:
            form.add_error(None, words.sentence(change))
        is_double = words.ALREADY in problems.values()
        twin = twin_of(self.resource, {**(line.before or {}), **line.values}) if is_double else ""
        twin_url = reverse("settings:entry", args=[self.resource.slug, twin]) if twin else ""
        return self.asked(form, beside, base=base, twin=twin_url, status=409 if is_double else 422)

    def saved(self, change: Change, upstream_id: str = "") -> HttpResponse:
        """The receipt; a plain form is led to the change's own page."""
        if not wants_partial(self.request):
            return HttpResponse(status=303, headers={"Location": reverse("settings:change", args=[change.pk])})
        told = visible(f"{words.title(change)}: {words.sentence(change)}", limit=600)
        context = {
            "change": change,
            "lines": list(change.lines.all()[:50]),
            "told": told,
            "back": self.back(upstream_id),
            "entry_url": reverse("settings:entry", args=[self.resource.slug, upstream_id]) if upstream_id else "",
            "another": self.another,
        }
        response = self.answer("settings_ui/forms/_saved.html", context)
        response["HX-Trigger-After-Settle"] = json.dumps({SAVED: {"told": told}})
        return response

    def answer(self, inside: str, context: dict[str, Any], *, label: str = "", status: int = 200) -> HttpResponse:
        said = {
            "resource": self.resource,
            "entry_id": self.entry_id,
            "heading": self._heading(label),
            "inside": inside,
            "url": self.url,
            "back": self.back(self.entry_id),
            "operation_key": uuid.uuid4().hex,
            "beside_heading": "Why" if self.entry_id else "Who wants it, and why",
            **context,
        }
        if not wants_partial(self.request):
            return render(self.request, "settings_ui/forms/page.html", said, status=status)
        opens = self.request.method != "POST"
        response = render(self.request, "settings_ui/forms/_pane.html" if opens else inside, said, status=status)
        if status not in (200, 422):  # htmx would put these above the page
            target = self.request.htmx.target if opens else "entry-form"
            response["HX-Retarget"] = f"#{target or 'detail'}"
            response["HX-Reswap"] = "innerHTML" if opens else "outerHTML"
        return response

    def _label(self, form: EntryForm) -> str:
        return self.resource.label(form.before or {})

    def _heading(self, label: str) -> str:
        if not self.entry_id:
            return f"New {self.resource.singular}"
        return f"Edit {shortened(label, 120)}" if label else f"Edit {self.resource.singular}"


def writable(request: MemberRequest, slug: str) -> Resource:
    """The list of an address, for who may change it."""
    resource = resource_or_404(slug)
    if not request.user.may(resource.write):
        raise PermissionDenied(resource.write.value)
    return resource


def nothing_sent(problem: EmailSecurityError) -> str:
    """What stands above a form whose account could not be asked."""
    text = errors.explain(problem)
    wait = f" Try again in {text.back_in}." if text.back_in else ""
    return f"{text.title} Nothing was sent, and what you wrote is still here.{wait}"


def key_of(request: MemberRequest) -> str:
    """The operation key of a form as it came: without a right one the service sends nothing."""
    return request.POST.get("operation_key", "")


def in_form(form: AnyForm) -> AnyForm:
    """A form that stands inside another one: its ids begin like theirs, and its texts are not cut either."""
    form.auto_id = "entry-%s"
    form.use_required_attribute = False
    for field in form.fields.values():
        field.widget.attrs.pop("maxlength", None)
    return form
