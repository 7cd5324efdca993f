"""The search a job took its messages from, in words: its filters and its exact range."""

from __future__ import annotations

from urllib.parse import parse_qs

from django.utils import timezone

from investigate.models import BulkJob, JobSource
from investigate.search.criteria import Criteria
from investigate.search.presenting import chips, range_words


def searched(job: BulkJob) -> str:
    """ "from: eve@x.example, subject: invoice; 20 Nov 01:20 to 21 Nov 01:20 UTC"; "" of a job from elsewhere."""
    if job.source != JobSource.SEARCH or not job.query:
        return ""
    criteria = Criteria.from_query(parse_qs(job.query))
    filters = ", ".join(chip.words for chip in chips(criteria))
    if not criteria.has_filters:
        filters = "all mail" if criteria.clean else "every detection"
    return f"{filters}; {range_words(criteria, criteria.window(timezone.now()))}"
