"""Where real mail and hostile strings are found; they are not part of the repository."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[3].parent / "shared"
MAIL = Path(os.environ.get("MAILWARDEN_MAIL_DIR", _BESIDE / "mail"))
STRINGS = Path(os.environ.get("MAILWARDEN_HOSTILE", _BESIDE / "hostile" / "strings.json"))

needs_mail = pytest.mark.skipif(not MAIL.is_dir(), reason="no folder of real mail (MAILWARDEN_MAIL_DIR)")
needs_strings = pytest.mark.skipif(not STRINGS.is_file(), reason="no hostile strings (MAILWARDEN_HOSTILE)")


def mail_files() -> list[Path]:
    return sorted(MAIL.glob("*.eml"))


def hostile_strings() -> list[str]:
    if not STRINGS.is_file():
        return []
    return [entry["value"] for entry in json.loads(STRINGS.read_text("utf-8"))]
