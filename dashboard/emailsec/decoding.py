"""Reading answers tolerantly: missing, null, extra and wrongly typed optional fields never break a page.

Two steps. The usual answer fits its struct once the nulls are gone, and msgspec converts it in one go. One that does
not fit is gone through field by field: what cannot be read counts as absent, and only a missing *required* field
(an id) is an error.
"""

from __future__ import annotations

import datetime as dt
import re
import types
from collections.abc import Mapping
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

from dashboard.emailsec.times import parse_time

T = TypeVar("T")

Malformed = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not JSON (deep nesting included) or not of the expected shape."""


# An escape in JSON text: a pair of surrogates, a lone one, or any other (so that `\\ud800` is not taken for one).
_ESCAPE = re.compile(
    rb"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def parse(body: bytes) -> object:
    """JSON data. Raises one of `Malformed`.

    A lone surrogate, which a hostile subject can smuggle into otherwise sound JSON, becomes U+FFFD: one message must
    not make the whole page it is on unreadable.
    """
    data: object
    try:
        data = msgspec.json.decode(body)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(lambda match: rb"\ufffd" if match[2] else match[0], body)
        if mended == body:
            raise
        data = msgspec.json.decode(mended)
    return data


def read(raw: object, kind: type[T]) -> T:
    """`raw` (plain JSON data) as a struct of type `kind`; msgspec.ValidationError if a required field is missing."""
    cleaned = _without_nulls(raw)
    try:
        return msgspec.convert(cleaned, kind)
    except msgspec.ValidationError:
        salvaged: T = _salvage(cleaned, kind)
        return salvaged


def read_list(raw: object, kind: type[T]) -> tuple[T, ...]:
    """A list of structs, each of which must be readable: a row silently left out would be a lie."""
    if not isinstance(raw, list):
        raise msgspec.ValidationError("expected an array")
    return tuple(read(item, kind) for item in raw)


def read_those(raw: object, kind: type[T]) -> tuple[T, ...]:
    """The structs of a list that can be read, for work that must not stop at a row nobody could use anyway."""
    if not isinstance(raw, list):
        raise msgspec.ValidationError("expected an array")
    found = []
    for item in raw:
        try:
            found.append(read(item, kind))
        except (msgspec.ValidationError, ValueError):
            continue
    return tuple(found)


def _without_nulls(raw: Any) -> Any:
    if isinstance(raw, dict):
        return {key: _without_nulls(value) for key, value in raw.items() if value is not None}
    if isinstance(raw, list):
        return [_without_nulls(value) for value in raw if value is not None]
    return raw


def _salvage(raw: Any, kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _salvage_struct(raw, kind)
    origin = get_origin(kind)
    if origin is tuple:
        return _salvage_tuple(raw, get_args(kind)[0])
    if origin in (Union, types.UnionType):
        for arm in get_args(kind):
            try:
                return _salvage(raw, arm)
            except msgspec.ValidationError:
                continue
        raise msgspec.ValidationError("fits none of the expected types")
    if kind is str and isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)  # ids were numbers once
    if kind is dt.datetime and isinstance(raw, str):
        moment = parse_time(raw)
        if moment is None:
            raise msgspec.ValidationError("not a time")
        return moment
    return msgspec.convert(raw, kind, strict=kind is str or kind is dt.datetime)


def _salvage_struct(raw: Any, kind: type[msgspec.Struct]) -> msgspec.Struct:
    if not isinstance(raw, Mapping):
        raise msgspec.ValidationError("expected an object")
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in raw:
            continue
        try:
            values[field.name] = _salvage(raw[field.encode_name], field.type)
        except msgspec.ValidationError:
            continue  # as if it were absent
    try:
        return kind(**values)
    except (TypeError, ValueError) as exc:  # a required field is missing, or __post_init__ says so
        raise msgspec.ValidationError(str(exc)) from exc


def _salvage_tuple(raw: Any, item: Any) -> tuple[Any, ...]:
    # The older generation answers a single object here and there where a list is documented.
    found = []
    for value in raw if isinstance(raw, list) else [raw]:
        try:
            found.append(_salvage(value, item))
        except msgspec.ValidationError:
            continue
    return tuple(found)
