"""Addresses of this room, below /investigate/."""

from __future__ import annotations

from django.urls import path

from investigate.views import rules

urlpatterns = [
    path("rules/<uuid:change_id>/", rules.rule, name="rule"),
    path("rules/<uuid:change_id>/look", rules.look_at_rule, name="look_at_rule"),
    path("rules/accepted/<uuid:entry_id>/", rules.accepted, name="accepted"),
    path("rules/accepted/<uuid:entry_id>/undo", rules.undo_accepted, name="undo_accepted"),
    path("<investigate_id:investigate_id>/block", rules.block_sender, name="block_sender"),
    path("<investigate_id:investigate_id>/block/try", rules.try_block, name="try_block"),
    path("<investigate_id:investigate_id>/allow", rules.allow_sender, name="allow_sender"),
    path("<investigate_id:investigate_id>/guard", rules.guard_name, name="guard_name"),
]
