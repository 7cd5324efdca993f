"""Spam, and the newsletters and notices nobody remembers subscribing to."""

# ruff: noqa: E501 - the texts keep their own line lengths and their own punctuation
from __future__ import annotations

from dashboard.simulator.mail.family import Enclosure, Family, SenderStyle, Text

SPAM = ("Unsolicited Commercial",)


def _spam(
    kind: str,
    weight: float,
    *texts: Text,
    reasons: tuple[str, ...] = ("spam-source", "unsolicited", "similar-campaign"),
) -> Family:
    return Family(
        kind=kind, disposition="SPAM", weight=weight, style=SenderStyle.THROWAWAY, reasons=reasons, threats=SPAM,
        size=(3, 30), spread_hours=14, texts=texts, colour="#5b6f2e",
    )  # fmt: skip


SEO = _spam(
    "spam-seo",
    16,
    Text(
        "en",
        (
            "((Quick question|An observation)) about {domain}",
            '{company} is ((hard to find|on page {few})) for "{product_kind}"',
            "Re: website ((errors|audit)) {domain}",
            "((First page|Top three)) in {days} days, {first}?",
        ),
        """
Hi {first},

I was ((looking at|browsing)) {domain} and found {few} ((errors|missed chances)) that keep you off the first page. We have helped {pct} companies in ((measurement|your sector)) to ((double|triple)) their enquiries.

Shall I send the ((free audit|price list))?

{me}
Outreach team
~ If this is not for you, just answer "no".
""",
        ("{me}",),
    ),
    Text(
        "es",
        ("Su web {domain} no aparece en la primera página",),
        """
Hola {first}:

he revisado {domain} y he visto {few} errores fáciles de corregir. ¿Le envío el informe gratuito?

{me}
""",
        ("{me}",),
    ),
)

REPLICAS = _spam(
    "spam-replica",
    11,
    Text(
        "en",
        (
            "((Swiss-style|Fine)) watches from {small}",
            "Up to {pct2} % off ((handbags|sunglasses|timepieces)), {weekday} only",
            "You will not tell them apart",
        ),
        """
# ((Season clearance|The {month} collection))
((Watches|Bags)) that nobody tells apart from the original, at a fraction of the price.
- Free shipping from {small}
- {days}-day returns
[[((Shop now|See the collection))]]
~ You receive this because you are a valued customer.
""",
        ("Timeless Deals", "Luxe Corner", "Boutique Outlet"),
    ),
    Text(
        "nl",
        ("Merkhorloges vanaf {small}",),
        """
# Laatste kans
Horloges en tassen met kortingen tot {pct} %.
[[Bekijk de aanbieding]]
""",
        ("Voordeelhoek",),
    ),
)

PILLS = _spam(
    "spam-pharmacy",
    9,
    Text(
        "en",
        (
            "((Sleep|Focus|Joint pain)): what {few} of 10 doctors ((keep quiet|do not say))",
            "Refill without prescription, {pct} % off",
            "{first}, feel ten years younger",
        ),
        """
# {few} capsules a day
No prescription, plain packaging, delivered in {days} days.
[[((Order the starter pack|Claim your bottle))]]
~ Results vary.
""",
        ("Vital Herbals", "Pharm Direct", "Dr. Bloomgood"),
    ),
    Text(
        "fr",
        ("Retrouvez le sommeil en {days} jours",),
        """
# La formule naturelle
Sans ordonnance, livraison discrète en {days} jours.
[[Commander]]
""",
        ("Nature & Forme",),
    ),
)

LEADS = _spam(
    "spam-leads",
    18,
    Text(
        "en",
        (
            "((Attendee|Visitor)) list {project_fair} {year}",
            "{qty} verified contacts in ((water|weather|offshore))",
            "Data of ((purchasing managers|plant engineers)) in {city}",
        ),
        """
Hello {first},

would you be interested in the verified ((attendee|buyer)) list of {project_fair} {year}? It has {long} contacts with ((e-mail|phone)) and title.

Let me know your target and I will send counts and cost.

{me}
Demand generation
""",
        ("{me}",),
    ),
    Text(
        "de",
        ("Besucherliste {project_fair} {year}",),
        """
Guten Tag {name},

möchten Sie die geprüfte Besucherliste der {project_fair} {year} erwerben? Gern nenne ich Ihnen Umfang und Preis.

{me}
""",
        ("{me}",),
    ),
)

INVEST = _spam(
    "spam-crypto",
    12,
    Text(
        "en",
        (
            "((Pre-sale|Early access)): {pct2} % a month",
            "((Your|An unclaimed)) balance of {sum}",
            "Why {city} investors ((leave banks|buy now))",
        ),
        """
# {pct2} % in {days} days
((Our desk|The algorithm)) turned {small} into {sum} last month. The window closes on {soon}.
[[((Open an account|See the strategy))]]
~ Capital at risk.
""",
        ("CoinHaven Desk", "Alpha Harvest", "{me}"),
    ),
    Text(
        "pt",
        ("Rendimento de {pct} % ao mês",),
        """
# A oportunidade fecha em {soon}
Abra a sua conta com apenas {small}.
[[Abrir conta]]
""",
        ("Clube Alfa",),
    ),
    Text(
        "ja",
        ("【限定】{days}日間で{pct}%の運用実績",),
        """
# 無料セミナーのご案内
少額から始められる資産運用のご案内です。{soon}までにお申し込みください。
[[詳しく見る]]
""",
        ("資産運用クラブ",),
    ),
)

FACTORY = _spam(
    "spam-factory",
    18,
    Text(
        "en",
        (
            "((Die casting|PCB assembly|Injection moulds|Cable harness)) from our factory",
            "{product_kind} OEM ((price list|catalogue)) {year}",
            "Dear purchasing manager: {part}",
        ),
        """
Dear manager,

we are a ((professional|leading)) factory for {part} since {days} years with monthly output of {long} pcs. ((ISO certified.|Own tooling.)) Attached is our catalogue.

May I offer samples?

{me}
Sales Dept.
""",
        ("{me}", "Sales Dept."),
    ),
    Text(
        "pl",
        ("Oferta współpracy: {part}",),
        """
Dzień dobry,

jesteśmy producentem i chętnie przedstawimy ofertę na {part}. Czy mogę przesłać cennik?

{me}
""",
        ("{me}",),
    ),
    Text(
        "it",
        ("Proposta commerciale: {part}",),
        """
Gentile responsabile acquisti,

siamo produttori di {part} con consegna in {days} giorni. Posso inviarle il nostro listino?

{me}
""",
        ("{me}",),
    ),
)

LOTTERY = _spam(
    "spam-advance-fee",
    8,
    Text(
        "en",
        (
            "((Beneficiary|Compensation)) notice {ref}",
            "From the desk of ((Barrister|Dr.)) {me}",
            "((Consignment|Inheritance)) awaiting {name}",
        ),
        """
Attention: {email}

I am ((Barrister|Auditor)) {me}. A late client of mine with your family name left a deposit of {sum}00 without heirs. I propose to present you as ((next of kin|beneficiary)); you keep {pct} percent.

Kindly answer with your full name and telephone number in confidence.

{me}
""",
        ("{me}", "Barrister {me}"),
    ),
    Text(
        "uk",
        ("Повідомлення про спадщину {ref}",),
        """
Шановний пане / пані!

Ви вказані як отримувач коштів. Для уточнення надішліть відповідь на цей лист.

{me}
""",
        ("{me}",),
    ),
)

LOANS = _spam(
    "spam-loans",
    8,
    Text(
        "en",
        ("((Working capital|Business loan)) up to {sum} approved", "{company}: pre-approved credit line"),
        """
Hello {first},

{company} is pre-approved for {sum} with no security. Funds arrive in {hours} hours.
[[((Check my rate|Apply))]]
~ Offer {ref}
""",
        ("Swift Capital Line", "BizFunder"),
    ),
    Text(
        "de",
        ("Sofortkredit bis {sum} ohne Auskunft",),
        """
Guten Tag,

Ihr Unternehmen ist für einen Rahmen von {sum} vorgemerkt.
[[Jetzt prüfen]]
""",
        ("Kredit Direkt24",),
    ),
)


def _bulk(
    kind: str, weight: float, *texts: Text, colour: str = "#2f6f8f", style: SenderStyle = SenderStyle.PUBLISHER
) -> Family:
    return Family(
        kind=kind, disposition="BULK", weight=weight, style=style, reasons=("list-headers", "bulk-source"), threats=("Graymail",),
        size=(2, 22), spread_hours=3, texts=texts, colour=colour, office_hours=True,
    )  # fmt: skip


TRADE_PRESS = _bulk(
    "newsletter",
    30,
    Text(
        "en",
        (
            "{sender_name}: ((flood season|new limits|who buys whom)), no. {num_short}",
            "{city} ((opens|delays)) its {sum} barrage, and other news",
            "{sender_name}: {few} ((sensors|standards|papers)) to know this week",
            "((Long read|Interview)): the engineers behind {project}",
        ),
        """
= {sender_name}
# {city} bets on open data
The harbour authority publishes all readings from {month} on. What that means for ((suppliers|operators)), in four charts.
[[Read the article|a1]]
# {few} things we learned at {project_fair}
Smaller loggers, longer deployments, and a debate about calibration intervals.
[[Read more|a2]]
---
~ You receive this newsletter as {email}. Unsubscribe or change your settings at any time.
""",
        ("Water Gauge Weekly", "The Instrumentist", "Offshore & Inland"),
    ),
    Text(
        "de",
        (
            "{sender_name} {week}/{year}: ((Normen|Märkte|Menschen))",
            "{sender_name}: {few} Meldungen der Woche",
        ),
        """
= {sender_name}
# Neue Norm für Durchflussmesser
Was ab {nextyear} gilt und wer nachrüsten muss.
[[Weiterlesen|a1]]
# Aus der Branche
{city}: Stadtwerke vergeben Auftrag über {sum}.
[[Zum Beitrag|a2]]
~ Sie erhalten diesen Brief an {email}. Abmelden
""",
        ("Messtechnik-Brief", "Pegel & Daten"),
    ),
    Text(
        "fr",
        ("{sender_name} n° {num_short}", "{sender_name} : l'essentiel de la semaine"),
        """
= {sender_name}
# {city} mise sur les capteurs autonomes
Reportage sur un réseau de mesure en {year}.
[[Lire l'article|a1]]
~ Vous recevez cette lettre à l'adresse {email}. Se désabonner
""",
        ("La Lettre de l'Eau", "Capteurs & Terrain"),
    ),
    Text(
        "es",
        ("Boletín Hidro, semana {week}",),
        """
= Boletín Hidro
# {city} renueva su red de aforo
[[Leer más|a1]]
~ Darse de baja
""",
        ("Boletín Hidro",),
    ),
    Text(
        "nl",
        ("Nieuwsbrief Water & Weer, week {week}",),
        """
= Water & Weer
# {city} vernieuwt het meetnet
[[Lees verder|a1]]
~ Uitschrijven
""",
        ("Water & Weer",),
    ),
)

EVENTS = _bulk(
    "event-invitation",
    24,
    Text(
        "en",
        (
            "((Webinar|Live demo)) on {date}: {topic_talk}",
            "((Last seats|Early-bird ends {soon})): {project_fair} {nextyear}",
            "Call for papers: {project_fair} {nextyear}",
        ),
        """
= {project_fair} {nextyear}
# {topic_talk}
Join us on {date}, {time}. {few} speakers, one hour, questions welcome.
[[((Save my seat|Register))|register]]
~ {project_fair} organising team, {city}. Unsubscribe
""",
        ("{project_fair}",),
    ),
    Text(
        "de",
        ("Einladung: {project_fair} {nextyear}", "Webinar am {date}: Kalibrierung im Feld"),
        """
= {project_fair}
# Wir sehen uns in {city}
Sichern Sie sich bis {date} Ihr kostenloses Fachbesucherticket.
[[Ticket sichern|ticket]]
~ Abmelden
""",
        ("{project_fair}",),
    ),
    colour="#7a4b8f",
)

SHOPS = _bulk(
    "shop-offer",
    22,
    Text(
        "en",
        (
            "{pct} % off ((bench tools|lab supplies|workwear)) until {weekday}",
            "Back in stock: {part}",
            "{first}, your basket ((misses|is waiting for)) you",
        ),
        """
= {sender_name}
# {pct} % on everything for the bench
Until {date}, with free delivery from {small}.
[[((See offers|Shop now))|offers]]
~ Prices without VAT. Unsubscribe
""",
        ("Benchmark Supplies", "Toolhaven", "Lab & Locker"),
    ),
    Text(
        "pl",
        ("Rabat {pct} % tylko do {soon}",),
        """
= Narzędziownia
# {pct} % taniej
[[Zobacz ofertę|oferta]]
~ Wypisz się
""",
        ("Narzędziownia",),
    ),
    Text(
        "it",
        ("Offerte di {month}: fino al {pct} %",),
        """
= Ferramenta Lago
# Offerte di stagione
[[Scopri|offerte]]
~ Annulla iscrizione
""",
        ("Ferramenta Lago",),
    ),
    colour="#a3531f",
)

VENDOR_NEWS = _bulk(
    "vendor-update",
    24,
    Text(
        "en",
        (
            "What is new in {sender_name} {version}",
            "((Changes|Updates)) to our terms from {date}",
            "Your {month} usage summary",
            "{few} tips for ((faster reviews|shorter queues|cleaner tickets))",
        ),
        """
= {sender_name}
# {month} in brief
- ((Faster search|Dark mode)) for everyone
- New ((audit|export)) options for admins
- {pct} fewer clicks in the daily view
[[((Read the notes|See what is new))|notes]]
~ You are on this list as {email}. Unsubscribe
""",
        ("Forgeline", "Deskhollow", "Stowbox Team", "Perdiem"),
    ),
    Text(
        "fr",
        ("Nouveautés de {month}",),
        """
= Stowbox
# Les nouveautés de {month}
- Recherche plus rapide
- Nouvelles options d'export
[[En savoir plus|notes]]
~ Se désabonner
""",
        ("Stowbox",),
    ),
)

ENCRYPTED_MAIL = Family(
    kind="encrypted-mail", disposition="ENCRYPTED", weight=1, style=SenderStyle.CUSTOMER, reasons=("unreadable-body",), size=(1, 2),
    enclosures=(Enclosure("smime.p7m", "application/pkcs7-mime", 14_000, encrypted=True),), office_hours=True,
    texts=(
        Text("en", ("Encrypted: ((tender documents|contract draft))", "[secure] {project} ((pricing|legal review))"), "This message is encrypted. Open it with your certificate.\n"),
        Text("de", ("Verschlüsselt: Vertragsentwurf {project}",), "Diese Nachricht ist verschlüsselt.\n"),
    ),
)  # fmt: skip

UNKNOWN_MAIL = Family(
    kind="unknown", disposition="UNKNOWN", weight=1, style=SenderStyle.STRANGER, reasons=("scan-incomplete",), size=(1, 1),
    enclosures=(Enclosure("survey_{num}.dwg", "application/acad", 900_000),), enclosed=0.6,
    texts=(
        Text("en", ("((Site survey|Point cloud)) {city}, part {few}", "Drawing {num} rev {few}"), "Hi {first},\n\nplease see the attached drawing for {project}. It is ((large|a first draft)), sorry.\n\n{me}\n", ("{me}",)),
        Text("pt", ("Desenho {num}",), "Bom dia,\n\nsegue o desenho em anexo.\n\n{me}\n", ("{me}",)),
    ),
)  # fmt: skip

FAMILIES = (
    SEO, REPLICAS, PILLS, LEADS, INVEST, FACTORY, LOTTERY, LOANS, TRADE_PRESS, EVENTS, SHOPS, VENDOR_NEWS, ENCRYPTED_MAIL, UNKNOWN_MAIL,
)  # fmt: skip
