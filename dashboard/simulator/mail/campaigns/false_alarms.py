"""Honest mail that was judged wrongly, and phishing drills: what an analyst lets through."""

# ruff: noqa: E501 - the texts keep their own line lengths and their own punctuation
from __future__ import annotations

from dashboard.simulator.mail.family import Enclosure, Family, SenderStyle, Target, Text

MASS_MAILED_NOTICE = Family(
    kind="false-positive-mailer", disposition="SPOOF", weight=26, style=SenderStyle.MASS_MAILER,
    reasons=("envelope-differs", "dmarc-fail", "known-supplier"), size=(1, 8), spread_hours=1, office_hours=True, quarantine=0.8,
    texts=(
        Text("en", ("{partner}: ((holiday|stocktaking)) closure and last shipping dates", "{partner} price list valid from {date}", "Change of our delivery address in {city}"), """
= {partner}
Dear customers,

our works close from {date} for the annual ((stocktaking|maintenance)). Orders that reach us by {soon} are still shipped before.
[[See all dates|dates]]
Thank you for the good cooperation.

{contact}
{partner}
~ Sent with Mailsprout for {partner}. Unsubscribe
""", ("{partner}",)),
        Text("de", ("{partner}: Betriebsferien und letzte Liefertermine", "{partner}: Preisliste gültig ab {date}"), """
= {partner}
Sehr geehrte Damen und Herren,

unser Werk bleibt ab dem {date} wegen Inventur geschlossen. Bestellungen, die bis {soon} eingehen, liefern wir noch vorher aus.
[[Alle Termine|termine]]

{contact}
{partner}
~ Versandt mit Mailsprout im Auftrag von {partner}. Abmelden
""", ("{partner}",)),
        Text("fr", ("{partner} : fermeture annuelle et dernières expéditions",), """
= {partner}
Chers clients,

notre atelier sera fermé à partir du {date}. Les commandes reçues avant le {soon} seront expédiées à temps.

{contact}
{partner}
~ Envoyé avec Mailsprout. Se désabonner
""", ("{partner}",)),
    ),
)  # fmt: skip

NEW_DOMAIN = Family(
    kind="false-positive-new-domain", disposition="SUSPICIOUS", weight=24, style=SenderStyle.STRANGER, target=Target.SALES,
    reasons=("young-sender", "first-contact", "urgent-words"), size=(1, 3), office_hours=True, quarantine=0.6,
    enclosures=(Enclosure("Enquiry_{num}.pdf", "application/pdf", 52_000),), enclosed=0.6,
    texts=(
        Text("en", ("Enquiry: {qty} {product} for a project in {city}", "Urgent: replacement for our {product} before {date}", "((Dealer|Distribution)) enquiry, {city}"), """
Dear {first},

we have just founded our office in {city} and are looking for {qty} {product} for ((a monitoring network|the harbour)). Could you send a quotation ((by {soon}|this week))? Our enquiry has the details.

Many thanks
{me}
| Phone | {phone}
""", ("{me}",)),
        Text("es", ("Solicitud de oferta: {qty} {product}",), """
Buenos días:

acabamos de abrir nuestra oficina en {city} y necesitamos {qty} unidades de {product}. ¿Podrían enviarnos una oferta?

Gracias,
{me}
""", ("{me}",)),
        Text("pt", ("Pedido de cotação: {qty} {product}",), """
Bom dia,

necessitamos de {qty} unidades de {product} para um projeto em {city}. Podem enviar uma cotação?

Obrigado,
{me}
""", ("{me}",)),
    ),
)  # fmt: skip

PROTECTED_OFFER = Family(
    kind="false-positive-archive", disposition="SUSPICIOUS", weight=14, style=SenderStyle.CUSTOMER, target=Target.SALES,
    reasons=("encrypted-archive", "unscannable"), size=(1, 2), office_hours=True, quarantine=0.9,
    enclosures=(Enclosure("Tender_{project_slug}_confidential.zip", "application/zip", 240_000, encrypted=True, detection="SUSPICIOUS"),),
    texts=(
        Text("en", ("Tender documents {project} (({city}|confidential))",), """
Dear {first},

attached are the tender documents for {project}. As agreed the password comes by phone.

Kind regards
{contact}
{partner}
""", ("{contact}",)),
        Text("de", ("Ausschreibungsunterlagen {project} (vertraulich)",), """
Guten Tag {first},

anbei die Ausschreibungsunterlagen zu {project}. Das Kennwort teile ich Ihnen wie besprochen telefonisch mit.

Freundliche Grüße
{contact}
{partner}
""", ("{contact}",)),
    ),
)  # fmt: skip

HELD_INVITATION = Family(
    kind="false-positive-spam", disposition="SPAM", weight=9, style=SenderStyle.STRANGER, reasons=("unsolicited", "young-sender"),
    size=(1, 4), office_hours=True, quarantine=0.4, target=Target.MARKETING,
    texts=(
        Text("en", ("Speaker invitation: {project_fair} {nextyear}", "Student request: data from {city}", "Interview request for ((our magazine|a podcast))"), """
Dear {first},

we would be delighted if somebody from {company} spoke at {project_fair} in {city} on {date}. Travel is covered. Could you let me know by {soon}?

With best wishes
{me}
Programme committee
""", ("{me}",)),
    ),
)  # fmt: skip

HELD_RESET = Family(
    kind="false-positive-reset", disposition="SUSPICIOUS", weight=10, style=SenderStyle.SERVICE, service="expenses",
    reasons=("urgent-words", "login-theme"), size=(1, 3), office_hours=True, quarantine=0.5, colour="#2f8272",
    texts=(
        Text("en", ("Reset your Perdiem password", "Perdiem: new device signed in from {city}"), """
= Perdiem
Hi {first},

you asked for a new password. The link works for {hours} hours.
[[Set a new password|reset]]
If it was not you, ignore this message.
""", ("Perdiem",)),
    ),
)  # fmt: skip

DRILL = Family(
    kind="phishing-simulation", disposition="NONE", weight=1.3, style=SenderStyle.SERVICE, service="drill", allowed="acceptable_sender",
    reasons=("drill",), size=(10, 30), office_hours=True, spread_hours=20, colour="#3d6fb6",
    texts=(
        Text("en", ("Your parcel locker code expires {soon}", "Shared: bonus table {year}.xlsx", "Canteen survey: win a voucher of £{few}0"), """
# ((A document was shared with you|Your locker is ready))
Hello {first},

((open the list before it is taken offline|please confirm your locker)) on {soon}.
[[((Open|Confirm))]]
~ Ref {token}
""", ("Parcel Locker", "Facility Team", "Canteen Survey")),
        Text("de", ("Ihr Paketfach läuft am {soon} ab", "Umfrage Kantine: Gutschein über {few}0 €"), """
Hallo {first},

bitte bestätigen Sie Ihr Fach bis {soon}.
[[Bestätigen]]
""", ("Paketfach", "Kantine")),
    ),
)  # fmt: skip

FAMILIES = (MASS_MAILED_NOTICE, NEW_DOMAIN, PROTECTED_OFFER, HELD_INVITATION, HELD_RESET, DRILL)
