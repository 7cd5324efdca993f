"""Addresses of the overview; the page itself is `home`."""

from __future__ import annotations

from django.urls import URLPattern, path

from dashboard.overview import views

app_name = "overview"
urlpatterns: list[URLPattern] = [
    path("needs", views.needs_now, name="needs"),
    path("figures", views.figures_now, name="figures"),
]
