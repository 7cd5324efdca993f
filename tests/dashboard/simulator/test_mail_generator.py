"""The invented month of mail: the same every time, in believable shares, pointing to nobody real."""

from __future__ import annotations

import ipaddress
import re
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_string, policy
from email.message import EmailMessage
from hashlib import md5, sha1, sha256

import pytest

from dashboard.simulator.mail import company
from dashboard.simulator.mail.campaigns import FAMILIES
from dashboard.simulator.mail.generator import SHARES, arrival, generate
from dashboard.simulator.mail.reasons import REASONS, THREAT_CATEGORIES
from dashboard.simulator.mail.record import MailRecord

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC).timestamp()
RESERVED = (".example", ".test", ".invalid")
DOCUMENTATION = [
    ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


@pytest.fixture(scope="module")
def month() -> list[MailRecord]:
    return generate(2_000, seed=7, now=NOW)


@pytest.fixture(scope="module")
def sample(month: list[MailRecord]) -> list[MailRecord]:
    """Some messages of every family."""
    chosen: dict[tuple[str, str], MailRecord] = {}
    for record in month:
        chosen.setdefault((record.kind, record.language), record)
    return list(chosen.values())


def columns(record: MailRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in MailRecord.__slots__ if name != "source"}


def test_equal_arguments_give_equal_mail(month: list[MailRecord]) -> None:
    again = generate(2_000, seed=7, now=NOW)

    assert [columns(record) for record in again] == [columns(record) for record in month]
    assert all(one.eml() == other.eml() for one, other in zip(month[::97], again[::97], strict=True))
    assert [r.subject for r in generate(50, seed=8, now=NOW)] != [r.subject for r in generate(50, seed=7, now=NOW)]


def test_the_rhythm_of_a_given_moment_gives_the_same_mail_at_every_hour() -> None:
    def ages(now: float) -> list[tuple[str, str, float]]:
        mail = generate(400, seed=7, now=now, rhythm_at=NOW)
        return [(record.postfix_id, record.final_disposition, round(now - record.scanned_at, 1)) for record in mail]

    found = ages(NOW)
    assert all(ages(NOW + hours * 3600 + 7) == found for hours in (1, 9, 13, 24, 77))
    assert [record.scanned_at for record in generate(400, seed=7, now=NOW)] == [
        pytest.approx(NOW - age, abs=0.1) for _, _, age in found
    ]


def test_mail_is_in_time_order_within_thirty_days(month: list[MailRecord]) -> None:
    times = [record.scanned_at for record in month]

    assert len(month) == 2_000
    assert times == sorted(times)
    assert times[0] >= NOW - 30 * 86_400
    assert times[-1] <= NOW
    assert all(record.sent_at < record.scanned_at for record in month)


def test_ids_are_unique_and_well_formed(month: list[MailRecord]) -> None:
    assert len({record.id for record in month}) == len(month)
    for record in month:
        assert re.fullmatch(r"4\w{14}-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-[0-9a-f]{8}", record.id)
        assert record.id.startswith(record.postfix_id)
        assert (record.alert_id is None) == (record.final_disposition == "NONE")


def test_shares_of_dispositions(month: list[MailRecord]) -> None:
    counts = Counter(record.final_disposition for record in month if not record.is_phish_submission)
    total = sum(counts.values())

    assert counts.keys() == SHARES.keys()
    for disposition, share in SHARES.items():
        assert counts[disposition] / total == pytest.approx(share, abs=0.005), disposition


def test_work_days_and_hours_carry_the_mail(month: list[MailRecord]) -> None:
    moments = [datetime.fromtimestamp(record.scanned_at, UTC) for record in month]
    weekend = sum(moment.weekday() >= 5 for moment in moments) / len(moments)
    daytime = sum(7 <= moment.hour < 18 for moment in moments) / len(moments)

    assert weekend < 0.15
    assert daytime > 0.75


def test_few_people_draw_many_attacks(month: list[MailRecord]) -> None:
    attacks = Counter(
        record.client_recipients[0]
        for record in month
        if record.final_disposition in {"MALICIOUS", "MALICIOUS-BEC", "SPOOF"}
    )

    assert sum(count for _, count in attacks.most_common(12)) > 0.45 * sum(attacks.values())


def test_every_family_appears_and_subjects_differ(month: list[MailRecord]) -> None:
    assert {record.kind for record in month} == {family.kind for family in FAMILIES}
    assert len({record.subject for record in month}) > 1_100
    assert {"en", "de", "fr", "es", "it", "nl", "pl", "pt"} <= {record.language for record in month}


def test_every_language_of_every_family_can_be_written() -> None:
    """No text has a gap nobody fills, and every reason and category is known."""
    from dashboard.simulator.mail.campaign import Campaign
    from dashboard.simulator.mail.slots import fill

    for family in FAMILIES:
        assert set(family.reasons) <= REASONS.keys()
        assert set(family.threats) <= THREAT_CATEGORIES.keys()
        for text in family.texts:
            for seed in range(3):
                campaign = Campaign(family, seed, NOW, language=text.language)
                slots = campaign.slots(company.people()[seed], seed)
                written = [fill(part, slots) for part in (*text.subjects, text.body, *text.names)]
                campaign.reasons(slots)
                assert not [part for part in written if re.search(r"\{|\}|\(\(|\)\)", part)], (
                    family.kind,
                    text.language,
                )


def test_delivery_agrees_with_verdict_and_connection(month: list[MailRecord]) -> None:
    for record in month:
        assert len(record.delivery_status) == len(record.client_recipients)
        assert record.is_quarantined == ("quarantined" in record.delivery_status)
        if record.delivery_mode in {"BCC", "JOURNAL"} or record.is_phish_submission:
            assert set(record.delivery_status) == {"delivered"}
        if record.is_quarantined:
            assert record.postfix_id_outbound is None
            assert record.trace_lines("outbound") == ()
        assert record.trace_lines("inbound")[0].lineno == 1
    malicious = [r for r in month if r.final_disposition == "MALICIOUS" and r.delivery_mode == "DIRECT"]
    assert sum(r.is_quarantined for r in malicious) > 0.6 * len(malicious)
    assert {r.delivery_mode for r in month if r.client_recipients[0].endswith(company.ACQUIRED)} <= {
        "BCC", "JOURNAL", "REVIEW_SUBMISSION", "SIMULATION_SUBMISSION",
    }  # fmt: skip


def test_some_detections_go_to_several_people_of_the_company(month: list[MailRecord]) -> None:
    detections = [r for r in month if r.final_disposition != "NONE" and not r.is_phish_submission]
    shared = [record for record in detections if len(record.client_recipients) > 1]
    staff = {person.address for person in company.people()}

    assert 0.13 < len(shared) / len(detections) < 0.23
    assert {r.final_disposition for r in shared} >= {"SPAM", "BULK", "SPOOF", "SUSPICIOUS", "MALICIOUS"}
    assert {len(record.client_recipients) for record in shared} == {2, 3, 4, 5}
    for record in shared:
        assert len(set(record.client_recipients)) == len(record.client_recipients)
        assert staff.issuperset(record.client_recipients)
        assert record.envelope_to == (*record.to, *record.cc) == record.client_recipients
        assert f"nrcpt={len(record.client_recipients)} " in str(record.trace_lines("inbound"))
        told = [line for line in record.trace_lines("outbound") if " to=<" in line.message]
        assert len(told) in {0, len(record.client_recipients)}


def test_a_message_to_the_company_without_integration_is_not_moved_there(month: list[MailRecord]) -> None:
    """Such a copy is delivered like any other and cannot be held; moving it later fails for it alone."""
    mixed = 0
    for record in month:
        domains = [address.rpartition("@")[2] for address in record.client_recipients]
        if company.ACQUIRED not in domains or len(set(domains)) == 1:
            continue
        copies = zip(domains, record.delivery_status, strict=True)
        assert {status for domain, status in copies if domain == company.ACQUIRED} == {"delivered"}, record.id
        mixed += record.is_detection
    assert mixed >= 5


def test_campaigns_share_fingerprints(month: list[MailRecord]) -> None:
    waves = Counter(record.edf_hash for record in month if record.final_disposition == "MALICIOUS")
    edf_hash, size = waves.most_common(1)[0]
    wave = [record for record in month if record.edf_hash == edf_hash]

    assert size >= 4
    assert len({record.htmltext_structure_hash for record in wave}) == 1
    assert len({record.kind for record in wave}) == 1
    assert len({record.body_text() for record in wave}) > 1


def test_reported_copies_repeat_a_delivered_message(month: list[MailRecord]) -> None:
    copies = [record for record in month if record.is_phish_submission]
    originals = {record.message_id: record for record in month if not record.is_phish_submission}

    assert len(copies) == 24
    for copy in copies:
        original = originals[copy.message_id]
        assert copy.id != original.id
        assert copy.eml().partition("Message-ID")[2] == original.eml().partition("Message-ID")[2]
        assert copy.delivery_mode in {"REVIEW_SUBMISSION", "SIMULATION_SUBMISSION"}
        assert copy.scanned_at > original.scanned_at


def test_detections_say_why(month: list[MailRecord]) -> None:
    for record in month:
        if record.final_disposition != "NONE":
            assert record.detection_reasons, record.kind
        assert all(reason[0].isprintable() and "{" not in reason for reason in record.detection_reasons)


def test_files_named_in_reasons_are_attached(month: list[MailRecord]) -> None:
    for record in (one for one in month if one.kind.startswith(("malware", "suspicious", "voicemail"))):
        named = {finding.attachment for finding in record.findings()} - {None} if record.detection_reasons else set()
        assert named <= {file.filename for file in record.attachments()}, (record.kind, record.subject)


def test_findings_match_reasons(sample: list[MailRecord]) -> None:
    for record in sample:
        assert tuple(finding.reason for finding in record.findings()) == record.detection_reasons
        scores = [finding.score or 0 for finding in record.findings()]
        assert scores == sorted(scores, reverse=True)
        assert tuple(category.name for category in record.threat_category_objects()) == record.threat_categories


def files_in(message: EmailMessage) -> Iterator[tuple[str | None, bytes]]:
    for part in message.walk():
        if part.get_content_disposition() == "attachment":
            yield part.get_filename(), part.get_payload(decode=True)


def test_raw_message_agrees_with_the_record(sample: list[MailRecord]) -> None:
    for record in sample:
        raw = record.eml()
        message = message_from_string(raw, policy=policy.default)
        assert not message.defects
        assert message["Subject"] == record.subject
        assert message["Message-ID"] == record.message_id
        sender = message["From"].addresses[0]
        assert (sender.addr_spec, sender.display_name) == (record.from_, record.from_name)
        assert tuple(one.addr_spec for one in message["To"].addresses) == record.to
        copied = message["Cc"].addresses if message["Cc"] else ()
        assert tuple(one.addr_spec for one in copied) == record.cc
        assert message["Date"].datetime.timestamp() == record.sent_at
        results = str(message["Authentication-Results"])
        for method in ("spf", "dkim", "dmarc"):
            assert f"{method}={getattr(record.validation, method)}" in results
        assert [(h.name, h.value) for h in record.headers()] == [
            (k, " ".join(str(v).split())) for k, v in message.items()
        ]

        found = list(files_in(message))
        assert [name for name, _ in found] == [file.filename for file in record.attachments()]
        for (_, data), file in zip(found, record.attachments(), strict=True):
            assert len(data) == file.size
            assert (md5(data).hexdigest(), sha1(data).hexdigest()) == (file.md5, file.sha1)  # noqa: S324
            assert sha256(data).hexdigest() == file.sha256

        page = message.get_body(("html",)).get_content()
        for link in record.links():
            assert f'href="{link.href}"' in page.replace("&amp;", "&")


def test_nothing_points_to_anybody_real(sample: list[MailRecord]) -> None:
    for record in sample:
        raw = record.eml().replace("=\r\n", "")  # soft line breaks cut addresses
        text = "\n".join([raw, record.body_text(), *(str(link.href) for link in record.links()), str(columns(record))])
        for host in re.findall(r"https?://([^/\s\"'<>)]+)", record.body_text() + str(record.links())):
            assert host.endswith(RESERVED), (record.kind, host)
        for domain in re.findall(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)", text):
            assert domain.endswith(RESERVED), (record.kind, domain)
        for ip in {
            record.smtp_helo_server_ip,
            record.smtp_previous_hop_ip,
            record.x_originating_ip,
            record.sender_info.ip,
        } - {None}:
            assert any(ipaddress.ip_address(ip) in net for net in DOCUMENTATION), ip


def test_archives_cannot_be_run_and_admit_to_be_placeholders(sample: list[MailRecord]) -> None:
    raw = [message_from_string(record.eml(), policy=policy.default) for record in sample]
    contents = [data for message in raw for _, data in files_in(message)]

    assert contents
    assert not [data for data in contents if data[:2] in {b"MZ", b"\x7fE"}]
    assert all(b"Placeholder" in data or data[:3] == b"\xff\xd8\xff" or b"simulated" in data for data in contents)


def test_arrivals_are_deterministic_and_share_campaigns() -> None:
    some = [arrival(3, k, NOW + 20 * k) for k in range(300)]

    assert [columns(r) for r in some] == [columns(arrival(3, k, NOW + 20 * k)) for k in range(300)]
    assert len({r.id for r in some}) == 300
    assert all(r.scanned_at == NOW + 20 * k for k, r in enumerate(some))
    spam = Counter(r.edf_hash for r in some if r.final_disposition == "SPAM")
    assert spam.most_common(1)[0][1] >= 5


def test_small_numbers_work() -> None:
    assert generate(0, seed=1, now=NOW) == []
    assert len(generate(1, seed=1, now=NOW)) == 1
    assert len(generate(137, seed=1, now=NOW)) == 137


def test_records_are_small() -> None:
    generate(200, seed=1, now=NOW)  # fills the caches every process pays for once
    tracemalloc.start()
    records = generate(5_000, seed=2, now=NOW)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert used / len(records) < 2_600, "200,000 records have to fit well within 600 MB"
