"""The invented company whose mail is simulated: Tarnfell Instruments, makers of sensors for water and weather.

Every domain ends in a reserved top-level domain (RFC 2606) and every address lies in a documentation range (RFC 5737,
RFC 3849), so nothing here can point to anybody real.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import NamedTuple

NAME = "Tarnfell Instruments"
MAIN = "tarnfell.example"
GERMAN = "tarnfell-messtechnik.example"
FRENCH = "tarnfell-mesure.example"
ACQUIRED = "oakmere-sensors.example"  # bought last year; no mailbox integration yet
DOMAINS = (MAIN, GERMAN, FRENCH, ACQUIRED)


class Person(NamedTuple):
    first: str
    last: str
    address: str
    title: str
    department: str
    languages: tuple[str, ...]  # the first is their own
    draw: int  # how much attention attackers pay to them

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


class Partner(NamedTuple):
    """A supplier, customer or service the company deals with."""

    name: str
    domain: str
    trade: str
    language: str
    people: tuple[str, ...]


# Who attackers look for: their names and titles are on the company's site.
LEADERS = (
    ("Maren", "Aldersey", MAIN, "Chief Executive Officer", "Executive", ("en",), 30),
    ("Tobias", "Whitlock", MAIN, "Chief Financial Officer", "Executive", ("en", "de"), 28),
    ("Priya", "Ramanathan", MAIN, "Chief Operating Officer", "Executive", ("en",), 16),
    ("Henrik", "Solvang", MAIN, "Chief Technology Officer", "Executive", ("en",), 12),
    ("Deborah", "Finch", MAIN, "Head of Accounts Payable", "Finance", ("en",), 34),
    ("Callum", "Brody", MAIN, "Accounts Payable Clerk", "Finance", ("en",), 26),
    ("Yusuf", "Okafor", MAIN, "Payroll Manager", "HR", ("en",), 24),
    ("Alice", "Penhallow", MAIN, "Head of People", "HR", ("en",), 18),
    ("Ravi", "Dasgupta", MAIN, "Senior Systems Administrator", "IT", ("en",), 20),
    ("Lena", "Sorokin", MAIN, "IT Service Desk Lead", "IT", ("en", "uk"), 16),
    ("Judith", "Kestrel", MAIN, "Assistant to the CEO", "Executive", ("en",), 22),
    ("Matthias", "Oberhaus", GERMAN, "Geschäftsführer", "Executive", ("de", "en"), 22),
    ("Sabine", "Kranzler", GERMAN, "Leiterin Buchhaltung", "Finance", ("de", "en"), 26),
    ("Jörg", "Wiesental", GERMAN, "Personalleiter", "HR", ("de",), 12),
    ("Hélène", "Marchetaux", FRENCH, "Directrice générale", "Executive", ("fr", "en"), 18),
    ("Benoît", "Lacassagne", FRENCH, "Responsable comptabilité", "Finance", ("fr", "en"), 22),
    ("Oliver", "Grantley", ACQUIRED, "Managing Director", "Executive", ("en",), 10),
    ("Naomi", "Thackeray", ACQUIRED, "Finance Manager", "Finance", ("en",), 12),
)

_FIRST = {
    "en": [
        "Amara",
        "Graham",
        "Fiona",
        "Declan",
        "Rosalind",
        "Marcus",
        "Imogen",
        "Stephen",
        "Chiara",
        "Neil",
        "Wendy",
        "Arjun",
        "Bethany",
        "Leonard",
        "Siobhan",
        "Kofi",
        "Heather",
        "Dominic",
        "Gillian",
        "Rowan",
        "Tessa",
        "Angus",
        "Martha",
        "Femi",
        "Louise",
        "Patrick",
        "Sunita",
        "Edwin",
        "Carys",
        "Malcolm",
    ],
    "de": [
        "Anke",
        "Dietmar",
        "Ute",
        "Florian",
        "Katrin",
        "Holger",
        "Svenja",
        "Bernd",
        "Miriam",
        "Uwe",
        "Steffi",
        "Lukas",
        "Petra",
        "Ansgar",
        "Nele",
        "Gerrit",
    ],
    "fr": [
        "Camille",
        "Thierry",
        "Solène",
        "Mathieu",
        "Odile",
        "Rémi",
        "Fabienne",
        "Loïc",
        "Anaïs",
        "Gérard",
        "Élodie",
        "Yann",
    ],
}
_LAST = {
    "en": [
        "Thornbury",
        "Mallory",
        "Ashdown",
        "Pickersgill",
        "Langdale",
        "Osei",
        "Wetherby",
        "Carrick",
        "Hollis",
        "Bancroft",
        "Redfern",
        "Mukherjee",
        "Swale",
        "Tindall",
        "Calloway",
        "Mensah",
        "Prowse",
        "Darnell",
        "Ormond",
        "Strickland",
        "Lomax",
        "Greaves",
        "Haddow",
        "Adeyemi",
        "Birtles",
        "Quayle",
        "Rathbone",
        "Selwyn",
        "Varley",
        "Winslade",
    ],
    "de": [
        "Brinkhoff",
        "Eschenbach",
        "Quandel",
        "Rautenberg",
        "Hollerbach",
        "Stieglitz",
        "Mühlbauer",
        "Tiedemann",
        "Wachholz",
        "Grünwald",
        "Lohmeier",
        "Fassbinder",
        "Kaltenbach",
        "Reuschel",
        "Zinnow",
        "Dornseif",
    ],
    "fr": [
        "Bellerive",
        "Courtaud",
        "Delmotte",
        "Fontanel",
        "Garrigues",
        "Hautmont",
        "Jolivet",
        "Lestrade",
        "Montclar",
        "Peyrolles",
        "Rocheval",
        "Vautrin",
    ],
}
_ROLES = {
    "Sales": ("Account Manager", "Sales Engineer", "Inside Sales", "Key Account Manager", "Export Coordinator"),
    "Engineering": ("Firmware Engineer", "Hardware Engineer", "Test Engineer", "Systems Architect", "Release Manager"),
    "Purchasing": ("Buyer", "Strategic Purchaser", "Supply Planner"),
    "Production": ("Line Supervisor", "Calibration Technician", "Quality Engineer", "Warehouse Lead"),
    "Support": ("Support Engineer", "Field Service Planner", "Technical Writer"),
    "Finance": ("Controller", "Accounts Receivable Clerk", "Treasury Analyst"),
    "HR": ("People Partner", "Recruiter"),
    "IT": ("Systems Administrator", "Network Engineer"),
    "Marketing": ("Content Manager", "Events Coordinator", "Product Marketing Manager"),
    "Legal": ("Contracts Counsel", "Data Protection Officer"),
}
_HEADCOUNT = (
    ("Sales", 20), ("Engineering", 22), ("Purchasing", 9), ("Production", 17), ("Support", 11),
    ("Finance", 7), ("HR", 5), ("IT", 5), ("Marketing", 5), ("Legal", 2),
)  # fmt: skip
_DRAW = {"Finance": 9, "HR": 7, "IT": 7, "Purchasing": 4, "Sales": 3, "Legal": 3}
_FURTHER = ("es", "it", "nl", "pl", "pt", "uk", "ja")  # spoken in export sales, purchasing and support
_PLAIN = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "é": "e", "è": "e", "î": "i", "ï": "i", "É": "E", "ô": "o"}
)


def plain(name: str) -> str:
    """A name as it is written in addresses."""
    return name.translate(_PLAIN).lower().replace(" ", "-").replace("'", "")


@lru_cache(maxsize=1)
def people() -> tuple[Person, ...]:
    """All staff; the same every time."""
    staff = [Person(f, l, f"{plain(f)}.{plain(l)}@{domain}", *rest) for f, l, domain, *rest in LEADERS]  # noqa: E741
    taken = {person.address for person in staff}
    rng = Random("tarnfell staff")
    further = 0
    for department, count in _HEADCOUNT:
        for _ in range(count):
            language = rng.choices(("en", "de", "fr"), (62, 24, 14))[0]
            domain = {"de": GERMAN, "fr": FRENCH}.get(language) or rng.choices((MAIN, ACQUIRED), (88, 12))[0]
            while True:
                first, last = rng.choice(_FIRST[language]), rng.choice(_LAST[language])
                address = f"{plain(first)}.{plain(last)}@{domain}"
                if address not in taken:
                    break
            taken.add(address)
            languages = (language,) if language == "en" else (language, "en")
            if department in {"Sales", "Purchasing", "Support"}:
                languages += (_FURTHER[further % len(_FURTHER)],)
                further += 1
            title = rng.choice(_ROLES[department])
            staff.append(Person(first, last, address, title, department, languages, _DRAW.get(department, 2)))
    return tuple(staff)


@lru_cache(maxsize=64)
def speakers(language: str, department: str | None = None) -> tuple[Person, ...]:
    """Who would be written to in this language; natives first in weight, never empty."""
    in_department = [p for p in people() if department in {None, p.department}]
    own = tuple(p for p in in_department if p.languages[0] == language)
    some = own or tuple(p for p in in_department if language in p.languages)
    return some or tuple(p for p in people() if language in p.languages) or people()


def leaders() -> tuple[Person, ...]:
    return people()[: len(LEADERS)]


@lru_cache(maxsize=1)
def chiefs() -> tuple[Person, ...]:
    """Those at the top, whose names open doors."""
    return tuple(person for person in leaders() if person.title.startswith(("Chief", "Geschäftsführer", "Directrice")))


SUPPLIERS = (
    Partner("Corrin Castings", "corrin-castings.example", "housings", "en", ("Gareth Pell", "Joanne Corrin")),
    Partner("Brightmoor Electronics", "brightmoor.example", "circuit boards", "en", ("Nadia Sheikh", "Tom Eastway")),
    Partner("Lumenfeld Optik", "lumenfeld-optik.example", "Linsen", "de", ("Ralf Zerbst", "Ines Wolframm")),
    Partner(
        "Kabelwerk Ostertal", "kabelwerk-ostertal.example", "Sensorleitungen", "de", ("Doris Hagemann", "Ulf Pätz")
    ),
    Partner("Atelier Verrazane", "verrazane.example", "pièces usinées", "fr", ("Luc Verrazane", "Marion Estève")),
    Partner("Pressofusione Garda", "presso-garda.example", "fusioni", "it", ("Stefano Bellandi", "Elisa Morandin")),
    Partner("Tyne Valley Packaging", "tynevalley-pack.example", "packaging", "en", ("Kirsty Nixon",)),
    Partner("Polmetra", "polmetra.example", "śruby i złącza", "pl", ("Agnieszka Wrona", "Marek Zalewa")),
    Partner("De Waard Transport", "dewaard-transport.example", "transport", "nl", ("Sjoerd de Waard", "Anouk Verhey")),
    Partner("Sensoria Ibérica", "sensoria-iberica.example", "calibración", "es", ("Lucía Ferrándiz", "Iván Morales")),
    Partner("Lusotec Cabos", "lusotec.example", "cabos", "pt", ("Rui Candeias", "Inês Falcato")),
    Partner("Minato Precision", "minato-precision.example", "精密部品", "ja", ("佐伯 美香", "堀内 健")),
    Partner("Dnipro Metal", "dnipro-metal.example", "металеві корпуси", "uk", ("Оксана Гринько",)),
    Partner("Halcyon Freight", "halcyon-freight.example", "freight", "en", ("Dev Patel-Hart", "Moira Lang")),
    Partner("Penrose Calibration", "penrose-cal.example", "calibration", "en", ("Edith Penrose",)),
)

CUSTOMERS = (
    Partner("Ardmuir Water Board", "ardmuir-water.example", "flow meters", "en", ("Catriona Blair", "Hamish Orr")),
    Partner("Northgate Harbour Authority", "northgate-harbour.example", "tide gauges", "en", ("Sean Maddox",)),
    Partner(
        "Stadtwerke Brunnthal", "stadtwerke-brunnthal.example", "Pegelsonden", "de", ("Karin Vogtländer", "Heiko Prass")
    ),
    Partner("Wetterdienst Alpenrand", "wetter-alpenrand.example", "Windsensoren", "de", ("Sepp Reitinger",)),
    Partner(
        "Syndicat des Eaux du Vernois",
        "eaux-vernois.example",
        "sondes de niveau",
        "fr",
        ("Pauline Astier", "Hugo Maillet"),
    ),
    Partner("Aguas del Pisuerga", "aguas-pisuerga.example", "caudalímetros", "es", ("Beatriz Olmedo",)),
    Partner("Consorzio Bonifica Adese", "bonifica-adese.example", "idrometri", "it", ("Paolo Trevisani",)),
    Partner("Waterschap Oosterdijk", "oosterdijk.example", "peilmeters", "nl", ("Femke Hoogstra",)),
    Partner("Wodociągi Górnej Wisły", "wodociagi-gw.example", "przepływomierze", "pl", ("Piotr Szelig",)),
    Partner("Kestrel Wind Farms", "kestrelwind.example", "anemometers", "en", ("Louisa Braid", "Owen Parry-Lane")),
    Partner("Fjordline Aquaculture", "fjordline-aqua.example", "oxygen probes", "en", ("Ingrid Moe",)),
    Partner("Institut Hydrographique du Sud", "hydro-sud.example", "courantomètres", "fr", ("Agathe Romieu",)),
)

# Services whose notices fill every company's mail.
SERVICES = {
    "tickets": Partner("Deskhollow", "deskhollow.example", "service desk", "en", ()),
    "build": Partner("Forgeline CI", "forgeline.example", "builds", "en", ()),
    "code": Partner("Codeberth", "codeberth.example", "code review", "en", ()),
    "travel": Partner("Wayfarer Business", "wayfarer-business.example", "travel", "en", ()),
    "meet": Partner("Convene", "convene-meet.example", "meetings", "en", ()),
    "sign": Partner("SignHarbor", "signharbor.example", "signatures", "en", ()),
    "files": Partner("Stowbox", "stowbox.example", "file sharing", "en", ()),
    "monitor": Partner("Pulsewatch", "pulsewatch.example", "monitoring", "en", ()),
    "expenses": Partner("Perdiem", "perdiem-app.example", "expenses", "en", ()),
    "learning": Partner("Lernspur", "lernspur.example", "training", "en", ()),
    "bulkmail": Partner("Mailsprout", "mailsprout.example", "mass mail", "en", ()),
    "drill": Partner("Hookproof", "hookproof-training.example", "phishing simulation", "en", ()),
}

# Brands attackers pretend to be: invented, of the well-known kinds.
BRANDS = {
    "office": ("Workspace 365", "workspace365.example", "#2b5fab"),
    "bank": ("Norrbank", "norrbank.example", "#0b6e4f"),
    "bank-de": ("Sparring Bank", "sparring-bank.example", "#c4122f"),
    "bank-fr": ("Crédit Lorrain", "credit-lorrain.example", "#1f7a4c"),
    "parcel": ("ParcelWing", "parcelwing.example", "#d9822b"),
    "parcel-de": ("Paketwerk", "paketwerk.example", "#b58900"),
    "sign": ("SignHarbor", "signharbor.example", "#274a87"),
    "files": ("Stowbox", "stowbox.example", "#3b6fd4"),
    "payroll": ("PeopleBay", "peoplebay.example", "#6b4ba3"),
    "voice": ("RingFolio", "ringfolio.example", "#31708f"),
    "wallet": ("CoinHaven", "coinhaven.example", "#7a5c00"),
    "stream": ("Viewlane", "viewlane.example", "#a3213a"),
}
