"""Addresses of sign-in and of one's own account.

What django-allauth reverses itself keeps allauth's names; nothing of allauth is offered that is not listed here.
"""

from __future__ import annotations

from django.urls import include, path, re_path

from dashboard.access import factors, oidc_views, views
from dashboard.access.decorators import opens_without_factor as early

own = [
    path("login/", views.sign_in, name="login"),
    path("logout/", views.sign_out, name="logout"),
    path("first-sign-in/<uidb64>/<token>/", views.first_sign_in, name="first_sign_in"),
    path("password/", early(views.password_change), name="password_change"),
    path("sso/", oidc_views.start, name="sso_start"),
    path("sso/callback/", oidc_views.callback, name="sso_callback"),
    path("preferences/", early(views.preferences), name="preferences"),
    path("preferences/switch/<slug:preference>/", early(views.switch), name="switch"),
    path("factors/app/picture.svg", early(factors.app_picture), name="app_picture"),
    path("sessions/<int:pk>/end", early(factors.end_session), name="end_session"),
    path("sessions/end-others", early(factors.end_other_sessions), name="end_other_sessions"),
]
urlpatterns = [
    path("", include((own, "access"))),
    path("login/", views.sign_in, name="account_login"),
    path("login/second-step/", views.second_step, name="mfa_authenticate"),
    path("login/passkey/", views.passkey_sign_in, name="mfa_login_webauthn"),
    path("logout/", views.sign_out, name="account_logout"),
    path("prove/", early(views.prove_by_password), name="account_reauthenticate"),
    path("prove/code/", early(views.prove_by_code), name="mfa_reauthenticate"),
    path("prove/passkey/", early(views.prove_by_passkey), name="mfa_reauthenticate_webauthn"),
    path("password/", early(views.password_change), name="account_change_password"),
    path("password/reset/", views.password_reset, name="account_reset_password"),
    path("password/reset/sent/", views.password_reset_sent, name="account_reset_password_done"),
    re_path(
        r"^password/reset/(?P<uidb36>[0-9A-Za-z]{1,13})-(?P<key>[0-9A-Za-z-]{1,100})/$",
        views.password_from_link,
        name="account_reset_password_from_key",
    ),
    path("factors/", early(factors.factors), name="mfa_index"),
    path("factors/app/", early(factors.set_up_app), name="mfa_activate_totp"),
    path("factors/app/remove/", early(factors.remove_app), name="mfa_deactivate_totp"),
    path("factors/passkeys/add/", early(factors.add_passkey), name="mfa_add_webauthn"),
    path("factors/passkeys/<int:pk>/remove/", early(factors.remove_passkey), name="mfa_remove_webauthn"),
    path("factors/codes/", early(factors.codes), name="mfa_view_recovery_codes"),
    path("factors/codes/new/", early(factors.new_codes), name="mfa_generate_recovery_codes"),
    path("sessions/", early(factors.own_sessions), name="usersessions_list"),
]
