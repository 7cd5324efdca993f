"""Addresses of this room, below /investigate/."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import campaigns

urlpatterns: list[URLPattern] = [
    path("campaigns/", campaigns.campaigns, name="campaigns"),
    path("campaigns/one/", campaigns.campaign, name="campaign"),
]
