"""Addresses of this room, below /investigate/."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import memory as views

urlpatterns: list[URLPattern] = [
    path("memory/", views.memory, name="memory"),
    path("evidence/", views.evidence, name="evidence"),
    path("evidence/<int:evidence_id>/", views.evidence_file, name="evidence_file"),
    path("evidence/<int:evidence_id>/sample.zip", views.download_evidence, name="download_evidence"),
    path("evidence/<int:evidence_id>/uncover", views.uncover_evidence, name="uncover_evidence"),
    path("evidence/<int:evidence_id>/end", views.end_evidence, name="end_evidence"),
    path("<investigate_id:investigate_id>/evidence", views.keep_evidence, name="keep_evidence"),
]
