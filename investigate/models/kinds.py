"""What can be done, and how far it has come: words that actions and jobs share."""

from __future__ import annotations

from django.db import models


class ActionKind(models.TextChoices):
    MOVE = "move"
    RELEASE = "release"
    RECLASSIFY = "reclassify"


class ActionState(models.TextChoices):
    AWAITING_APPROVAL = "awaiting_approval", "awaiting approval"
    WAITING = "waiting"
    SENDING = "sending"
    DONE = "done"
    PARTLY_DONE = "partly_done", "partly done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    QUEUED = "queued"  # only messages of a job: their turn has not come, and nobody is kept from acting on them
    SKIPPED = "skipped"  # only messages of a job: it cannot work, or somebody else was faster


OPEN_STATES = [ActionState.AWAITING_APPROVAL, ActionState.WAITING, ActionState.SENDING, ActionState.UNKNOWN]
