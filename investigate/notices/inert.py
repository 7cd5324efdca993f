"""Text of a sender as it may stand in a chat or a mailbox: one line, bounded, and nothing in it comes alive."""

from __future__ import annotations

import re

from dashboard.web.text import visible

_SCHEME = re.compile(r"\b(h)tt(ps?)(?=:)|\b(f)t(ps?)(?=:)", re.IGNORECASE)
# What makes words into a domain or an address, and the characters some readers take for the same.
_JOINS = re.compile("(?<=[^\\s\\[])([.@\u3002\uff0e\uff61\uff20])(?=[^\\s\\]])")
_SHARE = re.compile(r"\\{2}|(?<=:)//")  # \\server\share, and any scheme://
_NOT_BARE = re.compile(r"[^\w ,:+-]|_")


def inert(value: object, limit: int) -> str:
    """For readers that show plain text but make links of what looks like one: `hxxps:[//]pay-pal[.]example`."""
    text = " ".join(visible(value, limit=limit).split())
    text = _SCHEME.sub(lambda m: f"{m[1]}xx{m[2]}" if m[1] else f"{m[3]}x{m[4]}", text)
    return _cut(_SHARE.sub(r"[\g<0>]", _JOINS.sub(r"[\1]", text)), limit)


def bare(value: object, limit: int) -> str:
    """For readers that know some markup, and not all the same: words without any character that could be one."""
    return _cut(" ".join(_NOT_BARE.sub(" ", visible(value, limit=limit)).split()), limit)


def _cut(text: str, limit: int) -> str:
    """What was written out for a sign is longer than the sign, and receivers refuse what is too long as a whole."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
