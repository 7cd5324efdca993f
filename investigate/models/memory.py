"""Own memory: what any answer has shown us, kept as long as the team's rule says, searched without a call."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class CampaignBy(models.TextChoices):
    """What makes messages copies of one campaign. Each message has at most one key of each kind."""

    FINGERPRINT = "edf", "fingerprint"  # `edf_hash`: alike in content
    LAYOUT = "layout"  # `htmltext_structure_hash`: the same structure with other words
    SHAPE = "shape", "sender and subject"  # the sender's domain, and the subject without its changing parts


class SeenMessage(models.Model):
    """A message as an answer last showed it: metadata alone, never what its body says.

    The latest answer wins. `domains` is what `access.scope.spaced` makes of the mailboxes its copies went to.
    """

    account_id = models.CharField(max_length=64)
    investigate_id = models.CharField(max_length=255)
    postfix_id = models.CharField(max_length=255, blank=True)
    alert_id = models.CharField(max_length=255, blank=True)
    message_id = models.TextField(blank=True)  # the RFC 5322 header
    subject = models.TextField(blank=True)
    sender = models.CharField(max_length=500, blank=True)  # as it is compared: lower case
    sender_name = models.CharField(max_length=500, blank=True)
    sender_domain = models.CharField(max_length=255, blank=True)
    recipients = models.JSONField(default=list)  # the mailboxes its copies went to
    domains = models.TextField(blank=True)
    disposition = models.CharField(max_length=40, blank=True)  # what Cloudflare said, "" where it said nothing
    is_quarantined = models.BooleanField(default=False)
    delivery_status = models.JSONField(default=list)  # one per copy, as the API writes them
    reasons = models.JSONField(default=list)
    categories = models.JSONField(default=list)
    edf_hash = models.CharField(max_length=255, blank=True)
    structure_hash = models.CharField(max_length=255, blank=True)
    shape = models.CharField(max_length=255, blank=True)
    scanned_at = models.DateTimeField()
    first_seen_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account_id", "investigate_id"], name="each_message_remembered_once"),
        ]
        indexes = [
            models.Index(fields=["account_id", "scanned_at"]),
            models.Index(fields=["account_id", "sender", "scanned_at"]),
            models.Index(fields=["account_id", "sender_domain", "scanned_at"]),
            models.Index(fields=["account_id", "edf_hash", "scanned_at"]),
            models.Index(fields=["account_id", "structure_hash", "scanned_at"]),
            models.Index(fields=["account_id", "shape", "scanned_at"]),
            models.Index(fields=["account_id", "postfix_id"]),
        ]

    def __str__(self) -> str:
        return f"seen {self.investigate_id}"


class SeenCopy(models.Model):
    """One mailbox a remembered message went to: for counting by person, and for finding by recipient."""

    message = models.ForeignKey(SeenMessage, on_delete=models.CASCADE, related_name="copies")
    account_id = models.CharField(max_length=64)
    address = models.CharField(max_length=500)  # lower case
    domain = models.CharField(max_length=255, blank=True)
    disposition = models.CharField(max_length=40, blank=True)
    told = models.CharField(max_length=20, blank=True, db_default="")  # `places.Place` the API last spoke of
    scanned_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "address"], name="each_copy_remembered_once")]
        indexes = [
            models.Index(fields=["account_id", "address", "scanned_at"]),
            models.Index(fields=["account_id", "scanned_at"]),
        ]

    def __str__(self) -> str:
        return f"copy of {self.message_id}"


class SeenSubmission(models.Model):
    """A request for review as the API last listed it, and what we know of how it came about.

    Three verdicts that are never mixed: what the message was (`original`), what was asked for (`requested`), what
    Cloudflare answered (`outcome`).
    """

    account_id = models.CharField(max_length=64)
    submission_id = models.CharField(max_length=255)
    type = models.CharField(max_length=20, blank=True)  # TEAM or USER
    subject = models.TextField(blank=True)
    requested_at = models.DateTimeField()
    requested_by = models.CharField(max_length=500, blank=True)
    original = models.CharField(max_length=40, blank=True)
    requested = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=40, blank=True)
    outcome_text = models.TextField(blank=True)  # the API's free text
    status = models.CharField(max_length=100, blank=True)  # how far it is processed, free text
    customer_status = models.CharField(max_length=40, blank=True)  # escalated, reviewed, unreviewed
    edf_hash = models.CharField(max_length=255, blank=True)
    postfix_id = models.CharField(max_length=255, blank=True)
    escalated_as = models.CharField(max_length=40, blank=True)
    escalated_at = models.DateTimeField(null=True)
    escalated_by = models.CharField(max_length=500, blank=True)
    escalated_submission_id = models.CharField(max_length=255, blank=True)
    domains = models.TextField(blank=True)  # of who may know of it, as `access.scope.spaced` writes them
    first_seen_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    outcome_seen_at = models.DateTimeField(null=True)  # when an outcome was first seen: it is that old at least
    action = models.ForeignKey("Action", null=True, on_delete=models.SET_NULL, related_name="+")  # ours, where known
    member_name = models.CharField(max_length=300, blank=True)  # who of the team sent it, where known
    reason = models.TextField(blank=True)  # why, as that action says

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account_id", "submission_id"], name="each_submission_remembered_once"),
        ]
        indexes = [
            models.Index(fields=["account_id", "requested_at"]),
            models.Index(fields=["account_id", "postfix_id"]),
        ]

    def __str__(self) -> str:
        return f"submission {self.submission_id}"


class SubmissionAnswer(models.Model):
    """That a user's report was reviewed on our side, and what came of it. The latest one counts; all are kept."""

    account_id = models.CharField(max_length=64)
    submission_id = models.CharField(max_length=255)
    verdict = models.CharField(max_length=20)  # an OwnVerdict
    text = models.TextField(blank=True)
    member = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    member_name = models.CharField(max_length=300)
    operation_key = models.CharField(max_length=64, unique=True)  # a form that is sent twice writes once
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["account_id", "submission_id"])]

    def __str__(self) -> str:
        return f"answer to {self.submission_id}"


class Evidence(models.Model):
    """A message's raw file, sealed with the installation's key, so that it is there when the original is gone."""

    account_id = models.CharField(max_length=64)
    investigate_id = models.CharField(max_length=255)
    sha256 = models.CharField(max_length=64)  # of the file as Cloudflare gave it
    size = models.PositiveIntegerField()  # bytes of that file
    sealed = models.BinaryField()
    subject = models.TextField(blank=True)
    domains = models.TextField(blank=True)
    reason = models.CharField(max_length=500, blank=True)
    member = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    member_name = models.CharField(max_length=300)
    kept_at = models.DateTimeField()
    until = models.DateTimeField(null=True, db_index=True)  # deleted after that; null: until somebody ends it

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account_id", "investigate_id", "sha256"], name="each_file_kept_once"),
        ]

    def __str__(self) -> str:
        return f"evidence {self.sha256[:12]}"
