"""How areas are filled: a pattern of `templates/charts/_patterns.html` and a class for its colours, by one name."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.emailsec.enums import Disposition


@dataclass(frozen=True)
class Fill:
    name: str  # of the pattern and the class
    label: str


# Worst first: the order in which they lie upon one another, and in which they are named.
DISPOSITIONS = {
    Disposition.MALICIOUS.value: Fill("malicious", "Malicious"),
    Disposition.MALICIOUS_BEC.value: Fill("bec", "BEC"),
    Disposition.SPOOF.value: Fill("spoof", "Spoof"),
    Disposition.SUSPICIOUS.value: Fill("suspicious", "Suspicious"),
    Disposition.SPAM.value: Fill("spam", "Spam"),
    Disposition.BULK.value: Fill("bulk", "Bulk"),
}
OTHER = Fill("other", "Other")  # verdicts without a weight of their own, those of tomorrow among them
WORST, REST = Fill("malicious", "Malicious and BEC"), Fill("rest", "other verdicts")
PLAIN, AWAY, IN_HAND = Fill("plain", "done"), Fill("away", "left"), Fill("rest", "in hand")
PLACES = {
    "delivered": Fill("delivered", "delivered"),
    "held": Fill("held", "in quarantine"),
    "moved": Fill("away", "moved away"),
    "unknown": Fill("other", "not known"),
}
ACCEPTED, REJECTED, OPEN = Fill("accepted", "accepted"), Fill("rejected", "rejected"), Fill("open", "open")
