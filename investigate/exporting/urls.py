"""Addresses of this room, below /investigate/. Literal paths come before ids."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import exporting as views

urlpatterns: list[URLPattern] = [
    path("export/", views.export, name="export"),
    path("export/list", views.export_list, name="export_list"),
    path("export/indicators", views.list_indicators, name="list_indicators"),
    path("campaigns/indicators/", views.campaign_indicators, name="campaign_indicators"),
    path("campaigns/report/", views.campaign_report, name="campaign_report"),
    path("<investigate_id:investigate_id>/indicators/", views.message_indicators, name="indicators"),
    path("<investigate_id:investigate_id>/report/", views.message_report, name="report"),
]
