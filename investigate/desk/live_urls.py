"""Addresses of the live updates, below /investigate/."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import live

urlpatterns: list[URLPattern] = [
    path("live", live.live, name="live"),
    path("live/cells", live.live_cells, name="live_cells"),
]
