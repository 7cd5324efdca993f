"""Addresses of the team, and the one an invitation opens."""

from __future__ import annotations

from django.urls import path

from dashboard.access.team import views

app_name = "team"
urlpatterns = [
    path("team/", views.members, name="members"),
    path("team/members/<int:member_id>/", views.member, name="member"),
    path("team/members/<int:member_id>/end-sessions/", views.end_sessions, name="end_sessions"),
    path("team/members/<int:member_id>/reset-sign-in/", views.reset_sign_in, name="reset_sign_in"),
    path("team/roles/", views.roles, name="roles"),
    path("team/roles/new/", views.new_role, name="new_role"),
    path("team/roles/<slug:name>/", views.role, name="role"),
    path("team/roles/<slug:name>/delete/", views.delete_role, name="delete_role"),
    path("team/invitations/", views.invitations, name="invitations"),
    path("team/invitations/new/", views.invite, name="invite"),
    path("team/invitations/<int:invitation_id>/revoke/", views.revoke, name="revoke"),
    path("account/invitation/<str:secret>/", views.accept, name="accept"),
]
