"""What makes an entry dangerous, told before it is saved. Makes no call and changes nothing.

A danger wants a second click on a button that names it; a hint is only shown. What is no problem for the service may be
one for whoever has to live with the entry: that is the subject here, while `checks` tells what cannot be saved at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.emailsec.enums import Disposition, PatternType
from settings_ui.patterns import checks, hosts, regex

Values = Mapping[str, Any]

WIDEST_V4, WIDEST_V6 = 24, 48
_LONGEST_NAMED = 60
_ESCAPED_OR_CLASS = re.compile(r"\\.|\[[^\]]*\]?", re.DOTALL)
_DOTTED = re.compile(r"[A-Za-z0-9-]*[A-Za-z0-9]\.[A-Za-z0-9][A-Za-z0-9-]*")

# Unrelated texts of the plainest form: a pattern that finds itself in all of them finds itself in nearly everything.
_PROBES = {
    "EMAIL": ("anna.berg@fjord.example", "x@q.test", "info@kiosk.invalid", "brien@mail.museum.example"),
    "DOMAIN": ("fjord.example", "q.test", "kiosk.invalid", "mail.museum.example"),
    "IP": ("198.51.100.7", "203.0.113.250", "192.0.2.61", "8.8.4.4"),
    "TEXT": ("Quarterly report", "re: lunch?", "Ihre Rechnung 4711", "zzz"),
    "URL": (
        "https://fjord.example/",
        "https://q.test/a?b=c",
        "https://kiosk.invalid/x",
        "https://mail.museum.example/z",
    ),
}
_LARGE_SUFFIXES = ("com", "net", "org", "de", "fr", "io", "ru", "co.uk")
_BEST_KNOWN = ("gmail.com", "outlook.com", "yahoo.com", "docs.google.com", "sharepoint.com")  # named first
# Links to what strangers put up at a host they share.
_STRANGERS_LINKS = ("https://{}/d/1a2B3c4D/edit?usp=sharing", "https://tenant-7.{}/x/q9")


@dataclass(frozen=True)
class Danger:
    """One thing to know before saving. `accept` is the label of the button that saves all the same."""

    code: str
    told: str
    accept: str
    field: str
    is_hint: bool = False


@dataclass(frozen=True)
class Listed:
    """An entry of another list: what people call it, and its values by the API's names."""

    name: str
    values: Values


@dataclass(frozen=True)
class Lists:
    """What else there is, as far as it is known; each may be empty."""

    allowed: Iterable[Listed] = ()
    blocked: Iterable[Listed] = ()
    own_domains: Sequence[str] = ()


def lint(resource: str, values: Values, *, others: Lists) -> list[Danger]:
    """Dangers first, then hints. `resource` is the API's name; one that is not known has no dangers."""
    if resource in _LOOKS_AROUND:
        dangers = _LOOKS_AROUND[resource](values, others)
    elif resource in _LOOKS:
        dangers = _LOOKS[resource](values)
    else:
        return []
    found = {(danger.code, danger.field, danger.told): danger for danger in dangers}
    return sorted(found.values(), key=lambda danger: danger.is_hint)


def ends_scanning(values: Values) -> bool:
    """Whether a protected domain with these values has no way left by which new mail is scanned."""
    return {str(mode).upper() for mode in _items(values, "allowed_delivery_modes")} == {"RETRO_SCAN"}


# --- allow and block lists --------------------------------------------------------------------------------------------


def _allow_policies(values: Values, others: Lists) -> Iterator[Danger]:
    pattern = _text(values, "pattern")
    is_trusted, is_exempt = _flag(values, "is_trusted_sender"), _flag(values, "is_exempt_recipient")
    is_about_sender = is_trusted or _flag(values, "is_acceptable_sender") or not is_exempt
    yield from _whose_mail(values, "Allow")
    if is_about_sender:
        yield from _many_senders(values, "Allow")
        yield from _own_domain(values, others, "Allow")
    if is_exempt:
        yield from _exempt_recipients(values, others)
    if is_trusted:
        yield from _trusted_sender(values)
    if is_about_sender and "verify_sender" in values and not _flag(values, "verify_sender"):
        yield Danger(
            "sender_not_verified",
            "Without proof anybody can write this sender's name and pass. Let it count only for mail that proves its "
            "sender.",
            "Allow without proof",
            "verify_sender",
        )
    yield from _conflicts(values, others.blocked, "blocked", f"Allow {_named(pattern)} although it is blocked")


def _block_senders(values: Values, others: Lists) -> Iterator[Danger]:
    yield from _whose_mail(values, "Block")
    yield from _many_senders(values, "Block")
    yield from _own_domain(values, others, "Block")
    told = f"Block {_named(_text(values, 'pattern'))} although it is allowed"
    yield from _conflicts(values, others.allowed, "allowed", told)


def _whose_mail(values: Values, verb: str) -> Iterator[Danger]:
    """Patterns that cover nearly everything, whatever they are about."""
    pattern, kind = _text(values, "pattern"), _kind(values)
    if _flag(values, "is_regex"):
        yield from _regex_dangers(pattern, kind, f"{verb} everything", f"{verb.lower()}s all mail", "pattern")
        return
    if kind == PatternType.DOMAIN:
        yield from _suffix(checks.ascii_domain(pattern), verb)
    if kind == PatternType.IP:
        yield from _wide_network(pattern, verb)


def _suffix(domain: str, verb: str) -> Iterator[Danger]:
    if hosts.is_public_suffix(domain):
        told = f"{_named(domain)} is no company's domain: registries sell names below it to everybody."
        yield Danger("public_suffix", told, f"{verb} everything below {_named(domain)}", "pattern")
    elif hosts.is_private_suffix(domain):
        told = f"Anybody can get a name below {_named(domain)}. If subdomains count, this covers strangers."
        yield Danger("private_suffix", told, f"{verb} {_named(domain)}", "pattern", is_hint=True)


def _wide_network(pattern: str, verb: str) -> Iterator[Danger]:
    network = checks.network_of(pattern)
    if network is None or network.prefixlen >= (WIDEST_V4 if network.version == 4 else WIDEST_V6):
        return
    size = f"{network.num_addresses:,} addresses" if network.version == 4 else "more addresses than one company has"
    told = f"{network} holds {size}. Write the network that mail really comes from."
    yield Danger("wide_network", told, f"{verb} all of {network}", "pattern")


def _many_senders(values: Values, verb: str) -> Iterator[Danger]:
    """Domains under which strangers write, however the pattern is spelled."""
    pattern, kind = _text(values, "pattern"), _kind(values)
    if _flag(values, "is_regex"):
        yield from _many_found(pattern, kind, verb)
    elif kind == PatternType.DOMAIN:
        domain = checks.ascii_domain(pattern)
        if domain in hosts.PROVIDERS:
            told = f"Anybody gets an address at {domain} in a minute. Name the one address instead."
            yield Danger("mail_provider", told, f"{verb} all of {domain}", "pattern")
        elif hosts.is_below(domain, hosts.MAILERS):
            told = f"{_named(domain)} sends mail for thousands of companies. Name the company's own domain."
            yield Danger("shared_mailer", told, f"{verb} all of {_named(domain)}", "pattern")


def _many_found(pattern: str, kind: PatternType, verb: str) -> Iterator[Danger]:
    runs = regex.compiled(pattern)
    if kind == PatternType.IP or not isinstance(runs, regex.Pattern) or _finds_all(runs, _probes(kind)):
        return
    for suffix in _LARGE_SUFFIXES:
        if all(_finds_strangers_at(runs, f"{name}.{suffix}", kind) for name in ("fjord", "q7", "mail.museum")):
            told = f"It finds every sender whose domain ends in .{suffix}."
            yield Danger("public_suffix", told, f"{verb} everything below .{suffix}", "pattern")
            return
    for code, table, what in (
        ("mail_provider", hosts.PROVIDERS, "where anybody gets an address in a minute"),
        ("shared_mailer", hosts.MAILERS, "which sends mail for thousands of companies"),
    ):
        names = _best_known_first(name for name in table if _finds_strangers_at(runs, name, kind))
        if names:
            yield Danger(
                code, f"It finds everybody at {_listed(names)}, {what}.", f"{verb} all of {names[0]}", "pattern"
            )


def _trusted_sender(values: Values) -> Iterator[Danger]:
    if _flag(values, "is_regex"):
        yield Danger(
            "trusted_regex",
            "A trusted sender skips all detections, and a regular expression may find more senders than are meant.",
            "Trust whatever this expression finds",
            "is_regex",
        )
    else:
        yield Danger(
            "trusted_sender",
            "A trusted sender skips all detections: mail from its hijacked mailbox passes unseen. If its mail was only "
            "called Spam, Spoof or Bulk, acceptable sender is enough.",
            "Skip all detections for this sender",
            "is_trusted_sender",
        )


def _exempt_recipients(values: Values, others: Lists) -> Iterator[Danger]:
    pattern, kind = _text(values, "pattern"), _kind(values)
    own = _own(others)
    if _flag(values, "is_regex"):
        runs = regex.compiled(pattern)
        covered = [name for name in own if isinstance(runs, regex.Pattern) and _finds_strangers_at(runs, name, kind)]
    else:
        domain = checks.ascii_domain(pattern) if kind == PatternType.DOMAIN else ""
        covered = [name for name in own if domain and _is_within(name, domain)]
    if covered:
        told = f"Nobody at {_listed(covered)} is protected any more: all mail to it skips all detections."
        yield Danger("exempt_domain", told, f"End all detections for {_named(covered[0])}", "pattern")
    elif kind == PatternType.DOMAIN and not _flag(values, "is_regex"):
        told = f"Mail to everybody at {_named(pattern)} skips all detections. Name the one mailbox instead."
        yield Danger("exempt_domain", told, f"End all detections for {_named(pattern)}", "pattern")


def _own_domain(values: Values, others: Lists, verb: str) -> Iterator[Danger]:
    """The own domain is what strangers forge first, and what colleagues write from."""
    pattern, kind = _text(values, "pattern"), _kind(values)
    own = _own(others)
    if _flag(values, "is_regex"):
        runs = regex.compiled(pattern)
        if not isinstance(runs, regex.Pattern) or _finds_all(runs, _probes(kind)):
            return
        covered = [name for name in own if _finds_strangers_at(runs, name, kind)]
    elif kind == PatternType.DOMAIN:
        domain = checks.ascii_domain(pattern)
        covered = [name for name in own if _is_within(domain, name) or _is_within(name, domain)]
    elif kind == PatternType.EMAIL:
        domain = checks.ascii_domain(pattern.rpartition("@")[2])
        covered = [name for name in own if _is_within(domain, name)]
    else:
        return
    if not covered:
        return
    if verb == "Block":
        told = f"{_listed(covered)} is your own domain: colleagues' mail would be refused."
        yield Danger("own_domain_blocked", told, f"Block mail from {_named(covered[0])}", "pattern")
    else:
        passes = (
            "Only its proof keeps forged mail out." if _flag(values, "verify_sender") else "Forged mail would pass."
        )
        told = f"{_listed(covered)} is your own domain, the one that strangers forge first. {passes}"
        yield Danger("own_domain_allowed", told, f"Allow mail that says it is from {_named(covered[0])}", "pattern")


def _conflicts(values: Values, others: Iterable[Listed], state: str, accept: str) -> Iterator[Danger]:
    """Entries of the other list that say the opposite of the same mail."""
    if not _is_about_sender(values):
        return
    for other in others:
        if _is_about_sender(other.values) and (how := _overlap(values, other.values)):
            told = f"{_named(other.name)} is {state} and {how}. Which of the two counts is not known; take one away."
            yield Danger("conflict", told, accept, "pattern")


def _is_about_sender(values: Values) -> bool:
    """Blocked senders always are; an allow policy may be about a recipient alone."""
    is_allowed = _flag(values, "is_trusted_sender") or _flag(values, "is_acceptable_sender")
    return is_allowed or not _flag(values, "is_exempt_recipient")


def _overlap(mine: Values, theirs: Values) -> str:
    """How two sender patterns meet, as the end of a sentence about theirs; "" if they do not, as far as can be told."""
    my_pattern, my_kind, my_regex = _text(mine, "pattern"), _kind(mine), _flag(mine, "is_regex")
    pattern, kind, is_regex = _text(theirs, "pattern"), _kind(theirs), _flag(theirs, "is_regex")
    if not my_pattern or not pattern:
        return ""
    if my_regex and is_regex:
        return "is the same pattern" if (my_pattern, my_kind) == (pattern, kind) else ""
    if my_regex:
        return "is found by this expression" if _finds(my_pattern, my_kind, pattern, kind) else ""
    if is_regex:
        return "finds this pattern" if _finds(pattern, kind, my_pattern, my_kind) else ""
    if PatternType.IP in (my_kind, kind):
        return _networks_overlap(my_pattern, pattern)
    if my_kind == kind:
        return "is the same pattern" if _as_sent(mine) == _as_sent(theirs) else ""
    domains = {checks.ascii_domain(text.rpartition("@")[2]) for text in (my_pattern, pattern)}
    if len(domains) == 2:
        return ""
    return "covers this address" if kind == PatternType.DOMAIN else "is an address of this domain"


def _finds(expression: str, kind: PatternType, text: str, text_kind: PatternType) -> bool:
    """Whether an expression about addresses, domains or IPs finds what a plain pattern names."""
    runs = regex.compiled(expression)
    if not isinstance(runs, regex.Pattern):
        return False
    text = text.casefold()
    if kind == text_kind:
        return runs.found_in(text)
    if PatternType.IP in (kind, text_kind):
        return False
    if kind == PatternType.DOMAIN:
        return runs.found_in(text.rpartition("@")[2])
    return _finds_strangers_at(runs, text, kind)


def _networks_overlap(mine: str, theirs: str) -> str:
    one, other = checks.network_of(mine), checks.network_of(theirs)
    if one is None or other is None:
        return ""
    if one == other:
        return "is the same pattern"
    if checks.covers(other, one):
        return "covers this network"
    return "lies in this network" if checks.covers(one, other) else ""


def _as_sent(values: Values) -> str:
    return checks.as_sent(_text(values, "pattern"), str(_kind(values)), is_regex=False).casefold()


# --- the other lists --------------------------------------------------------------------------------------------------


def _trusted_domains(values: Values) -> Iterator[Danger]:
    pattern = _text(values, "pattern")
    if _flag(values, "is_regex"):
        told = "trusts every domain"
        yield from _regex_dangers(pattern, PatternType.DOMAIN, "Trust every domain", told, "pattern")
    else:
        domain = checks.ascii_domain(pattern)
        yield from _suffix(domain, "Trust")
        if domain in hosts.PROVIDERS:
            told = f"Anybody gets an address at {domain} in a minute."
            yield Danger("mail_provider", told, f"Trust all of {domain}", "pattern")
    if _flag(values, "is_recent") and _flag(values, "is_similarity"):
        yield Danger(
            "both_exemptions",
            "Neither its age nor its likeness to your own domains counts any more: exactly what a look-alike domain "
            "needs. Tick the one that was wrong about it.",
            "Trust it in both ways",
            "is_similarity",
        )


def _impersonation_registry(values: Values) -> Iterator[Danger]:
    if _flag(values, "is_email_regex"):
        told = "takes every address for this person's own, so that nobody is ever caught"
        yield from _regex_dangers(_text(values, "email"), PatternType.EMAIL, "Accept every address", told, "email")


def _sending_domain_restrictions(values: Values) -> Iterator[Danger]:
    domain = checks.ascii_domain(_text(values, "domain"))
    if hosts.is_public_suffix(domain):
        told = f"{_named(domain)} is no company's domain. Mail without TLS would be dropped from everybody below it."
        yield Danger("public_suffix", told, f"Drop mail without TLS from {_named(domain)}", "domain")
    elif domain in hosts.PROVIDERS:
        told = f"Mail of everybody at {domain} would be dropped wherever it comes without TLS."
        yield Danger("mail_provider", told, f"Drop mail without TLS from {domain}", "domain", is_hint=True)


def _domains(values: Values) -> Iterator[Danger]:
    if Disposition.NONE in {Disposition(str(value)) for value in _items(values, "drop_dispositions")}:
        yield Danger(
            "drops_clean_mail",
            "Clean mail would be dropped: nearly everything.",
            "Drop clean mail",
            "drop_dispositions",
        )
    if "drop_dispositions" in values and not _items(values, "drop_dispositions"):
        yield Danger(
            "drops_nothing",
            "No verdict keeps mail out: what is found to be Malicious is delivered as well.",
            "Deliver everything",
            "drop_dispositions",
        )
    if ends_scanning(values):
        yield Danger(
            "scans_nothing_new",
            "New mail is not scanned any more, only mail of the past: its protection ends in all but name.",
            "Scan no new mail",
            "allowed_delivery_modes",
        )
    networks = [checks.network_of(str(network)) for network in _items(values, "ip_restrictions")]
    is_direct = "DIRECT" in {str(mode).upper() for mode in _items(values, "allowed_delivery_modes")}
    if is_direct and "ip_restrictions" in values and not networks:
        yield Danger(
            "open_to_all",
            "Mail may arrive directly and from everywhere: whoever knows the server goes round your own checks before "
            "it. Name the networks that deliver.",
            "Take mail from everywhere",
            "ip_restrictions",
            is_hint=True,  # where Cloudflare is the only door, that is how it has to be
        )
    for network in networks:
        if network is not None and network.prefixlen < (8 if network.version == 4 else 20):
            told = f"{network} restricts next to nothing. Write the networks that deliver."
            yield Danger("wide_network", told, f"Take mail from all of {network}", "ip_restrictions")
    for name, way in (("require_tls_inbound", "in"), ("require_tls_outbound", "on")):
        if name in values and values[name] is not None and not _flag(values, name):
            told = f"Without TLS on the way {way} mail can be read and changed between the servers."
            yield Danger("tls_off", told, "Leave TLS off", name, is_hint=True)


def _content_policies(values: Values) -> Iterator[Danger]:
    yield from _regex_dangers(_text(values, "pattern"), None, "Block all mail", "blocks all mail", "pattern")


def _url_ignore_patterns(values: Values) -> Iterator[Danger]:
    pattern = _text(values, "pattern")
    yield from _regex_dangers(pattern, "URL", "Rewrite no link at all", "leaves every link as it is", "pattern")
    runs = regex.compiled(pattern)
    if not isinstance(runs, regex.Pattern) or _finds_all(runs, _PROBES["URL"]):
        return
    names = _best_known_first(
        host for host in hosts.SHARED_HOSTS if any(runs.found_in(link.format(host)) for link in _STRANGERS_LINKS)
    )
    if names:
        told = f"At {_listed(names)} strangers put up what they like. Name your own folder or tenant there."
        yield Danger("shared_host", told, f"Leave all links to {names[0]} as they are", "pattern")


# --- expressions ------------------------------------------------------------------------------------------------------


def _regex_dangers(pattern: str, kind: str | None, accept: str, does: str, field: str) -> Iterator[Danger]:
    if not pattern:
        yield Danger("finds_everything", f"An empty pattern {does}.", accept, field)
        return
    runs = regex.compiled(pattern)
    if isinstance(runs, regex.Broken):  # cannot be saved in any case
        return
    if isinstance(runs, regex.Untestable):
        yield Danger("untestable", f"{runs.told} Look at it twice.", "Save it untested", field, is_hint=True)
        return
    if _finds_all(runs, _PROBES["URL"] if kind == "URL" else _probes(kind)):
        yield Danger("finds_everything", f"The expression finds every text: it {does}.", accept, field)
    elif kind is not None and (dot := _loose_dot(pattern)):
        told = f"The dot in {_named(dot)} stands for any character: write {_named(dot.replace('.', chr(92) + '.'))}."
        yield Danger("loose_dot", told, "Leave the dot as it is", field, is_hint=True)


def _probes(kind: str | None) -> tuple[str, ...]:
    return _PROBES.get(str(kind) if kind else "TEXT", _PROBES["EMAIL"])


def _finds_all(runs: regex.Pattern, probes: Sequence[str]) -> bool:
    return all(map(runs.found_in, probes))


def _finds_strangers_at(runs: regex.Pattern, domain: str, kind: PatternType) -> bool:
    """Whether any two strangers at a domain would be found."""
    if kind == PatternType.DOMAIN:
        return runs.found_in(domain)
    return runs.found_in(f"q7.zulu@{domain}") and runs.found_in(f"anna@{domain}")


def _best_known_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (_BEST_KNOWN.index(name) if name in _BEST_KNOWN else len(_BEST_KNOWN), name))


def _loose_dot(pattern: str) -> str:
    """The first name in which an unescaped dot stands between letters or digits: gmail.com finds gmailxcom as well."""
    without_escapes = _ESCAPED_OR_CLASS.sub(" ", pattern)
    found = _DOTTED.search(without_escapes)
    return found[0] if found else ""


# --- values -----------------------------------------------------------------------------------------------------------


def _text(values: Values, name: str) -> str:
    value = values.get(name)
    return value.strip() if isinstance(value, str) else ""


def _flag(values: Values, name: str) -> bool:
    return values.get(name) is True


def _items(values: Values, name: str) -> list[Any]:
    value = values.get(name)
    return list(value) if isinstance(value, (list, tuple)) else []


def _kind(values: Values) -> PatternType:
    return PatternType(str(values.get("pattern_type") or "UNKNOWN"))


def _own(others: Lists) -> list[str]:
    return [ascii_form for domain in others.own_domains if (ascii_form := checks.ascii_domain(domain.strip()))]


def _is_within(domain: str, wide: str) -> bool:
    return domain == wide or domain.endswith(f".{wide}")


def _named(text: str) -> str:
    """What a person typed, short enough for a sentence and a button."""
    return text if len(text) <= _LONGEST_NAMED else f"{text[: _LONGEST_NAMED - 1]}…"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(_named, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


_LOOKS: dict[str, Callable[[Values], Iterator[Danger]]] = {
    "trusted_domains": _trusted_domains,
    "impersonation_registry": _impersonation_registry,
    "sending_domain_restrictions": _sending_domain_restrictions,
    "domains": _domains,
    "content_policies": _content_policies,
    "url_ignore_patterns": _url_ignore_patterns,
}
_LOOKS_AROUND: dict[str, Callable[[Values, Lists], Iterator[Danger]]] = {
    "allow_policies": _allow_policies,
    "block_senders": _block_senders,
}
