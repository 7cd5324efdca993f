"""Addresses of this room, below /investigate/approvals/."""

from __future__ import annotations

from django.urls import path

from investigate.views import approvals

urlpatterns = [
    path("approvals/", approvals.approvals, name="approvals"),
    path("approvals/<uuid:approval_id>/", approvals.approval, name="approval"),
    path("approvals/<uuid:approval_id>/approve", approvals.approve_request, name="approve_request"),
    path("approvals/<uuid:approval_id>/refuse", approvals.refuse_request, name="refuse_request"),
    path("approvals/<uuid:approval_id>/withdraw", approvals.withdraw_request, name="withdraw_request"),
    path("approvals/<uuid:approval_id>/undo", approvals.undo_request, name="undo_request"),
]
