"""Credential phishing: pages that want a password, dressed as things everybody gets."""

# ruff: noqa: E501, RUF001 - the texts keep their own line lengths and their own punctuation
from __future__ import annotations

from dashboard.simulator.mail.family import Enclosure, Family, SenderStyle, Target, Text

THREATS = ("Credential Harvester", "Brand Impersonation")
REASONS = ("credential-page", "link-mismatch", "young-domain", "brand-name", "urgent-words", "similar-campaign")

MAILBOX = Family(
    kind="credential-phish", disposition="MALICIOUS", weight=22, style=SenderStyle.LOOKALIKE_BRAND, brand="office",
    reasons=REASONS, threats=THREATS, size=(5, 60),
    texts=(
        Text("en", (
            "((Action required|Final notice|Please confirm)): your password expires in {hours} hours",
            "{user}: {few} messages could not be delivered to your inbox",
            "Your mailbox is {pct2} % over its limit",
            "((Unusual|New|Unrecognised)) sign-in to your account from {city}",
            "[{company}] Mail server upgrade: re-validate {email}",
        ), """
= {brand}
# ((Keep the same password|Your session needs to be renewed|Messages are waiting for you))
((Hello|Dear|Hi)) {first},
the password of {email} expires in {hours} hours. After that, ((incoming mail will be held|you will be signed out on all devices)). You can keep your current password by confirming it below.
[[((Keep my password|Review now|Release messages))]]
| Account | {email}
| Reference | {ref}
If you do nothing, access is ((suspended|limited)) on {soon}.
~ {brand} account team. This mailbox is not monitored.
""", ("{brand}", "{brand} Account Team", "IT Support {company}", "Mail Administrator")),
        Text("de", (
            "Ihr Kennwort läuft in {hours} Stunden ab",
            "((Wichtig|Letzte Erinnerung)): {few} Nachrichten warten auf Zustellung",
            "Ihr Postfach ist zu {high} % belegt",
            "Neue Anmeldung aus {city}: waren Sie das?",
        ), """
= {brand}
Guten Tag {name},
das Kennwort für {email} läuft in {hours} Stunden ab. Damit Sie weiterhin E-Mails empfangen, bestätigen Sie bitte Ihre Anmeldung.
[[Kennwort beibehalten]]
Ohne Bestätigung wird das Postfach am {soon} ((gesperrt|eingeschränkt)).
| Vorgang | {ref}
~ Diese Nachricht wurde automatisch erstellt.
""", ("{brand} Sicherheit", "IT-Administration", "Postfachverwaltung")),
        Text("fr", (
            "Votre mot de passe expire dans {hours} heures",
            "{few} messages en attente dans votre quarantaine",
            "((Alerte de sécurité|Action requise)) : connexion depuis {city}",
        ), """
= {brand}
Bonjour {first},
Le mot de passe du compte {email} arrive à expiration dans {hours} heures. Pour conserver l'accès à votre messagerie, veuillez confirmer votre identité.
[[Conserver mon mot de passe]]
Sans action de votre part, le compte sera suspendu le {soon}.
~ Service automatique {brand}, référence {ref}
""", ("Support {brand}", "Service informatique")),
        Text("es", ("Su contraseña caduca en {hours} horas", "Tiene {few} mensajes retenidos"), """
= {brand}
Hola {first}:
La contraseña de {email} caduca en {hours} horas. Para no perder el acceso al correo, confirme su cuenta.
[[Mantener la contraseña]]
Si no lo hace, la cuenta se bloqueará el {soon}.
""", ("Soporte {brand}",)),
        Text("pl", ("Twoje hasło wygaśnie za {hours} godz.", "Skrzynka pełna w {high} %: potwierdź konto"), """
= {brand}
Dzień dobry,
hasło do konta {email} wygaśnie za {hours} godz. Aby zachować dostęp do poczty, potwierdź logowanie.
[[Zachowaj hasło]]
Numer zgłoszenia: {ref}
""", ("Pomoc {brand}",)),
        Text("uk", ("Термін дії пароля закінчується через {hours} год", "Затримано повідомлень: {few}"), """
= {brand}
Доброго дня!
Термін дії пароля для {email} закінчується через {hours} год. Підтвердьте обліковий запис, щоб не втратити доступ до пошти.
[[Підтвердити]]
""", ("Підтримка {brand}",)),
    ),
)  # fmt: skip

MFA = Family(
    kind="mfa-phish", disposition="MALICIOUS", weight=7, style=SenderStyle.LOOKALIKE_COMPANY, target=Target.ANYONE,
    reasons=("credential-page", "look-alike-company", "young-domain", "urgent-words"), threats=THREATS, size=(4, 24),
    colour="#8a2432",
    texts=(
        Text("en", (
            "Your two-step sign-in ((must be re-enrolled|ends)) on {soon}",
            "[Service Desk] Authenticator migration, wave {few}",
            "VPN certificate for {user} expires {soon}",
            "((Security|Compliance)) check open: {name}",
        ), """
# ((Re-enrol your second factor|Authenticator migration))
Hi {first},
as part of the move to the new sign-in service, every member of {department} re-enrols the authenticator by {soon}. It takes two minutes and ((a phone|your current code)).
[[((Start enrolment|Begin migration))]]
Accounts that are not migrated lose VPN and mail access.

Regards,
Service Desk
~ {company} internal communication. Ticket {ticket}
""", ("Service Desk", "{company} IT", "IT Security")),
        Text("de", ("MFA-Umstellung: bitte bis {soon} abschließen", "[IT] Ihr VPN-Zertifikat läuft am {soon} ab"), """
Hallo {first},
im Zuge der Umstellung unserer Anmeldung müssen alle Kolleginnen und Kollegen ihren zweiten Faktor neu hinterlegen. Bitte bis {soon} erledigen, sonst wird der VPN-Zugang gesperrt.
[[Zur Registrierung]]
Ihre IT
~ Ticket {ticket}
""", ("IT-Service", "{company} IT")),
    ),
)  # fmt: skip

BANK = Family(
    kind="bank-phish", disposition="MALICIOUS", weight=8, style=SenderStyle.LOOKALIKE_BRAND, brand="bank",
    reasons=("credential-page", "brand-name", "dmarc-fail", "young-domain"), threats=("Credential Harvester", "Financial Fraud"),
    target=Target.FINANCE, size=(3, 20), colour="#0b6e4f",
    texts=(
        Text("en", (
            "Payment of {sum} ((is on hold|needs your approval))",
            "Your business account has been ((limited|restricted))",
            "New payee added: was this you? (ref {ref})",
            "Card reader update for {company}",
        ), """
= {brand} Business
Dear {name},
a payment of {sum} from your business account has been put on hold because the approving device is not registered with our new ((secure key|signing service)).
| Payment | {sum}
| Reference | {ref}
| Release before | {soon}
[[((Register device|Review payment))]]
~ {brand} plc is not authorised by anybody. Registered in Nowhere.
""", ("{brand} Business Banking", "{brand} Fraud Team")),
        Text("de", ("Ihre Zahlung über {sum} wurde angehalten", "Neue Freigabe-App ab {soon} verpflichtend"), """
= {brand} Firmenkunden
Sehr geehrte Kundin, sehr geehrter Kunde,
ab dem {soon} ist für Überweisungen über {sum} unsere neue Freigabe-App verpflichtend. Ohne Registrierung werden Aufträge nicht mehr ausgeführt.
[[Gerät registrieren]]
Vorgangsnummer {ref}
""", ("{brand} Firmenkunden",)),
        Text("it", ("Bonifico di {sum} in sospeso", "Conto aziendale: verifica entro il {soon}"), """
= {brand}
Gentile cliente,
un bonifico di {sum} è in sospeso perché il suo dispositivo non risulta verificato. Completi la verifica entro il {soon}.
[[Verifica dispositivo]]
""", ("{brand} Imprese",)),
    ),
)  # fmt: skip

PARCEL = Family(
    kind="parcel-phish", disposition="MALICIOUS", weight=9, style=SenderStyle.LOOKALIKE_BRAND, brand="parcel",
    reasons=("credential-page", "young-domain", "brand-name", "link-mismatch"), threats=("Credential Harvester", "Brand Impersonation"),
    size=(6, 45), colour="#b86a14", quarantine=0.7,
    texts=(
        Text("en", (
            "Parcel {tracking}: a fee of {fee} is ((due|outstanding))",
            "We missed you: ((choose|book)) a new delivery for {tracking}",
            "Customs hold on shipment {tracking}",
        ), """
= {brand}
# Your parcel is waiting
Shipment {tracking} could not be delivered because ((the address is incomplete|an import fee is open|nobody was in)).
| Tracking number | {tracking}
| Open amount | {fee}
| Held until | {soon}
[[((Pay and deliver|Choose a day|Complete address))]]
~ You receive this message because a parcel is on its way to you.
""", ("{brand}", "{brand} Delivery", "{brand} Customs")),
        Text("de", ("Ihr Paket {tracking}: Zustellung nicht möglich", "Zollgebühr {fee} offen, Sendung {tracking}"), """
= {brand}
# Ihre Sendung wartet
Die Sendung {tracking} konnte nicht zugestellt werden. Für einen neuen Versuch ist eine Gebühr von {fee} zu begleichen.
[[Jetzt bezahlen]]
~ Die Sendung wird bis {soon} aufbewahrt.
""", ("{brand} Zustellung",)),
        Text("nl", ("Uw pakket {tracking} kon niet worden bezorgd", "Nog te betalen: {fee} voor {tracking}"), """
= {brand}
Beste klant,
uw pakket {tracking} ligt klaar, maar er staat nog een bedrag van {fee} open.
[[Betaal en plan bezorging]]
""", ("{brand} Bezorging",)),
        Text("pt", ("A sua encomenda {tracking} está retida", "Taxa de {fee} por pagar"), """
= {brand}
Olá,
a encomenda {tracking} está retida na alfândega. Falta pagar uma taxa de {fee} até {soon}.
[[Pagar taxa]]
""", ("{brand} Entregas",)),
        Text("ja", ("お荷物 {tracking} を配達できませんでした", "【重要】配達先のご確認をお願いします"), """
= {brand}
お客様
お荷物（{tracking}）をお届けできませんでした。{soon}までに再配達をお申し込みください。
[[再配達を申し込む]]
""", ("{brand} 配達センター",)),
    ),
)  # fmt: skip

SIGNATURE = Family(
    kind="signature-phish", disposition="MALICIOUS", weight=12, style=SenderStyle.COMPROMISED, brand="sign",
    reasons=("brand-name", "credential-page", "link-mismatch", "first-contact", "redirect-chain"), threats=THREATS,
    size=(3, 26), colour="#274a87",
    texts=(
        Text("en", (
            "((Complete|Completed|Review and sign)): {project} ((settlement|agreement|amendment)) {year}",
            "{boss} ((shared|sent)) \"Remuneration review {quarter}\" with you",
            "Document for {name}: {inv}.pdf",
            "You have a new secured document from {partner}",
        ), """
= {brand}
# {me} sent you a document to ((review and sign|complete))
{name},
please ((review and sign|see the enclosed)) "{project} agreement {year}". The document is ((protected|available until {soon})).
[[REVIEW DOCUMENT]]
~ Do not share this message. It contains a secure link. Envelope {token}
""", ("{me} via {brand}", "{brand} eSignature")),
        Text("fr", ("Document à signer : {project} {year}", "{boss} vous a envoyé un document protégé"), """
= {brand}
# Un document attend votre signature
Bonjour {first},
merci de consulter et de signer « {project} {year} » avant le {soon}.
[[CONSULTER LE DOCUMENT]]
~ Enveloppe {token}
""", ("{me} via {brand}",)),
        Text("de", ("Bitte unterzeichnen: Nachtrag {project}", "Ein Dokument von {partner} wartet auf Sie"), """
= {brand}
# Ein Dokument wartet auf Ihre Unterschrift
Guten Tag {name},
bitte prüfen und unterzeichnen Sie den Nachtrag „{project}“ bis {soon}.
[[DOKUMENT ÖFFNEN]]
~ Umschlag {token}
""", ("{me} über {brand}",)),
    ),
)  # fmt: skip

PAYROLL = Family(
    kind="payroll-phish", disposition="MALICIOUS", weight=8, style=SenderStyle.LOOKALIKE_COMPANY, target=Target.ANYONE,
    reasons=("look-alike-company", "credential-page", "hr-theme", "young-domain"), threats=THREATS, size=(8, 45), colour="#6b4ba3",
    enclosures=(Enclosure("Salary_review_{year}.html", "text/html", 14_000, detection="MALICIOUS"),), enclosed=0.4,
    texts=(
        Text("en", (
            "((Salary|Pay)) review {year}: your ((letter|statement)) is ready",
            "Updated ((holiday|leave)) policy, acknowledgement needed by {soon}",
            "{month} payslip ((correction|adjustment)) for {name}",
            "Open enrolment: benefits {nextyear}",
        ), """
# Your {month} statement
Dear {first},
following the ((annual review|last board meeting)), your compensation for {nextyear} has been adjusted. Please read your personal letter and confirm by {soon}.
[[((Open my letter|View statement))]]
This link is personal to {email}.

People Team
{company}
""", ("People Team", "HR {company}", "Payroll")),
        Text("de", ("Gehaltsanpassung {nextyear}: Ihr Schreiben liegt bereit", "Korrektur Ihrer Abrechnung {month}"), """
Guten Tag {name},
Ihr persönliches Schreiben zur Gehaltsanpassung {nextyear} liegt im Portal bereit. Bitte bestätigen Sie den Erhalt bis {soon}.
[[Schreiben öffnen]]
Ihre Personalabteilung
""", ("Personalabteilung",)),
    ),
)  # fmt: skip

VOICEMAIL = Family(
    kind="voicemail-phish", disposition="MALICIOUS", weight=8, style=SenderStyle.THROWAWAY, brand="voice",
    reasons=("html-attachment", "credential-page", "brand-name", "first-contact"), threats=("Credential Harvester", "HTML Smuggling"),
    enclosures=(
        Enclosure("VoiceMsg_{long}.htm", "text/html", 9_000, detection="MALICIOUS"),
        Enclosure("Audio_{token}.wav.html", "text/html", 11_000, detection="MALICIOUS"),
    ),
    size=(4, 30), colour="#31708f",
    texts=(
        Text("en", (
            "Missed call from {phone} ({length} min)",
            "((New voice message|Voicemail)) for {user}, {length}",
            "((Fax|Scan)) received: {few} pages, {ref}",
        ), """
= {brand}
You have a new voice message.
| From | {phone}
| Length | {length}
| Received | {weekday}, {time}
[[((Play message|Listen now))]]
~ The recording is deleted after {days} days.
""", ("{brand} Voice", "PBX {company}", "Voicemail Service")),
        Text("de", ("Verpasster Anruf von {phone} ({length})",), """
= {brand}
Sie haben eine neue Sprachnachricht.
| Von | {phone}
| Dauer | {length}
[[Nachricht abhören]]
""", ("{brand} Telefonie",)),
    ),
)  # fmt: skip

QR = Family(
    kind="qr-phish", disposition="MALICIOUS", weight=8, style=SenderStyle.COMPROMISED, brand="office",
    reasons=("qr-code", "credential-page", "brand-name", "first-contact"), threats=("Credential Harvester", "QR Code Phishing"),
    enclosures=(Enclosure("Security_notice_{ref}.pdf", "application/pdf", 60_000, detection="MALICIOUS"),), enclosed=0.5,
    size=(3, 30), quarantine=0.75,
    texts=(
        Text("en", (
            "Scan to ((renew|restore)) your sign-in, {user}",
            "2FA ((setup|renewal)) for {email} ends today",
            "Secure message {ref}: use your phone to read",
        ), """
# Your second factor ((expires today|has to be renewed))
{first}, scan the code with the camera of your phone to keep access to {email}.

!qr
The code works once and until {soon}.
~ {brand} security notice {ref}
""", ("{brand} Security", "IT Helpdesk")),
        Text("fr", ("Scannez pour renouveler votre accès", "Authentification à renouveler avant le {soon}"), """
# Votre double authentification expire
{first}, scannez ce code avec votre téléphone pour conserver l'accès à {email}.

!qr
~ Référence {ref}
""", ("Sécurité {brand}",)),
    ),
)  # fmt: skip

FILE_SHARE = Family(
    kind="file-share-phish", disposition="SUSPICIOUS", weight=30, style=SenderStyle.COMPROMISED, brand="files",
    reasons=("first-contact", "redirect-chain", "link-mismatch", "unusual-host"), threats=("Suspicious Link",), size=(2, 14), colour="#3b6fd4",
    texts=(
        Text("en", (
            "{me} shared \"{project} ((drawings|pricing|minutes))\" with you",
            "((Proposal|RFQ|Bid invitation)) {year}/{num}: {me}",
            "Re: {project}",
        ), """
Good ((morning|afternoon)) {first},
please find ((our proposal|the bid documents)) for {project} via the link below. Kindly revert ((at your earliest|before {soon})).
[[((Open folder|View file))]]
[https://www.stowbox.example/s/{token}|@]

Best regards
{me}
""", ("{me}",)),
        Text("es", ("{me} ha compartido «Propuesta {year}» con usted",), """
Buenos días:
le comparto la propuesta para {project}. Quedo a la espera de sus comentarios.
[[Abrir documento]]

Un saludo,
{me}
""", ("{me}",)),
        Text("it", ("Richiesta di offerta {num}",), """
Buongiorno,
in allegato al link la richiesta di offerta per {project}. Attendiamo riscontro entro il {soon}.
[[Apri cartella]]

Cordiali saluti
{me}
""", ("{me}",)),
    ),
)  # fmt: skip

FAMILIES = (MAILBOX, MFA, BANK, PARCEL, SIGNATURE, PAYROLL, VOICEMAIL, QR, FILE_SHARE)
