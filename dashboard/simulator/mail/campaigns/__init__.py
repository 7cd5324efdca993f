"""All families of messages, by disposition."""

from __future__ import annotations

from dashboard.simulator.mail.campaigns import business, credential, false_alarms, fraud, malware, notices, unwanted
from dashboard.simulator.mail.family import Family

FAMILIES: tuple[Family, ...] = (
    *credential.FAMILIES,
    *fraud.FAMILIES,
    *malware.FAMILIES,
    *unwanted.FAMILIES,
    *false_alarms.FAMILIES,
    *business.FAMILIES,
    *notices.FAMILIES,
)

BY_DISPOSITION: dict[str, tuple[Family, ...]] = {
    disposition: tuple(family for family in FAMILIES if family.disposition == disposition)
    for disposition in sorted({family.disposition for family in FAMILIES})
}
