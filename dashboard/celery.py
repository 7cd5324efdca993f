"""The Celery application; tasks live beside the subject they serve."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import setup_logging

import dashboard.embedded_broker  # noqa: F401  registers the `embedded://` transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

app = Celery("mailwarden")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(
    [
        "dashboard.upstream",
        "dashboard.access",
        "dashboard.audit",
        "dashboard.installation",
        "dashboard.overview",
        "investigate",
        "settings_ui",
    ]
)
app.conf.task_routes = {
    "investigate.tasks.send_action": {"queue": "people"},
    "investigate.tasks.look_up_action": {"queue": "people"},
    "investigate.tasks.advance_fix": {"queue": "people"},
    "investigate.tasks.continue_search": {"queue": "polls"},
    "investigate.tasks.refresh_search": {"queue": "polls"},
    "investigate.tasks.collect_queue": {"queue": "polls"},
    "investigate.saved.tasks.read_view": {"queue": "polls"},
    "investigate.tasks.send_notice": {"queue": "polls"},
    "investigate.tasks.collect_job": {"queue": "bulk"},
    "investigate.tasks.follow_campaign": {"queue": "bulk"},
    "investigate.tasks.step_job": {"queue": "bulk"},
    "investigate.tasks.look_up_chunk": {"queue": "bulk"},
    "investigate.tasks.upstream_job": {"queue": "bulk"},
    "dashboard.access.tasks.*": {"queue": "people"},
    "dashboard.installation.tasks.*": {"queue": "polls"},
    "dashboard.overview.tasks.*": {"queue": "polls"},
    "settings_ui.tasks.read_list": {"queue": "bulk"},
    "settings_ui.tasks.step_long_change": {"queue": "bulk"},
    "settings_ui.tasks.look_up_step": {"queue": "bulk"},
    "settings_ui.tasks.*": {"queue": "people"},
    "*": {"queue": "sweep"},
}


@setup_logging.connect
def keep_our_logging(**_: object) -> None:
    """Celery would replace the handlers; the settings have already configured them."""
