"""Addresses of the settings rooms. What is no resource comes before the resources, whose slug could be anything."""

from __future__ import annotations

from django.urls import URLPattern, path  # noqa: F401  every room adds its lines

app_name = "settings"
urlpatterns: list[URLPattern] = [
    # overview
    # changes
    # observed
    # backup
    # domains
    # lists: one resource
    # forms: one resource
    # files: one resource
    # life of one entry
    # one entry (last: its id could be anything)
]
