"""Addresses of this room, below /investigate/."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import search

urlpatterns: list[URLPattern] = [
    path("", search.search, name="search"),
    path("arrivals", search.arrivals, name="arrivals"),
    path("filters", search.filters, name="filters"),
    path("runs/cancel", search.cancel_search, name="cancel_search"),
]
