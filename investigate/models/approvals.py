"""What waits for a second person."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from investigate.models.actions import Action
from investigate.models.jobs import BulkJob, UpstreamJob


class ApprovalState(models.TextChoices):
    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Approval(models.Model):
    """A request that somebody else decides; the action or job it is about stands still until then.

    `fingerprint` is of what was asked for, and what is approved is exactly that. The database itself refuses that
    somebody decides their own request.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account_id = models.CharField(max_length=64)
    action = models.OneToOneField(Action, null=True, on_delete=models.CASCADE, related_name="approval")
    job = models.OneToOneField(BulkJob, null=True, on_delete=models.CASCADE, related_name="approval")
    upstream_job = models.OneToOneField(UpstreamJob, null=True, on_delete=models.CASCADE, related_name="approval")
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    requested_by_name = models.CharField(max_length=300)
    why = models.CharField(max_length=300)  # why it takes two: "purges", "releases Malicious mail", "1,400 messages"
    permissions = models.JSONField(default=list)  # rights the second person must hold, beside `approval:decide`
    fingerprint = models.CharField(max_length=64)
    domains = models.TextField(blank=True)  # of all recipients, as `access.scope.spaced` writes them
    state = models.CharField(max_length=10, choices=ApprovalState, default=ApprovalState.PENDING)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_by_name = models.CharField(max_length=300, blank=True)
    decided_at = models.DateTimeField(null=True)
    comment = models.CharField(max_length=1000, blank=True)
    seen_at = models.DateTimeField(null=True)  # when who asked was shown how it ended
    audit_sequence = models.BigIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["account_id", "state", "expires_at"])]
        constraints = [
            models.CheckConstraint(
                condition=Q(decided_by=None) | Q(requested_by=None) | ~Q(decided_by=F("requested_by")),
                name="nobody_decides_their_own_request",
            ),
            models.CheckConstraint(
                condition=(
                    Q(action__isnull=False, job=None, upstream_job=None)
                    | Q(action=None, job__isnull=False, upstream_job=None)
                    | Q(action=None, job=None, upstream_job__isnull=False)
                ),
                name="a_request_is_about_one_thing",
            ),
        ]

    def __str__(self) -> str:
        return f"approval {self.id} {self.state}"
