"""What a removal will take away, entry by entry, as the account says it at this moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.core import signing

from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import SettingsEntry
from dashboard.web.times import moment
from settings_ui.entries.knowing import Known, who
from settings_ui.resources.description import Resource, Shape
from settings_ui.watching.reading import read_whole, still_there

MOST = 1000
_FEW = 20  # entries that are asked for one by one; for more than that the whole list is read
_SALT = "settings.removal"


@dataclass(frozen=True)
class Going:
    """One entry that will be gone, and who wanted it."""

    resource: Resource
    entry: SettingsEntry
    known: Known
    typed: str = ""
    is_asked_again: bool = False
    shown: tuple[str, str] | None = None  # label and facts of a form that came back, where nothing newer is known

    @property
    def label(self) -> str:
        return self.shown[0] if self.shown else self.resource.label(self.entry.values())

    @property
    def facts(self) -> str:
        """What else there is to know it by: its kind, and the flags that are set."""
        if self.shown:
            return self.shown[1]
        values = self.entry.values()
        kinds = [
            field.shown(values.get(field.name))
            for field in self.resource.fields
            if field.shape is Shape.CHOICE and field.name in self.resource.columns
        ]
        return ", ".join(filter(None, [*kinds, *(flag.word for flag in self.resource.flags if values.get(flag.name))]))

    @property
    def history(self) -> str:
        """Who added it, when and why, as far as anybody here knows."""
        known = self.known
        if known.how == "unknown":
            return "Nobody here added it, and no reading of the list has come across it."
        made = f"{known.how[0].upper()}{known.how[1:]}"
        if known.made_by:
            made += f" by {known.made_by}"
            made += f" on {moment(known.created_at)}" if known.created_at else ""
        owner = f"Owner: {known.owner}" if known.owner else ""
        why = ", ".join(filter(None, [known.reason, known.ticket]))
        return ". ".join(filter(None, [made, owner, why]))

    @property
    def name(self) -> str:
        """Of the control its name is typed into."""
        return f"typed-{self.entry.id}"

    @property
    def anchor(self) -> str:
        return f"entry-{self.name}"

    @property
    def is_wrong(self) -> bool:
        return self.is_asked_again and self.typed.strip().casefold() != self.label.casefold()


@dataclass(frozen=True)
class Removal:
    resource: Resource
    going: tuple[Going, ...]
    gone: int  # how many of those that were chosen are not there any more

    @property
    def shown(self) -> str:
        """Names exactly what was shown to whoever confirms: another label under the same id is another entry."""
        return signing.dumps(self._content, salt=_SALT, compress=True)

    def was_shown(self, token: str) -> bool:
        try:
            return bool(signing.loads(token, salt=_SALT) == self._content)
        except signing.BadSignature:
            return False

    @property
    def _content(self) -> list[list[str]]:
        return [[self.resource.name, "", ""], *([one.entry.id, one.label, one.facts] for one in self.going)]

    @property
    def entries(self) -> list[SettingsEntry]:
        return [one.entry for one in self.going]

    @property
    def problems(self) -> list[Going]:
        """Those whose name was typed wrong."""
        return [one for one in self.going if one.is_wrong]

    def typed(self, said: Mapping[str, str]) -> Removal:
        """The same with what was typed for each name; nothing has to be typed for most lists."""
        if not self.resource.takes_typing:
            return self
        going = [replace(one, is_asked_again=True) for one in self.kept(said).going]
        return replace(self, going=tuple(going))

    def kept(self, said: Mapping[str, str]) -> Removal:
        """The same, with what was typed standing there again and nothing said about it."""
        return replace(self, going=tuple(replace(one, typed=said.get(one.name, "")) for one in self.going))


def removal_of(resource: Resource, ids: Sequence[str]) -> Removal:
    """Reads the entries anew, so that what is confirmed is what goes. Raises what the client raises."""
    ids = list(dict.fromkeys(ids))
    if len(ids) <= _FEW:
        found = still_there(resource, ids, Priority.ACTION)
    else:
        chosen = set(ids)
        found = {entry.id: entry for entry in read_whole(resource, known=ids) if entry.id in chosen}
    known = who(resource.name, list(found))
    going = tuple(Going(resource, found[one], known[one]) for one in ids if one in found)
    return Removal(resource, going, len(ids) - len(going))


def removal_as_shown(resource: Resource, token: str) -> Removal | None:
    """What a form that came back had shown, to be shown again where the account cannot be asked: never to be sent.

    None for what was not signed here, or for another list.
    """
    try:
        (name, *_), *entries = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        return None
    if name != resource.name:
        return None
    known = who(resource.name, [one for one, _, _ in entries])
    going = [Going(resource, SettingsEntry(id=one), known[one], shown=(label, facts)) for one, label, facts in entries]
    return Removal(resource, tuple(going), 0)
