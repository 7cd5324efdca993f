"""Names that imitate another name: letters of other alphabets, swapped characters, invisible ones."""

from __future__ import annotations

import contextlib
import unicodedata

from dashboard.web.text import punycode, visible
from investigate.message.links import registrable

# Cyrillic a e o p c y x s(dze) i(dotted) j d g(latin script) h n(armenian) v w, then k m t v n; Greek k o a v p t u.
_FOREIGN = (
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u0501\u0261\u04bb\u0578\u0475\u051d"
    "\u043a\u043c\u0442\u0432\u043d\u03ba\u03bf\u03b1\u03bd\u03c1\u03c4\u03c5\u0131"
)
_TWINS = str.maketrans("0135|i" + _FOREIGN, "olesll" + "aeopcyxslldghnvw" + "kmtbhkoavptul")
_SHORTEST_COMPARED = 5  # shorter names are one letter apart by chance


def decoded(host: str) -> str:
    """A host with its `xn--` labels as the letters they stand for; a label that cannot be decoded stays."""
    labels = []
    for label in host.split("."):
        if label.lower().startswith("xn--"):
            with contextlib.suppress(UnicodeError, ValueError):
                label = label[4:].encode("ascii").decode("punycode")
        labels.append(label)
    return ".".join(labels)


def skeleton(name: str) -> str:
    """The name as the eye reads it: two names with one skeleton look alike."""
    plain = unicodedata.normalize("NFKD", decoded(name).casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return plain.translate(_TWINS).replace("rn", "m").replace("vv", "w").replace("-", "")


def imitates(host: str, other: str) -> bool:
    """Whether `host` is another domain than `other` and easily taken for it."""
    mine, theirs = registrable(host).casefold(), registrable(other).casefold()
    if not mine or not theirs or (punycode(mine) or mine) == (punycode(theirs) or theirs):
        return False
    my_name, _, my_ending = mine.partition(".")
    their_name, _, their_ending = theirs.partition(".")
    if len(their_name) < _SHORTEST_COMPARED:
        return skeleton(my_name) == skeleton(their_name) and my_name != their_name
    if skeleton(my_name) == skeleton(their_name):
        return my_name != their_name or my_ending != their_ending
    if their_name in my_name.split("-") and my_name != their_name:
        return True
    return abs(len(my_name) - len(their_name)) <= 1 and one_apart(my_name, their_name)


def one_apart(one: str, other: str) -> bool:
    """Whether one letter added, left out, changed, or two neighbours swapped turn one into the other."""
    if len(one) < len(other):
        one, other = other, one
    at = 0
    while at < len(other) and one[at] == other[at]:
        at += 1
    if len(one) == len(other):
        swapped = one[at + 1 : at + 2] == other[at : at + 1] and one[at : at + 1] == other[at + 1 : at + 2]
        return one[at + 1 :] == other[at + 1 :] or (swapped and one[at + 2 :] == other[at + 2 :])
    return len(one) - len(other) == 1 and one[at + 1 :] == other[at:]


def mixed_alphabets(host: str) -> bool:
    """Whether a label mixes Latin letters with those of another alphabet: no honest name does."""
    for label in decoded(host).split("."):
        scripts = {_alphabet(letter) for letter in label if letter.isalpha()}
        if "LATIN" in scripts and len(scripts) > 1:
            return True
    return False


def _alphabet(letter: str) -> str:
    return unicodedata.name(letter, "UNKNOWN").partition(" ")[0]


def has_hidden_characters(text: str) -> bool:
    """Whether the text holds characters that are nothing to look at."""
    return visible(text) != text
