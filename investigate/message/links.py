"""What a link shows and where it really leads. Nothing here ever becomes a live link."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from dashboard.web.text import defang, punycode, visible

MAX_HREF = 8_000

# Endings under which everybody can register: the registrable domain is one label longer. The complete public suffix
# list changes weekly; these cover what analysts meet, and a missing one only makes a comparison less strict.
_SECOND_LEVEL = frozenset(
    {"ac", "co", "com", "edu", "gob", "gov", "gouv", "ltd", "mil", "ne", "net", "nom", "or", "org", "plc"}
)
_DOMAIN_IN_TEXT = re.compile(
    r"(?<![\w@.-])(?:[a-z][a-z0-9+.-]{1,15}://(?:[^\s/@<>\"']{1,200}@)?)?"
    r"((?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24}))(?=[/:?#\s,;)>\]\"']|\.?$|\.\s)",
    re.IGNORECASE,
)
_FILE_ENDINGS = frozenset(
    {
        "pdf",
        "doc",
        "docx",
        "xls",
        "xlsx",
        "ppt",
        "pptx",
        "htm",
        "html",
        "txt",
        "zip",
        "jpg",
        "png",
        "gif",
        "php",
        "js",
        "csv",
    }
)


@dataclass(frozen=True, slots=True)
class LinkView:
    """One link as the table shows it, all of it untrusted; `before`, `domain` and `after` together are `defanged`."""

    number: int
    text: str
    href: str
    before: str  # scheme and what stands before the registrable domain, defanged
    domain: str  # the registrable domain, defanged: the part that says who owns the place
    after: str
    host: str
    ascii_host: str  # punycode beside a domain with other letters, else ""
    shown_domain: str  # the domain the text names, where it is another one
    remarks: tuple[str, ...]

    @property
    def defanged(self) -> str:
        return self.before + self.domain + self.after

    @property
    def is_deceptive(self) -> bool:
        return bool(self.shown_domain)


def registrable(host: str) -> str:
    """The part of a host name that somebody registered: `pay.example.co.uk` gives `example.co.uk`."""
    labels = host.rstrip(".").split(".")
    if len(labels) < 3 or is_address(host):
        return host.rstrip(".")
    short_country = len(labels[-1]) == 2 and labels[-2].lower() in _SECOND_LEVEL
    return ".".join(labels[-3:] if short_country else labels[-2:])


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def same_owner(one: str, other: str) -> bool:
    """Whether two host names belong to one registrable domain, in either spelling."""

    def canonical(host: str) -> str:
        return (punycode(registrable(host)) or registrable(host)).casefold()

    return canonical(one) == canonical(other)


def domain_in(shown: str) -> str:
    """The domain a link's text names, or "": `https://www.bank.example/login` and `bank.example`, not `Read more.`"""
    found = _DOMAIN_IN_TEXT.search((shown or "")[:2_000].strip())
    if found is None or found[1].rpartition(".")[2].lower() in _FILE_ENDINGS:
        return ""
    return found[1]


def host_of(href: str) -> str:
    """The host a link leads to, "" where there is none (mailto, javascript, relative, malformed)."""
    try:
        return urlsplit(_browser_view(href)).hostname or ""
    except ValueError:
        return ""


def _browser_view(href: str) -> str:
    """The target as browsers read it: controls dropped, backslashes as slashes, `//host` with a scheme."""
    cleaned = (
        re.sub(r"[\x00-\x20]+", "", href[:MAX_HREF])
        if re.search(r"[\t\r\n\x00]", href[:MAX_HREF])
        else href[:MAX_HREF].strip()
    )
    scheme, colon, rest = cleaned.partition(":")
    if colon and scheme.lower() in ("http", "https", "ftp"):
        return f"{scheme.lower()}://" + rest.replace("\\", "/").lstrip("/")
    return "http:" + cleaned if cleaned.startswith(("//", "\\\\")) else cleaned


def view(number: int, href: str, text: str | None) -> LinkView:
    """One link taken apart for the table; `number` counts from 1."""
    host = host_of(href)
    shown = domain_in(text or "")
    safe = visible(defang(href[:MAX_HREF]))
    if len(href) > MAX_HREF:
        safe += "…"
    before, domain, after = _around_domain(safe, host)
    return LinkView(
        number=number,
        text=text or "",
        href=href,
        before=before,
        domain=domain,
        after=after,
        host=host,
        ascii_host=punycode(host),
        shown_domain=shown if shown and host and not same_owner(shown, host) else "",
        remarks=tuple(_remarks(href, host)),
    )


def views(links: Iterable[tuple[str, str | None]]) -> list[LinkView]:
    return [view(number, href, text) for number, (href, text) in enumerate(links, start=1)]


def _around_domain(safe: str, host: str) -> tuple[str, str, str]:
    """The defanged target cut around its registrable domain; all in `before` where that cannot be found."""
    if not host:
        return safe, "", ""
    wanted = visible(defang(registrable(host)))
    begin = safe.find("://") + 3 if "://" in safe else 0
    end = next((at for at in range(begin, len(safe)) if safe[at] in "/?#\\"), len(safe))
    at = safe.casefold().rfind(wanted.casefold(), begin, end)
    if at < 0:
        return safe, "", ""
    return safe[:at], safe[at : at + len(wanted)], safe[at + len(wanted) :]


def _remarks(href: str, host: str) -> Iterable[str]:
    target = _browser_view(href)
    scheme = target.partition(":")[0].lower() if ":" in target else ""
    if scheme and scheme not in ("http", "https", "mailto", "tel") and re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        yield f"opens as “{scheme}:”, not as a web page"
    try:
        parts = urlsplit(target)
        user, port = parts.username, parts.port
        inner = unquote(parts.query + "#" + parts.fragment)
    except ValueError:
        yield "is malformed"
        return
    if host and is_address(host):
        yield "leads to a bare IP address"
    if user is not None and host:
        yield f"what stands before the @ is not the place it leads to; that is {visible(defang(host))}"
    if host and port not in (None, 80, 443):
        yield f"uses port {port}"
    labels = host.split(".")
    if any(label.lower().startswith("xn--") for label in labels) or not host.isascii():
        yield "the name is written with letters of other alphabets"
    onward = re.search(r"https?://([^/?#&\s]{3,253})", inner, re.IGNORECASE)
    if onward and host and not same_owner(onward[1], host):
        yield f"carries a further address inside: {visible(defang(onward[1]))}"
