"""Older and later servers: what they lack is made up for, or said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashboard.simulator import Simulator
from tests.conftest import HTMX
from tests.simulated import serving, simulated_account


@pytest.fixture(params=["seed", "sunset"])
def generation(request: pytest.FixtureRequest, db: None) -> Iterator[Simulator]:
    simulator = simulated_account(
        messages=200,
        seed=7,
        profile=request.param,
    )
    with serving(simulator):
        yield simulator


def test_every_part_works(generation, analyst):
    record = next(r for r in generation.store.records if r.is_detection and r.links())

    opened = analyst.get(f"/investigate/{record.id}/pane", headers=HTMX)
    assert opened.status_code == 200
    assert "UTC" in opened.text
    for name in ("why", "preview", "links", "attachments", "headers", "raw", "trace", "history", "campaign"):
        response = analyst.get(f"/investigate/{record.id}/parts/{name}", headers=HTMX)
        assert response.status_code == 200, name


def test_hashes_an_old_server_does_not_give_are_read_from_the_raw_mail(analyst, generation, soup):
    if generation.profile.name != "seed":
        pytest.skip("this generation gives hashes")
    record = next(r for r in generation.store.records if r.is_detection and len(r.attachments()) == 1)
    url = f"/investigate/{record.id}/parts/attachments"

    before = soup(analyst.get(url, headers=HTMX))
    after = soup(analyst.get(before.select_one(".partial [hx-get]")["hx-get"], headers=HTMX))

    assert "not given" in before.select_one("#attachment-1").text
    attachment = record.attachments()[0]
    assert {button["data-copy"] for button in after.select("#attachment-1 button")} == {
        attachment.md5,
        attachment.sha1,
        attachment.sha256,
    }
