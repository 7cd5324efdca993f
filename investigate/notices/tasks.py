"""Celery tasks of this room: thin entries."""
