"""Why a message was judged so: two groups of sentences, most decisive first, each with its evidence."""

from __future__ import annotations

import time

import msgspec
import pytest

from dashboard.emailsec.types import (
    Attachment,
    Detections,
    Disposition,
    Finding,
    Header,
    Link,
    Message,
    MessageProperties,
    ThreatCategory,
    Validation,
    ValidationStatus,
)
from investigate.message import lookalike
from investigate.message.explain import explain, texts, without_quotes
from tests.investigate.message.corpus import hostile_strings

FAIL, PASS, NONE = ValidationStatus.FAIL, ValidationStatus.PASS, ValidationStatus.NONE


def mail(**fields: object) -> Message:
    usual: dict[str, object] = {
        "id": "m1",
        "from_": "billing@pay-pal.example",
        "from_name": "Billing",
        "envelope_from": "billing@pay-pal.example",
        "client_recipients": ("j.doe@corpnet.example",),
        "final_disposition": Disposition.MALICIOUS,
    }
    return Message(**{**usual, **fields})


def test_findings_come_before_reasons_and_each_is_said_once():
    message = mail(detection_reasons=("Link to a known phishing page", "Sender domain is 2 days old"))
    detections = Detections(
        findings=(
            Finding(name="young_domain", reason="sender domain is 2 days old", detection=Disposition.SUSPICIOUS),
            Finding(
                name="phish_url", reason="Link to a known phishing page", detection=Disposition.MALICIOUS, score=97.0
            ),
        )
    )

    theirs = explain(message, detections).theirs

    assert texts(theirs) == ["Link to a known phishing page.", "Sender domain is 2 days old."]
    assert theirs[0].verdict == Disposition.MALICIOUS
    assert theirs[0].aside == ("phish_url", "score 97")


QUOTING = (
    "Link to login.evil.test found",
    "Attachment Invoice March.pdf.exe is a program",
    "The button Verify your account leads to hxxps://login[.]evil[.]test/a",
    "Domain evil.test is 2 days old",
)


def said(message: Message, detections: Detections | None) -> str:
    shown = explain(message, detections, shows_body=False)
    reasons = [*shown.theirs, *shown.ours]
    return " | ".join(text for reason in reasons for text in (reason.sentence, reason.evidence, *reason.aside))


def test_without_the_body_no_reason_quotes_a_link_or_a_file():
    detections = Detections(
        links=(
            Link(href="https://login.evil.test/a", text="Verify your account"),
            Link(href="https://pay-pal.example/"),
        ),
        attachments=(Attachment(filename="Invoice March.pdf.exe"),),
        findings=(
            *(Finding(name=text, reason=f"{text}!") for text in QUOTING),
            Finding(name="INVOICE MARCH.PDF.EXE", value="Invoice March.pdf.exe"),
            Finding(reason="billing@pay-pal.example spoofs pay-pal.example"),
        ),
    )

    for told in (said(mail(detection_reasons=QUOTING), detections), said(mail(), detections)):
        for secret in ("evil", "Invoice", "March", "Verify", "exe"):
            assert secret.casefold() not in told.casefold()
        assert "Link to (hidden) found" in told
        assert "Attachment (hidden) is a program" in told
        assert "billing@pay-pal.example spoofs pay-pal.example" in told


def test_without_the_body_and_the_detections_nothing_that_may_be_a_link_or_a_file_is_quoted():
    quoting = (
        "Link to login.evil.test found",
        "File a.pdf.exe of pay-pal.example.evil.test",
        "Program Our Invoice.exe inside",
    )
    known = (Finding(attachment="Our Invoice.exe"),)

    told = said(mail(detection_reasons=(*quoting, "From pay-pal.example. Odd"), findings=known), None)

    assert "Link to (hidden) found." in told
    assert "File (hidden) of (hidden)." in told
    assert "Program (hidden) inside." in told
    assert "From pay-pal.example. Odd." in told


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("Attachment a b--c.d.pdf!", "Attachment a (hidden)!"),
        ("Mail of pay-pal.example and x@pay-pal.example", "Mail of pay-pal.example and x@pay-pal.example"),
        ("pay-pal.example.evil.example [.]exe .-x.exe a[.]b[.]example", "(hidden) [.]exe .-(hidden) (hidden)"),
        (f"File {'-' * 40_000}.", "File (hidden)"),
        (f"File {'a[.]' * 10_000}", "File (hidden)"),
        (f"File {'-' * 40_000}", f"File {'-' * 40_000}"),
        ("No 3.14 e.g. this.", "No 3.14 e.g. this."),
    ],
    ids=["file", "sender", "others", "long", "long and defanged", "no name", "none"],
)
def test_what_a_reason_may_quote_is_left_out_however_long_it_is(reason: str, told: str):
    began = time.thread_time()
    assert without_quotes(reason, {"pay-pal.example"}) == told
    assert time.thread_time() - began < 0.5


def test_a_finding_points_at_its_link_and_its_attachment():
    detections = Detections(
        links=(Link(href="https://a.example/"), Link(href="https://evil.test/login", text="Log in")),
        attachments=(Attachment(filename="invoice.zip", size=3),),
        headers=(Header(name="Reply-To", value="x@y.example"),),
        findings=(
            Finding(reason="bad link", value="https://evil.test/login"),
            Finding(reason="bad host", value="evil.test"),
            Finding(reason="bad file", attachment="invoice.zip"),
            Finding(reason="odd answer address", field_name="reply_to"),
            Finding(reason="nowhere to look", value="something else"),
        ),
    )

    jumps = {reason.sentence: reason.jump for reason in explain(mail(), detections).theirs}

    assert jumps["Bad link."].label == "link 2 of 2"
    assert jumps["Bad host."].anchor == "link-2"
    assert jumps["Bad file."].label == "attachment 1 of 1"
    assert jumps["Odd answer address."].anchor == "header-1"
    assert jumps["Nowhere to look."] is None


def test_targets_in_findings_are_defanged_and_names_are_not():
    detections = Detections(
        links=(Link(href="https://evil.test/login"),),
        findings=(
            Finding(reason="evil.test is young", value="evil.test"),
            Finding(reason="bad link", value="https://evil.test/login", portion="links", field_name="links"),
            Finding(reason="bad file", value="invoice.pdf", portion="name", field_name="attachment"),
        ),
    )

    theirs = {reason.sentence: reason for reason in explain(mail(), detections).theirs}

    assert theirs["evil.test is young."].evidence == "evil[.]test"
    assert theirs["Bad link."].evidence == "hxxps://evil[.]test/login"
    assert theirs["Bad link."].aside == ("in links",)
    assert theirs["Bad file."].evidence == "invoice.pdf"
    assert theirs["Bad file."].aside == ("in name of the attachment",)


def test_list_entries_come_first():
    message = mail(
        properties=MessageProperties(
            blocklisted_message=True,
            blocklisted_pattern="pay-pal.example",
            allowlisted_pattern="x@y",
            allowlisted_pattern_type="acceptable_sender",
        ),
        detection_reasons=("something",),
    )

    theirs = explain(message, None).theirs

    assert texts(theirs)[:2] == [
        "It matches an entry of the block list.",
        "It matches an allow policy (acceptable sender).",
    ]
    assert theirs[0].evidence == "pay-pal.example"


def test_an_unknown_allow_type_is_shown_as_it_came():
    message = mail(properties=MessageProperties(allowlisted_pattern="x", allowlisted_pattern_type="brand_new_type"))

    assert "It matches an allow policy (brand new type)." in texts(explain(message, None).theirs)


@pytest.mark.parametrize(
    ("validation", "sentence"),
    [
        (
            Validation(spf=PASS, dkim=PASS, dmarc=FAIL),
            "DMARC failed: the domain in From does not vouch for this message.",
        ),
        (Validation(spf=FAIL), "SPF failed: the server that sent it may not send for the envelope's domain."),
        (Validation(dkim=FAIL), "DKIM failed: the signature does not fit the message."),
        (
            Validation(spf=PASS, dkim=PASS, dmarc=PASS),
            "SPF, DKIM and DMARC passed: it does come from the domain it names.",
        ),
        (Validation(spf=NONE, dkim=NONE, dmarc=NONE), "The sender's domain offers no SPF, DKIM or DMARC to check."),
    ],
)
def test_authentication_is_a_reason(validation, sentence):
    assert sentence in texts(explain(mail(validation=validation), None).theirs)


def test_threat_categories_of_both_answers_are_named_once():
    detections = Detections(
        threat_categories=(ThreatCategory(id=1, name="Credential Harvester", description="Asks for passwords"),)
    )
    message = mail(threat_categories=("Credential Harvester", "BEC"))

    assert texts(explain(message, detections).theirs) == [
        "Threat category: Credential Harvester.",
        "Threat category: BEC.",
    ]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"from_name": "ceo@corpnet.example"},
            "The display name shows an address of another domain than the sender's own.",
        ),
        ({"replyto": "x@free.test"}, "Answers go to another domain than the one it says it comes from."),
        (
            {"envelope_from": "x@mailer.test"},
            "The envelope names another domain than From; mailing services do this, and so do forgers.",
        ),
        (
            {"from_": "it@corpnet.example", "validation": Validation(dmarc=FAIL)},
            "It claims to come from your own domain, and DMARC failed.",
        ),
        ({"from_": "it@c0rpnet.example"}, "The sender's domain looks like your own."),
        ({"from_": "it@corpnet-login.example"}, "The sender's domain looks like your own."),
        ({"from_": "it@corpnet.test"}, "The sender's domain looks like your own."),
        ({"from_": "it@corp\u0430ny.test"}, "The sender's domain mixes letters of different alphabets."),
        ({"from_": "it@b\u00fccher.test"}, "The sender's domain is written with letters beyond a to z."),
        ({"subject": "invoice\u202egpj.exe"}, "The subject holds invisible or direction-changing characters."),
    ],
)
def test_contradictions_are_noticed(fields, sentence):
    explanation = explain(mail(**fields), None)

    assert sentence in texts(explanation.ours)
    assert sentence not in texts(explanation.theirs)


def test_an_ordinary_message_gives_us_nothing_to_notice():
    detections = Detections(
        links=(Link(href="https://www.pay-pal.example/a", text="pay-pal.example"),),
        attachments=(Attachment(filename="report.pdf", size=5, encrypted=False),),
    )

    assert explain(mail(replyto="other@mail.pay-pal.example"), detections).ours == []


@pytest.mark.parametrize(
    ("attachment", "sentence"),
    [
        (Attachment(filename="a.zip", encrypted=True), "An attachment is encrypted: no scanner can look inside."),
        (Attachment(filename="invoice.pdf.exe"), "An attachment is a program named like a document."),
        (Attachment(filename="setup.iso"), "An attachment is a program or disk image."),
        (
            Attachment(filename="login.htm"),
            "An attachment is a web page: it opens in the browser, past the mail filter.",
        ),
        (Attachment(filename="list.xlsm"), "An attachment can carry macros or scripts."),
        (
            Attachment(filename="a\u202efdp.zip"),
            "An attachment's name holds invisible or direction-changing characters.",
        ),
    ],
)
def test_odd_attachments_are_noticed(attachment, sentence):
    (reason,) = [r for r in explain(mail(), Detections(attachments=(attachment,))).ours if r.sentence == sentence]

    assert reason.jump.label == "attachment 1 of 1"


def test_a_deceptive_link_is_noticed_with_both_names_defanged():
    detections = Detections(
        links=(Link(href="https://x.example"), Link(href="https://evil.test/x", text="www.bank.example"))
    )

    (reason,) = [r for r in explain(mail(), detections).ours if "another place" in r.sentence]

    assert reason.evidence == "www[.]bank[.]example leads to evil[.]test"
    assert reason.jump.label == "link 2 of 2"


@pytest.mark.parametrize(
    ("host", "other", "alike"),
    [
        ("corpnet.example", "corpnet.example", False),
        ("mail.corpnet.example", "corpnet.example", False),
        ("corpnte.example", "corpnet.example", True),
        ("corpnett.example", "corpnet.example", True),
        ("corpet.example", "corpnet.example", True),
        ("c\u043erpnet.example", "corpnet.example", True),
        ("corpnet.evil.test", "corpnet.example", False),
        ("unrelated.example", "corpnet.example", False),
        ("abc.example", "abd.example", False),
        ("xn--crpnet-wqf.example", "corpnet.example", True),
    ],
)
def test_look_alikes(host, other, alike):
    assert lookalike.imitates(host, other) is alike


def test_the_verdict_is_a_sentence():
    assert (
        explain(mail(is_quarantined=True), None).verdict == "Cloudflare judged it Malicious and holds it in quarantine."
    )
    assert explain(mail(final_disposition=Disposition.NONE), None).verdict == "Cloudflare judged it Clean."
    assert explain(mail(final_disposition=Disposition("BRAND-NEW")), None).verdict == "Cloudflare judged it BRAND-NEW."
    assert explain(mail(final_disposition=None), None).verdict == "Cloudflare gave no verdict."


def test_hostile_strings_everywhere_break_nothing():
    for value in [*hostile_strings(), "", "@", "a@", "@b", "." * 300]:
        message = mail(
            subject=value, from_=value, from_name=value, replyto=value, envelope_from=f"a@{value}",
            client_recipients=(value, f"x@{value}"), detection_reasons=(value,), threat_categories=(value,),
        )  # fmt: skip
        detections = Detections(
            findings=(Finding(name=value, reason=value, value=value, field_name=value, attachment=value),),
            links=(Link(href=value, text=value), Link(href=f"https://{value}", text="a.example")),
            attachments=(Attachment(filename=value),),
            headers=(Header(name=value, value=value),),
            threat_categories=(ThreatCategory(name=value, description=value),),
        )
        explanation = explain(message, detections)
        assert len(explanation.theirs) + len(explanation.ours) > 0
        assert msgspec.structs.asdict(message)["subject"] == value
