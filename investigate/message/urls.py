"""Addresses of one message, below /investigate/."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import message as views

urlpatterns: list[URLPattern] = [
    path("<investigate_id:investigate_id>/", views.message, name="message"),
    path("<investigate_id:investigate_id>/pane", views.pane, name="pane"),
    path("<investigate_id:investigate_id>/parts/<slug:part>", views.part, name="part"),
    path("<investigate_id:investigate_id>/preview", views.render_preview, name="render_preview"),
    path("<investigate_id:investigate_id>/uncover", views.uncover, name="uncover"),
    path("<investigate_id:investigate_id>/preview.png", views.preview_image, name="preview_image"),
    path("<investigate_id:investigate_id>/raw.txt", views.raw_text, name="raw_text"),
    path("<investigate_id:investigate_id>/message.eml", views.download_eml, name="download_eml"),
    path("<investigate_id:investigate_id>/sample.zip", views.download_sample, name="download_sample"),
]
