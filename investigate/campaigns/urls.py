"""Addresses of this room, below /investigate/."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import campaigns as views

urlpatterns: list[URLPattern] = [
    path("campaigns/", views.campaigns, name="campaigns"),
    path("campaigns/one/", views.campaign, name="campaign"),
    path("campaigns/one/ask", views.ask_campaign, name="ask_campaign"),
    path("campaigns/one/decide", views.decide_campaign, name="decide_campaign"),
    path("campaigns/one/follow", views.follow_campaign, name="follow_campaign"),
    path("campaigns/one/end", views.end_following, name="end_following"),
    path("campaigns/one/take", views.take_later, name="take_later"),
    path("campaigns/one/leave", views.leave_later, name="leave_later"),
]
