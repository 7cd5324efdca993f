"""Messages of the simulated account to open, and a count of the calls that opening them costs."""

from __future__ import annotations

import pytest

from dashboard.simulator import Simulator
from dashboard.simulator.mail.record import MailRecord


@pytest.fixture
def threat(emailsec: Simulator) -> MailRecord:
    """A quarantined message with links and a detection."""

    def found() -> MailRecord | None:
        fitting = (r for r in emailsec.store.records if r.final_disposition == "MALICIOUS" and r.links())
        return next((r for r in fitting if r.is_quarantined), None)

    while (record := found()) is None:  # what came in the hours before this one had none
        assert len(emailsec.store.records) < 3000, "the generator makes no such message any more"
        for late in emailsec.population.arrive_now(100, emailsec.clock() - 600):  # old enough for every search
            emailsec.add(late)
    return record


@pytest.fixture
def enclosed(emailsec: Simulator, threat: MailRecord) -> MailRecord:
    """Another message, with a detection and an attachment."""
    return next(r for r in emailsec.store.records if r.is_detection and r.attachments() and r is not threat)


@pytest.fixture
def clean(emailsec: Simulator) -> MailRecord:
    """Clean mail that was delivered."""
    return next(
        r
        for r in emailsec.store.records
        if not r.is_detection and r.delivery_status[0] == "delivered" and r.delivery_mode == "DIRECT"
    )
