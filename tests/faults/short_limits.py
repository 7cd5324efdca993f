"""The settings of production, with time limits a test can wait for."""

from dashboard.settings import *  # noqa: F403

CELERY_TASK_SOFT_TIME_LIMIT = 2
CELERY_TASK_TIME_LIMIT = 4
