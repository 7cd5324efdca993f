"""Why a message was judged as it was: short phrases with their evidence, and the findings behind them."""

# ruff: noqa: E501 - one row a line reads as a table
from __future__ import annotations

from typing import NamedTuple

from dashboard.simulator.mail.record import ThreatCategory


class Reason(NamedTuple):
    """`text` and `value` may hold gaps; `field` names the part of the message it was found in."""

    name: str
    field: str
    text: str
    value: str
    score: float


REASONS: dict[str, Reason] = {
    "bank-details": Reason("payment.redirect", "body", "Asks to change bank details for payments", "{iban}", 0.93),
    "brand-name": Reason("brand.impersonation", "from", "Uses the name {brand} but was not sent by {brand_domain}", "{brand}", 0.9),
    "bulk-source": Reason("sender.bulk", "smtp", "Sent by a known bulk mail source, {sender_domain}", "{sender_domain}", 0.4),
    "credential-page": Reason("link.credential_page", "links", "Link leads to a sign-in form on {link_host}", "{link_host}", 0.98),
    "disc-image": Reason("attachment.disc_image", "attachments", "Disc image attached: {file}", "{file}", 0.92),
    "dmarc-fail": Reason("auth.dmarc_fail", "authentication", "DMARC failed for {sender_domain}", "dmarc=fail", 0.86),
    "double-extension": Reason("attachment.double_extension", "attachments", "File name hides its type: {file}", "{file}", 0.7),
    "drill": Reason("simulation.known", "smtp", "Known phishing simulation by {partner}", "{sender_domain}", 0.0),
    "enable-content": Reason("body.enable_content", "body", "Text asks to enable active content", "enable content", 0.84),
    "encrypted-archive": Reason("attachment.encrypted", "attachments", "Encrypted archive could not be opened: {file}", "{file}", 0.82),
    "envelope-differs": Reason("auth.misaligned", "envelope", "Envelope sender {envelope_domain} differs from {sender_domain}", "{envelope_domain}", 0.74),
    "extortion": Reason("body.extortion", "body", "Threat with a demand for payment", "Bitcoin", 0.97),
    "first-contact": Reason("sender.first_contact", "from", "First message from {sender_domain} to {company}", "{sender}", 0.45),
    "free-mail": Reason("sender.free_mail", "from", "Business request from a free mail provider, {sender_domain}", "{sender_domain}", 0.66),
    "hr-theme": Reason("body.payroll_theme", "subject", "Payroll topic from outside the company", "{sender_domain}", 0.6),
    "html-attachment": Reason("attachment.html", "attachments", "HTML file attached that opens a web form: {file}", "{file}", 0.9),
    "known-supplier": Reason("sender.known_partner", "from", "Claims to be {partner}, who usually sends from another network", "{partner}", 0.62),
    "leader-name": Reason("sender.executive_name", "from", "Display name of {boss} ({boss_title}) on an outside address", "{sender}", 0.95),
    "link-mismatch": Reason("link.text_mismatch", "links", "Link text and target differ: leads to {link_host}", "{link_host}", 0.88),
    "list-headers": Reason("header.list", "headers", "Mailing list headers present (List-Unsubscribe)", "List-Unsubscribe", 0.35),
    "login-theme": Reason("body.login_theme", "body", "Asks to set a new password", "{link_host}", 0.48),
    "look-alike-company": Reason("domain.look_alike", "from", "{sender_domain} looks like {domain}", "{sender_domain}", 0.94),
    "look-alike-supplier": Reason("domain.look_alike", "from", "{sender_domain} looks like {partner_domain}", "{sender_domain}", 0.95),
    "macro": Reason("attachment.macro", "attachments", "Office file with active content: {file}", "{file}", 0.93),
    "no-history": Reason("sender.no_history", "from", "{sender} has never written to {email} before", "{sender}", 0.5),
    "password-in-text": Reason("body.archive_password", "body", "Password of the archive is given in the text", "password", 0.8),
    "qr-code": Reason("body.qr_code", "body", "QR code leads to {link_host}", "{link_host}", 0.9),
    "redirect-chain": Reason("link.redirects", "links", "Link goes through {few} redirects to {link_host}", "{link_host}", 0.76),
    "reply-to": Reason("header.reply_to", "reply-to", "Answers would go to {reply_address}", "{reply_address}", 0.8),
    "scan-incomplete": Reason("scan.incomplete", "attachments", "Scan was not finished in time", "timeout", 0.2),
    "similar-campaign": Reason("campaign.similar", "body", "Same structure as other messages of an active campaign", "{edf}", 0.91),
    "smuggling": Reason("attachment.smuggling", "attachments", "Attached page assembles a file in the browser: {file}", "{file}", 0.96),
    "spam-source": Reason("sender.reputation", "smtp", "Sending address {ip} has a poor reputation", "{ip}", 0.72),
    "spoofed-self": Reason("sender.own_domain", "from", "Uses {sender_domain} but was sent from outside, by {ip}", "{ip}", 0.92),
    "thread-hijack": Reason("thread.hijack", "body", "Continues an earlier conversation from a new network", "{partner}", 0.85),
    "unreadable-body": Reason("body.encrypted", "body", "Body is encrypted and was not scanned", "smime.p7m", 0.1),
    "unscannable": Reason("attachment.unscannable", "attachments", "Attachment could not be scanned: {file}", "{file}", 0.55),
    "unsolicited": Reason("body.offer", "body", "Unsolicited offer", "{sender_domain}", 0.64),
    "unusual-host": Reason("link.unusual_host", "links", "Link to a rarely seen host, {link_host}", "{link_host}", 0.6),
    "unusual-network": Reason("sender.network", "smtp", "{sender_domain} never sent from {as_name} before", "{ip}", 0.78),
    "urgent-words": Reason("body.urgency", "body", "Presses for quick action", "{hours} hours", 0.5),
    "wallet": Reason("body.wallet", "body", "Cryptocurrency wallet in the text", "{wallet}", 0.9),
    "young-domain": Reason("domain.young", "from", "{sender_domain} was registered {days} days ago", "{sender_domain}", 0.83),
    "young-sender": Reason("domain.young", "from", "{sender_domain} was registered {few} weeks ago", "{sender_domain}", 0.52),
}  # fmt: skip

_THREATS = (
    ("Credential Harvester", "Leads to a page that collects sign-in data."),
    ("Brand Impersonation", "Pretends to come from a known brand."),
    ("Financial Fraud", "Aims at payments or bank access."),
    ("HTML Smuggling", "Hides a file in a page that assembles it in the browser."),
    ("QR Code Phishing", "Moves the victim to the phone with a QR code."),
    ("Suspicious Link", "Holds a link whose target is not trusted."),
    ("Business Email Compromise", "Abuses a trusted person's name to obtain money or data."),
    ("Executive Impersonation", "Uses the name of somebody in the leadership."),
    ("Payroll Diversion", "Tries to redirect a salary."),
    ("Invoice Fraud", "Tries to redirect a supplier's payment."),
    ("Account Takeover", "Sent from a mailbox under foreign control."),
    ("Extortion", "Demands payment under a threat."),
    ("Sender Spoofing", "The sender's address is forged."),
    ("Malware Delivery", "Tries to place malicious software."),
    ("Suspicious Attachment", "Holds a file that could not be cleared."),
    ("Unsolicited Commercial", "Advertising nobody asked for."),
    ("Graymail", "A newsletter or notice with little value."),
)
THREAT_CATEGORIES = {name: ThreatCategory(4100 + n, name, text) for n, (name, text) in enumerate(_THREATS)}
