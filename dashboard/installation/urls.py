"""Addresses below /team/installation/."""

from __future__ import annotations

from django.urls import path

from dashboard.installation import views

app_name = "installation"
urlpatterns = [
    path("", views.installation, name="page"),
    path("check/", views.check, name="check"),
    path("check/begin", views.begin_check, name="begin_check"),
    path("values/<str:name>/", views.value, name="value"),
    path("values/<str:name>/back", views.value_back, name="value_back"),
]
