"""The generations of the API the simulator can play.

`current`: today's API, with the fields past their announced end still sent. `sunset`: the same without them.
`seed`: the older generation. `conformance`: what the official SDK's own test-suite needs, and nothing else relaxed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Profile:
    """One way of answering."""

    name: str
    seed_generation: bool = False
    sends_retired_fields: bool = True
    relaxed: bool = False  # the SDK suite's example values and immortal fixtures


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("current"),
        Profile("seed", seed_generation=True),
        Profile("sunset", sends_retired_fields=False),
        Profile("conformance", relaxed=True),
    )
}


def only(profile: Profile, *, current: dict[str, Any], retired: dict[str, Any], seed: dict[str, Any]) -> dict[str, Any]:
    """One object in a profile's form.

    `current` is what today's API sends, `retired` its fields past their end, and `seed` the complete older form.
    """
    if profile.seed_generation:
        return seed
    if profile.sends_retired_fields:
        return current | retired
    return current
