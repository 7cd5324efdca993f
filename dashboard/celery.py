"""The Celery application; tasks live beside the subject they serve."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import setup_logging

import dashboard.embedded_broker  # noqa: F401  registers the `embedded://` transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

app = Celery("mailwarden")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["dashboard.upstream", "investigate"])
app.conf.task_routes = {
    "investigate.tasks.send_action": {"queue": "people"},
    "investigate.tasks.look_up_action": {"queue": "people"},
    "investigate.tasks.continue_search": {"queue": "polls"},
    "investigate.tasks.refresh_search": {"queue": "polls"},
    "investigate.tasks.collect_job": {"queue": "bulk"},
    "investigate.tasks.step_job": {"queue": "bulk"},
    "investigate.tasks.look_up_chunk": {"queue": "bulk"},
    "*": {"queue": "sweep"},
}
# Due times are columns in the database; the schedule only says how often somebody looks at them.
app.conf.beat_schedule = {
    "sweep": {"task": "investigate.tasks.sweep", "schedule": 15.0, "options": {"expires": 30}},
    "heartbeat": {"task": "dashboard.upstream.tasks.beat", "schedule": 15.0, "options": {"expires": 30}},
    "heartbeat of people's worker": {
        "task": "dashboard.upstream.tasks.beat",
        "schedule": 15.0,
        "args": ["people"],
        "options": {"expires": 30, "queue": "people"},
    },
    "purge": {"task": "dashboard.upstream.tasks.purge", "schedule": 600.0, "options": {"expires": 1200}},
}


@setup_logging.connect
def keep_our_logging(**_: object) -> None:
    """Celery would replace the handlers; the settings have already configured them."""
