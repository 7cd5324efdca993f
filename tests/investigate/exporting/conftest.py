"""What the tests of files share: mail with something to look for, searches that answer late, calls counted."""

from __future__ import annotations

from tests.investigate.message.conftest import enclosed, threat
from tests.investigate.search.conftest import _no_broker, clock, searches, work

__all__ = ["_no_broker", "clock", "enclosed", "searches", "threat", "work"]
