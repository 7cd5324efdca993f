"""Clean mail from machines: builds, tickets, calendars, bookings, monitors."""

# ruff: noqa: E501 - the texts keep their own line lengths and their own punctuation
from __future__ import annotations

from dashboard.simulator.mail.family import Enclosure, Family, SenderStyle, Target, Text


def _notice(
    kind: str,
    weight: float,
    service: str,
    *texts: Text,
    target: Target = Target.ANYONE,
    colour: str = "#445566",
    enclosures: tuple[Enclosure, ...] = (),
) -> Family:
    return Family(
        kind=kind, disposition="NONE", weight=weight, style=SenderStyle.SERVICE, service=service, texts=texts, target=target,
        size=(1, 4), spread_hours=30, office_hours=True, colour=colour, enclosures=enclosures,
        varying=frozenset({"token", "time"}),
    )  # fmt: skip


BUILDS = _notice(
    "build",
    9,
    "build",
    Text(
        "en",
        (
            "[firmware] {branch} #{num}: ((failed|passed|fixed))",
            "Nightly {product_slug} {version}: {few} tests ((red|flaky))",
            "Artifact ready: {product_slug}-{version}",
            "Pipeline {num} cancelled by {name}",
        ),
        """
= Forgeline CI
# {branch}: build {num}
| Commit | {code}
| Duration | {few} min
| Tests | {qty} run, {few2} skipped
[[Open build|builds/{num}]]
~ You receive this because you follow firmware/{branch}.
""",
        ("Forgeline CI",),
    ),
    target=Target.ENGINEERING,
    colour="#33475b",
)

REVIEWS = _notice(
    "code-review",
    8,
    "code",
    Text(
        "en",
        (
            "[tarnfell/gateway] ((Review requested|Comment|Approved)): {branch} (!{num})",
            "[tarnfell/firmware] {code}: {few} comments",
            "[tarnfell/docs] Merged: {topic}",
        ),
        """
{me_service} commented on !{num}:
> Could we keep the old unit until {version}? The export of {partner} relies on it.
[[View merge request|merge/{num}]]
~ Codeberth notification for {email}
""",
        ("{me_service} via Codeberth", "Codeberth"),
    ),
    target=Target.ENGINEERING,
)

TICKETS = _notice(
    "ticket",
    11,
    "tickets",
    Text(
        "en",
        (
            "{ticket} ((updated|assigned to you|resolved)): {host} ((slow|full|unreachable))",
            "{ticket}: ((new laptop|screen|licence)) for {name}",
            "{ticket} waiting for your answer",
            "How did we do? {ticket}",
        ),
        """
= Deskhollow
Ticket {ticket} was ((updated|resolved)).
| Subject | {host}
| Owner | {me_service}
| Due | {date}
[[Open ticket|t/{num}]]
~ Answer to this message to add a comment.
""",
        ("Tarnfell Service Desk", "Deskhollow"),
    ),
    Text(
        "de",
        ("{ticket} aktualisiert: {host}", "{ticket} wartet auf Ihre Antwort"),
        """
= Deskhollow
Das Ticket {ticket} wurde aktualisiert.
| Betreff | {host}
| Fällig | {date}
[[Ticket öffnen|t/{num}]]
""",
        ("Tarnfell Service Desk",),
    ),
    colour="#2f6d62",
)

CALENDAR = _notice(
    "invitation",
    12,
    "meet",
    Text(
        "en",
        (
            "Invitation: {project} ((sync|review|kick-off)), {weekday} {time}",
            "((Updated|Cancelled)): {topic}, {date}",
            "Accepted: {project}, {date}",
            "Recording available: {project} ((review|demo))",
        ),
        """
= Convene
# {project}
| When | {weekday}, {date}, {time}
| Where | Online
| Organiser | {me_service}
[[Join meeting|j/{token}]]
~ {few} guests have accepted.
""",
        ("{me_service} (Convene)", "Convene"),
    ),
    Text(
        "de",
        ("Einladung: {project}, {weekday} {time}", "Abgesagt: Abstimmung {project}"),
        """
= Convene
# {project}
| Wann | {weekday}, {date}, {time}
| Wo | Online
[[Teilnehmen|j/{token}]]
""",
        ("{me_service} (Convene)",),
    ),
    Text(
        "fr",
        ("Invitation : {project}, {weekday} {time}",),
        """
= Convene
# {project}
| Quand | {weekday} {date}, {time}
[[Rejoindre|j/{token}]]
""",
        ("Convene",),
    ),
    colour="#3554a5",
    enclosures=(Enclosure("invite.ics", "text/calendar", 1_800),),
)

TRAVEL = _notice(
    "travel",
    5,
    "travel",
    Text(
        "en",
        (
            "Booking {token_upper}: {city} to {town}, {date}",
            "Check-in open: flight {flight}",
            "Hotel {city}, {few} nights from {date}",
            "Platform change: train to {city} at {time}",
        ),
        """
= Wayfarer Business
# {city} to {town}
| Traveller | {name}
| Date | {date}
| Flight | {flight}
| Reference | {token_upper}
[[Manage booking|trips/{token_upper}]]
""",
        ("Wayfarer Business",),
    ),
    Text(
        "de",
        ("Reisebestätigung {city}, {date}", "Ihre Bahnfahrt nach {city} am {date}"),
        """
= Wayfarer Business
# {city}
| Reisende/r | {name}
| Datum | {date}
[[Buchung ansehen|trips/{token_upper}]]
""",
        ("Wayfarer Business",),
    ),
    colour="#1d6a96",
    enclosures=(Enclosure("itinerary_{token_upper}.pdf", "application/pdf", 70_000),),
)

MONITORS = _notice(
    "monitoring",
    7,
    "monitor",
    Text(
        "en",
        (
            "((DOWN|UP|WARN)): {host} ((ping|disk|certificate))",
            "{host}: certificate expires in {days} days",
            "Weekly uptime {high}.{few} %",
            "Backup of {host} ((finished|finished with warnings)), {date}",
        ),
        """
= Pulsewatch
| Host | {host}
| State | ((recovered|warning|down))
| Since | {time}
| Duration | {few} min
[[Open incident|i/{num}]]
""",
        ("Pulsewatch",),
    ),
    target=Target.IT,
    colour="#58406e",
)

EXPENSES = _notice(
    "expenses",
    4,
    "expenses",
    Text(
        "en",
        (
            'Report "{city} {month}" was ((approved|returned))',
            "Receipt missing: {small} on {past}",
            "Reimbursement of {small} on its way",
        ),
        """
= Perdiem
Hi {first},
your report "{city} {month}" over {small} was ((approved|returned with a question)).
[[Open report|r/{num}]]
""",
        ("Perdiem",),
    ),
    colour="#2f8272",
)

SIGNING = _notice(
    "signature",
    3,
    "sign",
    Text(
        "en",
        ("Completed: {partner} ((framework agreement|NDA))", "Please sign: {project} acceptance record"),
        """
= SignHarbor
# All parties have signed
"{partner} framework agreement" is complete. A copy is attached.
[[View document|d/{token}]]
""",
        ("SignHarbor",),
    ),
    colour="#274a87",
    enclosures=(Enclosure("{partner_slug}_signed.pdf", "application/pdf", 210_000),),
)

TRAINING = _notice(
    "training",
    3,
    "learning",
    Text(
        "en",
        (
            "Course due {date}: ((ladder safety|data protection|export control))",
            "Certificate: working at heights, {name}",
        ),
        """
= Lernspur
Hello {first},
your course is due on {date}. It takes about {few}0 minutes.
[[Start course|c/{num}]]
""",
        ("Lernspur",),
    ),
    Text(
        "de",
        ("Unterweisung fällig bis {date}",),
        """
= Lernspur
Hallo {first},
Ihre Unterweisung ist bis {date} fällig.
[[Kurs starten|c/{num}]]
""",
        ("Lernspur",),
    ),
    colour="#8a6d1f",
)

FILES = _notice(
    "file-share",
    4,
    "files",
    Text(
        "en",
        (
            '{partner} shared "{project}" with you',
            "{name}, {few} new files in {project}",
            'Link to "{city} photos" expires {soon}',
        ),
        """
= Stowbox
{me_service} shared a folder with you.
| Folder | {project}
| Files | {few}
[[Open folder|f/{token}]]
""",
        ("{me_service} (Stowbox)", "Stowbox"),
    ),
    colour="#3b6fd4",
)

FAMILIES = (BUILDS, REVIEWS, TICKETS, CALENDAR, TRAVEL, MONITORS, EXPENSES, SIGNING, TRAINING, FILES)
