"""A verdict guessed from a message's content by a few rules that each explain themselves."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple
from urllib.parse import urlsplit

from dashboard.simulator.mail.parse import Parsed, Part, addresses
from dashboard.simulator.mail.record import Validation

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
EICAR_MARK = b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE"
SEVERITY = ("MALICIOUS", "MALICIOUS-BEC", "SPOOF", "SUSPICIOUS", "SPAM", "BULK", "ENCRYPTED", "NONE")
EXECUTABLE = frozenset(
    [
        "exe",
        "scr",
        "com",
        "pif",
        "bat",
        "cmd",
        "js",
        "jse",
        "vbs",
        "vbe",
        "wsf",
        "hta",
        "jar",
        "ps1",
        "lnk",
        "msi",
        "cpl",
        "dll",
        "iso",
        "img",
        "vhd",
    ]
)
MACRO = frozenset({"docm", "xlsm", "pptm", "dotm", "xlam"})
URGENT = re.compile(
    r"\b(urgent|immediately|suspend(?:ed)?|verify your|confirm your|within \d+ hours|account (?:locked|limited)"
    r"|password expires"
    r"|(?:re)?delivery attempt|redelivery|claim your|expires? (?:soon|today)|final notice"
    r"|attention required|security concerns"
    r"|dringend|sofort|gesperrt|läuft ab|verlängern sie|urgente|immédiatement|confirmez|votre confirmation|livraison"
    r"|bloqueio|regularize|expiram|ação necessária|aguardar o pagamento|retida|confirme su)\b",
    re.IGNORECASE,
)
EXTORTION = re.compile(r"\b(bitcoin|btc wallet|crypto ?wallet)\b", re.IGNORECASE)
THREAT = re.compile(r"\b(webcam|recorded you|your contacts|ddos|hours to pay)\b", re.IGNORECASE)
SPAM_WORDS = re.compile(
    r"\b(viagra|cialis|casino|lottery|jackpot|weight loss|replica watch(?:es)?|cheap meds|work from home|free money"
    r"|click here now"
    r"|act now|100% free|next of kin|million dollars|make money)\b",
    re.IGNORECASE,
)
MONEY = re.compile(r"\b(gift cards?|bank details|new account number|wire transfer|direct deposit)\b", re.IGNORECASE)
BRANDS = re.compile(  # names that phishing borrows most; a sender whose domain holds the name is left alone
    r"\b(paypal|amazon|microsoft|office ?365|apple ?id|icloud|netflix|spotify|docusign|dropbox|linkedin|facebook"
    r"|instagram"
    r"|whatsapp|mcafee"
    r"|norton|dhl|fedex|ups|usps|dpd|evri|la ?poste|correios|post(?:e|nord)|bradesco|ita[uú]|santander|nubank|chase"
    r"|wells fargo|hsbc"
    r"|barclays|metamask|coinbase|binance|trust ?wallet|aave|ledger|receita ?federal|irs|hmrc|shein"
    r"|walmart|costco|google)\b",
    re.IGNORECASE,
)
SHARED_HOSTING = re.compile(
    r"(?:^|\.)(firebaseapp\.com|web\.app|r2\.dev|pages\.dev|workers\.dev|vercel\.app|netlify\.app|weebly\.com"
    r"|wixsite\.com|glitch\.me"
    r"|ipfs\.io|blogspot\.com|appspot\.com|githubusercontent\.com|storage\.googleapis\.com|amazonaws\.com|duckdns\.org)$"
)
FREE_MAIL = re.compile(r"@(gmail|yahoo|hotmail|outlook|aol|gmx|mail|icloud|proton(?:mail)?)\.", re.IGNORECASE)
_HOSTLIKE = re.compile(r"^(?:https?://)?((?:[a-z0-9-]+\.)+[a-z]{2,24})(?:[/:?#].*)?$", re.IGNORECASE)
_RESULT = {
    "pass": "pass", "bestguesspass": "pass", "fail": "fail", "hardfail": "fail", "softfail": "neutral",
    "neutral": "neutral",
    "none": "none", "temperror": "error", "permerror": "error", "error": "error", "policy": "fail",
}  # fmt: skip


class Hit(NamedTuple):
    """One rule that applied; `field` names the part of the message, `score` how decisive it is."""

    disposition: str
    name: str
    field: str
    text: str
    score: float
    attachment: str | None = None


def judge(parsed: Parsed, validation: Validation) -> tuple[str, list[Hit]]:
    """The worst disposition any rule gives, and all hits that speak for a detection, most decisive first."""
    hits = sorted(_hits(parsed, validation), key=lambda hit: (SEVERITY.index(hit.disposition), -hit.score))
    return (hits[0].disposition, hits) if hits else ("NONE", [])


def validation_of(parsed: Parsed) -> Validation:
    """Sender authentication as the receiving server noted it in the headers."""
    noted = "; ".join(parsed.all_headers("Authentication-Results")[:5])
    results: dict[str, str] = {}
    for method, result in re.findall(r"\b(spf|dkim|dmarc)\s*=\s*([a-z]+)", noted[:20_000], re.IGNORECASE):
        results.setdefault(method.lower(), _RESULT.get(result.lower(), "none"))
    received = parsed.header("Received-SPF")
    if "spf" not in results and received:
        results["spf"] = _RESULT.get(received.split()[0].lower().strip(":;"), "none")
    return Validation(
        results.get("spf", "none"),
        results.get("dkim", "none"),
        results.get("dmarc", "none"),
        noted[:300] or "no results noted in the headers",
    )


def is_encrypted(part: Part) -> bool:
    if part.content_type in {"application/pkcs7-mime", "application/pgp-encrypted"}:
        return True
    if part.data[:4] != b"PK\x03\x04":
        return False
    try:
        with zipfile.ZipFile(BytesIO(part.data)) as archive:
            return any(entry.flag_bits & 1 for entry in archive.infolist()[:1000])
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, KeyError, IndexError):
        return bool(part.data[6:7] and part.data[6] & 1)


def part_detection(part: Part) -> str | None:
    """The verdict on one attachment alone."""
    suffix = _suffix(part)
    if EICAR_MARK in part.data[:100_000] or suffix in EXECUTABLE or part.data[:2] == b"MZ":
        return "MALICIOUS"
    if suffix in MACRO or (is_encrypted(part) and suffix != "p7m"):
        return "SUSPICIOUS"
    return None


def _suffix(part: Part) -> str:
    name = part.filename or ""
    return name.rpartition(".")[2].lower() if "." in name else ""


def _hits(parsed: Parsed, validation: Validation) -> Iterator[Hit]:
    text = f"{parsed.header('Subject') or ''}\n{parsed.text}\n" + "\n".join(words for words, _ in parsed.paragraphs)
    yield from _attachment_hits(parsed)
    yield from _link_hits(parsed, text)
    yield from _sender_hits(parsed, validation, text)
    yield from _text_hits(parsed, text)


def _attachment_hits(parsed: Parsed) -> Iterator[Hit]:
    for part in parsed.parts:
        name, suffix = part.filename or "(no name)", _suffix(part)
        if EICAR_MARK in part.data[:100_000]:
            yield Hit(
                "MALICIOUS",
                "attachment.test_virus",
                "attachments",
                f"Attachment is the standard virus test file: {name}",
                1.0,
                name,
            )
        elif suffix in EXECUTABLE or part.data[:2] == b"MZ":
            yield Hit(
                "MALICIOUS", "attachment.executable", "attachments", f"Attachment can be executed: {name}", 0.97, name
            )
        elif suffix in MACRO:
            yield Hit(
                "SUSPICIOUS", "attachment.macro", "attachments", f"Office file with active content: {name}", 0.8, name
            )
        elif part.content_type in {"application/pkcs7-mime", "application/pgp-encrypted"}:
            if "signed" not in (parsed.header("Content-Type") or ""):
                yield Hit("ENCRYPTED", "body.encrypted", "body", "Body is encrypted and was not scanned", 0.3, name)
        elif is_encrypted(part):
            yield Hit(
                "SUSPICIOUS",
                "attachment.encrypted",
                "attachments",
                f"Encrypted archive could not be opened: {name}",
                0.82,
                name,
            )
        elif part.content_type == "text/html" and suffix in {"html", "htm", "shtml"}:
            yield Hit("SUSPICIOUS", "attachment.html", "attachments", f"HTML file attached: {name}", 0.6, name)


def host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def site(host: str) -> str:
    return ".".join(host.split(".")[-2:])


def _link_hits(parsed: Parsed, text: str) -> Iterator[Hit]:
    for href, words in parsed.links[:200]:
        host = host_of(href)
        shown = _HOSTLIKE.match((words or "").strip()[:300])
        if shown and host and site(shown[1].lower()) != site(host):
            disposition = "MALICIOUS" if URGENT.search(text) else "SUSPICIOUS"
            yield Hit(
                disposition, "link.text_mismatch", "links", f"Link shows {shown[1].lower()} but leads to {host}", 0.9
            )
            return
        if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", host):
            yield Hit("SUSPICIOUS", "link.ip_address", "links", f"Link leads to a bare IP address, {host}", 0.75)
            return
        if SHARED_HOSTING.search(host) and URGENT.search(text):
            yield Hit(
                "SUSPICIOUS",
                "link.shared_hosting",
                "links",
                f"Presses for action with a link to free hosting, {host}",
                0.72,
            )
            return
        if any(label.startswith("xn--") for label in host.split(".")):
            yield Hit(
                "SUSPICIOUS", "link.punycode", "links", f"Link host is written in look-alike letters: {host}", 0.7
            )
            return


def _sender_hits(parsed: Parsed, validation: Validation, text: str) -> Iterator[Hit]:
    senders = addresses(parsed.all_headers("From"))
    name, address = senders[0] if senders else ("", "")
    domain = address.rpartition("@")[2].lower()
    if validation.dmarc == "fail":
        yield Hit("SPOOF", "auth.dmarc_fail", "authentication", f"DMARC failed for {domain or 'the sender'}", 0.86)
    elif validation.spf == "fail" and validation.dkim != "pass":
        yield Hit(
            "SPOOF",
            "auth.spf_fail",
            "authentication",
            f"SPF failed for {domain or 'the sender'} and no valid signature",
            0.8,
        )
    yield from _borrowed_name_hits(parsed, name, domain, text)
    named = re.search(r"[\w.+-]{1,64}@((?:[\w-]{1,63}\.){1,8}\w{2,24})", name)
    if named and domain and site(named[1].lower()) != site(domain):
        yield Hit(
            "SPOOF", "sender.name_address", "from", f"Display name shows {named[0]} but the address is {address}", 0.78
        )
    replies = addresses(parsed.all_headers("Reply-To"))
    if replies and domain and site(replies[0][1].rpartition("@")[2].lower()) != site(domain):
        if MONEY.search(text):
            yield Hit(
                "MALICIOUS-BEC",
                "header.reply_to",
                "reply-to",
                f"Talks about money, and answers would go to {replies[0][1]}",
                0.85,
            )
        elif FREE_MAIL.search(replies[0][1]) or URGENT.search(text):
            yield Hit("SUSPICIOUS", "header.reply_to", "reply-to", f"Answers would go to {replies[0][1]}", 0.6)


def _borrowed_name_hits(parsed: Parsed, name: str, domain: str, text: str) -> Iterator[Hit]:
    """A known name shown to the reader that the sender's domain has nothing to do with."""
    shown = f"{name} {parsed.header('Subject') or ''}"
    if sum(map(_is_hidden_mark, shown)) >= 3:
        yield Hit(
            "SUSPICIOUS", "header.hidden_marks", "from", "Name or subject is disguised with invisible marks", 0.85
        )
        shown = "".join(char for char in shown if not _is_hidden_mark(char))
    if parsed.header("List-Id") or re.match(r"(re|fwd?|aw)\s*:", parsed.header("Subject") or "", re.IGNORECASE):
        return
    brand = BRANDS.search(shown)
    if brand and domain and re.sub(r"\W", "", brand[1].lower()) not in domain.replace("-", ""):
        is_pressing = bool(URGENT.search(text)) and bool(parsed.links)
        disposition = "MALICIOUS" if is_pressing else "SUSPICIOUS"
        yield Hit(disposition, "brand.impersonation", "from", f"Uses the name {brand[1]} but comes from {domain}", 0.88)


def _is_hidden_mark(char: str) -> bool:
    return not char.isascii() and unicodedata.category(char) in {"Mn", "Me", "Cf"}


def _text_hits(parsed: Parsed, text: str) -> Iterator[Hit]:
    if GTUBE in text:
        yield Hit("SPAM", "body.gtube", "body", "Contains the standard spam test string (GTUBE)", 1.0)
    if EXTORTION.search(text) and THREAT.search(text):
        yield Hit("MALICIOUS", "body.extortion", "body", "Threat with a demand for payment in cryptocurrency", 0.95)
    flag = (parsed.header("X-Spam-Flag") or parsed.header("X-Spam-Status") or "").lower()
    if flag.startswith("yes"):
        yield Hit("SPAM", "header.spam_flag", "headers", "Marked as spam by an earlier server", 0.7)
    level = re.match(r"\d+", parsed.header("X-MS-Exchange-Organization-SCL") or "")
    if level and int(level[0][:3]) >= 5:
        yield Hit("SPAM", "header.spam_level", "headers", f"An earlier server gave it spam level {level[0][:3]}", 0.68)
    words = {found.lower() for found in SPAM_WORDS.findall(text)}
    if len(words) >= 2:
        yield Hit("SPAM", "body.words", "body", "Typical spam wording: " + ", ".join(sorted(words)[:4]), 0.65)
    if parsed.header("List-Unsubscribe") or (parsed.header("Precedence") or "").lower() in {"bulk", "junk"}:
        yield Hit("BULK", "header.list", "headers", "Mailing list headers present (List-Unsubscribe)", 0.4)
