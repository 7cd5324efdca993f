"""Addresses of this room, below /investigate/bulk/."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import upstream_jobs

urlpatterns: list[URLPattern] = [
    path("bulk/cloudflare/", upstream_jobs.upstream_jobs, name="upstream_jobs"),
    path("bulk/cloudflare/new", upstream_jobs.new_upstream_job, name="new_upstream_job"),
    path("bulk/cloudflare/<investigate_id:job_id>/", upstream_jobs.upstream_job, name="upstream_job"),
    path("bulk/cloudflare/<investigate_id:job_id>/copies", upstream_jobs.upstream_copies, name="upstream_copies"),
    path(
        "bulk/cloudflare/<investigate_id:job_id>/cancel", upstream_jobs.cancel_upstream_job, name="cancel_upstream_job"
    ),
    path(
        "bulk/cloudflare/<investigate_id:job_id>/delete", upstream_jobs.delete_upstream_job, name="delete_upstream_job"
    ),
    path("bulk/cloudflare/<investigate_id:job_id>/look", upstream_jobs.look_upstream_job, name="look_upstream_job"),
    path(
        "bulk/cloudflare/<investigate_id:job_id>/settle", upstream_jobs.settle_upstream_job, name="settle_upstream_job"
    ),
]
