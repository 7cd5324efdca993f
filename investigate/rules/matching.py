"""How much recent mail a block would have refused."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import reverse

from investigate.rules.candidates import Candidate
from settings_ui.patterns.matching import Against, Tried, try_pattern

MOST_TRIES = 20  # of two seconds each; a search that takes longer is not waited for here


def tried(candidate: Candidate) -> Tried:
    return try_pattern(
        against=Against.SENDER, pattern=candidate.pattern, pattern_type=candidate.pattern_type, is_regex=False
    )


def search_for(candidate: Candidate) -> str:
    """The search that lists the mail it would have been."""
    wanted = [("sender", candidate.pattern), ("last", "30d"), ("clean", "1")]
    return f"{reverse('investigate:search')}?{urlencode(wanted)}"
