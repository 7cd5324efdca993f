"""What the frame of every page shows: rooms, the person, what waits to be sent, the call budget, the worker.

Everything is read when a template first asks for it: a fragment that shows none of it costs no query.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest
from django.urls import reverse

from dashboard.access.models import Density, Member, Theme
from dashboard.access.roles import Permission
from dashboard.sql import fetch
from dashboard.upstream.budget import BudgetView
from dashboard.upstream.connection import shared_meter
from dashboard.upstream.health import worker_beat, worker_is_alive
from dashboard.web.times import minutes
from investigate.approvals import counting
from investigate.desk import notes
from investigate.models import LIVE_JOBS, OPEN_STATES, ActionState

_OPEN = (
    "SELECT state, count(*) FROM investigate_action"
    " WHERE actor_id = %s AND job_id IS NULL AND state IN %s GROUP BY state"
)
_JOBS = (
    "SELECT state, count(*) FROM ("
    "SELECT state FROM investigate_bulkjob WHERE actor_id = %s AND account_id = %s"
    " AND (state IN %s OR finished_at IS NOT NULL AND seen_at IS NULL)"
    " UNION ALL SELECT CASE WHEN finished_at IS NULL THEN 'running' ELSE 'done' END FROM investigate_upstreamjob"
    " WHERE actor_id = %s AND account_id = %s AND (finished_at IS NULL AND NOT needs_person"
    " AND state <> 'awaiting_approval'"
    " OR finished_at IS NOT NULL AND seen_at IS NULL AND state IN ('done', 'failed'))"
    ") AS own GROUP BY state"
)
_ASK_OR_DECIDE = (Permission.APPROVAL_DECIDE, Permission.CASE_WORK, Permission.DOMAIN_WRITE)
LOW_BUDGET = 0.1  # below this share of the limit the status line draws attention to the budget


@dataclass(frozen=True)
class Room:
    """One entry of the top bar."""

    label: str
    url: str
    key: str
    is_current: bool
    badge: int = 0
    badge_says: str = "waiting"


@dataclass(frozen=True)
class Preferences:
    """How the page looks and behaves; the defaults are for people who are not signed in."""

    theme: str = Theme.SYSTEM
    density: str = Density.STANDARD
    text_size: int = 13
    has_single_keys: bool = True
    has_auto_advance: bool = True
    shows_local_time: bool = False
    time_zone: str = "UTC"


class Frame:
    """The state around the content. A database that does not answer leaves gaps here, never a second error."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @cached_property
    def member(self) -> Member | None:
        try:
            user = getattr(self.request, "user", None)
            return user if user is not None and user.is_authenticated else None
        except DatabaseError:
            return None

    @cached_property
    def preferences(self) -> Preferences:
        member = self.member
        if member is None:
            return Preferences()
        return Preferences(
            theme=member.theme,
            density=member.density,
            text_size=member.text_size,
            has_single_keys=member.has_single_keys,
            has_auto_advance=member.has_auto_advance,
            shows_local_time=member.shows_local_time,
            time_zone=member.time_zone,
        )

    @cached_property
    def menu(self) -> list[Room]:
        """The rooms this member may open; badges count what is theirs: mentions, jobs that run, actions that wait."""
        member = self.member
        if member is None:
            return []
        home, search, queue = reverse("home"), reverse("investigate:search"), reverse("investigate:queue")
        submissions, reports = reverse("investigate:submissions"), reverse("investigate:phishguard")
        campaigns, jobs = reverse("investigate:campaigns"), reverse("investigate:jobs")
        requests, actions = reverse("investigate:approvals"), reverse("investigate:actions")
        rules, team, audit = reverse("settings:overview"), reverse("team:members"), reverse("audit:events")
        known = (queue, submissions, reports, campaigns, jobs, requests, actions, search, rules, team, audit)
        here = next((room for room in known if self.request.path.startswith(room)), self.request.path)
        mentions = "mention of you" if self.mentions == 1 else "mentions of you"
        rooms = [
            (Permission.MESSAGE_READ, Room("Overview", home, "g o", here == home)),
            (Permission.MESSAGE_READ, Room("Investigate", search, "g i", here == search)),
            (Permission.MESSAGE_READ, Room("Queue", queue, "g q", here == queue, self.mentions, mentions)),
            (Permission.MESSAGE_READ, Room("Submissions", submissions, "g s", here == submissions)),
            (Permission.MESSAGE_READ, Room("PhishGuard", reports, "g p", here == reports)),
            (Permission.MESSAGE_READ, Room("Campaigns", campaigns, "g c", here == campaigns)),
            (Permission.MESSAGE_READ, Room("Jobs", jobs, "g j", here == jobs, self.live_jobs, "running")),
            *(
                [(Permission.MESSAGE_READ, Room("Approvals", requests, "g a", here == requests, self.requests_for_me))]
                if any(map(member.may, _ASK_OR_DECIDE)) or here == requests
                else []
            ),
            (Permission.MESSAGE_READ, Room("Actions", actions, "g h", here == actions, self.waiting or 0)),
            *(
                [(Permission.POLICY_READ, Room("Settings", rules, "g e", here == rules))]
                if member.scope.is_whole
                else []
            ),
            (Permission.TEAM_READ, Room("Team", team, "g t", here == team)),
            *([(Permission.AUDIT_READ, Room("Audit", audit, "g l", here == audit))] if member.scope.is_whole else []),
        ]
        return [room for permission, room in rooms if member.may(permission)]

    @cached_property
    def _open(self) -> dict[str, int] | None:
        if self.member is None:
            return None
        try:
            return {state: int(number) for state, number in fetch(_OPEN, self.member.pk, OPEN_STATES)}
        except DatabaseError:
            return None

    @property
    def waiting(self) -> int | None:
        """How many of the member's own actions wait to be sent, or are being sent."""
        if self._open is None:
            return None
        return self._open.get(ActionState.WAITING, 0) + self._open.get(ActionState.SENDING, 0)

    @property
    def unknown(self) -> int:
        """How many of the member's own actions have no certain outcome."""
        return (self._open or {}).get(ActionState.UNKNOWN, 0)

    @cached_property
    def _jobs(self) -> dict[str, int]:
        if self.member is None:
            return {}
        try:
            mine = (self.member.pk, settings.CLOUDFLARE_ACCOUNT_ID)
            requests, values = counting.counts(self.member)
            mentions, names = notes.count(self.member)
            statement = f"{_JOBS} UNION ALL {requests} UNION ALL {mentions}"
            return dict(fetch(statement, *mine, LIVE_JOBS, *mine, *values, *names))
        except DatabaseError:
            return {}

    @property
    def jobs_room(self) -> Room | None:
        """For an answer that renews its badge."""
        return next((room for room in self.menu if room.key == "g j"), None)

    @property
    def queue_room(self) -> Room | None:
        """The same for the queue's."""
        return next((room for room in self.menu if room.key == "g q"), None)

    @property
    def mentions(self) -> int:
        """How many notes name the member who has not opened them yet."""
        return self._jobs.get(notes.MENTIONS, 0)

    @property
    def live_jobs(self) -> int:
        """How many of the member's own jobs are under way, those that pause and those at Cloudflare among them."""
        return sum(number for state, number in self._jobs.items() if state in LIVE_JOBS)

    @property
    def unseen_jobs(self) -> int:
        """How many of the member's own jobs ended without their having been told."""
        others = (counting.FOR_ME, counting.MINE, counting.UNTOLD, notes.MENTIONS)
        return sum(number for state, number in self._jobs.items() if state not in others) - self.live_jobs

    @property
    def requests_for_me(self) -> int:
        """How many requests wait for the member as the second person."""
        return self._jobs.get(counting.FOR_ME, 0)

    @property
    def is_watching(self) -> bool:
        """Whether something of the member's may end while they look at another page."""
        return bool(self.live_jobs or self._jobs.get(counting.MINE))

    @property
    def has_news(self) -> bool:
        """Whether something of the member's ended without their having been told."""
        return bool(self.unseen_jobs or self._jobs.get(counting.UNTOLD))

    @cached_property
    def budget(self) -> BudgetView | None:
        if self.member is None:
            return None
        try:
            return shared_meter().view()
        except DatabaseError:
            return None

    @property
    def budget_is_low(self) -> bool:
        return self.budget is not None and self.budget.left < self.budget.limit * LOW_BUDGET

    @property
    def budget_back(self) -> str:
        """When calls come back, as 3:12; "" when none is spent."""
        if self.budget is None or not self.budget.back_in:
            return ""
        return minutes(self.budget.back_in)

    @cached_property
    def worker_is_alive(self) -> bool | None:
        if self.member is None:
            return None
        try:
            return worker_is_alive()
        except DatabaseError:
            return None

    @cached_property
    def worker_beat(self) -> dt.datetime | None:
        """When the worker gave its last sign of life; read only where it is silent."""
        try:
            return worker_beat()
        except DatabaseError:
            return None

    @property
    def shows_actions(self) -> set[str]:
        """Which of move, release and reclassify the member may do: hints name no key that would be refused."""
        if self.member is None:
            return set()
        return {
            name
            for name, permission in (
                ("move", Permission.MESSAGE_MOVE),
                ("release", Permission.MESSAGE_RELEASE),
                ("reclassify", Permission.MESSAGE_RECLASSIFY),
            )
            if self.member.may(permission)
        }

    @property
    def zone(self) -> str:
        """The zone in which lists show times."""
        return self.preferences.time_zone if self.preferences.shows_local_time else "UTC"

    @property
    def here(self) -> str:
        """The path to come back to after a switch in the top bar; never one that only takes forms."""
        return self.request.get_full_path() if self.request.method in ("GET", "HEAD") else "/"


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `frame`."""
    return {"frame": Frame(request)}
