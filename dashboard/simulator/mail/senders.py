"""Who sends a campaign: names, addresses, networks and how their authentication turns out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from dashboard.simulator.mail import company
from dashboard.simulator.mail.company import Partner, Person
from dashboard.simulator.mail.family import Family, SenderStyle
from dashboard.simulator.mail.record import SenderInfo, Validation

FREE_MAIL = ("freepost.example", "quickmailbox.example", "inboxly.example", "postfach24.example", "boitelibre.example")
LURE_WORDS = ("secure", "login", "verify", "portal", "support", "id", "account", "service", "notice", "auth")
COMPANY_LOOK_ALIKES = (
    "tarnfe1l.example", "tarnfeil.example", "tarmfell.example", "tarnfell-hr.example", "tarnfell-portal.test",
    "tarnfell.sso-gate.test", "tarnfelI-it.example".lower(), "t\u0430rnfell.example", "tarnf\u0435ll.example",
)  # fmt: skip
THROWAWAY = (
    "brisk",
    "lumen",
    "kite",
    "opal",
    "fern",
    "cobalt",
    "sunny",
    "delta",
    "maple",
    "orbit",
    "prime",
    "velvet",
    "north",
    "quick",
)
THROWAWAY2 = (
    "reach",
    "deals",
    "growth",
    "offers",
    "mailing",
    "connect",
    "leads",
    "media",
    "hub",
    "direct",
    "trend",
    "point",
)
BUSINESSES = (
    "bluebird-bakery", "harrow-dental", "kiln-and-clay", "sundby-el", "casa-olivares", "orrin-roofing",
    "studio-mirabel", "maison-tilleul",
    "falk-und-sohn", "garage-delorme", "vela-turismo", "puerto-azul", "meyer-gartenbau", "lakeside-vets",
    "ostrava-print", "northfold-school",
    "willow-physio", "atlas-camping", "kroon-bouw", "lindqvist-law",
)  # fmt: skip
FAIRS = ("HydroFair", "Sensor Forum North", "Offshore Data Days", "Flow & Level", "Baltic Metrology Week", "WetterTech")
NETWORKS = (  # documentation AS numbers, RFC 5398
    ("US/Virginia/Ashburn", "Example Cloud East", 64496),
    ("DE/Hessen/Frankfurt", "Beispiel Rechenzentrum GmbH", 64497),
    ("GB/England/London", "Sample Mail Relay Ltd", 64498),
    ("FR/Île-de-France/Paris", "Exemple Hébergement SAS", 64499),
    ("NL/Noord-Holland/Amsterdam", "Voorbeeld Hosting BV", 64500),
    ("IE/Leinster/Dublin", "Specimen Mail Cloud", 64501),
    ("PL/Mazowieckie/Warszawa", "Przykład Sieci", 64502),
)
ROUGH_NETWORKS = (
    ("SC/-/-", "Offshore Sample Hosting", 64505),
    ("BR/São Paulo/São Paulo", "Exemplo Telecom", 64506),
    ("VN/Hà Nội/Hanoi", "Specimen Broadband", 64507),
    ("NG/Lagos/Lagos", "Sample Wireless", 64508),
    ("RO/București/Bucharest", "Exemplu Servere SRL", 64509),
    ("US/Texas/Dallas", "Placeholder VPS", 64510),
    ("HK/-/-", "Demo Colocation", 64511),
)
_FURTHER_NAMES = {
    "es": ("Marta Quiroga", "Javier Etxeberri", "Noelia Prats", "Andrés Villarta"),
    "it": ("Giorgia Belfiore", "Matteo Rivarossa", "Carla Santori"),
    "nl": ("Jeroen Kuipers", "Marloes Teunis", "Pim van Rijswaard"),
    "pl": ("Joanna Krupa-Lis", "Tomasz Borek", "Ewa Mickiewska"),
    "pt": ("Tiago Sobral", "Helena Vasques", "Duarte Moreno"),
    "uk": ("Ірина Левчук", "Андрій Савчин"),
    "ja": ("山下 玲奈", "中原 誠"),
    "en": (
        "Adaeze Nwosu",
        "Brett Landry",
        "Cheryl Ostrow",
        "Desmond Achebe",
        "Elena Maras",
        "Farid Haddad",
        "Gwen Purcell",
        "Hugo Steed",
    ),
    "de": ("Arno Lüders", "Britta Schön", "Christoph Wendel", "Dagmar Pohl"),
    "fr": ("Alix Berthault", "Cyril Noailles", "Dorothée Lamy"),
}
PASS = Validation("pass", "pass", "pass", "spf=pass; dkim=pass; dmarc=pass")


@dataclass(frozen=True, slots=True)
class Network:
    helo: str
    hop: str
    originating: str | None
    info: SenderInfo


@dataclass(frozen=True, slots=True)
class Sender:
    """`name` may hold gaps. `link` is where the campaign's buttons lead, without a trailing slash."""

    style: SenderStyle
    name: str
    person: str  # who signs
    address: str
    envelope: str
    replyto: str | None
    validation: Validation
    network: Network
    link: str
    partner: Partner
    brand: tuple[str, str]
    leader: Person

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def ascii_domain(domain: str) -> str:
    """The wire form of a possibly internationalised domain."""
    return domain.encode("idna").decode("ascii")


def _address(rng: Random) -> str:
    if rng.random() < 0.14:
        return f"2001:db8:{rng.randrange(1, 0xFFFF):x}::{rng.randrange(1, 0xFFFF):x}"
    return f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(1, 255)}"


@lru_cache(maxsize=4096)
def network_of(domain: str) -> Network:
    """The usual network of an honest domain; always the same one."""
    return _network(Random(f"network {domain}"), domain, NETWORKS)


def _network(rng: Random, domain: str, choices: tuple[tuple[str, str, int], ...]) -> Network:
    geo, name, number = rng.choice(choices)
    helo = _address(rng)
    hop = helo if rng.random() < 0.6 else _address(rng)
    originating = _address(rng) if rng.random() < 0.35 else None
    return Network(helo, hop, originating, SenderInfo(helo, geo, name, number, registrable(domain)))


def registrable(domain: str) -> str:
    return ".".join(domain.split(".")[-2:])


def _forged(rng: Random, domain: str, ip: str) -> Validation:
    spf = rng.choice(("fail", "fail", "neutral", "none"))
    dkim = rng.choice(("none", "none", "fail"))
    return Validation(
        spf,
        dkim,
        "fail",
        f"spf={spf} ({domain} does not designate {ip}); dkim={dkim}; dmarc=fail (header.from={domain})",
    )


def _own_domain(rng: Random) -> Validation:
    kind = rng.random()
    if kind < 0.55:
        return PASS
    if kind < 0.8:
        return Validation("pass", "none", "none", "spf=pass; dkim=none (not signed); dmarc=none (no record)")
    if kind < 0.9:
        return Validation("neutral", "none", "none", "spf=neutral; dkim=none (not signed); dmarc=none (no record)")
    return Validation("none", "error", "none", "spf=none; dkim=error (key could not be fetched); dmarc=none")


def _pick(partners: tuple[Partner, ...], language: str, rng: Random) -> Partner:
    same = [partner for partner in partners if partner.language == language]
    return rng.choice(same or partners)


def stranger(language: str, rng: Random) -> str:
    return rng.choice(_FURTHER_NAMES[language])


def _local(name: str) -> str:
    """An address's local part for a name; scripts that have no plain form get a role instead."""
    text = company.plain(name).replace("-", ".", 1)
    ascii_text = "".join(char for char in text if char.isascii() and (char.isalnum() or char in ".-"))
    return ascii_text if len(ascii_text) >= len(text) - 2 and ascii_text else "office"


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", company.plain(text)).strip("-")


def make_sender(family: Family, language: str, names: tuple[str, ...], rng: Random) -> Sender:
    """The sender of one campaign."""
    style = family.style
    partner = company.SERVICES[family.service] if family.service else _pick(company.SUPPLIERS, language, rng)
    leader = rng.choice(company.chiefs())
    brand_name, brand_domain, _ = company.BRANDS.get(f"{family.brand}-{language}") or company.BRANDS.get(
        family.brand or "office", ("", "", "")
    )
    person = stranger(language, rng)
    lure = rng.choice(LURE_WORDS)
    ending = rng.choice(("example", "example", "test"))
    throwaway = f"{rng.choice(THROWAWAY)}{rng.choice(('', '-'))}{rng.choice(THROWAWAY2)}.{ending}"
    name = rng.choice(names) if names else person
    replyto: str | None = None
    envelope: str | None = None
    validation: Validation | None = None
    rough = True
    hosting = f"{rng.choice(('pages', 'web', 'cdn-host', 'sites'))}.{rng.choice(('test', 'example'))}"
    link = f"https://{rng.choice(THROWAWAY)}-{lure}.{hosting}"

    match style:
        case SenderStyle.LOOKALIKE_BRAND:
            stem = brand_domain.split(".")[0]
            twisted = stem.replace("o", "0", 1) if rng.random() < 0.3 else stem
            domain = (
                f"{twisted}-{lure}.{rng.choice(('example', 'test'))}"
                if rng.random() < 0.7
                else f"{stem}.{lure}-{rng.choice(THROWAWAY2)}.test"
            )
            local = rng.choice(("no-reply", "notice", "security", "account", "service", "alerts"))
            link = f"https://{rng.choice(('www', 'auth', 'login', 'my'))}.{domain}"
        case SenderStyle.LOOKALIKE_COMPANY:
            domain = ascii_domain(rng.choice(COMPANY_LOOK_ALIKES))
            local = rng.choice(("hr", "it-service", "servicedesk", "no-reply", "people"))
            link = f"https://{rng.choice(('sso', 'portal', 'my'))}.{domain}"
        case SenderStyle.LOOKALIKE_SUPPLIER:
            person = rng.choice(partner.people)
            stem = partner.domain.rpartition(".")[0]
            domain = rng.choice(
                (
                    f"{stem}s.example",
                    f"{stem.replace('i', '1', 1)}-.example".replace("-.", "-co."),
                    f"{stem}-accounts.test",
                )
            )
            local = _local(person)
            replyto = f"{local}@{rng.choice(FREE_MAIL)}" if rng.random() < 0.5 else None
        case SenderStyle.IMPERSONATED_LEADER:
            domain, person = rng.choice(FREE_MAIL), leader.name
            local = rng.choice(
                (
                    f"{leader.last.lower()}.office{rng.randrange(10, 99)}",
                    f"{leader.first[0].lower()}.{leader.last.lower()}{rng.randrange(100, 999)}",
                    f"ceo.desk{rng.randrange(10, 99)}",
                )
            )
            local = company.plain(local)
            replyto = f"{local}{rng.randrange(10)}@{rng.choice(FREE_MAIL)}" if rng.random() < 0.4 else None
            validation, rough = PASS, False
        case SenderStyle.COMPROMISED:
            domain, local = f"{rng.choice(BUSINESSES)}.example", _local(person)
            validation, rough = PASS if rng.random() < 0.8 else None, False
        case SenderStyle.HIJACKED_SUPPLIER:
            person, domain = rng.choice(partner.people), partner.domain
            local, validation = _local(person), PASS
            replyto = f"{local}@{domain.rpartition('.')[0]}-office.test"
        case SenderStyle.SPOOFED_SUPPLIER:
            person, domain = rng.choice(partner.people), partner.domain
            local = rng.choice((_local(person), "accounts", "invoices"))
            envelope = f"www-data@{rng.choice(BUSINESSES)}.example"
        case SenderStyle.SPOOFED_COMPANY:
            domain = company.GERMAN if language == "de" else company.MAIN
            local = rng.choice(("scanner", "no-reply", "postmaster", "it"))
            envelope = f"bounce-{rng.randrange(1000, 9999)}@{throwaway}"
        case SenderStyle.THROWAWAY:
            domain, local = throwaway, rng.choice(("info", "hello", "news", _local(person), "contact", "team"))
            label = rng.choice(("go", "click", "offer", "www"))
            link = f"https://{label}.{throwaway}/{rng.choice('abcxyz')}{rng.randrange(10, 99)}"
        case SenderStyle.PUBLISHER:
            if "{" in name:  # the organiser of a trade fair
                name = rng.choice(FAIRS)
            domain = f"{_slug(name)}.example"
            local, rough, validation = ("news", "newsletter", "hello")[len(domain) % 3], False, PASS
            envelope, link = (
                f"bounces@mta{rng.randrange(1, 9)}.{domain}",
                f"https://click.{domain}/c/{rng.randrange(10**5, 10**6)}",
            )
        case SenderStyle.SERVICE:
            domain, local = partner.domain, ("notifications", "no-reply")[len(partner.domain) % 2]
            rough, validation, link = False, PASS, f"https://app.{domain}"
        case SenderStyle.MASS_MAILER:
            person, domain, local = rng.choice(partner.people), partner.domain, rng.choice(("info", "news", "sales"))
            rough = False
            mailer = company.SERVICES["bulkmail"].domain
            envelope, link = (
                f"bounce+{rng.randrange(10**6, 10**7)}@{mailer}",
                f"https://links.{mailer}/{rng.randrange(10**5, 10**6)}",
            )
            validation = Validation(
                "pass",
                "pass",
                "fail",
                f"spf=pass ({mailer}); dkim=pass (d={mailer}, not aligned); dmarc=fail (header.from={domain})",
            )
        case SenderStyle.SUPPLIER | SenderStyle.CUSTOMER:
            partner = _pick(company.SUPPLIERS if style is SenderStyle.SUPPLIER else company.CUSTOMERS, language, rng)
            person, domain, rough, validation = rng.choice(partner.people), partner.domain, False, PASS
            local, link = _local(person), f"https://www.{domain}"
        case SenderStyle.COLLEAGUE:
            colleague = rng.choice(company.speakers(language))
            person, rough, validation = colleague.name, False, PASS
            local, _, domain = colleague.address.partition("@")
            link = f"https://intranet.{domain}"
        case SenderStyle.STRANGER:
            domain, local, rough = (
                rng.choice((f"{rng.choice(BUSINESSES)}.example", rng.choice(FREE_MAIL))),
                _local(person),
                False,
            )

    if style is SenderStyle.MASS_MAILER:
        network = network_of(company.SERVICES["bulkmail"].domain)
    elif style is SenderStyle.HIJACKED_SUPPLIER or rough:
        network = _network(rng, domain, ROUGH_NETWORKS)
    else:
        network = network_of(domain)
    address = f"{local}@{domain}"
    if style in {SenderStyle.SPOOFED_SUPPLIER, SenderStyle.SPOOFED_COMPANY}:
        validation = _forged(rng, domain, network.helo)
    return Sender(
        style=style, name=name if names else person, person=person, address=address, envelope=envelope or address,
        replyto=replyto, validation=validation or _own_domain(rng), network=network, link=link, partner=partner,
        brand=(brand_name, brand_domain), leader=leader,
    )  # fmt: skip
