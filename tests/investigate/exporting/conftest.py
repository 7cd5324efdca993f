"""What the tests of files share: mail with something to look for, searches that answer late, calls counted."""

from __future__ import annotations

from tests.investigate.message.conftest import calls, enclosed, threat
from tests.investigate.search.conftest import bells, clock, searches, work

__all__ = ["bells", "calls", "clock", "enclosed", "searches", "threat", "work"]
