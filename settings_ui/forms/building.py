"""The form of one entry, made from what its resource says about itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.boundfield import BoundField

from settings_ui.forms.widgets import as_texts, control, said
from settings_ui.resources.description import Field, Resource, Shape, Values, Wrong


class BoundEntryField(BoundField):
    """A field as templates need it."""

    @property
    def described(self) -> Field:
        return self.field.described  # type: ignore[no-any-return]

    @property
    def shape(self) -> str:
        return self.described.shape.value

    @property
    def anchor(self) -> str:
        """The id of its first control, where a link from the summary leads."""
        return self.id_for_label or f"{self.auto_id}_0"

    @property
    def offered(self) -> list[tuple[Any, str]]:
        """The ticks or the buttons it is chosen with, each with what it means."""
        meanings = {option.value: option.meaning for option in self.described.options}
        return [(one, meanings.get(one.data["value"], "")) for one in self.subwidgets]


class EntryField(forms.Field):
    """One field of an entry; what is right is the description's to say."""

    def __init__(self, field: Field) -> None:
        super().__init__(required=False, label=field.label, help_text=field.help, widget=control(field))
        self.described = field

    def clean(self, value: Any) -> Any:
        try:
            return self.described.clean(value)
        except Wrong as wrong:
            raise forms.ValidationError(str(wrong)) from None

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> BoundEntryField:
        return BoundEntryField(form, self, field_name)


@dataclass(frozen=True)
class Group:
    """Fields that stand under one heading, "" for none."""

    heading: str
    fields: list[BoundEntryField]


class EntryForm(forms.Form):
    """An entry that is made (`before` is None), or one that was opened with `before` as its values."""

    use_required_attribute = False

    def __init__(
        self,
        resource: Resource,
        *,
        before: Values | None = None,
        proposed: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self.resource, self.before = resource, before
        asked = [field for field in resource.sent if before is None or not field.is_fixed]
        if before is None:
            initial = {field.name: field.default for field in asked} | dict(proposed or {})
        else:
            initial = dict(before)
        super().__init__(data, initial=initial, auto_id="entry-%s")
        for field in asked:
            self.fields[field.name] = EntryField(field)

    @property
    def groups(self) -> list[Group]:
        """The fields in the order of the description, those of one group together."""
        found: list[Group] = []
        for bound in self:
            heading = bound.described.group
            if not found or found[-1].heading != heading:
                found.append(Group(heading, []))
            found[-1].fields.append(bound)
        return found

    @property
    def fixed(self) -> list[tuple[str, str]]:
        """What was said when the entry was made and never changes: label and value."""
        before = self.before
        if before is None:
            return []
        return [(field.label, field.shown(before.get(field.name))) for field in self.resource.sent if field.is_fixed]

    @property
    def values(self) -> dict[str, Any]:
        """All values that can be written; of a form that is valid."""
        unasked = {field.name: (self.before or {}).get(field.name) for field in self.resource.sent}
        return unasked | {name: self.cleaned_data[name] for name in self.fields}

    @property
    def typed(self) -> Iterator[tuple[str, str]]:
        """What was typed, as pairs of name and text, to be sent once more as it is."""
        for name in self.fields:
            yield from ((name, text) for text in as_texts(said(self.data, name)))

    @property
    def again(self) -> Iterator[tuple[str, str]]:
        """The same with what never changes, for an entry that is made anew."""
        for field in self.resource.sent:
            if field.is_fixed and self.before is not None:
                yield from ((field.name, text) for text in as_texts(self.before.get(field.name)))
        yield from self.typed

    @property
    def problems(self) -> list[tuple[str, str, str]]:
        """Every problem at a field: where its control is, its label, what is wrong."""
        return [(bound.anchor, bound.label, told) for bound in self for told in bound.errors]

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        if self.before is not None:
            self._keep_what_was_unsaid(found, self.before)
        if not self.errors:
            for name, told in self.resource.problems({**(self.before or {}), **found}).items():
                self.refuse(name, told)
        return found

    def refuse(self, name: str, told: str) -> None:
        """Put a problem at its field, or above the form where the form does not ask for that field."""
        self.add_error(name if name in self.fields else None, told)

    def _keep_what_was_unsaid(self, found: dict[str, Any], before: Values) -> None:
        """An edit sends what was changed: a tick that is not set is no answer where there was none before."""
        for name, field in self.fields.items():
            described = field.described
            if described.shape is Shape.FLAG and found.get(name) is False and before.get(name) is None:
                found[name] = None
            if described.is_never_null and name in found and found[name] is None and before.get(name) is not None:
                self.add_error(name, "It cannot be emptied once something was said. Say something else.")


def form_for(
    resource: Resource,
    values: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    *,
    is_new: bool = True,
) -> EntryForm:
    """The form of a new entry, with `values` as a proposal, or of the one that was opened with these values."""
    if is_new:
        return EntryForm(resource, proposed=values, data=data)
    return EntryForm(resource, before=values or {}, data=data)


def proposed(resource: Resource, query: Mapping[str, Any]) -> dict[str, Any]:
    """What an address proposes for a new entry, by the names of fields; everything else in it is ignored."""
    return {field.name: said(query, field.name) for field in resource.sent if field.name in query}
