"""What the parts of the simulated service share: mail, ledger, faults, options, and the time of the present call."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field

from dashboard.simulator.faults import FaultPlan
from dashboard.simulator.ledger import Ledger
from dashboard.simulator.profiles import Profile
from dashboard.simulator.store import MailStore


@dataclass(frozen=True, slots=True)
class Options:
    """Times and limits of the service that its documents leave open; seconds throughout."""

    wide_search_days: float = 7.0  # longer windows including clean mail answer 202
    search_delay: float = 4.0  # until such a search has its results
    search_lifetime: float = 600.0  # how long they can be fetched
    absolute_location: bool = False
    trace_delay: float = 45.0  # until the outbound half of a young message's trace is complete
    outcome_delay: float = 40.0  # until a submission has its outcome, at the earliest
    job_start_delay: float = 1.5  # a bulk job's time in PENDING
    job_discovery: float = 2.0  # and in DISCOVERING
    job_rate: float = 40.0  # copies a second while PROCESSING
    arrival_interval: float = 60.0  # mean time between new messages; 0 stops the mail
    rhythm_at: float | None = None  # whose hour and weekday the invented mail has now (epoch); None: the present
    validation_status: int = 422


@dataclass(slots=True)
class World:
    """The account behind the API. `now` is set at the start of each call, under the store's lock."""

    account_id: str
    seed: int
    started_at: float
    profile: Profile
    options: Options
    store: MailStore
    domains: tuple[str, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    faults: FaultPlan = field(default_factory=FaultPlan)
    _ids: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._ids = random.Random(f"ids-{self.seed}")

    def new_id(self) -> str:
        """A fresh uuid; the same seed and calls give the same ones."""
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))
