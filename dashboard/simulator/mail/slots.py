"""What fills the gaps in a text: people, numbers, dates, names of things.

Each gap's value depends only on a seed and the gap's name, so a subject written while generating and a body written
when somebody opens the message agree. `((a|b|c))` in a text chooses one wording per campaign.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random

WEEKDAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag",
    "fr": "lundi mardi mercredi jeudi vendredi",
    "es": "lunes martes miércoles jueves viernes",
    "it": "lunedì martedì mercoledì giovedì venerdì",
    "nl": "maandag dinsdag woensdag donderdag vrijdag",
    "pl": "poniedziałek wtorek środa czwartek piątek",
    "pt": "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira",
    "uk": "понеділок вівторок середа четвер п\u2019ятниця",
    "ja": "月曜日 火曜日 水曜日 木曜日 金曜日",
}
MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "uk": "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
    "ja": "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
}
_MONTHS = {language: names.split() for language, names in MONTHS.items()}
_WEEKDAYS = {language: names.split() for language, names in WEEKDAYS.items()}

PRODUCTS = (
    "HydroLine 40", "TideProbe S", "GaugeBox 3", "AeroVane M2", "StillWell Logger", "FlowEye 200", "BaroNode",
    "SiltSense", "RainTip Pro", "OxyProbe 7", "LevelCast", "NimbusMast", "DepthLink 12", "RiverHub Gateway",
)  # fmt: skip
PROJECTS = (
    "Harbour Gauge", "Blue Weir", "Northern Mast", "Estuary 2027", "Quiet Pump", "Copper Reed", "Saltmarsh",
    "Second Tide", "Lower Lock", "Open Sluice", "Grey Heron", "Long Pier", "Millrace", "Windward",
)  # fmt: skip
CITIES = (
    "Rotterdam", "Aberdeen", "Hamburg", "Lyon", "Bilbao", "Bergen", "Gdańsk", "Porto", "Genoa", "Antwerp", "Cork",
    "Bremen", "Nantes", "Malmö", "Trieste", "Leeds",
)  # fmt: skip
PARTS = (
    "M12 connectors", "lens assemblies", "stainless housings", "PCB rev F", "O-ring kits", "cable glands",
    "mast brackets",
    "lithium packs", "desiccant cartridges", "pressure cells", "turbine wheels", "calibration blocks",
)  # fmt: skip
TOPICS = (
    "the spare parts list", "the revised drawing", "site access", "the acceptance test", "the delivery schedule",
    "the calibration certificates", "the framework agreement", "the maintenance window", "the installation photos",
    "the firmware update", "the warranty case", "packaging dimensions", "the tender questions", "the pilot results",
)  # fmt: skip
HOSTS = (
    "edge-gw-02",
    "build-linux-4",
    "vpn-north",
    "erp-db-1",
    "files-02",
    "mqtt-prod",
    "wiki",
    "cal-bench-3",
    "shop-web-1",
)
BRANCHES = (
    "modbus-retry",
    "tls-renewal",
    "rain-bucket-fix",
    "ota-rollback",
    "units-refactor",
    "lte-watchdog",
    "csv-export",
)

_CENT_COMMA = frozenset({"de", "fr", "es", "it", "nl", "pl", "pt", "uk"})


def money(amount: float, language: str) -> str:
    """An amount as written in that language's countries."""
    text = f"{amount:,.2f}"
    if language == "en":
        return f"£{text}"
    if language == "ja":
        return f"{int(amount * 160):,}円"
    if language in _CENT_COMMA:
        text = (
            text.replace(",", " ").replace(".", ",").replace(" ", "\u00a0" if language in {"fr", "pl", "uk"} else ".")
        )
    return f"{text} {({'pl': 'zł', 'uk': 'грн'}).get(language, '€')}"


def date(moment: datetime, language: str) -> str:
    if language == "ja":
        return f"{moment.month}月{moment.day}日"
    month = _MONTHS[language][moment.month - 1]
    if language == "de":
        return f"{moment.day}. {month}"
    if language in {"es", "pt"}:
        return f"{moment.day} de {month}"
    return f"{moment.day} {month}"


def _digits(count: int) -> Callable[[Random, Slots], str]:
    low = 10 ** (count - 1)
    return lambda rng, _slots: str(rng.randrange(low, low * 10))


def _one_of(values: tuple[str, ...]) -> Callable[[Random, Slots], str]:
    return lambda rng, _slots: rng.choice(values)


def _number(low: int, high: int) -> Callable[[Random, Slots], str]:
    return lambda rng, _slots: str(rng.randint(low, high))


def _sum(low: float, high: float) -> Callable[[Random, Slots], str]:
    def fill(rng: Random, slots: Slots) -> str:
        exact = low * (high / low) ** rng.random()
        return money(round(exact, 2), slots.language)

    return fill


def _day(low: int, high: int) -> Callable[[Random, Slots], str]:
    return lambda rng, slots: date(_working_day(rng, slots, low, high), slots.language)


def _working_day(rng: Random, slots: Slots, low: int, high: int) -> datetime:
    day = slots.day + timedelta(days=rng.randint(low, high))
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() >= 5 else 0)


def _weekday(_rng: Random, slots: Slots) -> str:
    """The weekday of `{date}`, so that both can stand side by side."""
    day = _working_day(Random(f"{slots.shared_seed}/date"), slots, 2, 24)
    return _WEEKDAYS[slots.language][day.weekday()]


def _token(length: int) -> Callable[[Random, Slots], str]:
    return lambda rng, _slots: "".join(rng.choices("abcdefghijkmnpqrstuvwxyz23456789", k=length))


PROVIDERS: Mapping[str, Callable[[Random, Slots], str]] = {
    "ref": lambda rng, _s: f"{rng.randrange(1000, 9999)}-{rng.randrange(1000, 9999)}",
    "num": _digits(5),
    "long": _digits(9),
    "po": lambda rng, _s: f"PO-{rng.randrange(20_000, 48_000)}",
    "inv": lambda rng, s: f"{rng.choice(('INV', 'RE', 'F', 'R'))}-{s.day.year}-{rng.randrange(100, 9800):04d}",
    "ticket": lambda rng, _s: f"#{rng.randrange(30_000, 69_999)}",
    "qty": lambda rng, _s: str(rng.choice((12, 20, 24, 40, 48, 60, 75, 100, 120, 150, 200, 250, 400, 500, 750, 1200))),
    "few": _number(2, 9),
    "hours": lambda rng, _s: str(rng.choice((12, 24, 36, 48, 72))),
    "days": lambda rng, _s: str(rng.choice((2, 3, 5, 7, 10, 14))),
    "pct": _number(4, 60),
    "high": _number(91, 99),
    "gb": lambda rng, _s: f"{rng.uniform(47.1, 49.9):.1f}",
    "sum": _sum(420, 68_000),
    "small": _sum(18, 640),
    "fee": _sum(1.2, 4.9),
    "ransom": _sum(900, 2_400),
    "date": _day(2, 24),
    "soon": _day(1, 4),
    "past": _day(-16, -2),
    "month": lambda _r, s: _MONTHS[s.language][s.day.month - 1] if s.language == "ja" else _month_name(s),
    "year": lambda _r, s: str(s.day.year),
    "nextyear": lambda _r, s: str(s.day.year + 1),
    "week": lambda _r, s: str(s.day.isocalendar()[1]),
    "quarter": lambda _r, s: f"Q{(s.day.month - 1) // 3 + 1}",
    "weekday": _weekday,
    "time": lambda rng, _s: f"{rng.randrange(8, 18):02d}:{rng.choice((0, 15, 30, 45)):02d}",
    "length": lambda rng, _s: f"00:{rng.randrange(11, 58)}",
    "product": _one_of(PRODUCTS),
    "project": _one_of(PROJECTS),
    "city": _one_of(CITIES),
    "town": _one_of(CITIES[::-1]),
    "part": _one_of(PARTS),
    "topic": _one_of(TOPICS),
    "host": _one_of(HOSTS),
    "branch": _one_of(BRANCHES),
    "version": lambda rng, _s: f"{rng.randint(2, 7)}.{rng.randint(0, 14)}.{rng.randint(0, 9)}",
    "token": _token(10),
    "code": lambda rng, _s: f"{rng.randrange(16**7):07x}",
    "phone": lambda rng, _s: f"+44 20 7946 0{rng.randrange(100, 999)}",  # reserved for drama by the regulator
    "iban": lambda rng, _s: f"XX00 {rng.randrange(1000, 9999)} {rng.randrange(1000, 9999)} {rng.randrange(1000, 9999)}",
    "wallet": lambda rng, s: "bc1q-example-" + _token(16)(rng, s),
    "flight": lambda rng, _s: f"{rng.choice(('XE', 'QZ'))} {rng.randrange(200, 4800)}",
    "tracking": lambda rng, _s: f"PW{rng.randrange(10**8, 10**9)}{rng.choice('GBDEFR')}",
}


def _month_name(slots: Slots) -> str:
    if slots.language in {"pl", "uk"}:  # the genitive of a date would be wrong on its own
        return f"{slots.day.month:02d}/{slots.day.year}"
    return _MONTHS[slots.language][slots.day.month - 1]


class Slots(dict[str, str]):
    """Values by gap name; missing ones are invented on demand and kept."""

    def __init__(
        self,
        known: Mapping[str, str],
        *,
        language: str,
        at: float,
        shared_seed: int,
        own_seed: int,
        varying: frozenset[str],
    ) -> None:
        super().__init__(known)
        self.language = language
        self.day = datetime.fromtimestamp(at, UTC)
        self.shared_seed = shared_seed
        self.own_seed = own_seed
        self.varying = varying

    def __missing__(self, name: str) -> str:
        kind = name.rstrip("0123456789")
        seed = self.own_seed if kind in self.varying else self.shared_seed
        value = PROVIDERS[kind](Random(f"{seed}/{name}"), self)
        self[name] = value
        return value


_CHOICE = re.compile(r"\(\(([^()]*)\)\)")


def fill(text: str, slots: Slots) -> str:
    """The text with choices made and gaps filled."""
    if "((" in text:
        rng = Random(f"{slots.shared_seed}/{len(text)}")
        text = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text)
    return text.format_map(slots) if "{" in text else text
