"""How a resource is described: once, for its list, its form, its file, its checks and its help.

A resource is one file of this folder that makes one `Resource`; lists, forms, confirmations, receipts, files and
backups are made from it. Field names are the API's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dashboard.access.roles import Permission
from dashboard.emailsec.settings import KINDS, Kind
from settings_ui.patterns.matching import Against

Values = Mapping[str, Any]
"""All fields of an entry by the API's names, as `SettingsEntry.values()` gives them."""


class Shape(Enum):
    """What a field holds, and so how it is asked for."""

    LINE = "line"  # one line of text
    PATTERN = "pattern"  # the same in monospace, with a try against recent mail
    TEXT = "text"  # several lines
    CHOICE = "choice"  # one of a few
    FLAG = "flag"  # yes or no
    MAYBE = "maybe"  # yes, no or unsaid (null)
    NUMBER = "number"
    LIST = "list"  # free texts, one on each line
    CHOICES = "choices"  # several of a few


class Wrong(ValueError):
    """A value cannot stand; the text says what to do."""


@dataclass(frozen=True)
class Option:
    """One value of a choice: as it is sent, as it is called, and what it means."""

    value: str
    word: str
    meaning: str = ""


@dataclass(frozen=True)
class Field:
    """One field of an entry."""

    name: str
    label: str
    shape: Shape
    help: str = ""
    word: str = ""  # of a flag that is set, in lists: "trusted"
    heading: str = ""  # over its column in lists, where the label is too long for one
    options: tuple[Option, ...] = ()
    least: int = 0  # characters, items, or the number itself
    most: int = 1024
    default: Any = None
    is_optional: bool = False  # may be absent or null: sent as null when it is emptied
    is_never_null: bool = False  # optional on create, but an edit may not set it to null
    is_fixed: bool = False  # said when the entry is made, and never changed
    is_ours_to_read: bool = False  # shown, never sent
    group: str = ""  # fields of one group stand under one heading
    check: Callable[[str], str] | None = None  # of each text or item: what is wrong with it, or ""
    spelled: Callable[[str], str] = str  # how a text or item that is right is sent

    def clean(self, raw: object) -> Any:
        """The value as it is sent. Takes what a form, a cell or a backup holds; raises Wrong."""
        match self.shape:
            case Shape.FLAG | Shape.MAYBE:
                return self._truth(raw)
            case Shape.NUMBER:
                return self._number(raw)
            case Shape.LIST | Shape.CHOICES:
                return self._items(raw)
            case Shape.CHOICE:
                return self._choice(raw)
        return self._text(raw)

    def cell(self, value: Any) -> str:
        """The value as a cell of a file; `clean` reads it back."""
        match value:
            case None:
                return ""
            case bool():
                return "yes" if value else "no"
            case list():
                return "\n".join(str(item) for item in value)
        return str(value)

    def shown(self, value: Any) -> str:
        """The value in words; "" for nothing."""
        words = {option.value: option.word for option in self.options}
        match value:
            case None:
                return ""
            case bool():
                return "yes" if value else "no"
            case list():
                return ", ".join(words.get(str(item), str(item)) for item in value)
            case dict():
                return json.dumps(value, ensure_ascii=False, sort_keys=True)
        return words.get(str(value), str(value))

    def _text(self, raw: object) -> str | None:
        if raw is None:
            raw = ""
        if not isinstance(raw, str):
            raise Wrong("Write text here.")
        text = raw.replace("\r\n", "\n").strip()
        if not text and self.is_optional:
            return None
        if len(text) < self.least:
            raise Wrong(f"Write {self.label.lower()}." if not text else f"Write at least {self.least} characters.")
        if len(text) > self.most:
            raise Wrong(f"Shorten it: {len(text):,} characters, and {self.most:,} is the most.")
        if unstorable(text, allows_lines=self.shape is Shape.TEXT):
            raise Wrong("Take out the control characters or line breaks; they cannot be sent.")
        if self.check is not None and (told := self.check(text)):
            raise Wrong(told)
        return self.spelled(text)

    def _choice(self, raw: object) -> str | None:
        if raw is None or raw == "":
            if self.is_optional:
                return None
            raise Wrong(f"Choose {self.label.lower()}.")
        for option in self.options:
            if isinstance(raw, str) and raw.strip().casefold() in (option.value.casefold(), option.word.casefold()):
                return option.value
        raise Wrong(f"Choose one of: {', '.join(option.word for option in self.options)}.")

    def _truth(self, raw: object) -> bool | None:
        if isinstance(raw, bool):
            return raw
        said = raw.strip().casefold() if isinstance(raw, str) else raw
        if said in ("yes", "true", "on", "1", "y"):
            return True
        if said in ("no", "false", "off", "0", "n"):
            return False
        if said is None or said == "":
            return None if self.shape is Shape.MAYBE or self.is_optional else False
        raise Wrong("Write yes or no.")

    def _number(self, raw: object) -> int | None:
        if raw is None or raw == "":
            if self.is_optional:
                return None
            raise Wrong("Write a number.")
        if isinstance(raw, str) and raw.strip().isascii() and raw.strip().isdigit() and len(raw.strip()) < 10:
            raw = int(raw)
        if not isinstance(raw, int) or isinstance(raw, bool):
            raise Wrong("Write a whole number.")
        if not self.least <= raw <= self.most:
            raise Wrong(f"Write a number from {self.least} to {self.most}.")
        return raw

    def _items(self, raw: object) -> list[str]:
        if raw is None:
            raw = []
        if isinstance(raw, str):
            raw = raw.replace(",", "\n").splitlines()
        if not isinstance(raw, (list, tuple)) or not all(isinstance(item, str) for item in raw):
            raise Wrong("Write one on each line.")
        items = list(dict.fromkeys(item.strip() for item in raw if item.strip()))
        if self.shape is Shape.CHOICES:
            known = {name.casefold(): option.value for option in self.options for name in (option.value, option.word)}
            if strange := [item for item in items if item.casefold() not in known]:
                raise Wrong(
                    f"There is no {shortened(strange[0])}. Choose from: {', '.join(o.word for o in self.options)}."
                )
            items = list(dict.fromkeys(known[item.casefold()] for item in items))
        if len(items) < self.least:
            raise Wrong("Choose at least one." if self.shape is Shape.CHOICES else "Write at least one.")
        if len(items) > self.most:
            raise Wrong(f"Take some out: {len(items):,} are given, and {self.most:,} is the most.")
        for item in items:
            if unstorable(item, allows_lines=False):
                raise Wrong("Take out the control characters; they cannot be sent.")
            if self.check is not None and (told := self.check(item)):
                raise Wrong(f"{shortened(item)}: {told}")
        return list(dict.fromkeys(map(self.spelled, items)))


@dataclass(frozen=True)
class Filter:
    """A filter of the list, by the API's name; without options it is a text that is compared as a whole."""

    name: str
    label: str
    options: tuple[Option, ...] = ()
    takes_several: bool = False  # what fits one of several texts is shown


YES_NO = (Option("true", "yes"), Option("false", "no"))


@dataclass(frozen=True)
class Resource:
    """One list of the account's settings."""

    name: str  # as in the API's paths: allow_policies
    slug: str  # as in our addresses: allow-policies
    title: str  # "Allow policies"
    singular: str  # "allow policy", inside sentences
    what: str  # what it does, in one or two sentences
    fields: tuple[Field, ...]
    identity: tuple[str, ...]  # what no two entries share
    columns: tuple[str, ...]  # of the list; flags are joined in one column, see `flags`
    filters: tuple[Filter, ...] = ()
    orders: tuple[Option, ...] = ()  # the API's orders; none: the server sorts as it likes
    is_searched: bool = True  # whether the server takes `search`
    note: str = "comments"  # the field that holds the free text, "" for none
    write: Permission = Permission.POLICY_WRITE
    remove: Permission = Permission.POLICY_WRITE
    against: Against = Against.NOTHING
    tried: str = ""  # the field that is tried against recent mail
    may_expire: bool = True  # whether an entry can have an end; what takes two to remove has none
    takes_typing: bool = False  # whether its name is typed to confirm that it goes
    is_atomic: bool = True  # whether a batch is carried out as a whole or not at all
    wants_networks: bool = False  # whether an older server refuses a change without its `ip_restrictions`
    rules: Callable[[Values], Mapping[str, str]] = lambda _values: {}  # across fields: field -> what is wrong
    spelled: Callable[[Values], Values] = lambda values: values  # the same across fields, once all is right
    fixed_because: Callable[[Values], str] = lambda _values: ""  # why this entry cannot be edited, or ""

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    def field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    @property
    def flags(self) -> tuple[Field, ...]:
        """The flags that lists show as one column of words."""
        return tuple(field for field in self.fields if field.shape is Shape.FLAG and field.word)

    @property
    def sent(self) -> tuple[Field, ...]:
        """The fields that can be written."""
        return tuple(field for field in self.fields if not field.is_ours_to_read)

    def label(self, values: Values) -> str:
        """What people call an entry."""
        return str(values.get(self.identity[0]) or "")

    def key(self, values: Values) -> tuple[str, ...]:
        """What makes an entry the same as another, whatever its id; the service compares without case (inferred)."""
        return tuple(str(values.get(name) or "").casefold() for name in self.identity)

    def problems(self, values: Values) -> dict[str, str]:
        """What is wrong with a whole entry whose fields are each fine."""
        return dict(self.rules(values))

    def cleaned(
        self, raw: Mapping[str, object], *, fields: tuple[Field, ...] | None = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Each field's value and each field's problem. Rules across fields are looked at where each alone is fine."""
        values: dict[str, Any] = {}
        problems: dict[str, str] = {}
        for field in self.sent if fields is None else fields:
            try:
                values[field.name] = field.clean(raw.get(field.name))
            except Wrong as wrong:
                problems[field.name] = str(wrong)
        problems = problems or self.problems(values)
        return (values if problems else dict(self.spelled(values))), problems

    def changes(self, before: Values, after: Values) -> dict[str, Any]:
        """What an edit sends: the fields that differ, and no field that never changes."""
        return {
            field.name: after[field.name]
            for field in self.sent
            if field.name in after and not field.is_fixed and not alike(before.get(field.name), after[field.name])
        }


def alike(one: Any, other: Any) -> bool:
    """Whether two values say the same: null, absent and "" do, and so do lists in another order."""
    if isinstance(one, list) and isinstance(other, list):
        return sorted(map(str, one)) == sorted(map(str, other))
    return (one if one is not None else "") == (other if other is not None else "")


def unstorable(text: str, *, allows_lines: bool) -> bool:
    """Whether a text holds what cannot be sent or kept: controls, and halves of characters."""
    allowed = "\n\t" if allows_lines else ""
    return any(
        (ord(char) < 32 and char not in allowed) or ord(char) == 127 or 0xD800 <= ord(char) <= 0xDFFF for char in text
    )


def shortened(text: str, most: int = 80) -> str:
    """A text that is repeated in a sentence."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
