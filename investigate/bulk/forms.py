"""The form of the selection bar: what to do, and with which messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from django import forms
from django.http import QueryDict
from django.utils import timezone

from dashboard.web.forms import check_key
from dashboard.web.text import visible
from investigate.bulk import offers
from investigate.bulk.facts import is_id
from investigate.models import JobSource
from investigate.search.criteria import Criteria

MOST_TICKED = 5_000
MOST_PARAMETERS = 200
MOST_SHOWN = 60

# Also those a role may not do: who presses a button that is gone is told which right is missing.
ACTIONS = [(value, value) for value in (*offers.MOVES, offers.RELEASE, *offers.SUBMISSIONS)]
_NO_SUCH = dict.fromkeys(("required", "invalid_choice"), "This is not one of the actions offered.")
_NOT_OURS = dict.fromkeys(
    ("required", "invalid", "invalid_choice", "max_length"), "This form is not one of ours: reload the page."
)


class BeginForm(forms.Form):
    """Ticked rows, or everything a search finds, and the action a rehearsal is wanted of.

    A plain form sends each row as `message` (a field named `id` would hide the form's own); our script sends all as
    the lines of `ids`, however many they are.
    """

    operation_key = forms.CharField(error_messages=_NOT_OURS, validators=[check_key])
    what = forms.ChoiceField(choices=ACTIONS, error_messages=_NO_SUCH)
    source = forms.ChoiceField(
        choices=[(JobSource.SELECTION, ""), (JobSource.SEARCH, "")], required=False, error_messages=_NOT_OURS
    )
    ids = forms.CharField(required=False, strip=False)
    query = forms.CharField(required=False, max_length=8_000, error_messages=_NOT_OURS)

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        self._rows: Sequence[str] = data.getlist("message")

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if self.errors:
            return found
        if found["source"] == JobSource.SEARCH:
            found["query"] = self._searched(found["query"])
        else:
            found["ids"] = self._ticked(found["ids"])
            found["query"] = _address(found["query"])
        return found

    def _ticked(self, lines: str) -> list[str]:
        ids = list(dict.fromkeys(one for one in (*self._rows, *lines.splitlines()) if one))
        if not ids:
            raise forms.ValidationError("Nothing is ticked. Tick messages first, or take everything the search finds.")
        if len(ids) > MOST_TICKED:
            raise forms.ValidationError(
                f"{len(ids):,} are ticked; {MOST_TICKED:,} is the most. Take everything the search finds instead."
            )
        if not all(is_id(one) for one in ids):
            raise forms.ValidationError("What is ticked is not a message: reload the page.")
        return ids

    def _searched(self, query: str) -> str:
        """The search with its range pinned. One that says something we do not understand is refused, never widened."""
        try:
            given = parse_qs(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
        except ValueError:
            raise forms.ValidationError(_NOT_OURS["invalid"]) from None
        criteria, now = Criteria.from_query(given), timezone.now()
        if criteria.ignored:
            strange = ", ".join(visible(one, limit=MOST_SHOWN) for one in criteria.ignored[:3])
            raise forms.ValidationError(f"Not a filter: {strange}. Without it, the search would find more.")
        if problem := criteria.problem(now):
            raise forms.ValidationError(problem)
        if not criteria.has_filters and not {"last", "start"} & given.keys():
            raise forms.ValidationError(
                "Without a filter and a range this would take every detection there is. Give a range, or a filter."
            )
        return criteria.within(criteria.window(now)).query()

    @property
    def problem(self) -> str:
        """What is wrong, in one sentence."""
        return next((str(message) for messages in self.errors.values() for message in messages), "")

    def begun(self) -> dict[str, Any]:
        """The arguments of `jobs.begin` that say what and with which messages."""
        found = self.cleaned_data
        is_search = found["source"] == JobSource.SEARCH
        return {
            "source": JobSource.SEARCH if is_search else JobSource.SELECTION,
            **offers.decided(found["what"]),
            "query": found["query"],
            "terms": [] if is_search else [("investigate_id", one) for one in found["ids"]],
        }


def _address(query: str) -> str:
    """Where the rows were ticked, kept to find the way back; it says nothing about what the job does."""
    try:
        criteria = Criteria.from_query(parse_qs(query, max_num_fields=MOST_PARAMETERS))
    except ValueError:
        return ""
    return "" if criteria.problem(timezone.now()) else criteria.query()
