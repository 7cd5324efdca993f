"""Addresses of the settings rooms. What is no resource comes before the resources, whose slug could be anything."""

from __future__ import annotations

from django.urls import URLPattern, path

from settings_ui.views import backup, domains, imports, life, lists, observed, overview

app_name = "settings"
urlpatterns: list[URLPattern] = [
    # overview
    path("", overview.overview, name="overview"),
    # changes
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
    path("domains/<str:entry_id>/verification", domains.verification, name="verification"),
    # lists: one resource
    path("<slug:slug>/", lists.entries, name="list"),
    # forms: one resource
    # files: one resource
    path("<slug:slug>/export", imports.export, name="export"),
    path("<slug:slug>/import", imports.upload, name="import"),
    # life of one entry
    path("<slug:slug>/<str:entry_id>/life", life.life, name="life"),
    # one entry (last: its id could be anything)
    path("<slug:slug>/<str:entry_id>/", lists.entry, name="entry"),
]
