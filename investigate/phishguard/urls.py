"""Addresses of this room, below /investigate/. A report is found again by the range it was seen in."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import phishguard

urlpatterns: list[URLPattern] = [
    path("phishguard/", phishguard.reports, name="phishguard"),
    path("phishguard/<investigate_id:report_id>/", phishguard.report, name="phishguard_report"),
    path("phishguard/<investigate_id:report_id>/pane", phishguard.report_pane, name="phishguard_pane"),
    path("phishguard/<investigate_id:report_id>/text", phishguard.report_text, name="phishguard_text"),
    path("phishguard/<investigate_id:report_id>/uncover", phishguard.uncover_report, name="phishguard_uncover"),
    path("phishguard/<investigate_id:report_id>/message", phishguard.report_message, name="phishguard_message"),
    path("phishguard/<investigate_id:report_id>/take", phishguard.take_report, name="phishguard_take"),
]
