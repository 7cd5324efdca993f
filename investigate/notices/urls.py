"""Addresses of this room, below /investigate/."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import notices

urlpatterns: list[URLPattern] = [
    path("notices/", notices.notices, name="notices"),
    path("notices/new", notices.notice_new, name="notice_new"),
    path("notices/sent/<uuid:notice_id>/", notices.notice_sent, name="notice_sent"),
    path("notices/sent/<uuid:notice_id>/again", notices.notice_again, name="notice_again"),
    path("notices/<uuid:notice_rule_id>/", notices.notice, name="notice"),
    path("notices/<uuid:notice_rule_id>/switch", notices.notice_switch, name="notice_switch"),
    path("notices/<uuid:notice_rule_id>/delete", notices.notice_delete, name="notice_delete"),
    path("notices/<uuid:notice_rule_id>/try", notices.notice_try, name="notice_try"),
]
