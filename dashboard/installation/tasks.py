"""Celery tasks of the installation: thin entries."""
