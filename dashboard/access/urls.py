"""Addresses of sign-in and of one's own account.

What django-allauth reverses itself keeps allauth's names; nothing of allauth is offered that is not listed here.
"""

from __future__ import annotations

from django.urls import include, path

from dashboard.access import views

own = [
    path("login/", views.sign_in, name="login"),
    path("logout/", views.sign_out, name="logout"),
    path("first-sign-in/<uidb64>/<token>/", views.first_sign_in, name="first_sign_in"),
    path("password/", views.password_change, name="password_change"),
    path("preferences/", views.preferences, name="preferences"),
    path("preferences/switch/<slug:preference>/", views.switch, name="switch"),
]
urlpatterns = [
    path("", include((own, "access"))),
    path("login/", views.sign_in, name="account_login"),
    path("logout/", views.sign_out, name="account_logout"),
]
