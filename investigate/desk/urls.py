"""Addresses of the desk, below /investigate/. A case is named by its message, or by the report it stands for."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import desk

urlpatterns: list[URLPattern] = [
    path("queue/", desk.queue, name="queue"),
    path("queue/<int:case_id>/", desk.queue_case, name="queue_case"),
    path("queue/<int:case_id>/pane", desk.queue_case_pane, name="queue_case_pane"),
    path("<investigate_id:investigate_id>/case", desk.case, name="case"),
    path("<investigate_id:investigate_id>/take", desk.take, name="take"),
    path("<investigate_id:investigate_id>/hand-over", desk.hand_over, name="hand_over"),
    path("<investigate_id:investigate_id>/let-go", desk.let_go, name="let_go"),
    path("<investigate_id:investigate_id>/state", desk.case_state, name="case_state"),
    path("<investigate_id:investigate_id>/verdict", desk.own_verdict, name="own_verdict"),
    path("<investigate_id:investigate_id>/done", desk.finish, name="finish"),
    path("<investigate_id:investigate_id>/notes", desk.notes_on, name="notes"),
    path("<investigate_id:investigate_id>/notes/seen", desk.notes_seen, name="notes_seen"),
]
