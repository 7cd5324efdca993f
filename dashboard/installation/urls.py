"""Addresses below /team/installation/."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "installation"
urlpatterns: list[URLPattern] = []
