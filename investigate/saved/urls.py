"""Addresses of this room, below /investigate/."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import saved

urlpatterns: list[URLPattern] = [
    path("views/", saved.views, name="views"),
    path("views/new", saved.new_view, name="new_view"),
    path("views/<int:view_id>/", saved.view, name="view"),
    path("views/<int:view_id>/filters", saved.save_filters, name="save_filters"),
    path("views/<int:view_id>/move", saved.move_view, name="move_view"),
    path("views/<int:view_id>/delete", saved.delete_view, name="delete_view"),
]
