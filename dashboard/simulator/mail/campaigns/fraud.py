"""Fraud without malware: business e-mail compromise, extortion, spoofed senders."""

# ruff: noqa: E501 - the texts keep their own line lengths and their own punctuation
from __future__ import annotations

from dashboard.simulator.mail.family import Enclosure, Family, SenderStyle, Target, Text

BEC = ("Business Email Compromise",)

GIFT_CARDS = Family(
    kind="ceo-gift-card", disposition="MALICIOUS-BEC", weight=24, style=SenderStyle.IMPERSONATED_LEADER,
    reasons=("leader-name", "reply-to", "urgent-words", "no-history"), threats=(*BEC, "Executive Impersonation"), size=(2, 9), spread_hours=2,
    texts=(
        Text("en", ("((Quick task|Are you at your desk?|Favour|Available?))", "{first}, a ((small|discreet)) errand", "((Surprise for the team|Staff appreciation))"), """
{first},

are you free for a moment? I am ((in a board meeting|boarding a flight)) and cannot take calls. I need you to ((get|pick up)) {few} gift cards for ((clients|the team)), face value {small} each. Keep it between us, it is a surprise. Scratch the backs and send me the codes here.

I will ((reimburse you today|sign the expense tonight)).

{boss_first}
((Sent from my phone|Sent from my tablet))
""", ("{boss}",)),
        Text("de", ("Kurze Bitte", "Sind Sie im Büro, {first}?"), """
Hallo {first},

ich sitze in einer Besprechung und kann nicht telefonieren. Können Sie bitte diskret {few} Guthabenkarten zu je {small} besorgen und mir die Codes hierher schicken? Es soll eine Überraschung sein.

{boss}
Von unterwegs gesendet
""", ("{boss}",)),
    ),
)  # fmt: skip

PAYROLL_DIVERSION = Family(
    kind="payroll-diversion", disposition="MALICIOUS-BEC", weight=22, style=SenderStyle.IMPERSONATED_LEADER, target=Target.HR,
    reasons=("leader-name", "bank-details", "free-mail", "no-history"), threats=(*BEC, "Payroll Diversion"), size=(1, 4), spread_hours=3,
    texts=(
        Text("en", ("((Direct deposit|Payroll)) ((update|change)) before the {month} run", "New bank account for my salary", "Change of account, {boss}"), """
Hi {first},

I have ((changed banks|closed my old account)) and want my pay to go to the new account from this month on. What do you need from me? Can it be ((effective|in place)) for the next run?

Account: {iban}

Thanks
{boss}
{boss_title}
""", ("{boss}",)),
        Text("fr", ("Changement de RIB avant la paie de {month}",), """
Bonjour {first},

J'ai changé de banque et je souhaite que mon salaire soit versé sur le nouveau compte dès ce mois-ci : {iban}. Merci de me confirmer.

{boss}
""", ("{boss}",)),
    ),
)  # fmt: skip

BANK_DETAILS = Family(
    kind="bank-detail-change", disposition="MALICIOUS-BEC", weight=34, style=SenderStyle.LOOKALIKE_SUPPLIER, target=Target.FINANCE,
    reasons=("look-alike-supplier", "bank-details", "young-domain", "reply-to"), threats=(*BEC, "Invoice Fraud"), size=(1, 5), spread_hours=20,
    enclosures=(Enclosure("Bank_confirmation_{partner_slug}.pdf", "application/pdf", 88_000),), enclosed=0.8,
    texts=(
        Text("en", ("((Updated|New)) remittance details, {partner}", "{inv}: please hold payment to the old account", "Change of bank account with immediate effect"), """
Dear {first},

due to an ongoing ((tax audit|restructuring at our bank)) our usual account cannot receive transfers. Please send the open amount of {sum} for {inv} and all later payments to the account below. ((A confirmation by our bank is attached.|Please confirm once scheduled.))

| Beneficiary | {partner}
| Account | {iban}
| Amount | {sum}

Kind regards
{contact}
{partner}, Accounts Receivable
""", ("{contact}", "{contact} | {partner}")),
        Text("de", ("Neue Bankverbindung {partner}", "Änderung der Zahlungsdaten zu {inv}"), """
Sehr geehrte Damen und Herren,

wegen einer Umstellung bei unserer Hausbank bitten wir Sie, den offenen Betrag von {sum} aus {inv} auf das folgende Konto zu überweisen:

| Empfänger | {partner}
| Konto | {iban}

Mit freundlichen Grüßen
{contact}
{partner}
""", ("{contact}",)),
        Text("pl", ("Zmiana rachunku bankowego {partner}",), """
Dzień dobry,

uprzejmie informujemy o zmianie rachunku. Prosimy o przelanie kwoty {sum} za fakturę {inv} na nowe konto: {iban}

Z poważaniem
{contact}
""", ("{contact}",)),
    ),
)  # fmt: skip

THREAD_HIJACK = Family(
    kind="thread-hijack", disposition="MALICIOUS-BEC", weight=20, style=SenderStyle.HIJACKED_SUPPLIER, target=Target.FINANCE,
    reasons=("thread-hijack", "bank-details", "unusual-network", "reply-to"), threats=(*BEC, "Account Takeover"), size=(1, 4), spread_hours=30,
    texts=(
        Text("en", ("RE: {po} {part}: ((balance payment|proforma))", "RE: RE: Statement of account {month}"), """
Hi {first},

as discussed, please use the ((corrected|attached)) payment details for the balance of {sum}. Our finance team ((needs it today|closes the books tonight)), could you send the transfer slip?

| New account | {iban}

Thanks
{contact}

> From: {name}
> Thanks, the quantities look right. We will schedule the balance for next week.
> From: {contact}
> Please find our confirmation for {po}, delivery on {date}.
""", ("{contact}",)),
        Text("nl", ("RE: {po}: openstaand saldo",), """
Beste {first},

zoals besproken graag het saldo van {sum} overmaken naar ons nieuwe rekeningnummer {iban}. Kunt u het betaalbewijs vandaag sturen?

Groet
{contact}

> Dank, de aantallen kloppen. We plannen de betaling in.
""", ("{contact}",)),
    ),
)  # fmt: skip

WEBCAM = Family(
    kind="extortion-webcam", disposition="MALICIOUS", weight=10, style=SenderStyle.SPOOFED_COMPANY,
    reasons=("extortion", "wallet", "spoofed-self", "dmarc-fail"), threats=("Extortion",), size=(8, 50), spread_hours=4, from_recipient=True,
    texts=(
        Text("en", ("((I have bad news for you|Your device was recorded|Payment from your account|You should read this, {user}))", "Waiting for your transfer, {user}"), """
Hello,

you may have noticed that this message comes from ((your own address|{email})). {few} months ago I got access to your devices and recorded you while you ((visited certain pages|thought you were alone)).

Transfer {ransom} in Bitcoin to the wallet below within {hours} hours and I will delete everything. ((Do not answer. Do not go to the police.|I know when this message has been opened.))

{wallet}

Better luck next time.
""", ("{name}", "{user}")),
        Text("de", ("Ihr Gerät wurde aufgezeichnet", "Zahlung innerhalb von {hours} Stunden"), """
Hallo,

vor {few} Monaten habe ich Zugriff auf Ihre Geräte erhalten und Sie über die Kamera aufgenommen. Überweisen Sie {ransom} in Bitcoin innerhalb von {hours} Stunden an diese Adresse, dann lösche ich alles:

{wallet}

Antworten Sie nicht auf diese Nachricht.
""", ("{user}",)),
        Text("es", ("Le he grabado",), """
Hola:

tengo acceso a sus dispositivos desde hace {few} meses y le he grabado. Tiene {hours} horas para enviar {ransom} en Bitcoin a esta dirección:

{wallet}
""", ("{user}",)),
    ),
)  # fmt: skip

DDOS = Family(
    kind="extortion-ddos", disposition="MALICIOUS", weight=3, style=SenderStyle.THROWAWAY, target=Target.IT,
    reasons=("extortion", "wallet", "first-contact"), threats=("Extortion",), size=(2, 8), spread_hours=1,
    texts=(
        Text("en", ("Your network will be ((attacked|taken down)) on {soon}", "DDoS warning for {domain}"), """
To whom it may concern at {company}: forward this to somebody who decides.

Your servers will be flooded from {soon} on unless {few} Bitcoin arrive at the wallet below. ((A short demonstration starts today|This is not a hoax)). The fee rises by {few2} Bitcoin a day.

{wallet}
""", ("Fancy Lemming", "Grey Cormorants", "Silent Armada")),
    ),
)  # fmt: skip

SPOOFED_SUPPLIER = Family(
    kind="spoofed-supplier", disposition="SPOOF", weight=52, style=SenderStyle.SPOOFED_SUPPLIER, target=Target.FINANCE,
    reasons=("dmarc-fail", "envelope-differs", "unusual-network", "known-supplier"), threats=("Sender Spoofing",), size=(2, 12), spread_hours=30,
    enclosures=(
        Enclosure("{inv}.pdf", "application/pdf", 74_000),
        Enclosure("Statement_{month_number}_{year}.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", 22_000),
    ),
    texts=(
        Text("en", ("((Overdue|Outstanding)) invoice {inv}", "{partner}: statement {month} {year}", "Second reminder {inv} over {sum}"), """
Dear Sir or Madam,

according to our records invoice {inv} over {sum} ((is overdue since|was due on)) {past}. Please settle it ((within {days} days|at once)) and disregard this letter if you have already paid.

{contact}
{partner}, Credit Control
""", ("{partner} Accounts", "{contact}")),
        Text("de", ("Zahlungserinnerung {inv}", "{partner}: offene Posten {month}"), """
Sehr geehrte Damen und Herren,

die Rechnung {inv} über {sum} ist seit dem {past} fällig. Bitte begleichen Sie den Betrag innerhalb von {days} Tagen.

{contact}
{partner}, Debitorenbuchhaltung
""", ("{partner} Buchhaltung", "{contact}")),
        Text("fr", ("Relance facture {inv}", "{partner} : relevé de compte {month}"), """
Madame, Monsieur,

Sauf erreur de notre part, la facture {inv} d'un montant de {sum} reste impayée depuis le {past}. Merci de procéder au règlement sous {days} jours.

{contact}
{partner}
""", ("{contact}",)),
        Text("it", ("Sollecito fattura {inv}",), """
Spett.le cliente,

la fattura {inv} di {sum} risulta scaduta dal {past}. Vi preghiamo di provvedere entro {days} giorni.

{contact}
{partner}
""", ("{contact}",)),
        Text("pt", ("Fatura {inv} em atraso",), """
Exmos. Senhores,

a fatura {inv} no valor de {sum} encontra-se vencida desde {past}. Agradecemos a regularização em {days} dias.

{contact}
{partner}
""", ("{contact}",)),
    ),
)  # fmt: skip

SPOOFED_SELF = Family(
    kind="spoofed-company", disposition="SPOOF", weight=22, style=SenderStyle.SPOOFED_COMPANY,
    reasons=("spoofed-self", "dmarc-fail", "unusual-network"), threats=("Sender Spoofing",), size=(2, 10),
    texts=(
        Text("en", ("Scan from ((MFP-2F|MFP-Lab|Copier East)) ({few} pages)", "[{company}] Undelivered mail report {date}", "Updated staff directory {quarter}"), """
A document was scanned and sent to you.

| Device | MFP-{num}
| Pages | {few}
| Time | {time}
[[((View scan|Open document))]]
~ Please do not reply. {company}
""", ("MFP {city}", "no-reply", "Postmaster")),
        Text("de", ("Gescanntes Dokument von MFP-{num}",), """
Ein Dokument wurde gescannt und an Sie gesendet.

| Gerät | MFP-{num}
| Seiten | {few}
[[Dokument öffnen]]
""", ("Kopierer {city}",)),
    ),
)  # fmt: skip

FAMILIES = (GIFT_CARDS, PAYROLL_DIVERSION, BANK_DETAILS, THREAD_HIJACK, WEBCAM, DDOS, SPOOFED_SUPPLIER, SPOOFED_SELF)
