"""Addresses of this room, below /investigate/."""

from __future__ import annotations

from django.urls import path

from investigate.views import fixing

urlpatterns = [
    path("fixes/<uuid:fix_id>/", fixing.fix, name="fix"),
    path("fixes/<uuid:fix_id>/undo", fixing.undo_fix, name="undo_fix"),
    path("fixes/<uuid:fix_id>/steps/<int:number>/repeat", fixing.repeat_step, name="repeat_step"),
    path("fixes/<uuid:fix_id>/steps/<int:number>/look", fixing.look_for_rule, name="look_for_rule"),
    path("fixes/<uuid:fix_id>/steps/<int:number>/end", fixing.end_rule, name="end_rule"),
    path("<investigate_id:investigate_id>/put-right", fixing.put_right, name="put_right"),
]
