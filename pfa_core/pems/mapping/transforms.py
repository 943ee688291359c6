"""Transforms of values between PEMS and the mirror, reversible where possible.

Steps work on text, as the grid has it; numbers are exact decimals. A value that a step cannot read
passes unchanged, so that the cast refuses its record with the original value in the message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Any

from pfa_core.model.values import MAX_DECIMALS
from pfa_core.pems.mapping.date_formats import DateFormatFault
from pfa_core.pems.mapping.date_transforms import date_add, date_format, date_parse, date_subtract
from pfa_core.pems.mapping.steps import (
    Backward,
    Scope,
    Step,
    TransformFault,
    same,
    table_of,
    text_of,
    whole_of,
)

MAX_PATTERN = 100
# A product keeps so many decimals that what was divided on the way to PEMS, to 12 decimals, comes
# back as it was, for any factor up to a million.
KEPT_DECIMALS = 6
_NUMBER = re.compile(r"\s*[+-]?\d{1,40}(?:\.\d{1,40})?\s*", re.ASCII)
_EXACT = Context(prec=120)


def read_step(spec: Any) -> Step:
    """Read a step of a field map: `"trim"`, or `{multiply = "4.345"}`.

    Raises:
        TransformFault: The transform is unknown, or has other parameters.
    """
    if isinstance(spec, str):
        name, parameters = spec, None
    elif isinstance(spec, Mapping) and len(spec) == 1:
        name, parameters = next(iter(spec.items()))
    else:
        raise TransformFault("a transform is a name or a table of one name and its parameters")
    make = _MAKERS.get(name)
    if make is None:
        raise TransformFault(f"unknown transform {name!r}; transforms are {', '.join(_MAKERS)}")
    try:
        return make(parameters)
    except DateFormatFault as fault:
        raise TransformFault(f"{name}: {fault}") from fault


# -- text -------------------------------------------------------------------------------------


def _plain(change: Callable[[str], str], scope: Scope = Scope.VALUE) -> Callable[[Any], Step]:
    """Return the maker of a transform without parameters that only formats a value."""

    def make(parameters: Any) -> Step:
        if parameters is not None:
            raise TransformFault("this transform has no parameters")
        return Step(lambda text, _: change(text), same, scope=scope)

    return make


def _equals(*wanted: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        return "true" if text.strip().lower() in wanted else "false"

    return change


def _replace(parameters: Any) -> Step:
    table = table_of(parameters, ("pattern", "replacement"), ("regex",))
    pattern, replacement = table["pattern"], table["replacement"]
    regex = table.get("regex", False)
    if not (isinstance(pattern, str) and isinstance(replacement, str) and isinstance(regex, bool)):
        raise TransformFault("replace needs texts: pattern and replacement; regex is true or false")
    if not 0 < len(pattern) <= MAX_PATTERN:
        raise TransformFault(f"replace needs a pattern of 1 to {MAX_PATTERN} characters")
    if not regex:
        return Step(lambda text, _: text.replace(pattern, replacement))
    try:
        compiled = re.compile(pattern)
        compiled.sub(replacement, "")
    except (re.error, IndexError) as error:
        raise TransformFault(f"replace: {error}") from error
    return Step(lambda text, _: compiled.sub(replacement, text))


def _substring(parameters: Any) -> Step:
    table = table_of(parameters, ("start",), ("end",))
    start, end = whole_of(table["start"]), whole_of(table["end"]) if "end" in table else None
    return Step(lambda text, _: text[start:end])


def _concat(parameters: Any) -> Step:
    table = table_of(parameters, ("aliases",), ("separator",))
    aliases, separator = table["aliases"], table.get("separator", "")
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise TransformFault("concat needs a list of aliases")
    if not isinstance(separator, str):
        raise TransformFault("concat needs a text as separator")
    return Step(
        lambda _, cells: separator.join(filter(None, map(cells.get, aliases))), scope=Scope.ROW
    )


def _map(parameters: Any) -> Step:
    if not isinstance(parameters, Mapping) or not parameters:
        raise TransformFault("map needs a table of PEMS's value = the mirror's value")
    table = {key: text_of(value) for key, value in parameters.items()}
    if len(set(table.values())) < len(table):
        return Step(lambda text, _: table.get(text, text))
    back = {value: key for key, value in table.items()}
    return Step(
        lambda text, _: table.get(text, text), lambda text: back.get(text, text), changes=True
    )


def _default(parameters: Any) -> Step:
    value = text_of(parameters)
    return Step(lambda text, _: text or value, same)


# -- numbers ----------------------------------------------------------------------------------


def _number(text: str) -> Decimal | None:
    return Decimal(text.strip()) if _NUMBER.fullmatch(text) else None


def digits(number: Decimal) -> str:
    """Format a number in plain digits, without zeros at the end of its decimals."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _scaled(number: Decimal, decimals: int, rounding: str = ROUND_HALF_UP) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-decimals), rounding, _EXACT)


def _on_numbers(change: Callable[[Decimal], Decimal]) -> Backward:
    def apply(text: str) -> str:
        number = _number(text)
        return text if number is None else digits(change(number))

    return apply


def _times(factor: Decimal, decimals: int) -> Backward:
    return _on_numbers(lambda number: _scaled(_EXACT.multiply(number, factor), decimals))


def _over(factor: Decimal, decimals: int) -> Backward:
    return _on_numbers(lambda number: _scaled(_EXACT.divide(number, factor), decimals))


def _factor(parameters: Any) -> Decimal:
    number = _number(text_of(parameters))
    if number is None or not Decimal("0.000001") <= number <= Decimal(1_000_000):
        raise TransformFault("the factor must be a number from 0.000001 to 1000000")
    return number


def _multiply(parameters: Any) -> Step:
    factor = _factor(parameters)
    forward = _times(factor, KEPT_DECIMALS)
    return Step(lambda text, _: forward(text), _over(factor, MAX_DECIMALS), changes=True)


def _divide(parameters: Any) -> Step:
    factor = _factor(parameters)
    forward = _over(factor, KEPT_DECIMALS)
    return Step(lambda text, _: forward(text), _times(factor, MAX_DECIMALS), changes=True)


def _round(parameters: Any) -> Step:
    decimals = 0 if parameters is None else whole_of(parameters)
    if decimals > MAX_DECIMALS:
        raise TransformFault(f"round keeps at most {MAX_DECIMALS} decimals")
    forward = _on_numbers(lambda number: _scaled(number, decimals))
    return Step(lambda text, _: forward(text))


def _to_whole(rounding: str) -> Callable[[Any], Step]:
    forward = _on_numbers(lambda number: _scaled(number, 0, rounding))

    def make(parameters: Any) -> Step:
        if parameters is not None:
            raise TransformFault("this transform has no parameters")
        return Step(lambda text, _: forward(text))

    return make


_MAKERS: Mapping[str, Callable[[Any], Step]] = {
    "direct": _plain(same),
    "uppercase": _plain(str.upper),
    "lowercase": _plain(str.lower),
    "trim": _plain(str.strip),
    "replace": _replace,
    "substring": _substring,
    "concat": _concat,
    "multiply": _multiply,
    "divide": _divide,
    "round": _round,
    "floor": _to_whole(ROUND_FLOOR),
    "ceil": _to_whole(ROUND_CEILING),
    "date_format": date_format,
    "date_parse": date_parse,
    "date_add": date_add,
    "date_subtract": date_subtract,
    "map": _map,
    "default": _default,
    "equals_y": _plain(_equals("y"), Scope.GRID),
    "equals_true": _plain(_equals("true"), Scope.GRID),
}
