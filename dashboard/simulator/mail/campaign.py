"""A campaign: one family's text, sender and fingerprints, from which any number of similar messages are made.

A conversation between two honest people is a campaign too; its later messages are answers to the first.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha1
from random import Random

from dashboard.simulator.mail import company, eml, notation
from dashboard.simulator.mail.blocks import Block, Paragraph, Quote
from dashboard.simulator.mail.company import Person
from dashboard.simulator.mail.family import Enclosure, Family, Text
from dashboard.simulator.mail.filler import attachment_bytes
from dashboard.simulator.mail.reasons import REASONS, THREAT_CATEGORIES
from dashboard.simulator.mail.record import Finding, MailContent, MailRecord
from dashboard.simulator.mail.senders import FAIRS, make_sender
from dashboard.simulator.mail.slots import Slots, fill, money

TALKS = (
    "Calibration in the field without a lab", "Ten years of tide data, one dashboard",
    "What LTE-M does to battery life",
    "Sensors that survive ice", "From paper chart to open data", "Reading rivers from bridges",
)  # fmt: skip
PRODUCT_KINDS = ("water level sensor", "tide gauge", "flow meter", "rain gauge", "data logger", "weather mast")
ANSWERS = {
    "en": (
        "Thanks, that works for us.", "Understood, I will come back to you on {weekday}.",
        "One more question: does {date} still hold?", "Perfect. I have passed it on to my colleague.",
    ),
    "de": (
        "Danke, das passt so.", "Verstanden, ich melde mich am {weekday}.",
        "Noch eine Frage: Bleibt es beim {date}?",
    ),
    "fr": ("Merci, c'est noté.", "Je reviens vers vous {weekday}.", "Est-ce que la date du {date} tient toujours ?"),
    "es": ("Gracias, de acuerdo.", "Le confirmo el {weekday}."),
    "it": ("Grazie, va bene così.", "Vi confermo entro {weekday}."),
    "nl": ("Dank, akkoord.", "Ik kom er {weekday} op terug."),
    "pl": ("Dziękuję, zgadza się.", "Potwierdzę: {weekday}."),
    "pt": ("Obrigado, está bem assim.", "Confirmo na {weekday}."),
    "uk": ("Дякую, домовилися.",),
    "ja": ("承知いたしました。よろしくお願いいたします。",),
}  # fmt: skip
REPLY_PREFIX = {"de": "AW: ", "nl": "RE: ", "pl": "Odp: "}
REPLY_MARKS = ("Re: ", *REPLY_PREFIX.values())


class Campaign:
    """Deterministic in its arguments; messages derive the rest from their own seed."""

    __slots__ = (
        "edf_hash",
        "enclosure",
        "family",
        "htmltext_structure_hash",
        "seed",
        "sender",
        "started_at",
        "subject_index",
        "text",
    )

    def __init__(self, family: Family, seed: int, started_at: float, language: str | None = None) -> None:
        rng = Random(seed)
        self.family = family
        self.seed = seed
        self.started_at = started_at
        self.text: Text = _choose_text(family, rng, language)
        self.subject_index = rng.randrange(len(self.text.subjects))
        self.sender = make_sender(family, self.text.language, self.text.names, rng)
        self.enclosure: Enclosure | None = None
        if family.enclosures and rng.random() < family.enclosed:
            self.enclosure = rng.choice(family.enclosures)
        self.edf_hash = f"{rng.getrandbits(128):032x}"
        self.htmltext_structure_hash = _structure(self.text.body)

    def recipient_pool(self) -> tuple[Person, ...]:
        target = self.family.target.value
        return company.speakers(self.text.language, None if target == "anyone" else target)

    def slots(self, person: Person, own_seed: int) -> Slots:
        sender = self.sender
        known = {
            "first": person.first, "name": person.name, "email": person.address,
            "user": person.address.partition("@")[0],
            "domain": person.domain, "title": person.title, "department": person.department, "company": company.NAME,
            "boss": sender.leader.name, "boss_first": sender.leader.first, "boss_title": sender.leader.title,
            "partner": sender.partner.name, "partner_domain": sender.partner.domain, "trade": sender.partner.trade,
            "contact": sender.person, "me": sender.person, "me_first": sender.person.split()[0],
            "partner_slug": _slug(sender.partner.name), "me_slug": _slug(sender.person),
            "brand": sender.brand[0], "brand_domain": sender.brand[1],
            "sender": person.address if self.family.from_recipient else sender.address,
            "sender_domain": person.domain if self.family.from_recipient else sender.domain,
            "envelope_domain": sender.envelope.rpartition("@")[2],
            "reply_address": sender.replyto or sender.address, "ip": sender.network.helo,
            "as_name": sender.network.info.as_name or "",
            "link_host": sender.link.split("/")[2], "edf": self.edf_hash[:12],
        }  # fmt: skip
        slots = Slots(
            known,
            language=self.text.language,
            at=self.started_at,
            shared_seed=self.seed,
            own_seed=own_seed,
            varying=self.family.varying,
        )
        rng = Random(self.seed + 1)
        colleague = rng.choice(company.people())
        slots["me_service"] = colleague.name
        fair = rng.choice(FAIRS)
        slots["project_fair"] = sender.name if sender.name in FAIRS else fair
        slots["sender_name"] = sender.name
        slots["topic_talk"] = rng.choice(TALKS)
        slots["product_kind"] = rng.choice(PRODUCT_KINDS)
        slots["num_short"] = str(rng.randrange(120, 480))
        slots["month_number"] = f"{slots.day.month:02d}"
        slots["product_slug"] = _slug(slots["product"])
        slots["project_slug"] = _slug(slots["project"])
        slots["token_upper"] = slots["token"][:6].upper()
        if self.family.kind == "ceo-gift-card":
            slots["small"] = money(rng.choice((50, 100, 150, 200)), self.text.language)
        if self.enclosure:
            slots["file"] = fill(self.enclosure.filename, slots)
        return slots

    def subject(self, slots: Slots) -> str:
        return fill(self.text.subjects[self.subject_index], slots)

    def reasons(self, slots: Slots) -> tuple[str, ...]:
        return tuple(fill(REASONS[key].text, slots) for key in self._reason_keys(slots))

    def _reason_keys(self, slots: Slots) -> list[str]:
        """The family's reasons that are true of this campaign, most decisive first."""
        sender = self.sender
        untrue = {
            "reply-to": sender.replyto is None,
            "dmarc-fail": sender.validation.dmarc != "fail",
            "link-mismatch": "|@]" not in self.text.body,
            "urgent-words": "{hours}" not in self.text.body and "{soon}" not in self.text.body,
            "double-extension": slots.get("file", "").count(".") < 2,
            "free-mail": "free" not in sender.domain and "mail" not in sender.domain and "box" not in sender.domain,
            "envelope-differs": sender.envelope.rpartition("@")[2] == sender.domain,
        }
        keys = [key for key in self.family.reasons if not untrue.get(key, False)]
        keys = [key for key in keys if "{file}" not in REASONS[key].text or "file" in slots]
        return sorted(keys, key=lambda key: -REASONS[key].score)

    def body(self, record: MailRecord, slots: Slots) -> tuple[Block, ...]:
        filled = fill(self.text.body, slots)
        blocks = notation.parse(filled, link=self._link(slots), colour=self.family.colour)
        if self._is_reply(record):
            answer = fill(Random(record.seed).choice(ANSWERS[self.text.language]), slots)
            quoted = "\n".join(block.text for block in blocks if isinstance(block, Paragraph))
            return Paragraph(answer), Paragraph(slots["me_first"]), Quote(quoted)
        return blocks

    def _is_reply(self, record: MailRecord) -> bool:
        """True for the later messages of a conversation, whose body is an answer and which carry no files."""
        return self.family.replies and (record.subject or "").startswith(REPLY_MARKS)

    def _link(self, slots: Slots) -> str:
        """Honest senders link plainly, attackers with a token per message."""
        return (
            f"{self.sender.link}/{slots['token']}"
            if self.family.disposition not in {"NONE", "BULK"}
            else self.sender.link
        )

    # What a search asks of many thousand messages, told without making their content.

    @property
    def link_host(self) -> str:
        """The host of every link in this campaign's messages; a message may still have none."""
        return self.sender.link.split("/")[2]

    def file_name(self, record: MailRecord) -> str | None:
        """Name of the file a message carries, None without one."""
        if self.enclosure is None or (record.subject or "").startswith(REPLY_MARKS):
            return None
        return self.slots(company_person(record.to[0]), record.seed)["file"]

    def content(self, record: MailRecord) -> MailContent:
        person = company_person(record.to[0])  # also when one of the others reported it
        slots = self.slots(person, record.seed)
        body = self.body(record, slots)
        files = ()
        if self.enclosure is not None and not self._is_reply(record):
            size = int(self.enclosure.size * (0.6 + (self.seed % 1000) / 1250))
            data = attachment_bytes(self.enclosure.filename, size, encrypted=self.enclosure.encrypted, seed=self.seed)
            files = (
                eml.File(
                    slots["file"], self.enclosure.content_type, data, self.enclosure.encrypted, self.enclosure.detection
                ),
            )
        letter = eml.Letter(record, body, files, bulk=self.family.disposition == "BULK", link=self.sender.link)
        headers, raw = eml.compose(letter)
        findings = (
            tuple(self._finding(key, slots, record) for key in self._reason_keys(slots))
            if record.detection_reasons
            else ()
        )
        return MailContent(
            headers=headers,
            links=eml.links_of(body),
            attachments=tuple(eml.describe(file) for file in files),
            findings=findings,
            threat_categories=tuple(THREAT_CATEGORIES[name] for name in record.threat_categories),
            blocks=body,
            body_text=notation.to_text(body),
            eml=raw,
        )

    def _finding(self, key: str, slots: Slots, record: MailRecord) -> Finding:
        reason = REASONS[key]
        text, value = fill(reason.text, slots), fill(reason.value, slots)
        return Finding(
            name=reason.name, detail=text, field=reason.field,
            portion="attachment" if reason.field == "attachments" else reason.field,
            reason=text, value=value, attachment=slots.get("file") if reason.field == "attachments" else None,
            detection=record.final_disposition, score=reason.score,
        )  # fmt: skip


@lru_cache(maxsize=1)
def _by_address() -> dict[str, Person]:
    return {person.address: person for person in company.people()}


def company_person(address: str) -> Person:
    return _by_address()[address]


@lru_cache(maxsize=512)
def _structure(body: str) -> str:
    """Messages made from one text share their structure; sha1 only spreads, it protects nothing."""
    return sha1(body.encode(), usedforsecurity=False).hexdigest()[:32]


@lru_cache(maxsize=512)
def _slug(text: str) -> str:
    return company.plain(text)


LANGUAGE_WEIGHTS = {"en": 44, "de": 27, "fr": 10, "es": 4, "it": 4, "nl": 4, "pl": 4, "pt": 3, "uk": 2, "ja": 1}


def _choose_text(family: Family, rng: Random, language: str | None) -> Text:
    texts = [text for text in family.texts if text.language == language] or list(family.texts)
    return rng.choices(texts, [LANGUAGE_WEIGHTS[text.language] for text in texts])[0]
