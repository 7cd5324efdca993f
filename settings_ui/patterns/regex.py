"""Running people's regular expressions safely: Java's dialect, which the service uses, on an engine of linear time.

A pattern goes through `_Translation` (Java's spelling to RE2's) and is then run by RE2 alone. Python's `re` reads
spellings here and never runs what somebody typed: one pattern with nested repetitions would hold a process for hours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

LONGEST = 2048
FOUND_ANYWHERE = True
"""Whether a match may lie anywhere in the text instead of covering it whole. Source: unknown, no document says."""

_MOST_MEMORY = 2 << 20  # bytes for one pattern, its program and its cache of states together
_MOST_KEPT = 16  # patterns: lists are compared with one again and again
_NOT_HERE = "Cloudflare may accept it all the same."

Ranges = tuple[tuple[int, int], ...]
_SPACE: Ranges = ((0x09, 0x0D), (0x20, 0x20))
_HORIZONTAL: Ranges = (
    (0x09, 0x09), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x180E, 0x180E), (0x2000, 0x200A), (0x202F, 0x202F),
    (0x205F, 0x205F), (0x3000, 0x3000),
)  # fmt: skip
_VERTICAL: Ranges = ((0x0A, 0x0D), (0x85, 0x85), (0x2028, 0x2029))
_SETS = {"s": _SPACE, "h": _HORIZONTAL, "v": _VERTICAL}
_LINE_BREAK = r"(?:\r\n|[\n\x{B}\f\r\x{85}\x{2028}\x{2029}])"
_BEFORE_LAST_BREAK = r"(?:(?:\r\n|[\n\r\x{85}\x{2028}\x{2029}])?\z)"

_POSIX = {
    "Lower": "lower", "Upper": "upper", "ASCII": "ascii", "Alpha": "alpha", "Digit": "digit", "Alnum": "alnum",
    "Punct": "punct", "Graph": "graph", "Print": "print", "Blank": "blank", "Cntrl": "cntrl", "XDigit": "xdigit",
    "Space": "space",
}  # fmt: skip
_SCRIPT = re.compile(r"(?:Is|script=|sc=)([A-Z][a-z]{2,}(?:_[A-Z][a-z]+)*)")
_CATEGORY = re.compile(r"(?:Is|general_category=|gc=)?([CLMNPSZ][a-z]?)")
_BRACES = re.compile(r"\{([^{}]*)\}")
_REPETITION = re.compile(r"\{([0-9]{1,9})(?:(,)([0-9]{1,9})?)?\}")
_FLAGS = re.compile(r"\?([idmsuxU]*)(-[idmsuxU]*)?([:)])")
_NAMED = re.compile(r"\?<([A-Za-z][A-Za-z0-9]*)>")
_LOOKING = {"?=": "look-ahead", "?!": "look-ahead", "?<=": "look-behind", "?<!": "look-behind", "?>": "an atomic group"}


@dataclass(frozen=True)
class Untestable:
    """The service may take the pattern, but it cannot be run here."""

    told: str


@dataclass(frozen=True)
class Broken:
    """The service cannot take the pattern either; `told` says where and what to do."""

    told: str


@dataclass(frozen=True)
class Pattern:
    """A pattern that can be run. Takes time in proportion to the text, whatever the pattern is."""

    _compiled: Any

    def found_in(self, text: str) -> bool:
        find = self._compiled.search if FOUND_ANYWHERE else self._compiled.fullmatch
        return find(text.encode("utf-8", "replace")) is not None


@lru_cache(maxsize=_MOST_KEPT)
def compiled(pattern: str) -> Pattern | Untestable | Broken:
    """The pattern ready to be run, or a sentence on why it is not.

    Two differences to Java are left, neither of which matters for one line of text: `.` also matches the rarer line
    breaks, and `$` does not match before one at the end. Case counts unless the pattern says `(?i)`, as in Java.
    """
    if not pattern:
        return Broken("The pattern is empty. Write what it is to find.")
    if len(pattern) > LONGEST:
        return Broken(f"The pattern has {len(pattern):,} characters; {LONGEST:,} is the most. Make it shorter.")
    if not pattern.isascii() and any("\ud800" <= character <= "\udfff" for character in pattern):
        return Broken("The pattern holds half of a character that needs two. Type it again instead of pasting it.")
    try:
        translated = _Translation(pattern).whole()
    except _Stopped as stop:
        return stop.verdict
    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.never_capture = True
    options.log_errors = False
    try:
        return Pattern(re2.compile(translated.encode(), options))
    except re2.error as problem:
        return _refused(problem)
    finally:
        re2.purge()  # its own cache would keep 128 of them


def _refused(problem: Exception) -> Untestable | Broken:
    """What RE2's own refusal means; what is broken in Java as well was mostly found before."""
    reason = problem.args[0] if problem.args else b""
    told = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    if told.startswith("invalid character class range") and r"\p" not in told and r"\P" not in told:
        return Broken("A range between [ and ] runs backwards, as in [z-a]. Turn it round.")
    if "repetition size" in told:
        return Untestable(f"It repeats more often than can be tested here (1,000 times). {_NOT_HERE}")
    if "too large" in told or "nesting" in told or "too deep" in told:
        return Untestable(f"It is too large to be tested here. {_NOT_HERE}")
    return Untestable(f"It holds a construct that cannot be tested here. {_NOT_HERE}")


class _Stopped(Exception):
    """Translation cannot go on."""

    def __init__(self, verdict: Untestable | Broken) -> None:
        super().__init__(verdict.told)
        self.verdict = verdict


def _untestable(construct: str) -> _Stopped:
    return _Stopped(Untestable(f"It uses {construct}, which cannot be tested here. {_NOT_HERE}"))


class _Translation:
    """One pass over a Java pattern, character by character, that writes the same pattern for RE2."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.written: list[str] = []
        self.open: list[tuple[int, bool]] = []  # where each open group began, and whether spaces were ignored before
        self.names: set[str] = set()
        self.ignores_spaces = False  # (?x)
        self.repeatable = False  # whether the last thing written can be repeated

    def whole(self) -> str:
        while self.at < len(self.pattern):
            self._next()
        if self.open:
            raise self._broken(f"The ( at character {self.open[-1][0] + 1} is never closed. Add the ) or write \\(.")
        return "".join(self.written)

    def _next(self) -> None:
        character = self.pattern[self.at]
        if self.ignores_spaces and (character in " \t\n\x0b\f\r" or character == "#"):
            self._skip_remark(character)
            return
        match character:
            case "\\":
                self._write(self._escape(in_class=False))
            case "[":
                self._write(self._class())
            case "(":
                self._group()
            case ")":
                if not self.open:
                    raise self._broken(f"The ) at character {self.at + 1} closes nothing. Take it away or write \\).")
                _, self.ignores_spaces = self.open.pop()
                self._write(")", 1)
            case "|":
                self._write("|", 1, repeatable=False)
            case "*" | "+" | "?" | "{":
                self._repetition(character)
            case _:
                self._write(character if character in "^$." else _literal(character), 1)

    def _write(self, text: str, length: int = 0, *, repeatable: bool = True) -> None:
        self.written.append(text)
        self.at += length
        self.repeatable = repeatable

    def _skip_remark(self, character: str) -> None:
        self.at += 1
        if character == "#":
            end = self.pattern.find("\n", self.at)
            self.at = len(self.pattern) if end < 0 else end + 1

    def _broken(self, told: str) -> _Stopped:
        return _Stopped(Broken(told))

    # --- groups ---

    def _group(self) -> None:
        begin = self.at
        rest = self.pattern[begin + 1 : begin + 4]
        for spelling in ("?<=", "?<!", "?=", "?!", "?>"):
            if rest.startswith(spelling):
                raise _untestable(f"{_LOOKING[spelling]} at character {begin + 1}")
        if not rest.startswith("?"):
            self.open.append((begin, self.ignores_spaces))
            self._write("(?:", 1, repeatable=False)
        elif named := _NAMED.match(self.pattern, begin + 1):
            if named[1] in self.names:
                raise self._broken(f"Two groups are called {named[1]}. Give one of them another name.")
            self.names.add(named[1])
            self.open.append((begin, self.ignores_spaces))
            self._write("(?:", 1 + len(named[0]), repeatable=False)
        elif flags := _FLAGS.match(self.pattern, begin + 1):
            self._flags(begin, flags)
        elif rest.startswith("?P"):
            raise self._broken(
                f"(?P at character {begin + 1} is Python's spelling. Write (?<name>...) for a named group."
            )
        else:
            raise self._broken(
                f"The (? at character {begin + 1} begins nothing that Java knows. Write \\( for a bracket."
            )

    def _flags(self, begin: int, flags: re.Match[str]) -> None:
        """`(?i)` up to the end of the group around it, `(?i:...)` for a group of its own."""
        on, off = flags[1], (flags[2] or "")[1:]
        if "U" in on:
            raise _untestable(f"the flag U at character {begin + 1}")
        if flags[3] == ":":
            self.open.append((begin, self.ignores_spaces))
        self.ignores_spaces = ("x" in on or self.ignores_spaces) and "x" not in off
        # RE2 always compares letters of all languages (u) and knows one line break (d).
        kept_on = "".join(flag for flag in "ims" if flag in on)
        kept_off = "".join(flag for flag in "ims" if flag in off)
        kept = kept_on + (f"-{kept_off}" if kept_off else "")
        if flags[3] == ":":
            self._write(f"(?{kept}:", 1 + len(flags[0]), repeatable=False)
        else:
            self._write(f"(?{kept})" if kept else "", 1 + len(flags[0]), repeatable=False)

    # --- repetitions ---

    def _repetition(self, character: str) -> None:
        begin, sign = self.at, character
        if character == "{":
            counted = _REPETITION.match(self.pattern, begin)
            if counted is None or (counted[3] and int(counted[3]) < int(counted[1])):
                raise self._broken(
                    f"The {{ at character {begin + 1} is no repetition like {{2,5}}. Write \\{{ for a brace itself."
                )
            sign = counted[0]
        if not self.repeatable:
            raise self._broken(
                f"The {character} at character {begin + 1} has nothing to repeat. Write \\{character} for the sign."
            )
        following = self.pattern[begin + len(sign) : begin + len(sign) + 1]
        if following == "+":
            raise _untestable(f"a possessive repetition at character {begin + 1}")
        self._write(sign, len(sign), repeatable=False)
        if following == "?":
            self._write("?", 1, repeatable=False)
        elif following == "{":
            raise _untestable(f"a repetition of a repetition at character {begin + 1}")

    # --- escapes ---

    def _escape(self, *, in_class: bool) -> str:
        """What stands for the escape at `at`, which is moved behind it."""
        begin = self.at
        if begin + 1 >= len(self.pattern):
            raise self._broken("It ends in a lone \\. Write \\\\ for the sign itself.")
        character = self.pattern[begin + 1]
        self.at = begin + 2
        if not (character.isascii() and character.isalnum()):
            return _literal(character)
        if character.isdigit():
            return self._octal() if character == "0" else self._back_reference(begin)
        if character in "QpPxuckN":
            return self._long_escape(character, begin, in_class=in_class)
        if character in "dDwW":
            return "\\" + character
        if character in "sShHvV":
            return _set(_SETS[character.lower()], others=character.isupper(), in_class=in_class)
        if character in "tnrfae":
            return _literal("\t\n\r\f\a\x1b"["tnrfae".index(character)])
        if character not in "bBAzZGRX":
            raise self._broken(
                f"\\{character} at character {begin + 1} means nothing in Java. Write {character} alone."
            )
        if in_class:
            raise self._broken(f"\\{character} at character {begin + 1} has no meaning between [ and ]. Take it out.")
        if character in "GX" or self.pattern.startswith("{", self.at):
            raise _untestable(f"\\{character} at character {begin + 1}")
        return {"R": _LINE_BREAK, "Z": _BEFORE_LAST_BREAK}.get(character, "\\" + character)

    def _long_escape(self, character: str, begin: int, *, in_class: bool) -> str:
        match character:
            case "Q":
                return self._quoted()
            case "p" | "P":
                return self._property(begin, others=character == "P", in_class=in_class)
            case "k":
                return self._back_reference(begin)
            case "N":
                raise _untestable(f"a character by its name (\\N) at character {begin + 1}")
            case "c":
                if self.at >= len(self.pattern):
                    raise self._broken(f"The \\c at character {begin + 1} wants a letter behind it.")
                self.at += 1
                return _literal(chr(ord(self.pattern[self.at - 1]) ^ 64))
        return self._code(character, begin)

    def _code(self, character: str, begin: int) -> str:
        """`\\x41`, `\\x{1F600}`, `\\u0041`; two of the last for a character beyond them."""
        number = r"\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{2})" if character == "x" else r"()([0-9A-Fa-f]{4})"
        found = re.compile(number).match(self.pattern, self.at)
        if found is None:
            raise self._broken(f"The \\{character} at character {begin + 1} wants a number, as in \\x41 or \\u0041.")
        self.at = found.end()
        code = int(found[1] or found[2], 16)
        if character == "u" and 0xD800 <= code <= 0xDBFF:
            second = re.compile(r"\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})").match(self.pattern, self.at)
            if second is not None:
                self.at = second.end()
                code = 0x10000 + ((code - 0xD800) << 10) + int(second[1], 16) - 0xDC00
        if 0xD800 <= code <= 0xDFFF:
            raise _untestable(f"half of a character at character {begin + 1}")
        if code > 0x10FFFF:
            raise self._broken(f"There is no character with the number at character {begin + 1}. Correct it.")
        return f"\\x{{{code:X}}}"

    def _octal(self) -> str:
        found = re.compile(r"[0-3][0-7]{2}|[0-7]{1,2}").match(self.pattern, self.at)
        if found is None:
            raise self._broken(f"The \\0 at character {self.at - 1} wants an octal number behind it, as in \\012.")
        self.at = found.end()
        return f"\\x{{{int(found[0], 8):X}}}"

    def _back_reference(self, begin: int) -> str:
        raise _untestable(f"a back-reference at character {begin + 1}")

    def _quoted(self) -> str:
        """`\\Q...\\E`: every character stands for itself."""
        end = self.pattern.find("\\E", self.at)
        quoted = self.pattern[self.at : end if end >= 0 else len(self.pattern)]
        self.at = len(self.pattern) if end < 0 else end + 2
        return "".join(map(_literal, quoted))

    def _property(self, begin: int, *, others: bool, in_class: bool) -> str:
        braces = _BRACES.match(self.pattern, self.at)
        name = braces[1] if braces else self.pattern[self.at : self.at + 1]
        if not name:
            raise self._broken(f"The \\p at character {begin + 1} wants a property behind it, as in \\p{{L}}.")
        self.at += len(braces[0]) if braces else 1
        negation = "^" if others else ""
        if name in _POSIX:
            return f"[:{negation}{_POSIX[name]}:]" if in_class else f"[[:{negation}{_POSIX[name]}:]]"
        known = _CATEGORY.fullmatch(name) or _SCRIPT.fullmatch(name)
        if known is None:
            raise _untestable(f"the property \\p{{...}} at character {begin + 1}")
        return f"\\{'P' if others else 'p'}{{{known[1]}}}"

    # --- classes ---

    def _class(self) -> str:
        begin = self.at
        self.at += 1
        pieces = ["["]
        if self.pattern.startswith("^", self.at):
            pieces.append("^")
            self.at += 1
        is_first = True
        while True:
            if self.at >= len(self.pattern):
                raise self._broken(f"The [ at character {begin + 1} is never closed. Add the ] or write \\[.")
            character = self.pattern[self.at]
            if character == "]" and not is_first:
                self.at += 1
                return "".join([*pieces, "]"])
            if character == "[":
                raise _untestable(f"a class within a class at character {self.at + 1}")
            if self.pattern.startswith("&&", self.at):
                raise _untestable(f"an intersection (&&) at character {self.at + 1}")
            if self.ignores_spaces and (character.isspace() or character == "#"):
                self._skip_remark(character)
                continue
            is_first = False
            if character == "\\":
                pieces.append(self._escape(in_class=True))
            else:
                pieces.append("-" if character == "-" else _literal(character))
                self.at += 1


def _literal(character: str) -> str:
    """The character itself, in a spelling that means nothing else anywhere in a pattern."""
    return character if character.isalnum() and character.isascii() else f"\\x{{{ord(character):X}}}"


def _set(ranges: Ranges, *, others: bool, in_class: bool) -> str:
    items = "".join(f"\\x{{{low:X}}}-\\x{{{high:X}}}" for low, high in (_complement(ranges) if others else ranges))
    return items if in_class else f"[{items}]"


def _complement(ranges: Ranges) -> Ranges:
    found, below = [], 0
    for low, high in ranges:
        if below < low:
            found.append((below, low - 1))
        below = high + 1
    return (*found, (below, 0x10FFFF))
