"""Every message of a folder of real mail can be opened, with all its parts, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bs4 import BeautifulSoup
from django.conf import settings

from dashboard.simulator import Simulator
from tests.conftest import HTMX
from tests.investigate.message.corpus import MAIL, needs_mail
from tests.simulated import serving, simulated_account

LIVE = "script, svg, math, object, embed, style, link, meta, base, video, audio, template"


@pytest.fixture
def real_mail(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setattr(settings, "CALL_LIMIT", 1_000_000)
    simulator = simulated_account(
        mail_dir=MAIL,
        rate_limit=None,
    )
    with serving(simulator):
        yield simulator


@pytest.mark.corpus
@needs_mail
@pytest.mark.parametrize("share", range(4))
def test_every_real_message_can_be_opened(share, analyst, real_mail):
    for record in real_mail.store.records[share::4]:
        opened = analyst.get(f"/investigate/{record.id}/pane", headers=HTMX)
        assert opened.status_code == 200, record.id
        assert BeautifulSoup(opened.content, "html.parser").select(LIVE) == []
        for name in ("links", "attachments", "headers", "trace", "preview", "raw"):
            response = analyst.get(f"/investigate/{record.id}/parts/{name}", headers=HTMX)
            assert response.status_code == 200, (record.id, name)
            assert BeautifulSoup(response.content, "html.parser").select(LIVE) == [], (record.id, name)
        if record.is_detection:
            assert analyst.get(f"/investigate/{record.id}/preview.png")["Content-Type"] == "image/png"
            assert analyst.get(f"/investigate/{record.id}/raw.txt")["Content-Type"].startswith("text/plain")
