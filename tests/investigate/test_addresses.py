"""Text that cannot be the id of a message names nothing, at every address and for every method."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from investigate.urls import LONGEST_ID, urlpatterns

ADDRESSES = sorted({str(entry.pattern) for entry in urlpatterns if "<investigate_id:" in str(entry.pattern)})
NO_IDS = ["..", ".", "%2e%2e", "%00", "a%00b", "a%0Ab", "%1b", "%E2%80%AE", "x" * (LONGEST_ID + 1)]

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("no_id", NO_IDS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_no_id_is_not_found(address: str, no_id: str, responder: Client) -> None:
    path = "/investigate/" + re.sub(r"<investigate_id:\w+>", lambda _: no_id, address).replace("<slug:part>", "why")

    assert responder.get(path).status_code == 404
    assert responder.post(path, {"kind": "move", "destination": "JunkEmail"}).status_code == 404
