"""Addresses of this room, below /investigate/."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import submissions

urlpatterns: list[URLPattern] = [
    path("submissions/", submissions.submissions, name="submissions"),
    path("submissions/export", submissions.submissions_file, name="submissions_file"),
    path("submissions/<investigate_id:submission_id>/", submissions.submission, name="submission"),
    path("submissions/<investigate_id:submission_id>/pane", submissions.submission_pane, name="submission_pane"),
    path(
        "submissions/<investigate_id:submission_id>/original",
        submissions.submission_original,
        name="submission_original",
    ),
    path("submissions/<investigate_id:submission_id>/escalate", submissions.escalate, name="escalate"),
    path("submissions/<investigate_id:submission_id>/answer", submissions.answer, name="answer"),
    path("<investigate_id:investigate_id>/missed-detection", submissions.missed_detection, name="missed_detection"),
]
