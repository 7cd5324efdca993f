"""The form of a saved view: its name, its filters as the filter line writes them, its columns, and for whom it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.access.team.catalogue import RoleView
from dashboard.audit.chain import storable_text
from investigate.models import SavedView
from investigate.saved.asking import ALWAYS, columns_of, criteria_of, query_of, why_not
from investigate.saved.services import LONGEST_NAME, Wanted
from investigate.search.criteria import Criteria
from investigate.search.line import read_line, write_line
from investigate.search.presenting import COLUMNS

_PLACES = [(str(number), str(number)) for number in range(1, len(COLUMNS) + 1)]
_HIDDEN = ("", "not shown")
_LINE_HELP = (
    "As in the filter line of the search: key:value words and free text. A range such as last:7d stays relative."
)


class ViewForm(forms.Form):
    """One view, new or to be changed. What the member may not decide has no field."""

    name = forms.CharField(max_length=LONGEST_NAME, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    line = forms.CharField(
        label="Filters",
        help_text=_LINE_HELP,
        max_length=4000,
        required=False,
        widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"}),
    )
    begins = forms.BooleanField(label="I begin with it when I open Investigate", required=False)
    is_shared = forms.BooleanField(label="Shared with the team", required=False)
    roles = forms.MultipleChoiceField(
        label="Members of these roles begin with it", widget=forms.CheckboxSelectMultiple, required=False
    )
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(
        self,
        data: Any = None,
        *,
        member: Member,
        roles: Sequence[RoleView],
        view: SavedView | None = None,
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial or (_initial(view) if view else None), auto_id="view-%s")
        self.member = member
        self.view = view
        self.is_own = view is None or view.owner_id == member.pk
        for name, head in COLUMNS.items():
            places = _PLACES if name in ALWAYS else [_HIDDEN, *_PLACES]
            self.fields[f"place_{name}"] = forms.ChoiceField(label=head, choices=places, required=False)
        if not self.is_bound and "place_subject" not in self.initial:
            self.initial |= _places(tuple(COLUMNS))
        if not self.is_own:
            del self.fields["begins"]
        if member.may(Permission.VIEW_SHARE):
            self.fields["roles"].choices = [(role.name, role.label) for role in roles]  # type: ignore[attr-defined]
        else:
            del self.fields["is_shared"], self.fields["roles"]

    def column_fields(self) -> list[forms.BoundField]:
        return [self[f"place_{name}"] for name in COLUMNS]

    def clean_name(self) -> str:
        name = storable_text(" ".join(self.cleaned_data["name"].split()))
        if not name.isprintable():
            raise forms.ValidationError("A name holds letters, digits and signs that can be seen.")
        return name

    def clean_line(self) -> str:
        criteria = read_line(self.cleaned_data["line"])
        if problem := why_not(criteria, self.member.scope):
            raise forms.ValidationError(problem)
        return query_of(criteria)

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("roles") and not found.get("is_shared"):
            self.add_error("roles", "Members of a role can begin only with a view that is shared.")
        return found

    def wanted(self) -> Wanted:
        """What was filled in; what the member had no field for stays as it is."""
        found, before = self.cleaned_data, self.view
        is_shared = found["is_shared"] if "is_shared" in self.fields else bool(before and before.is_shared)
        stands = before.default_for if before else []
        roles = found["roles"] if "roles" in self.fields else [name for name in stands if name != SavedView.OWN]
        own = found["begins"] if "begins" in self.fields else SavedView.OWN in stands
        return Wanted(
            name=found["name"],
            query=found["line"],
            columns=self._columns(),
            is_shared=is_shared,
            default_for=(*([SavedView.OWN] if own else []), *(roles if is_shared else [])),
        )

    def _columns(self) -> tuple[str, ...]:
        """The chosen columns by their places; () for the usual ones. Two at one place keep their usual order."""
        places = {name: self.cleaned_data.get(f"place_{name}") or "" for name in COLUMNS}
        chosen = [name for name in COLUMNS if places[name] or name in ALWAYS]
        ordered = tuple(sorted(chosen, key=lambda name: int(places[name] or len(COLUMNS))))
        return () if ordered == tuple(COLUMNS) else ordered


def initial_of(criteria: Criteria, *, name: str = "", columns: tuple[str, ...] = ()) -> dict[str, Any]:
    """A new view of this search."""
    return {"name": name, "line": write_line(criteria), **_places(columns or tuple(COLUMNS))}


def _initial(view: SavedView) -> dict[str, Any]:
    return {
        **initial_of(criteria_of(view), name=view.name, columns=columns_of(view)),
        "begins": SavedView.OWN in view.default_for,
        "is_shared": view.is_shared,
        "roles": [name for name in view.default_for if name != SavedView.OWN],
        "version": view.version,
    }


def _places(columns: tuple[str, ...]) -> dict[str, str]:
    return {f"place_{name}": str(columns.index(name) + 1) if name in columns else "" for name in COLUMNS}
