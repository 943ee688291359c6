"""JSON with exact decimals: numbers with a point are Decimal in both directions.

The only module that imports simplejson and msgspec: the standard library cannot write a Decimal as a number, and
takes twice as long to parse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cache
from typing import Any, NoReturn

import simplejson

MAX_DIGITS = 400
MAX_DEPTH = 100
_NESTING = (dict, list)  # as a parser makes them
_LONG = 10**18  # an integer beyond it is left to the strict parser

# As `str` writes a Decimal whose exponent is above 0 or far below. It begins with a letter, which is looked for
# ten times as fast as a digit: texts such as E-1204 are many.
_EXPONENT = re.compile(r"E(?<=\dE)[+-]\d")


class Unreadable(dict[str, Any]):
    """What stands for a stored value that cannot be read: an object that says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(unreadable=reason)


class JsonFault(ValueError):
    """Invalid JSON, or JSON that is refused.

    Line and column count from 1; they are 0 when unknown.
    """

    def __init__(self, reason: str, line: int = 0, column: int = 0) -> None:
        where = f"line {line} column {column}: " if line else ""
        super().__init__(f"{where}{reason}")
        self.reason = reason
        self.line = line
        self.column = column


def loads(text: str | bytes) -> Any:
    """Parse text that PostgreSQL or this module wrote.

    No stored value stops its reader: numbers of thousands of digits are Decimal, and Unreadable stands for
    what is nested too deep for this parser.
    """
    text = text.decode() if isinstance(text, bytes) else text
    try:
        return _decoder().decode(text)
    except RecursionError:
        return Unreadable("nested too deep")
    except simplejson.JSONDecodeError:
        raise
    except ValueError:  # Python's int takes 4,300 digits at most
        return _long_number_decoder().decode(text)


def dumps(value: Any) -> str:
    """Write compact JSON on one line.

    Unicode is unescaped, and Decimals keep their own digits. They are plain numbers: 1000, not 1E+3, up
    to `MAX_DIGITS`; longer ones have an exponent.
    """
    text = _encoder().encode(value)
    if ("E+" in text or "E-" in text) and _EXPONENT.search(text):
        return _encoder().encode(_plain(value))
    return text


def _plain(value: Any) -> Any:
    """Spell out the exponents of the Decimals in a value."""
    if isinstance(value, Decimal):
        text = format(value, "f") if abs(value.adjusted()) < MAX_DIGITS else ""
        return simplejson.RawJSON(text) if 0 < len(text) <= MAX_DIGITS else value
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(child) for child in value]
    return value


@cache  # made once: making one costs as much as writing a record
def _encoder() -> simplejson.JSONEncoder:
    return simplejson.JSONEncoder(
        use_decimal=True,
        ensure_ascii=False,
        separators=(",", ":"),
        for_json=False,
        namedtuple_as_object=False,
    )


@cache  # likewise
def _decoder() -> simplejson.JSONDecoder:
    return simplejson.JSONDecoder(parse_float=Decimal)


@cache
def _long_number_decoder() -> simplejson.JSONDecoder:
    return simplejson.JSONDecoder(parse_float=Decimal, parse_int=Decimal)


@cache
def _strict_decoder() -> simplejson.JSONDecoder:
    return simplejson.JSONDecoder(
        parse_float=_number(Decimal),
        parse_int=_number(int),
        parse_constant=_no_constant,
        object_pairs_hook=_unique_keys,
    )


def loads_strict(text: str) -> Any:
    """Parse text from outside.

    Refused beyond what JSON itself refuses: NaN and infinities, keys listed twice in one
    object, numbers of more than 400 digits, nesting deeper than 100, lone surrogates and NUL in texts.

    Raises:
        JsonFault: With line and column where the parser knows them.
    """
    try:
        value = _strict_decoder().decode(text)
    except simplejson.JSONDecodeError as error:
        raise JsonFault(
            error.msg.lower().replace(" %r at", ""), error.lineno, error.colno
        ) from None
    except RecursionError:
        raise JsonFault(f"nested deeper than {MAX_DEPTH} levels") from None
    if not _surely_storable(text):
        refuse_unstorable(value)
    elif text.count("{") + text.count("[") > MAX_DEPTH:
        _refuse_depth(value)
    return value


def loads_line(text: str) -> Any:
    """Parse one of many lines from outside, as `loads_strict` does.

    What is flat, without escaped characters, is parsed by msgspec in half the time. It takes the last one of two
    equal keys, which the quotes show: each key and each text has two.

    Raises:
        JsonFault: As `loads_strict`.
    """
    found = _flat(text) if "\\" not in text else None
    return loads_strict(text) if found is None else found


def _flat(text: str) -> dict[str, Any] | None:
    """Return an object without objects and lists in it; None for any other text."""
    parse = _flat_parser()
    if parse is None:
        return None
    try:
        found = parse(text)
    except Exception:  # whatever it raises, the strict parser says what is wrong
        return None
    if found.__class__ is not dict:
        return None
    kinds = list(map(type, found.values()))
    if dict in kinds or list in kinds or text.count('"') != 2 * (len(found) + kinds.count(str)):
        return None
    if int in kinds and any(
        value.__class__ is int and not -_LONG < value < _LONG for value in found.values()
    ):
        return None
    return found


@cache
def _flat_parser() -> Callable[[str], Any] | None:
    """Return msgspec's parser with exact decimals; None where it is not installed."""
    try:
        from msgspec.json import Decoder
    except ImportError:
        return None
    return Decoder(float_hook=_number(Decimal)).decode


def _surely_storable(text: str) -> bool:
    """Return whether JSON shows by itself that none of its texts is refused.

    It has no escaped characters and no lone surrogates: most texts need no second pass over their values.
    """
    return "\\u" not in text and (text.isascii() or _encodable(text))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_depth(value: Any) -> None:
    """Refuse nesting that is too deep, level by level; texts are not looked at."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            child
            for one in level
            for child in (one.values() if type(one) is dict else one)
            if type(child) in _NESTING
        ]
        if not level:
            return
    raise JsonFault(f"nested deeper than {MAX_DEPTH} levels")


def refuse_unstorable(value: Any, depth: int = 0) -> None:
    """Refuse a text that cannot be stored, or nesting that is too deep.

    Raises JsonFault for a text PostgreSQL cannot hold, or for nesting deeper than 100.
    """
    if isinstance(value, str):
        _refuse_text(value)
    elif isinstance(value, dict | list):
        if depth >= MAX_DEPTH:
            raise JsonFault(f"nested deeper than {MAX_DEPTH} levels")
        children = value
        if isinstance(value, dict):
            for key in value:
                _refuse_text(key)
            children = value.values()
        for child in children:
            if isinstance(child, str):
                _refuse_text(child)
            elif isinstance(child, dict | list):
                refuse_unstorable(child, depth + 1)


def refuse_texts(values: Iterable[Any]) -> None:
    """Refuse a text that PostgreSQL cannot hold among flat values.

    Raises JsonFault for it. The values hold no other values.
    """
    for value in values:
        if isinstance(value, str) and ("\0" in value or not value.isascii()):
            _refuse_text(value)


def _refuse_text(text: str) -> None:
    if "\0" in text:
        raise JsonFault("a text holds a NUL character, which cannot be stored")
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise JsonFault("a text holds half a surrogate pair, which is not a character") from None


def _number(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(digits: str) -> Any:
        exponent = digits.lower().partition("e")[2]
        if len(digits) > MAX_DIGITS or (exponent and abs(int(exponent)) > MAX_DIGITS):
            shown = digits if len(digits) <= 20 else digits[:17] + "…"
            raise JsonFault(f"the number {shown} is out of any range")
        return kind(digits)

    return parse


def _no_constant(name: str) -> NoReturn:
    raise JsonFault(f"{name} is not a JSON number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonFault(f"the key {key!r} is listed twice in one object")
            seen.add(key)
    return found
