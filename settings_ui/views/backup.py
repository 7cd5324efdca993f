"""A backup of all settings: taken, compared with the account, and put back in parts."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST, require_safe

from dashboard.access.decorators import MemberRequest, requires
from dashboard.access.roles import Permission, roles_with
from dashboard.upstream.connection import get_client
from settings_ui.backup import keeping, restoring, showing, taking
from settings_ui.backup.files import Backup, Unreadable
from settings_ui.backup.forms import CompareForm, RestoreForm
from settings_ui.changes import services
from settings_ui.models import Upload
from settings_ui.resources import BY_NAME, RESOURCES
from settings_ui.tables import dry_run, words
from settings_ui.tables.columns import listed


@require_safe
@requires(Permission.POLICY_READ, whole=True)
def backup(request: MemberRequest) -> HttpResponse:
    """What a backup is, the file itself, and the form for one that comes back."""
    return _page(request, CompareForm())


@require_GET
@requires(Permission.POLICY_READ, whole=True)
def backup_file(request: MemberRequest) -> HttpResponse:
    """All lists in one file; what leaves is written down itself."""
    body = taking.take(actor=request.user, request=request)
    day = timezone.now().astimezone(dt.UTC).strftime("%Y-%m-%d-%H%M%S")
    name = f"mailwarden-settings-{settings.CLOUDFLARE_ACCOUNT_ID[:8]}-{day}.json"
    return HttpResponse(
        body, content_type="application/json", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


@require_POST
@requires(Permission.POLICY_WRITE, whole=True)
@requires(Permission.POLICY_READ, whole=True)
def compare(request: MemberRequest) -> HttpResponse:
    """Keep an uploaded backup, and lead to its comparison."""
    form = CompareForm(request.POST, request.FILES)
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            upload = keeping.keep(request.user, file.read(), file.name or "")
        except Unreadable as problem:
            form.add_error("file", str(problem))
        else:
            return HttpResponseRedirect(reverse("settings:compared", args=[upload.pk]))
    return _page(request, form, status=422)


@require_safe
@requires(Permission.POLICY_WRITE, whole=True)
@requires(Permission.POLICY_READ, whole=True)
def compared(request: MemberRequest, upload_id: uuid.UUID) -> HttpResponse:
    """The backup beside the account as it is now; nothing is sent."""
    found = keeping.kept(request.user, upload_id)
    if found is None:
        return _over(request)
    return _compared(request, *found)


@require_POST
@requires(Permission.POLICY_WRITE, whole=True)
@requires(Permission.POLICY_READ, whole=True)
def restore(request: MemberRequest) -> HttpResponse:
    """Make dry runs of what was ticked; each is decided on its own page."""
    member = request.user
    form = RestoreForm(request.POST)
    if not form.is_valid():
        raise Http404
    found = keeping.kept(member, form.cleaned_data["upload"])
    if found is None:
        return _over(request)
    upload, file = found
    marks = [mark for mark in request.POST.getlist("pick") if mark.partition("/")[0] in BY_NAME]
    for name in {mark.partition("/")[0] for mark in marks}:
        if not member.may(BY_NAME[name].write):
            raise PermissionDenied(BY_NAME[name].write.value)
    if not marks:
        return _compared(request, upload, file, problem="Tick what is to be restored.", status=422)
    try:
        made = restoring.restore(
            actor=member,
            backup=file,
            marks=marks,
            file_name=upload.file_name,
            operation_key=form.cleaned_data["operation_key"],
            request=request,
        )
    except (services.Conflict, services.NotPossible) as problem:
        return _compared(request, upload, file, problem=str(problem), status=409)
    if not made:
        return _compared(request, upload, file, problem="What you ticked is as the backup says meanwhile.", status=409)
    if len(made) == 1:
        return HttpResponseRedirect(reverse("settings:change", args=[made[0].pk]))
    return render(request, "settings_ui/backup/restored.html", {"runs": [(one, dry_run.of(one)) for one in made]})


def _page(request: MemberRequest, form: CompareForm, status: int = 200) -> HttpResponse:
    member = request.user
    offers = get_client().offers
    context = {
        "form": form,
        "may_compare": member.may(Permission.POLICY_WRITE),
        "holders": [role.value.replace("_", " ") for role in roles_with(Permission.POLICY_WRITE)],
        "missing": listed([words.named(one) for one in RESOURCES if not offers(one.name)]),
        "last": Upload.objects.filter(member=member, ends_at__gt=timezone.now()).defer("body").first(),
    }
    return render(request, "settings_ui/backup/backup.html", context, status=status)


def _over(request: MemberRequest) -> HttpResponse:
    """The hour is over, or the address is somebody else's."""
    form = CompareForm({}, {})
    form.full_clean()
    form.errors["file"] = form.error_class(["An uploaded backup is kept for an hour. Choose the file again."])
    return _page(request, form, status=404)


def _compared(
    request: MemberRequest, upload: Upload, file: Backup, *, problem: str = "", status: int = 200
) -> HttpResponse:
    found, missing = restoring.compared(file)
    alone = request.GET.get("show", "")
    lists: Sequence[showing.ShownList] = showing.shown(request.user, found, alone=alone)
    context = {
        "upload": upload,
        "backup": file,
        "lists": lists,
        "alone": alone if any(one.groups for one in lists) else "",
        "is_same": all(one.is_same for one in found),
        "is_foreign": file.account_id != settings.CLOUDFLARE_ACCOUNT_ID,
        "missing": listed([words.named(BY_NAME[name]) for name in missing]),
        "unknown": listed(file.unknown),
        "not_in_file": listed([words.named(BY_NAME[name]) for name in file.missing if name in BY_NAME]),
        "form": RestoreForm(initial={"operation_key": uuid.uuid4().hex, "upload": upload.pk}),
        "problem": problem,
    }
    return render(request, "settings_ui/backup/compared.html", context, status=status)
