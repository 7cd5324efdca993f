"""Addresses of sign-in and of one's own account."""

from __future__ import annotations

from django.urls import path

from dashboard.access import views

app_name = "access"
urlpatterns = [
    path("login/", views.sign_in, name="login"),
    path("logout/", views.sign_out, name="logout"),
    path("first-sign-in/<uidb64>/<token>/", views.first_sign_in, name="first_sign_in"),
    path("password/", views.password_change, name="password_change"),
    path("preferences/", views.preferences, name="preferences"),
    path("preferences/switch/<slug:preference>/", views.switch, name="switch"),
]
