"""Addresses of this room, below /investigate/bulk/."""

from __future__ import annotations

from django.urls import URLPattern, path

from investigate.views import jobs, paste, rehearsal, selection, upstream_jobs

urlpatterns: list[URLPattern] = [
    path("bulk/", jobs.jobs, name="jobs"),
    path("bulk/paste", paste.paste, name="paste"),
    path("bulk/new", selection.begin_job, name="begin_job"),
    path("bulk/notices", jobs.job_notices, name="job_notices"),
    path("bulk/notices/dismiss", jobs.dismiss_notices, name="dismiss_notices"),
    path("bulk/<uuid:job_id>/", jobs.job, name="job"),
    path("bulk/<uuid:job_id>/progress", jobs.job_progress, name="job_progress"),
    path("bulk/<uuid:job_id>/chunks", jobs.job_chunks, name="job_chunks"),
    path("bulk/<uuid:job_id>/messages", jobs.job_messages, name="job_messages"),
    path("bulk/<uuid:job_id>/messages/<int:item_id>", jobs.job_message, name="job_message"),
    path("bulk/<uuid:job_id>/result.csv", jobs.job_result, name="job_result"),
    path("bulk/<uuid:job_id>/rehearsal", rehearsal.rehearsal_progress, name="rehearsal_progress"),
    path("bulk/<uuid:job_id>/decide", rehearsal.decide, name="decide_job"),
    path("bulk/<uuid:job_id>/take-over", rehearsal.take_over_job, name="take_over_job"),
    path("bulk/<uuid:job_id>/cancel", jobs.cancel_job, name="cancel_job"),
    path("bulk/<uuid:job_id>/pause", jobs.pause_job, name="pause_job"),
    path("bulk/<uuid:job_id>/resume", jobs.resume_job, name="resume_job"),
    path("bulk/<uuid:job_id>/retry", jobs.retry_job, name="retry_job"),
    path("bulk/<uuid:job_id>/look", jobs.look_job, name="look_job"),
    path("bulk/<uuid:job_id>/recollect", rehearsal.recollect_job, name="recollect_job"),
    path("bulk/<uuid:job_id>/again", jobs.job_again, name="job_again"),
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
