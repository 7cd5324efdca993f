"""Clean mail between people: quotes, orders, meetings, invoices, questions, thanks."""

# ruff: noqa: E501, RUF001 - the texts keep their own line lengths and their own punctuation
from __future__ import annotations

from dashboard.simulator.mail.family import Enclosure, Family, SenderStyle, Target, Text

PDF = "application/pdf"
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def _talk(
    kind: str,
    weight: float,
    style: SenderStyle,
    *texts: Text,
    target: Target = Target.ANYONE,
    enclosures: tuple[Enclosure, ...] = (),
    enclosed: float = 0.5,
    size: tuple[int, int] = (1, 4),
) -> Family:
    return Family(
        kind=kind, disposition="NONE", weight=weight, style=style, texts=texts, target=target, enclosures=enclosures, enclosed=enclosed,
        size=size, copies=(1, 3), spread_hours=60, replies=True, office_hours=True, varying=frozenset(),
    )  # fmt: skip


QUOTES = _talk(
    "quote",
    12,
    SenderStyle.CUSTOMER,
    Text(
        "en",
        (
            "Request for quotation: {qty} x {product}",
            "{product}: ((price|lead time)) for {qty} units",
            "((Budget|Revised)) offer for {project}",
            "Spare parts for {product}, {city} site",
            "Question on offer {inv}",
            "{project}: ((options|alternatives)) to {product}?",
        ),
        """
Hello {first},

could you quote us {qty} {product} for {project}, delivered to {city}? We would need ((the first batch|everything)) by {date}. Please include calibration certificates ((and one spare mast set|and the usual cable lengths)).

Thanks and best regards
{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "de",
        (
            "Anfrage: {qty} Stück {product}",
            "Angebot {inv}: Rückfrage zum Liefertermin",
            "{project}: Varianten zu {product}",
            "Ersatzteile {product}, Standort {city}",
        ),
        """
Guten Tag {first},

bitte bieten Sie uns {qty} Stück {product} für {project} an, Lieferung nach {city} bis {date}. Die Kalibrierscheine benötigen wir wie gewohnt.

Freundliche Grüße
{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "fr",
        ("Demande de devis : {qty} {product}", "Délai pour {product}, site de {city}"),
        """
Bonjour {first},

pourriez-vous nous établir un devis pour {qty} {product}, livraison à {city} avant le {date} ? Merci d'inclure les certificats d'étalonnage.

Bien cordialement
{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "es",
        ("Petición de oferta: {qty} {product}",),
        """
Hola {first}:

¿podría enviarnos oferta por {qty} unidades de {product} para {city}? Las necesitamos antes del {date}.

Un saludo,
{contact}
""",
        ("{contact}",),
    ),
    Text(
        "it",
        ("Richiesta di offerta: {qty} {product}",),
        """
Buongiorno {first},

vi chiediamo un'offerta per {qty} {product}, consegna a {city} entro il {date}.

Cordiali saluti
{contact}
""",
        ("{contact}",),
    ),
    Text(
        "nl",
        ("Offerteaanvraag {qty} x {product}",),
        """
Beste {first},

graag ontvangen we een offerte voor {qty} stuks {product}, levering in {city} vóór {date}.

Met vriendelijke groet
{contact}
""",
        ("{contact}",),
    ),
    Text(
        "pl",
        ("Zapytanie ofertowe: {qty} szt. {product}",),
        """
Dzień dobry,

prosimy o ofertę na {qty} szt. {product} z dostawą do {date}.

Z poważaniem
{contact}
""",
        ("{contact}",),
    ),
    target=Target.SALES,
    enclosures=(Enclosure("Enquiry {project}.pdf", PDF, 84_000),),
    enclosed=0.35,
)

ORDERS = _talk(
    "order",
    9,
    SenderStyle.SUPPLIER,
    Text(
        "en",
        (
            "Order confirmation {po}",
            "{po}: ((delay of {few} days|partial shipment|ready for collection))",
            "{po} {part}: drawing {num} rev {few}",
            "Delivery note {num} for {po}",
            "{part}: minimum quantity from {month}",
            "Packing list {po}, {few} pallets",
        ),
        """
Hi {first},

thank you for {po}. We confirm {qty} {part}, ((dispatch on {date}|ready on {date})). ((Two positions follow a week later.|Everything ships in one lot.))

Best regards
{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "de",
        (
            "Auftragsbestätigung {po}",
            "{po}: Liefertermin {date}",
            "Lieferavis {num}",
            "Zeichnung {num}, Index {few}: Rückfrage",
        ),
        """
Hallo {first},

vielen Dank für Ihre Bestellung {po}. Wir liefern {qty} Stück am {date}, wie vereinbart auf Europaletten.

Mit freundlichen Grüßen
{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "fr",
        ("Confirmation de commande {po}", "{po} : expédition le {date}"),
        """
Bonjour {first},

nous vous confirmons la commande {po}, expédition prévue le {date}.

Cordialement
{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "it",
        ("Conferma d'ordine {po}",),
        """
Buongiorno {first},

confermiamo il vostro ordine {po}, spedizione il {date}.

Cordiali saluti
{contact}
""",
        ("{contact}",),
    ),
    Text(
        "pl",
        ("Potwierdzenie zamówienia {po}",),
        """
Dzień dobry,

potwierdzamy zamówienie {po}. Wysyłka nastąpi {date}.

{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "ja",
        ("注文確認 {po}", "{po} 納期のご連絡"),
        """
{name} 様

いつもお世話になっております。ご注文 {po} を確認いたしました。出荷は{date}の予定です。

{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "uk",
        ("Підтвердження замовлення {po}",),
        """
Доброго дня, {first}!

Підтверджуємо замовлення {po}, відвантаження {date}.

З повагою
{contact}
""",
        ("{contact}",),
    ),
    Text(
        "pt",
        ("Confirmação da encomenda {po}",),
        """
Bom dia {first},

confirmamos a encomenda {po}, com envio a {date}.

Cumprimentos
{contact}
""",
        ("{contact}",),
    ),
    target=Target.PURCHASING,
    enclosures=(Enclosure("{po}.pdf", PDF, 61_000), Enclosure("Drawing_{num}.pdf", PDF, 240_000)),
    enclosed=0.6,
)

INVOICES = _talk(
    "invoice",
    8,
    SenderStyle.SUPPLIER,
    Text(
        "en",
        ("Invoice {inv}", "{partner} invoice {inv} for {po}", "Statement of account, {month}", "Credit note for {inv}"),
        """
Dear {first},

please find attached ((invoice {inv}|our invoice {inv})) over {sum}, ((payable within {days} days|terms as agreed)).

Kind regards
{contact}
{partner}
""",
        ("{contact}", "{partner} Accounts"),
    ),
    Text(
        "de",
        ("Rechnung {inv}", "Rechnung {inv} zu {po}", "Gutschrift zu {inv}"),
        """
Sehr geehrte Damen und Herren,

anbei erhalten Sie unsere Rechnung {inv} über {sum}, zahlbar innerhalb von {days} Tagen.

{contact}
{partner}
""",
        ("{contact}", "{partner} Buchhaltung"),
    ),
    Text(
        "fr",
        ("Facture {inv}", "Avoir sur facture {inv}"),
        """
Bonjour,

veuillez trouver ci-joint la facture {inv} d'un montant de {sum}.

{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "es",
        ("Factura {inv}",),
        """
Buenos días:

adjuntamos la factura {inv} por importe de {sum}.

{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "nl",
        ("Factuur {inv}",),
        """
Beste {first},

bijgaand onze factuur {inv} ten bedrage van {sum}.

{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "pt",
        ("Fatura {inv}",),
        """
Exmos. Senhores,

segue em anexo a fatura {inv} no valor de {sum}.

{contact}
{partner}
""",
        ("{contact}",),
    ),
    target=Target.FINANCE,
    enclosures=(Enclosure("{inv}.pdf", PDF, 58_000), Enclosure("{inv}.xml", "application/xml", 9_000)),
    enclosed=1.0,
)

MEETINGS = _talk(
    "meeting",
    13,
    SenderStyle.CUSTOMER,
    Text(
        "en",
        (
            "((Notes|Minutes)): {project} call, {weekday}",
            "Can we move {weekday} to {time}?",
            "Agenda for {city}, {date}",
            "Visit to {town} on {date}",
            "{project}: next steps",
            "Site access {city}: ((names|induction)) for {weekday}",
            "Thanks for ((yesterday|the visit|your time))",
            "{project} weekly, points from us",
        ),
        """
Hi {first},

thanks for the ((good call|quick answer)). From our side: {topic} is ((done|with us until {date})), {topic2} is open on your side. ((Shall we meet on {weekday2} at {time}?|I will send an invitation for {date}.))

Best
{contact}
""",
        ("{contact}",),
    ),
    Text(
        "de",
        (
            "Protokoll: {project}, {weekday}",
            "Termin am {weekday} verschieben?",
            "Agenda für {city}, {date}",
            "Baustelle {city}: Ansprechpartner am {weekday}",
        ),
        """
Hallo {first},

danke für das gute Gespräch. Die offenen Punkte zu {project} erledigen wir bis {date}. Passt Ihnen {weekday} um {time} für den nächsten Termin?

Viele Grüße
{contact}
""",
        ("{contact}",),
    ),
    Text(
        "fr",
        ("Compte rendu : {project}", "Réunion du {date} à {city}"),
        """
Bonjour {first},

merci pour cet échange. Nous traitons les points ouverts de {project} d'ici au {date}. Seriez-vous disponible {weekday} à {time} ?

Bien à vous
{contact}
""",
        ("{contact}",),
    ),
    Text(
        "es",
        ("Reunión {project}, {weekday}",),
        """
Hola {first}:

gracias por la reunión. ¿Le va bien el {weekday} a las {time} para continuar?

{contact}
""",
        ("{contact}",),
    ),
    Text(
        "ja",
        ("打ち合わせの件 {date}",),
        """
{name} 様

お世話になっております。{date}の打ち合わせの件、{time}からでお願いいたします。

{contact}
""",
        ("{contact}",),
    ),
)

COLLEAGUES = _talk(
    "internal",
    17,
    SenderStyle.COLLEAGUE,
    Text(
        "en",
        (
            "{project}: {topic}",
            "Draft for review: {topic}",
            "{weekday} stand-in for {boss_first}?",
            "{product} ((field failure|returns|calibration drift)), first look",
            "Lunch talk {weekday}: {project}",
            "((Expenses|Travel)) {city}",
            "Numbers for {quarter}",
            "{topic} before {date}, please",
            "{host} after the update",
            "Stocktaking {date}: who helps?",
            "Photos from {city}",
            "Question about {po}",
            "{product} {version}: release notes to read",
        ),
        """
Hi {first},

((a quick one|two things)) on {project}: ((could you look over|I have updated)) {topic} and tell me whether {date} still works? ((The latest numbers are attached.|I put the details in the shared folder.)) If {topic2} takes longer, we ((move it to {weekday}|ask {boss_first})).

Thanks!
{me_first}
""",
        ("{me}",),
    ),
    Text(
        "de",
        (
            "{project}: Rückmeldung bis {date}",
            "Entwurf zum Gegenlesen",
            "Urlaubsvertretung {weekday}",
            "{product}: Rückläufer aus {city}",
            "Zahlen für {quarter}",
            "Inventur am {date}",
        ),
        """
Hallo {first},

kannst du bitte bis {date} einen Blick auf den Stand zu {project} werfen? Die Rückmeldung aus {city} habe ich eingearbeitet.

Danke und Gruß
{me_first}
""",
        ("{me}",),
    ),
    Text(
        "fr",
        ("{project} : retour avant le {date}", "Chiffres {quarter}", "Retour d'expérience {city}"),
        """
Bonjour {first},

peux-tu relire le point sur {project} avant le {date} ? J'ai ajouté les retours de {city}.

Merci
{me_first}
""",
        ("{me}",),
    ),
    enclosures=(Enclosure("{project}_{quarter}.xlsx", SHEET, 44_000), Enclosure("{product}_notes.docx", WORD, 31_000)),
    enclosed=0.25,
    size=(1, 5),
)

SUPPORT_CASES = _talk(
    "support-case",
    11,
    SenderStyle.CUSTOMER,
    Text(
        "en",
        (
            "{product} at {city} ((stops reporting|reads {few} cm too high|loses its clock))",
            "Serial {num}: ((warranty|calibration)) question",
            "((How do we|Can we)) update to {version}?",
            "RMA for {few} {product}",
            "Gateway offline since {weekday}",
        ),
        """
Hello,

our {product} (serial {num}, firmware {version}) in {city} ((has sent no data since {weekday}|shows values we cannot explain)). We have checked ((power and antenna|the cable and the fuse)) already. What should we ((try|send you)) next?

Regards
{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "de",
        ("{product} in {city}: keine Daten seit {weekday}", "Seriennummer {num}: Kalibrierung"),
        """
Guten Tag,

unser {product} (Seriennummer {num}) in {city} liefert seit {weekday} keine Werte mehr. Spannung und Antenne sind geprüft. Was können wir noch tun?

{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "fr",
        ("{product} à {city} : plus de données",),
        """
Bonjour,

notre {product} (n° de série {num}) ne transmet plus depuis {weekday}. Que nous conseillez-vous ?

{contact}
{partner}
""",
        ("{contact}",),
    ),
    Text(
        "nl",
        ("{product} in {city} geeft geen data",),
        """
Beste,

onze {product} (serienummer {num}) geeft sinds {weekday} geen data meer. Wat raadt u aan?

{contact}
""",
        ("{contact}",),
    ),
    enclosures=(Enclosure("log_{num}.txt", "text/plain", 16_000), Enclosure("IMG_{num}.jpg", "image/jpeg", 380_000)),
    enclosed=0.5,
)

APPLICATIONS = _talk(
    "application",
    3,
    SenderStyle.STRANGER,
    Text(
        "en",
        ("Application: ((Field Technician|Firmware Engineer|Buyer))", "Internship {nextyear}"),
        """
Dear {first},

I would like to apply for the position you advertise in {city}. My CV is attached; I can start in {month}.

Yours sincerely
{me}
""",
        ("{me}",),
    ),
    Text(
        "de",
        ("Bewerbung als ((Servicetechniker|Entwicklerin|Einkäufer))",),
        """
Sehr geehrte Damen und Herren,

hiermit bewerbe ich mich auf Ihre Anzeige. Mein Lebenslauf liegt bei.

Mit freundlichen Grüßen
{me}
""",
        ("{me}",),
    ),
    target=Target.HR,
    enclosures=(Enclosure("CV {me}.pdf", PDF, 180_000),),
    enclosed=1.0,
    size=(1, 2),
)

FAMILIES = (QUOTES, ORDERS, INVOICES, MEETINGS, COLLEAGUES, SUPPORT_CASES, APPLICATIONS)
