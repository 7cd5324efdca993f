"""A change of the account's settings: what somebody decided, the calls it takes, and what became of each entry.

A form, a selection, a file or a backup all become the same rows: a `Change` (who, why), its `Line`s (one for each
entry) and its `Step`s (one for each call). They are written before anything is sent, so that no change is ever lost or
made twice.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class ChangeKind(models.TextChoices):
    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"
    IMPORT = "import"  # from a CSV file
    RESTORE = "restore"  # from a backup


class Source(models.TextChoices):
    FORM = "form"
    MESSAGE = "message"  # a prefilled form of a message page
    FILE = "file"


class ChangeState(models.TextChoices):
    DRAFT = "draft"  # a dry run: nothing was decided
    AWAITING_APPROVAL = "awaiting_approval"
    WAITING = "waiting"  # the undo window
    RUNNING = "running"
    DONE = "done"
    PARTLY = "partly"
    FAILED = "failed"
    CANCELLED = "cancelled"  # undone, withdrawn, refused by the second person, or expired; `explanation` says which


OPEN_CHANGES = (ChangeState.AWAITING_APPROVAL, ChangeState.WAITING, ChangeState.RUNNING)


class Change(models.Model):
    """One decision about one list. The database itself refuses that somebody approves their own."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account_id = models.CharField(max_length=64)
    resource = models.CharField(max_length=40)  # as in the API's paths: allow_policies
    kind = models.CharField(max_length=10, choices=ChangeKind)
    source = models.CharField(max_length=10, choices=Source)
    operation_key = models.CharField(max_length=64, unique=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=300)
    permission = models.CharField(max_length=40)  # asked for when it is decided, and again before each call
    reason = models.CharField(max_length=1000, blank=True)
    ticket = models.CharField(max_length=100, blank=True)
    investigate_id = models.CharField(max_length=200, blank=True)  # the message it was made from
    file_name = models.CharField(max_length=200, blank=True)
    remarks = models.TextField(blank=True, default="", db_default="")  # how the file was read, one on each line
    state = models.CharField(max_length=20, choices=ChangeState)
    explanation = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)  # when a worker looks at it next, by the database's clock
    fingerprint = models.CharField(max_length=64, blank=True)  # of the lines, as they were shown to who decides
    # The second person, where one is needed.
    why_two = models.CharField(max_length=300, blank=True)
    expires_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_by_name = models.CharField(max_length=300, blank=True)
    decided_at = models.DateTimeField(null=True)
    comment = models.CharField(max_length=1000, blank=True)
    audit_sequence = models.BigIntegerField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["account_id", "state", "due_at"]),
            models.Index(fields=["account_id", "-created_at"]),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(decided_by=None) | Q(actor=None) | ~Q(decided_by=F("actor")),
                name="nobody_approves_their_own_change",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.resource} {self.state}"


class StepState(models.TextChoices):
    WAITING = "waiting"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"  # provably not carried out
    UNKNOWN = "unknown"  # no answer came: it is looked for before anything is repeated
    CANCELLED = "cancelled"


class Operation(models.TextChoices):
    CREATE = "create"
    EDIT = "edit"
    DELETE = "delete"
    BATCH = "batch"


class Step(models.Model):
    """One call. Of one change one step at a time is on its way or unknown."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    change = models.ForeignKey(Change, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveIntegerField()
    operation = models.CharField(max_length=10, choices=Operation)
    state = models.CharField(max_length=10, choices=StepState, default=StepState.WAITING)
    due_at = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)  # committed before the first byte goes out
    looks = models.PositiveIntegerField(default=0)
    explanation = models.CharField(max_length=500, blank=True)
    status = models.PositiveIntegerField(null=True)  # of HTTP
    ray_id = models.CharField(max_length=100, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["position"]
        indexes = [models.Index(fields=["state", "due_at"])]
        constraints = [
            models.UniqueConstraint(fields=["change", "position"], name="steps_have_their_places"),
            models.UniqueConstraint(
                fields=["change"],
                condition=Q(state__in=[StepState.SENDING.value, StepState.UNKNOWN.value]),
                name="one_step_on_its_way",
            ),
        ]

    def __str__(self) -> str:
        return f"step {self.position} {self.operation} {self.state}"


class Verb(models.TextChoices):
    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    SAME = "same"  # of a file: the account says the same already
    BAD = "bad"  # of a file: it cannot be read or sent; `explanation` says why


class LineState(models.TextChoices):
    DRAFT = "draft"
    LEFT_OUT = "left_out"  # same or bad: never sent
    WAITING = "waiting"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


OPEN_LINES = (LineState.WAITING, LineState.SENDING, LineState.UNKNOWN)


class Line(models.Model):
    """What a change does to one entry."""

    change = models.ForeignKey(Change, on_delete=models.CASCADE, related_name="lines")
    step = models.ForeignKey(Step, null=True, on_delete=models.SET_NULL, related_name="lines")
    number = models.PositiveIntegerField()  # line of the file, else 1, 2, 3
    verb = models.CharField(max_length=6, choices=Verb)
    upstream_id = models.CharField(max_length=100, blank=True)  # of an addition: once it is known
    label = models.CharField(max_length=1100)  # what people call it: the pattern, the domain, the name
    before = models.JSONField(null=True)  # all fields, as they were when it was decided
    values = models.JSONField(default=dict)  # exactly what is sent: all fields of an addition, the changed ones else
    life = models.JSONField(default=dict)  # owner, ticket, reason, end: `settings_ui.entries.life.Life.kept()`
    holds = models.CharField(max_length=200)  # what no other open line may touch: `planning.holds`
    state = models.CharField(max_length=10, choices=LineState, default=LineState.WAITING)
    explanation = models.CharField(max_length=500, blank=True)
    problems = models.JSONField(default=dict)  # field name -> sentence, as we or Cloudflare found them

    class Meta:
        ordering = ["number", "pk"]
        indexes = [models.Index(fields=["change", "state"]), models.Index(fields=["upstream_id"])]
        constraints = [
            models.UniqueConstraint(
                fields=["holds"],
                condition=Q(state__in=[state.value for state in OPEN_LINES]),
                name="one_open_line_for_an_entry",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.verb} {self.state}"
