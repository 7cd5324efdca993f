"""The self-check: one look at everything the installation needs, told in words with what to do next.

Nothing is changed anywhere. It makes no more than `MOST_CALLS` calls of the API (one that gets no answer may be
repeated), asks for one row at a time, and stops asking once the credentials are refused or the budget is used up.
"""

from __future__ import annotations

import datetime as dt
import shutil
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.core.mail import get_connection
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http.request import split_domain_port, validate_host
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from dashboard.audit.models import AuditEvent
from dashboard.emailsec import errors
from dashboard.emailsec.requests import SearchQuery
from dashboard.emailsec.settings import KINDS
from dashboard.emailsec.transport import Priority
from dashboard.emailsec.types import SearchPage, SlowSearch
from dashboard.upstream.clock import TOLERATED, worst_skew
from dashboard.upstream.connection import get_client, shared_meter
from dashboard.upstream.health import what_is_there
from dashboard.upstream.models import MissingFeature
from dashboard.web.text import visible
from dashboard.web.times import minutes

CALL_PATIENCE = 8.0  # seconds for one call, its repeats included
PATIENCE = 60.0  # seconds for all of them
FAST = 2.0  # seconds for an answer
MADE_UP = "mailwarden-self-check-no-such-message"
LONG_AGO = dt.timedelta(days=366)  # the longest range the search page takes
LITTLE_BUDGET = 0.2
GIGABYTE = 10**9
WRITES = ("message:move", "message:release", "message:reclassify")


class State(StrEnum):
    FINE = "fine"
    LOOK = "look"
    BROKEN = "broken"
    UNKNOWN = "unknown"

    @property
    def label(self) -> str:
        return "not known" if self is State.UNKNOWN else self.value


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `seen` and `advice` are sentences; neither holds a secret."""

    group: str
    name: str
    state: State
    seen: str
    advice: str = ""

    def stored(self) -> dict[str, str]:
        return asdict(self)


ACCOUNT, OFFERS, MACHINE = "The account at Cloudflare", "What its server offers", "This installation"

Look = Callable[[], Finding]

READ_CALLS: dict[str, str] = {
    "submissions": "Submissions",
    "phishguard_reports": "PhishGuard reports",
    "bulk_jobs": "Jobs at Cloudflare",
    "monthly_report": "Monthly report",
    **{kind: kind.replace("_", " ").capitalize().replace("Url", "URL") for kind in KINDS},
}
SEARCHES = 3  # of the last hour, of the last 30 days, of long ago
PROBES = 1  # what needs Write and changes nothing
MOST_CALLS = SEARCHES + PROBES + len(READ_CALLS)


def look_around() -> Iterator[Finding]:
    """Every finding, each as soon as it is there."""
    yield from _budget()
    upstream = Upstream()
    yield from upstream.findings()
    yield _clock(has_answered=upstream.has_answered)
    for group in (_processes, _migrations, _mail, _address, _keys, _disk):
        yield from group()


class Upstream:
    """The calls of one check. Once one of them shows that no other can succeed, the rest is not asked."""

    def __init__(self) -> None:
        self.client = get_client()
        self.ends_at = time.monotonic() + PATIENCE
        self.why_not = ""
        self.has_answered = False

    def findings(self) -> Iterator[Finding]:
        _ask_again_for_what_was_missing()
        yield self._recent_search()
        yield self._long_search()
        yield self._far_search()
        yield self._write()
        for name, words in READ_CALLS.items():
            yield self._offers(name, words)

    # what the token may do

    def _recent_search(self) -> Finding:
        name = "Reading"
        now = timezone.now()
        began = time.monotonic()
        answer = self._ask(lambda: self._search(now - dt.timedelta(hours=1), now))
        took = time.monotonic() - began
        which = "The read token" if settings.CLOUDFLARE_READ_TOKEN else "The token"
        if not settings.CLOUDFLARE_API_TOKEN and not settings.CLOUDFLARE_READ_TOKEN:
            which = "The key"
        if isinstance(answer, SearchPage):
            state, advice = State.FINE, ""
            if took > FAST:
                state, advice = State.LOOK, "Pages wait as long. Look again later; the way to Cloudflare may be slow."
            return Finding(ACCOUNT, name, state, f"{which} may read messages. The answer took {took:.1f} s.", advice)
        if isinstance(answer, SlowSearch):
            return Finding(ACCOUNT, name, State.FINE, f"{which} may read messages; even one hour is searched slowly.")
        return self._not_read(name, which, answer)

    def _not_read(self, name: str, which: str, problem: errors.EmailSecurityError | None) -> Finding:
        match problem:
            case errors.CredentialsRefused():
                seen = f"Cloudflare does not accept the credentials. {_told(problem)}"
                advice = (
                    "Make a new token with Cloud Email Security: Write, put it into CLOUDFLARE_API_TOKEN, and restart."
                )
                return Finding(ACCOUNT, name, State.BROKEN, seen, advice)
            case errors.NotPermitted() if problem.not_subscribed:
                seen = f"The account has not bought Email Security. {_told(problem)}"
                return Finding(ACCOUNT, name, State.BROKEN, seen, "Check CLOUDFLARE_ACCOUNT_ID and the subscription.")
            case errors.NotPermitted():
                seen = f"{which} may not read messages of this account. {_told(problem)}"
                advice = (
                    "Give it Cloud Email Security: Read or Write for this account, and check CLOUDFLARE_ACCOUNT_ID."
                )
                return Finding(ACCOUNT, name, State.BROKEN, seen, advice)
            case errors.NotOnThisServer():
                advice = "Check CLOUDFLARE_BASE_URL and CLOUDFLARE_ACCOUNT_ID."
                return Finding(
                    ACCOUNT, name, State.BROKEN, f"There is no search at this address. {_told(problem)}", advice
                )
            case errors.Unavailable() | errors.UnexpectedReply():
                self.why_not = "Not asked, because no usable answer came before."
                advice = "Check the way from here to api.cloudflare.com: names, proxy, firewall. Then check again."
                return Finding(ACCOUNT, name, State.BROKEN, f"No usable answer came. {_told(problem)}", advice)
        return self._unknown(ACCOUNT, name, problem)

    def _write(self) -> Finding:
        """A picture of a message that does not exist: it needs Write, and there is nothing it could change."""
        name, last = "Writing", _last_write()
        answer = self._ask(lambda: self.client.render_preview(MADE_UP, budget=self._left(), priority=Priority.READ))
        if isinstance(answer, errors.NotPermitted) and not answer.not_subscribed:
            seen = f"A call that needs Write was refused, though it changes nothing. {_told(answer)} {last}"
            advice = (
                "Give the token of CLOUDFLARE_API_TOKEN Cloud Email Security: Write. Until then nothing can be moved,"
                " released or submitted."
            )
            return Finding(ACCOUNT, name, State.BROKEN, seen.strip(), advice)
        if isinstance(answer, errors.NotFound | errors.Rejected):
            seen = (
                "A picture of a message that does not exist was asked for, which needs Write. It was refused because of"
                f" the message and not because of the token. {last}"
            )
            advice = "" if last else "Only a real action can prove it: move one harmless message and back."
            return Finding(ACCOUNT, name, State.FINE if last else State.UNKNOWN, seen.strip(), advice)
        if last:
            return Finding(ACCOUNT, name, State.FINE, last)
        return self._unknown(ACCOUNT, name, answer if isinstance(answer, errors.EmailSecurityError) else None)

    # how search answers

    def _long_search(self) -> Finding:
        now = timezone.now()
        began = time.monotonic()
        answer = self._ask(lambda: self._search(now - dt.timedelta(days=30), now))
        took = time.monotonic() - began
        if isinstance(answer, SearchPage):
            return Finding(ACCOUNT, "Search of 30 days", State.FINE, f"Answered at once, in {took:.1f} s.")
        if isinstance(answer, SlowSearch):
            seen = (
                "It is slow there (202): results come later. Pages say so, and a worker asks on until they are there."
            )
            return Finding(
                ACCOUNT, "Search of 30 days", State.FINE, seen, "Shorter ranges and more filters are faster."
            )
        return self._unknown(ACCOUNT, "Search of 30 days", answer)

    def _far_search(self) -> Finding:
        name = f"Search {LONG_AGO.days} days back"
        start = timezone.now() - LONG_AGO
        answer = self._ask(lambda: self._search(start, start + dt.timedelta(hours=1)))
        if isinstance(answer, SearchPage | SlowSearch):
            seen = (
                "A range that began so long ago was accepted. Whether mail of that age is still kept, no call can tell."
            )
            return Finding(ACCOUNT, name, State.FINE, seen)
        if isinstance(answer, errors.Rejected):
            seen = f"A range that began so long ago is refused. {_told(answer)}"
            advice = "Search more recent ranges; older messages are found in the team's own memory."
            return Finding(ACCOUNT, name, State.LOOK, seen, advice)
        return self._unknown(ACCOUNT, name, answer)

    def _search(self, start: dt.datetime, end: dt.datetime) -> SearchPage | SlowSearch:
        criteria = SearchQuery(start=start, end=end)
        return self.client.search(criteria, per_page=1, budget=self._left(), priority=Priority.READ)

    # which endpoints exist

    def _offers(self, name: str, words: str) -> Finding:
        answer = self._ask(lambda: self._read(name))
        match answer:
            case None | errors.RateLimited() | errors.CredentialsRefused():
                return self._unknown(OFFERS, words, answer)
            case errors.NotOnThisServer():
                seen = "Not on this server."
                return Finding(
                    OFFERS, words, State.LOOK, seen, "What needs it is not offered. Nothing else is affected."
                )
            case errors.NotPermitted():
                seen = f"The token may not read it. {_told(answer)}"
                return Finding(OFFERS, words, State.LOOK, seen, "If the team needs it, widen the token's permissions.")
            case errors.EmailSecurityError():
                seen = f"It did not answer as it should. {_told(answer)}"
                return Finding(OFFERS, words, State.LOOK, seen, "Check again in some minutes.")
        return Finding(OFFERS, words, State.FINE, "There, and readable.")

    def _read(self, name: str) -> object:
        budget, priority = self._left(), Priority.READ
        match name:
            case "submissions":
                return self.client.submissions(per_page=1, budget=budget, priority=priority)
            case "phishguard_reports":
                return self.client.phishguard_reports(per_page=1, budget=budget, priority=priority)
            case "bulk_jobs":
                return self.client.bulk_jobs(per_page=1, budget=budget, priority=priority)
            case "monthly_report":
                return self.client.monthly_report(budget=budget, priority=priority)
        return self.client.entries(name, per_page=1, budget=budget, priority=priority)

    # asking

    def _ask(self, call: Callable[[], Any]) -> Any:
        """What came, or the error; None where nothing was asked, and `why_not` says why."""
        if not self.why_not and time.monotonic() > self.ends_at:
            self.why_not = f"{PATIENCE:.0f} s were over before it was its turn."
        if self.why_not:
            return None
        try:
            found = call()
        except errors.RateLimited as problem:
            back = f" Calls come back in {minutes(int(problem.retry_after))}." if problem.retry_after else ""
            self.why_not = f"The call budget is used up.{back}"
            return problem
        except errors.CredentialsRefused as problem:
            self.why_not = "Not asked, because the credentials are refused."
            return problem
        except errors.EmailSecurityError as problem:
            self.has_answered = self.has_answered or problem.status is not None
            return problem
        self.has_answered = True
        return found

    def _left(self) -> float:
        return max(1.0, min(CALL_PATIENCE, self.ends_at - time.monotonic()))

    def _unknown(self, group: str, name: str, problem: errors.EmailSecurityError | None) -> Finding:
        seen = self.why_not if problem is None or isinstance(problem, errors.RateLimited) else _told(problem)
        return Finding(group, name, State.UNKNOWN, seen or "Nothing told.", "Check again when the rest is fine.")


def _ask_again_for_what_was_missing() -> None:
    """What a server lacked yesterday is asked for anew; else the check would only repeat what is remembered."""
    names = [*READ_CALLS, *(f"settings.{kind}" for kind in KINDS)]
    MissingFeature.objects.filter(account_id=settings.CLOUDFLARE_ACCOUNT_ID, feature__in=names).delete()


def _last_write() -> str:
    """The youngest proof that the token may write: an action of ours that was carried out."""
    done = AuditEvent.objects.filter(action__in=WRITES, phase="done").order_by("-sequence").first()
    return f"The last action that was carried out: {done.at:%d %b %Y %H:%M} UTC." if done else ""


def _told(problem: errors.EmailSecurityError) -> str:
    """What came instead, in the API's own words where it gave any (its client has taken secrets out)."""
    status = f"Status {problem.status}" if problem.status else problem.detail or problem.summary
    text = visible(problem.api_message, limit=200)
    return f"{status}: {text}" if text else f"{status.rstrip('.')}."


# --- this installation ------------------------------------------------------------------------------------------------


def _budget() -> Iterator[Finding]:
    view = shared_meter().view()
    name, seen = "Call budget", f"{view.left:,} of {view.limit:,} calls in five minutes are left."
    if view.frozen_for:
        seen = f"Calls are paused for {minutes(view.frozen_for)}: Cloudflare asked us to wait."
        yield Finding(ACCOUNT, name, State.LOOK, seen, "Find out what else calls with the same user's token.")
    elif view.left < view.limit * LITTLE_BUDGET:
        advice = "Wait some minutes; if it stays so, lower the collector's share or read saved views less often."
        yield Finding(ACCOUNT, name, State.LOOK, seen, advice)
    else:
        yield Finding(ACCOUNT, name, State.FINE, seen)


def _clock(*, has_answered: bool) -> Finding:
    ahead = worst_skew()
    if ahead:
        seen = f"A machine is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} Cloudflare."
        advice = "Let NTP set it. Searches that begin in the future find nothing, and times in the trail prove nothing."
        return Finding(MACHINE, "Clock", State.BROKEN, seen, advice)
    if not has_answered:
        return Finding(MACHINE, "Clock", State.UNKNOWN, "Told from the times of Cloudflare's answers, and none came.")
    seen = f"No machine that called lately differs from Cloudflare by more than {TOLERATED} s."
    return Finding(MACHINE, "Clock", State.FINE, seen)


PROCESSES = {
    "database": ("Database", "Check DATABASE_URL and whether the server runs."),
    "broker": ("Broker", "Check REDIS_URL, or whether the data folder can be written; Redis must not evict."),
    "scheduler": ("Scheduler", "Start it: without it nothing is looked for by itself."),
    "people": ("Worker for people", "Start the worker: actions wait until it runs."),
    "worker": ("Worker for the sweep", "Start the worker: searches, notices and the memory wait until it runs."),
    "bulk": ("Worker for jobs", "Start the worker: jobs wait until it runs."),
}


def _processes() -> Iterator[Finding]:
    there = what_is_there()
    for key, (name, advice) in PROCESSES.items():
        said = there[key]
        if said == "ok":
            yield Finding(MACHINE, name, State.FINE, _about_database() if key == "database" else "It answers.")
        else:
            yield Finding(MACHINE, name, State.BROKEN, f"{said[0].upper()}{said[1:]}.", advice)


def _about_database() -> str:
    version = ".".join(str(part) for part in connection.get_database_version())
    return f"It answers: {connection.display_name} {version}."


def _migrations() -> Iterator[Finding]:
    try:
        executor = MigrationExecutor(connection)
        left = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError:
        yield Finding(MACHINE, "Tables", State.UNKNOWN, "Cannot be told without the database.")
        return
    if left:
        seen = f"{left} migrations are not applied."
        yield Finding(MACHINE, "Tables", State.BROKEN, seen, "Run: manage.py migrate_safely")
    else:
        yield Finding(MACHINE, "Tables", State.FINE, "They are what this version needs.")


def _mail() -> Iterator[Finding]:
    name = "Outgoing mail"
    if not settings.SENDS_MAIL:
        seen = "MAILWARDEN_EMAIL_URL is not set: no notice, invitation or new password goes out by mail."
        yield Finding(MACHINE, name, State.LOOK, seen, "Set it, and MAILWARDEN_ADDRESS, if mail is wanted.")
        return
    server = get_connection()
    try:
        server.open()
    except smtplib.SMTPAuthenticationError:
        advice = "Check user and password in MAILWARDEN_EMAIL_URL."
        yield Finding(MACHINE, name, State.BROKEN, "The mail server does not accept user and password.", advice)
    except (OSError, smtplib.SMTPException) as problem:
        seen = f"The mail server cannot be reached ({type(problem).__name__})."
        yield Finding(MACHINE, name, State.BROKEN, seen, "Check host, port and TLS in MAILWARDEN_EMAIL_URL.")
    else:
        yield Finding(MACHINE, name, State.FINE, "The mail server answers. Nothing was sent.")
    finally:
        server.close()


def _address() -> Iterator[Finding]:
    name, address = "Address", settings.ADDRESS
    if not address:
        seen = "MAILWARDEN_ADDRESS is not set: links in notices and mail cannot be made."
        yield Finding(MACHINE, name, State.LOOK, seen, "Set it to where people reach this desk.")
        return
    host, _ = split_domain_port(address.split("://", 1)[1].lower())
    if not validate_host(host, settings.ALLOWED_HOSTS):
        seen = f"Links lead to {address}, whose host is not among ALLOWED_HOSTS: they open nothing."
        yield Finding(
            MACHINE, name, State.BROKEN, seen, "Add the host to ALLOWED_HOSTS, or correct MAILWARDEN_ADDRESS."
        )
    elif settings.HTTPS and not address.startswith("https://"):
        seen = f"Links lead to {address}, though the desk is served over HTTPS."
        yield Finding(MACHINE, name, State.LOOK, seen, "Let MAILWARDEN_ADDRESS begin with https://.")
    else:
        yield Finding(MACHINE, name, State.FINE, f"Links lead to {address}.")


def _keys() -> Iterator[Finding]:
    if settings.FACTOR_KEYS:
        seen = "MAILWARDEN_FACTOR_KEY is set: second factors and evidence are sealed with a key of their own."
        yield Finding(MACHINE, "Keys", State.FINE, seen)
    else:
        seen = "MAILWARDEN_FACTOR_KEY is not set: SECRET_KEY seals second factors and evidence as well."
        advice = "Set a key of its own before SECRET_KEY has to change; then run: manage.py rotate_factor_key"
        yield Finding(MACHINE, "Keys", State.LOOK, seen, advice)


def _disk() -> Iterator[Finding]:
    name = "Disk of the data folder"
    try:
        disk = shutil.disk_usage(settings.DATA_DIR)
    except OSError as problem:
        yield Finding(MACHINE, name, State.UNKNOWN, f"It cannot be read ({type(problem).__name__}).")
        return
    seen = f"{filesizeformat(disk.free)} of {filesizeformat(disk.total)} are free.".replace("\xa0", " ")
    if disk.free < GIGABYTE / 5:
        yield Finding(MACHINE, name, State.BROKEN, seen, "Make room now: without it nothing can be written.")
    elif disk.free < GIGABYTE:
        yield Finding(MACHINE, name, State.LOOK, seen, "Make room, or keep things for a shorter time.")
    else:
        yield Finding(MACHINE, name, State.FINE, seen)
