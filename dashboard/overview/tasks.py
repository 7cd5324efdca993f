"""Celery tasks of the overview: thin entries."""
