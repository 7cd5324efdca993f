"""Addresses of the audit trail."""

from __future__ import annotations

from django.urls import path

from dashboard.audit import views

app_name = "audit"
urlpatterns = [
    path("", views.events, name="events"),
    path("export.<slug:kind>", views.export, name="export"),
    path("<int:sequence>/", views.event, name="event"),
]
