"""What a pattern would have matched among recent messages."""

from __future__ import annotations

from enum import StrEnum


class Against(StrEnum):
    """What a pattern is compared with."""

    SENDER = "sender"
    RECIPIENT = "recipient"
    SENDER_DOMAIN = "sender_domain"
    SUBJECT = "subject"
    NAME = "name"
    NOTHING = "nothing"
