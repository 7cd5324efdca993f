"""Addresses of the settings rooms. What is no resource comes before the resources, whose slug could be anything."""

from __future__ import annotations

from django.urls import URLPattern, path

from settings_ui.views import domains, life, lists, observed, overview

app_name = "settings"
urlpatterns: list[URLPattern] = [
    # overview
    path("", overview.overview, name="overview"),
    # changes
    # observed
    path("observed/", observed.observed, name="observed"),
    path("observed/read", observed.read_again, name="observed_read"),
    # backup
    # domains
    path("domains/<str:entry_id>/verification", domains.verification, name="verification"),
    # lists: one resource
    path("<slug:slug>/", lists.entries, name="list"),
    # forms: one resource
    # files: one resource
    # life of one entry
    path("<slug:slug>/<str:entry_id>/life", life.life, name="life"),
    # one entry (last: its id could be anything)
    path("<slug:slug>/<str:entry_id>/", lists.entry, name="entry"),
]
