"""The form of a paste: a text or a file, the range to look in, and what to do with the messages it names."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone

from dashboard.access.models import Member
from dashboard.access.roles import Permission
from dashboard.emailsec.transport import Priority
from dashboard.installation.values import setting
from dashboard.upstream.budget import SHARES, WINDOW_SECONDS
from dashboard.web.forms import check_key
from investigate.actions.words import counted, lacks
from investigate.approvals.needs import right_to_ask
from investigate.bulk import offers, words
from investigate.bulk.collecting.finding import UNREAD_LINE, UNREAD_REST, ways_of
from investigate.bulk.pasting import MOST_TERMS, Terms, decoded, read_terms
from investigate.bulk.recognising import WIDE, TermKind
from investigate.search.window import length_of, words_for, write_moment

LARGEST_FILE = 10_000_000  # bytes
RANGES = ("24h", "7d", "30d")
_ZIP, _UTF_16 = b"PK\x03\x04", (b"\xff\xfe", b"\xfe\xff")

NAMES = {
    TermKind.INVESTIGATE_ID: "investigate id",
    TermKind.ALERT_ID: "alert id",
    TermKind.POSTFIX_ID: "postfix id",
    TermKind.MESSAGE_ID: "Message-ID",
    TermKind.HASH: "attachment hash",
    TermKind.ADDRESS: "address",
    TermKind.DOMAIN: "domain",
}
NOTES = {
    TermKind.ADDRESS: "all mail from and to it",
    TermKind.DOMAIN: "all mail from, to and linking to it",
}


@dataclass(frozen=True)
class KindOfTerm:
    """One kind as the page offers it: how many there are, and whether they are looked up."""

    kind: TermKind
    count: int
    is_chosen: bool
    examples: list[str]

    @property
    def label(self) -> str:
        name = NAMES[self.kind]
        if self.count == 1:
            return f"1 {name}"
        return f"{self.count:,} {name + 'es' if name.endswith(('s', 'sh')) else name + 's'}"

    @property
    def note(self) -> str:
        return NOTES.get(self.kind, "")

    @property
    def cost(self) -> str:
        """What looking them up takes, as far as that is known beforehand."""
        calls = self.count * sum(not way.is_last_resort for way in ways_of(self.kind, ""))
        a_second = settings.CALL_LIMIT * SHARES[Priority.BACKGROUND] / WINDOW_SECONDS
        return f"{counted(calls, 'call')} at least, about {words.lasting(calls / a_second)}"


class PasteForm(forms.Form):
    """What a person pastes or uploads. The operation key is made with the form: sending it twice begins one job."""

    operation_key = forms.CharField(max_length=64, validators=[check_key], widget=forms.HiddenInput)
    text = forms.CharField(
        label="Text",
        required=False,
        strip=False,
        widget=forms.Textarea(
            attrs={
                "rows": 12,
                "spellcheck": "false",
                "autocomplete": "off",
                "autocapitalize": "off",
                "class": "mono",
                "data-focus": "",
            }
        ),
        help_text=(
            "Message-IDs, investigate, alert and postfix ids, hashes of attachments, addresses, domains, links; "
            "defanged or not. A list, a table, JSON, mail headers, or a whole ticket."
        ),
    )
    file = forms.FileField(
        label="Or a file",
        required=False,
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": ".txt,.csv,.tsv,.json,.eml,.log,text/plain,text/csv"}),
        help_text=f"Text or CSV, up to {LARGEST_FILE // 1_000_000} MB.",
    )
    last = forms.ChoiceField(
        label="Look in",
        choices=[(value, words_for(value)) for value in RANGES],
        initial=RANGES[-1],
        help_text="For everything but investigate ids, which name their message by themselves.",
    )
    act = forms.ChoiceField(label="To do", error_messages={"invalid_choice": offers.NOT_YOURS})
    offered = forms.MultipleChoiceField(choices=[(kind.value, kind.value) for kind in TermKind], required=False)
    kinds = forms.MultipleChoiceField(choices=[(kind.value, kind.value) for kind in TermKind], required=False)

    def __init__(self, member: Member, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["act"].choices = offers.choices_for(member)  # type: ignore[attr-defined]
        self.member = member
        self.terms = Terms()

    @property
    def visible(self) -> list[forms.BoundField]:
        return [self[name] for name in ("text", "file", "last", "act")]

    def clean_file(self) -> UploadedFile | None:
        file: UploadedFile | None = self.cleaned_data["file"]
        if not file:
            return None
        if (file.size or 0) > LARGEST_FILE:
            raise forms.ValidationError(f"The file is larger than {LARGEST_FILE // 1_000_000} MB: split it.")
        beginning = file.read(4096)
        file.seek(0)
        if beginning.startswith(_ZIP):
            raise forms.ValidationError("This is a spreadsheet or an archive: save the list as CSV or text first.")
        if b"\x00" in beginning and not beginning.startswith(_UTF_16):
            raise forms.ValidationError("This is not a text file.")
        return file

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        text, file = found.get("text", ""), found.get("file")
        if "file" in self.errors:
            return found
        if text.strip():
            read_terms(text, into=self.terms)
        if file:
            read_terms(decoded(file.chunks()), into=self.terms)
        if not text.strip() and not file:
            self.add_error("text", "Paste a text, or choose a file.")
        elif not self.terms.found:
            self.add_error("file" if file and not text.strip() else "text", "Nothing here can be looked up.")
        elif not self.chosen:
            self.add_error(None, "Tick at least one kind to look up.")
        elif too_many := self._too_many():
            self.add_error(None, too_many)
        return found

    def _too_many(self) -> str:
        """Why this member cannot run a job of so many terms, said before they are looked up, or ""."""
        number = sum(self.terms.counts[kind] for kind in self.chosen)
        if number <= setting("LARGE_JOB") or self.member.may(right_to_ask(Permission.JOB_RUN_LARGE)):
            return ""
        size = f"This names {number:,} to look up; without that right {setting('LARGE_JOB'):,} is the most of one job."
        return f"{lacks(Permission.JOB_RUN_LARGE)} {size}"

    @property
    def chosen(self) -> list[TermKind]:
        """The ticked kinds; of kinds that were not offered yet (the text has changed since) the usual ones."""
        offered, ticked = self.cleaned_data.get("offered", []), self.cleaned_data.get("kinds", [])
        usual = [kind for kind in self.terms.usual_kinds if kind not in offered]
        return [kind for kind in TermKind if self.terms.counts[kind] and (kind in ticked or kind in usual)]

    @property
    def kinds_found(self) -> list[KindOfTerm]:
        chosen = self.chosen if hasattr(self, "cleaned_data") else []
        examples: dict[TermKind, list[str]] = {kind: [] for kind in TermKind}
        for term in self.terms.found.values():
            if len(examples[term.kind]) < 3:
                examples[term.kind].append(term.text)
        return [
            KindOfTerm(kind, self.terms.counts[kind], kind in chosen, examples[kind])
            for kind in TermKind
            if self.terms.counts[kind]
        ]

    @property
    def has_unticked_wide(self) -> bool:
        """Whether addresses or domains stand beside ids and are left out."""
        return any(self.terms.counts[kind] and kind not in self.chosen for kind in WIDE)

    def job_terms(self) -> list[tuple[str, str]]:
        """What the job is to look up; and, of a list, the lines that name nothing, to be told at its end."""
        taken: list[tuple[str, str]] = [(term.kind.value, term.text) for term in self.terms.of_kinds(self.chosen)]
        if self.terms.is_list:
            taken += [(UNREAD_LINE, f"line {number}: {line}") for number, line in self.terms.unread]
        if self.terms.is_cut:
            taken.append((UNREAD_REST, f"everything after the first {MOST_TERMS:,}"))
        return taken

    def query(self) -> str:
        """The range, pinned now."""
        end = timezone.now().replace(microsecond=0)
        start = end - (length_of(self.cleaned_data["last"]) or dt.timedelta(days=30))
        return urlencode({"start": write_moment(start), "end": write_moment(end)})

    def action(self) -> dict[str, Any]:
        return offers.decided(self.cleaned_data["act"])
