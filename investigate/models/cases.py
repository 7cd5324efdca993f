"""The desk: messages the team works on, who has them, what it thinks of them, what was said."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q


class CaseSource(models.TextChoices):
    """What put a message on the desk first."""

    DETECTION = "detection"
    SUBMISSION = "submission", "user submission"
    PHISHGUARD = "phishguard", "PhishGuard report"
    PERSON = "person", "taken by a colleague"


class CaseState(models.TextChoices):
    NEW = "new"
    IN_WORK = "in_work", "in work"
    WAITING = "waiting"  # for somebody or something outside: a user's answer, a ticket
    DONE = "done"


class OwnVerdict(models.TextChoices):
    """What the team says, beside what Cloudflare said and what it answered."""

    TRUE_POSITIVE = "true_positive", "true positive"
    FALSE_POSITIVE = "false_positive", "false positive"
    SIMULATION = "simulation"
    GRAYMAIL = "graymail"
    UNSURE = "unsure"


class Case(models.Model):
    """One message on the desk. Every change raises `version`, and says which version it leaves.

    `key` is the message's investigate id, or the report itself ("phishguard:4711") where it names no message that can
    be opened. The facts are as of the day it came here, so that a list of hundreds asks the API nothing.
    """

    account_id = models.CharField(max_length=64)
    key = models.CharField(max_length=300)
    investigate_id = models.CharField(max_length=255, blank=True, db_index=True)
    source = models.CharField(max_length=12, choices=CaseSource)
    state = models.CharField(max_length=10, choices=CaseState, default=CaseState.NEW)
    verdict = models.CharField(max_length=20, choices=OwnVerdict, blank=True)
    verdict_by = models.CharField(max_length=300, blank=True)  # a name, which outlives the account
    verdict_at = models.DateTimeField(null=True)
    holder = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    holder_name = models.CharField(max_length=300, blank=True)
    held_at = models.DateTimeField(null=True)
    holder_seen_at = models.DateTimeField(null=True)  # a claim ends when its holder was away for too long
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    due_at = models.DateTimeField()  # overdue after that, until it is done
    done_at = models.DateTimeField(null=True)
    done_by = models.CharField(max_length=300, blank=True)

    subject = models.TextField(blank=True)
    sender = models.CharField(max_length=500, blank=True)  # as it is compared: lower case
    sender_domain = models.CharField(max_length=255, blank=True)
    recipients = models.JSONField(default=list)
    domains = models.TextField(blank=True)  # of the recipients, as `access.scope.spaced` writes them
    disposition = models.CharField(max_length=40, blank=True)  # what Cloudflare said
    edf_hash = models.CharField(max_length=255, blank=True)
    structure_hash = models.CharField(max_length=255, blank=True)
    scanned_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["account_id", "state", "due_at"]),
            models.Index(fields=["account_id", "holder", "state"]),
            models.Index(fields=["sender", "-created_at"]),
            models.Index(fields=["sender_domain", "-created_at"]),
            models.Index(fields=["edf_hash", "-created_at"]),
            models.Index(fields=["structure_hash", "-created_at"]),
        ]
        constraints = [
            models.UniqueConstraint(fields=["account_id", "key"], name="each_message_once_on_the_desk"),
        ]

    def __str__(self) -> str:
        return f"case {self.key} {self.state}"


class CaseReport(models.Model):
    """Why a message is on the desk: a user's submission, or a report of the managed service."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="reports")
    account_id = models.CharField(max_length=64)
    source = models.CharField(max_length=12, choices=CaseSource)
    upstream_id = models.CharField(max_length=255)
    title = models.TextField(blank=True)
    reported_by = models.CharField(max_length=500, blank=True)
    asked_for = models.CharField(max_length=40, blank=True)  # the disposition the report claims
    reported_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["reported_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "source", "upstream_id"], name="each_report_once_on_the_desk"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.upstream_id}"


class QueueMark(models.Model):
    """How far the collector has read each source, so that nothing is read twice or missed."""

    account_id = models.CharField(max_length=64)
    source = models.CharField(max_length=12, choices=CaseSource)
    read_until = models.DateTimeField()
    tried_at = models.DateTimeField(null=True)
    claimed_at = models.DateTimeField(null=True)
    explanation = models.CharField(max_length=500, blank=True)  # why the last try brought nothing
    reading = models.JSONField(default=dict, db_default={})  # a reading that goes on: its range, and how far it came
    older = models.JSONField(default=list, db_default=[])  # readings put off for newer mail, newest last
    again = models.JSONField(default=dict, db_default={})  # a reading of what was read before, for what came of it
    looked_again_at = models.DateTimeField(null=True)  # when the last one of those was begun
    covered_until = models.DateTimeField(null=True)  # with what people's searches brought; null: never read to the end
    complete_since = models.DateTimeField(null=True)  # from there on nothing was left out
    of_all_mail = models.BooleanField(default=False, db_default=False)  # clean mail as well as detections

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account_id", "source"], name="one_mark_per_source")]

    def __str__(self) -> str:
        return f"{self.source} read until {self.read_until}"


class Note(models.Model):
    """What somebody wrote about a message; never changed, so that the story stays whole."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="notes")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    author_name = models.CharField(max_length=300)
    text = models.TextField()
    operation_key = models.CharField(max_length=64, unique=True)  # a form that is sent twice writes once
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"note {self.pk} on case {self.case_id}"


class Mention(models.Model):
    """Somebody is named in a note, and has or has not looked since."""

    note = models.ForeignKey(Note, on_delete=models.CASCADE, related_name="mentions")
    member = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    seen_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["member"], condition=Q(seen_at=None), name="mentions_not_seen")]
        constraints = [models.UniqueConstraint(fields=["note", "member"], name="each_mention_once_per_note")]

    def __str__(self) -> str:
        return f"{self.member_id} is named in note {self.note_id}"


class Presence(models.Model):
    """Which message a member has open, and when their page last said so."""

    member = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    investigate_id = models.CharField(max_length=255, db_index=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.member_id} looks at {self.investigate_id}"


class DeskChange(models.Model):
    """Messages about which something changed just now: what pages ask for every few seconds, instead of each row."""

    at = models.DateTimeField(db_index=True)
    investigate_ids = models.JSONField()

    def __str__(self) -> str:
        return f"change {self.pk} of {len(self.investigate_ids)} messages"


class BodyGrant(models.Model):
    """Where bodies are covered: who uncovered which message's, why, and for how long."""

    member = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    investigate_id = models.CharField(max_length=255)
    reason = models.CharField(max_length=500)
    granted_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["member", "investigate_id"], name="one_grant_per_member_and_message"),
        ]

    def __str__(self) -> str:
        return f"{self.member_id} may read {self.investigate_id}"
