"""Find the messages of a job, step by step; each step is stored before the next begins."""

from __future__ import annotations

import uuid


def collect(job_id: uuid.UUID | str) -> None:
    """One step of collecting; harmless when it is not due or somebody else has it."""
