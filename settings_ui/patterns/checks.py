"""Whether one pattern can be saved at all: what the service will refuse, told before it is asked.

Each function answers "" where nothing is wrong, and otherwise one sentence that says what to do next. The rules are the
contract's (section 3.5); what it leaves open is left to the service.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

import idna

from dashboard.emailsec.enums import PatternType
from settings_ui.patterns import regex

LONGEST = 1024
LONGEST_LOCAL = 64
LONGEST_DOMAIN = 253

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_REFUSED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a private address", ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),
    ("a unique-local address", ("fc00::/7",)),
    ("a loopback address", ("127.0.0.0/8", "::1/128")),
    ("a link-local address", ("169.254.0.0/16", "fe80::/10")),
    ("the broadcast address", ("255.255.255.255/32",)),
    ("the unspecified address", ("0.0.0.0/32", "::/128")),
)
_REFUSED_NETWORKS = [(name, ipaddress.ip_network(network)) for name, networks in _REFUSED for network in networks]
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_NOT_IN_LOCAL = re.compile(r"[\s@<>\"(),:;\\\[\]]")
# Controls, invisible formatting, line and paragraph separators, halves of characters: nobody means to type these.
_UNSEEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})


def problem_with(pattern: str, pattern_type: str | None, *, is_regex: bool) -> str:
    """What is wrong with a pattern of any list. Where it has no type, it is a regular expression up to 2,048 long.

    A regular expression that is sound and merely cannot be tested here passes.
    """
    if told := _problem_with_text(pattern, longest=LONGEST if pattern_type else regex.LONGEST):
        return told
    if is_regex:
        outcome = regex.compiled(pattern)
        return outcome.told if isinstance(outcome, regex.Broken) else ""
    match PatternType(pattern_type) if pattern_type else None:
        case PatternType.EMAIL:
            return _problem_with_address(pattern)
        case PatternType.DOMAIN:
            return problem_with_domain(pattern)
        case PatternType.IP:
            return _problem_with_ip(pattern)
    return "Choose what the pattern is: an address, a domain or an IP."


def problem_with_domain(domain: str) -> str:
    """What is wrong with a domain. One in other letters is fine if it has an ASCII form; see `as_sent`."""
    if told := _problem_with_text(domain):
        return told
    if "@" in domain:
        return "This is an address. Write the domain alone, the part behind the @."
    if "://" in domain or "/" in domain:
        return "This is a link. Write the domain alone, such as company.example."
    if "*" in domain:
        return "A domain takes no *. Write company.example, or tick regular expression."
    if domain.endswith("."):
        return "Take the dot at the end away."
    if _ip(domain) is not None:
        return "This is an IP. Write a domain, or choose IP as what the pattern is."
    ascii_form = ascii_domain(domain)
    if not ascii_form:
        return "These letters cannot be part of a domain. Write its xn-- form."
    if len(ascii_form) > LONGEST_DOMAIN:
        return f"A domain has at most {LONGEST_DOMAIN} characters. Shorten it."
    labels = ascii_form.split(".")
    if len(labels) < 2:
        return "A domain has a dot in it. Write it whole, such as company.example."
    if not all(map(_LABEL.fullmatch, labels)):
        return "This is no domain: letters, digits and hyphens between dots. Correct it, such as company.example."
    if labels[-1].isdigit():
        return "A domain does not end in a number. Correct it, or choose IP as what the pattern is."
    return ""


def problem_with_network(network: str) -> str:
    """What is wrong with an entry of a domain's `ip_restrictions`: a network that mail servers connect from.

    The contract refuses no network here, so neither does this; the linter warns of one that restricts nothing.
    """
    if told := _problem_with_text(network):
        return told
    address = _ip(network)
    if address is not None and "%" not in network:
        return f"Write one address as a network: {address}/{address.max_prefixlen}."
    return _problem_with_spelling(network)


def problem_with_uuid(text: str) -> str:
    """What is wrong with the id of something at Cloudflare."""
    if told := _problem_with_text(text):
        return told
    return "" if _UUID.fullmatch(text) else "This is no id. Copy it whole: 36 characters, hexadecimal, with hyphens."


def as_sent(pattern: str, pattern_type: str | None, *, is_regex: bool) -> str:
    """The pattern as it has to be sent: domains in other letters in their ASCII form, everything else unchanged."""
    if is_regex or pattern.isascii() or not pattern_type:
        return pattern
    local, at, domain = pattern.rpartition("@")
    kind = PatternType(pattern_type)
    if kind == PatternType.DOMAIN or (kind == PatternType.EMAIL and at):
        return f"{local}{at}{ascii_domain(domain) or domain}"
    return pattern


def told_about(pattern: str, pattern_type: str | None, *, is_regex: bool) -> str:
    """What else a person should know of a pattern without a problem: the form in which it is sent, or ""."""
    sent = as_sent(pattern, pattern_type, is_regex=is_regex)
    return "" if sent == pattern else f"It is sent as {sent}, the form in which mail carries this domain."


def ascii_domain(domain: str) -> str:
    """The domain as mail carries it, in small letters; "" where it has no such form."""
    if domain.isascii():
        return domain.lower().removesuffix(".")
    try:
        return idna.encode(domain.removesuffix("."), uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return ""


def network_of(text: str) -> Network | None:
    """The network (or single address) a pattern names, of IPv4 where it is mapped into IPv6; None if it names none."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        inner = int(network.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((inner, network.prefixlen - 96))
    return network


def covers(wide: Network, narrow: Network) -> bool:
    """Whether every address of the second network lies in the first."""
    return wide.version == narrow.version and narrow.subnet_of(wide)  # type: ignore[arg-type]


def _problem_with_text(text: str, *, longest: int = LONGEST) -> str:
    if not text:
        return "Write a pattern."
    if len(text) > longest:
        return f"The pattern has {len(text):,} characters; {longest:,} is the most. Shorten it."
    for number, character in enumerate(text, start=1):
        if unicodedata.category(character) in _UNSEEN:
            name = f"U+{ord(character):04X}"
            return f"Character {number} is invisible ({name}). Delete it, or type the pattern instead of pasting it."
    if text != text.strip():
        return "It begins or ends with a space. Take the space away."
    return ""


def _problem_with_address(address: str) -> str:
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        return "This is no address. Write it whole, such as name@company.example."
    if "*" in local:
        return "An address takes no *. Choose domain as what the pattern is, or tick regular expression."
    if len(local) > LONGEST_LOCAL:
        return f"The part before the @ has at most {LONGEST_LOCAL} characters. Correct it."
    if _NOT_IN_LOCAL.search(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        return (
            "The part before the @ cannot be right. Write one address and nothing else, such as name@company.example."
        )
    told = problem_with_domain(domain)
    return f"The part behind the @: {told}" if told else ""


def _problem_with_ip(text: str) -> str:
    if told := _problem_with_spelling(text):
        return told
    network = network_of(text)
    if network is None or network.prefixlen == 0:
        return "This is every address there is. Write the network that mail comes from."
    for name, refused in _REFUSED_NETWORKS:
        if covers(refused, network):
            return f"Cloudflare refuses {name}. Write the public address that mail comes from."
    return ""


def _problem_with_spelling(text: str) -> str:
    if "%" in text:
        return "An address of the internet has no zone. Take away the % and what follows it."
    network = network_of(text)
    if network is None:
        return "This is no IP. Write an address or a network, such as 198.51.100.7 or 198.51.100.0/24."
    _, slash, mask = text.partition("/")
    if slash and not (mask.isascii() and mask.isdigit()):
        return f"Write the mask as a number of bits: {network}."
    return ""


def _ip(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
