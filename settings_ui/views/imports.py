"""A list of the settings as a file: out, back in with a dry run, and the lines of it that cannot be used."""

from __future__ import annotations

import datetime as dt
import uuid

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission, roles_with
from settings_ui.changes import planning, services
from settings_ui.lists import criteria
from settings_ui.models import Change, Verb
from settings_ui.resources import BY_NAME, Resource
from settings_ui.tables import columns, importing, listing, words, writing
from settings_ui.tables.forms import ImportForm
from settings_ui.tables.reading import MOST_LINES, Unreadable
from settings_ui.views.parts import resource_or_404


@require_GET
@requires(Permission.POLICY_READ, whole=True)
def export(request: MemberRequest, slug: str) -> HttpResponseBase:
    """The list as a file, as far as the filters in the address go; what leaves is written down itself."""
    resource = resource_or_404(slug)
    asked = criteria.read(resource, request.GET)
    said = {"search": asked.search, **asked.filters} if asked.search else dict(asked.filters)
    file = writing.export(
        actor=request.user,
        resource=resource,
        read=lambda: listing.read(resource, asked),
        said=said,
        request=request,
    )
    return _download(StreamingHttpResponse(file), f"{resource.slug}{'' if asked.is_everything else '-part'}")


@require_http_methods(["GET", "HEAD", "POST"])
@requires(Permission.POLICY_READ, whole=True)
def upload(request: MemberRequest, slug: str) -> HttpResponse:
    """The form; a POST reads the file and leads to its dry run."""
    resource = resource_or_404(slug)
    member = request.user
    if request.method != "POST":
        form = ImportForm(resource=resource, initial={"operation_key": uuid.uuid4().hex})
        return _page(request, resource, form)
    if not member.may(resource.write):
        raise PermissionDenied(resource.write.value)
    form = ImportForm(request.POST, request.FILES, resource=resource)
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            change = importing.dry_run(
                actor=member,
                resource=resource,
                data=file.read(),
                mode=form.chosen_mode,
                file_name=file.name or "",
                operation_key=form.cleaned_data["operation_key"],
                request=request,
            )
        except Unreadable as problem:
            form.add_error("file", str(problem))
        except (services.Conflict, services.NotPossible) as problem:
            form.add_error(None, str(problem))
        else:
            return HttpResponseRedirect(reverse("settings:change", args=[change.pk]))
    return _page(request, resource, form, status=422)


@require_GET
@requires(Permission.POLICY_READ, whole=True)
def bad_lines(request: MemberRequest, change_id: uuid.UUID) -> HttpResponseBase:  # noqa: ARG001
    """The lines of a file that cannot be used, with what is wrong, to be mended and uploaded again."""
    change: Change = get_object_or_404(planning.of_account(), pk=change_id)
    if not change.lines.filter(verb=Verb.BAD).exists():
        raise Http404
    return _download(StreamingHttpResponse(writing.bad_lines(change)), f"{BY_NAME[change.resource].slug}-bad-lines")


def _page(request: MemberRequest, resource: Resource, form: ImportForm, status: int = 200) -> HttpResponse:
    needed = [field.name for field in columns.required(resource)]
    context = {
        "resource": resource,
        "named": words.named(resource),
        "form": form,
        "may_write": request.user.may(resource.write),
        "holders": [role.value.replace("_", " ") for role in roles_with(resource.write)],
        "needed": needed,
        "others": [field.name for field in resource.sent if field.name not in needed],
        "life": [name for name in columns.LIFE if name != columns.ENDS or resource.may_expire],
        "most": MOST_LINES,
    }
    return render(request, "settings_ui/imports/upload.html", context, status=status)


def _download(response: StreamingHttpResponse, name: str) -> StreamingHttpResponse:
    day = timezone.now().astimezone(dt.UTC).strftime("%Y-%m-%d-%H%M%S")
    response["Content-Type"] = "text/csv; charset=utf-8"
    response["Content-Disposition"] = f'attachment; filename="mailwarden-{name}-{day}.csv"'
    return response
