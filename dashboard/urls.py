"""Every address of Mailwarden; each room keeps its own."""

from django.urls import include, path

from dashboard.overview.views import home
from dashboard.upstream import health

urlpatterns = [
    path("", home, name="home"),
    path("investigate/", include("investigate.urls")),
    path("overview/", include("dashboard.overview.urls")),
    path("team/installation/", include("dashboard.installation.urls")),
    path("", include("dashboard.access.team.urls")),
    path("account/", include("dashboard.access.urls")),
    path("audit/", include("dashboard.audit.urls")),
    path("settings/", include("settings_ui.urls")),
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
]

handler400 = "dashboard.web.errors.bad_request"
handler403 = "dashboard.web.errors.permission_denied"
handler404 = "dashboard.web.errors.not_found"
handler500 = "dashboard.web.errors.server_error"
