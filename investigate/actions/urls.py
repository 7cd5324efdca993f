"""Addresses of this room, below /investigate/."""

from __future__ import annotations

from django.urls import path

from investigate.views import actions

urlpatterns = [
    path("actions/", actions.actions, name="actions"),
    path("actions/undo-last", actions.undo_last, name="undo_last"),
    path("actions/<uuid:action_id>/", actions.action, name="action"),
    path("actions/<uuid:action_id>/undo", actions.undo, name="undo"),
    path("actions/<uuid:action_id>/reason", actions.reason, name="reason"),
    path("actions/<uuid:action_id>/look", actions.look, name="look"),
    path("actions/<uuid:action_id>/settle", actions.settle, name="settle"),
    path("<investigate_id:investigate_id>/actions/", actions.act, name="act"),
    path("<investigate_id:investigate_id>/actions/foot", actions.foot, name="foot"),
]
