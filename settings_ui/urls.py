"""Addresses of the settings rooms. What is no resource comes before the resources, whose slug could be anything."""

from __future__ import annotations

from django.urls import URLPattern, path, register_converter

from settings_ui.views import backup, changes, domains, forms, imports, life, lists, observed, overview, removing
from settings_ui.views.parts import is_id


class EntryIdConverter:
    """An id of an entry is opaque, and one segment of the path."""

    regex = r"[^/]+"

    def to_python(self, value: str) -> str:
        if not is_id(value):
            raise ValueError(value)
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(EntryIdConverter, "entry_id")

app_name = "settings"
urlpatterns: list[URLPattern] = [
    # overview
    path("", overview.overview, name="overview"),
    # changes
    path("changes/", changes.changes, name="changes"),
    path("changes/<uuid:change_id>/", changes.change, name="change"),
    path("changes/<uuid:change_id>/lines/", changes.lines, name="lines"),
    path("changes/<uuid:change_id>/confirm", changes.confirm, name="confirm"),
    path("changes/<uuid:change_id>/cancel", changes.cancel, name="cancel"),
    path("changes/<uuid:change_id>/undo", changes.undo, name="undo"),
    path("changes/<uuid:change_id>/retry", changes.retry, name="retry"),
    path("changes/<uuid:change_id>/approve", changes.approve, name="approve"),
    path("changes/<uuid:change_id>/refuse", changes.refuse, name="refuse"),
    path("changes/<uuid:change_id>/look", changes.look, name="look"),
    path("changes/<uuid:change_id>/bad-lines", imports.bad_lines, name="bad_lines"),
    # observed
    path("observed/", observed.observed, name="observed"),
    path("observed/read", observed.read_again, name="observed_read"),
    # backup
    path("backup/", backup.backup, name="backup"),
    path("backup/file", backup.backup_file, name="backup_file"),
    path("backup/compare", backup.compare, name="compare"),
    path("backup/compare/<uuid:upload_id>/", backup.compared, name="compared"),
    path("backup/restore", backup.restore, name="restore"),
    # domains
    path("domains/<entry_id:entry_id>/verification", domains.verification, name="verification"),
    # lists: one resource
    path("<slug:slug>/", lists.entries, name="list"),
    # forms: one resource
    path("<slug:slug>/new", forms.new, name="new"),
    path("<slug:slug>/try", forms.try_pattern, name="try"),
    path("<slug:slug>/remove", removing.remove, name="remove"),
    path("<slug:slug>/<entry_id:entry_id>/edit", forms.edit, name="edit"),
    # files: one resource
    path("<slug:slug>/export", imports.export, name="export"),
    path("<slug:slug>/import", imports.upload, name="import"),
    # life of one entry
    path("<slug:slug>/<entry_id:entry_id>/life", life.life, name="life"),
    # one entry (last: its id could be anything)
    path("<slug:slug>/<entry_id:entry_id>/", lists.entry, name="entry"),
]
