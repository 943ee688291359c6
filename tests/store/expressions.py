"""Random expressions, each with what it means for a record, computed without SQL and without the parser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from pfa_core.model.record import FIELDS, Kind

TODAY = date(2026, 1, 15)
Truth = bool | None
# Merged, PEMS's and the caller's values of one record.
Row = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Meaning:
    """An expression as text, and what it is of a record; None is unknown."""

    text: str
    of: Callable[[Row], Truth]


def _not(value: Truth) -> Truth:
    return None if value is None else not value


def _all(values: list[Truth]) -> Truth:
    return False if False in values else None if None in values else True


def _any(values: list[Truth]) -> Truth:
    return _not(_all([_not(value) for value in values]))


_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_BY_KIND = {
    kind: [one for one in FIELDS.values() if one.kind is kind and one.name != "organization"]
    for kind in Kind
}
_TEXTS = [
    "",
    "Crane",
    'Trailer, 40" flat',
    "O'Neill",
    "Müller",
    "MÜLLER",
    "a\\b",
    "Silo 4",
    "silo",
    "LTM 1030",
    "C-1",
]
_NUMBERS = ["0", "1000", "1000.00", "999.99", "1000.5", "0.1", "-1", "123456789.123456789012"]
_DAYS: list[tuple[str, date]] = [
    ("today", TODAY),
    ("Today+30d", TODAY + timedelta(30)),
    ("today + 1d -2d", TODAY - timedelta(1)),
    ("-2w", TODAY - timedelta(14)),
    ("+1m", date(2026, 2, 15)),
    ("yesterday", date(2026, 1, 14)),
    ("tomorrow-1d", TODAY),
    ("today-1y", date(2025, 1, 15)),
    ("2025-12-01", date(2025, 12, 1)),
    ("'2025-12-31'", date(2025, 12, 31)),
    ("2026-01-31+1m", date(2026, 2, 28)),
    ("2024-02-29+1y", date(2025, 2, 28)),
    ("2026-01-01-1d", date(2025, 12, 31)),
]  # fmt: skip


def _value(scope: str, name: str, row: Row) -> Any:
    value = row[scope].get(name)
    field = FIELDS[name]
    if field.kind is Kind.FLAG and field.column and scope != "mine":
        return bool(value)
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _quoted(text: str, how: int) -> str:
    if how == 0:
        return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def _named(draw: st.DrawFn, kinds: tuple[Kind, ...]) -> tuple[str, Callable[[Row], Any]]:
    scope = draw(st.sampled_from(["merged", "merged", "pems", "mine"]))
    fields = [one for kind in kinds for one in _BY_KIND[kind] if one.editable or scope != "mine"]
    name = draw(st.sampled_from(fields)).name
    prefix = "" if scope == "merged" else f"{scope}."
    return prefix + name, lambda row: _value(scope, name, row)


@st.composite
def _literal(draw: st.DrawFn, kind: Kind, name: str) -> tuple[str, Any]:
    if kind is Kind.MONEY:
        text = draw(st.sampled_from(_NUMBERS))
        return draw(st.sampled_from([text, f"'{text}'"])), Decimal(text)
    if kind is Kind.DATE:
        text, day = draw(st.sampled_from(_DAYS))
        return text, day.isoformat()
    if kind is Kind.FLAG:
        return draw(
            st.sampled_from([("true", True), ("no", False), ("Y", True), ("'false'", False)])
        )
    field = FIELDS[name.rpartition(".")[2]]
    if kind is Kind.CHOICE:
        text = draw(st.sampled_from(field.choices))
        return draw(st.sampled_from([text, text.lower(), f"'{text}'"])), text
    text = draw(st.sampled_from(_TEXTS))
    bare = text.isalnum() and draw(st.booleans())
    meant = text.upper() if field.code else text
    return text if bare else _quoted(text, draw(st.integers(0, 1))), meant


def _operand(draw: st.DrawFn, kind: Kind, name: str) -> tuple[str, Callable[[Row], Any]]:
    if draw(st.integers(0, 3)) == 0:
        texts = (Kind.TEXT, Kind.CHOICE)
        return draw(_named(texts if kind in texts else (kind,)))
    text, value = draw(_literal(kind, name))
    return text, lambda _: value


@st.composite
def _comparison(draw: st.DrawFn) -> Meaning:
    kind = draw(st.sampled_from(list(Kind)))
    name, left = draw(_named((kind,)))
    signs = list(_SIGNS)[:4] if kind in (Kind.FLAG, Kind.CHOICE) else list(_SIGNS)
    sign = draw(st.sampled_from(signs))
    text, right = _operand(draw, kind, name)

    def of(row: Row) -> Truth:
        a, b = left(row), right(row)
        return None if a is None or b is None else _SIGNS[sign](a, b)

    gap = draw(st.sampled_from([" ", "", "  "]))
    return Meaning(f"{name}{gap}{sign}{gap}{text}", of)


@st.composite
def _range(draw: st.DrawFn) -> Meaning:
    kind = draw(st.sampled_from([Kind.MONEY, Kind.DATE, Kind.TEXT]))
    name, left = draw(_named((kind,)))
    (low_text, low), (high_text, high) = _operand(draw, kind, name), _operand(draw, kind, name)

    def at_least(a: Any, b: Any) -> Truth:
        return None if a is None or b is None else a >= b

    def of(row: Row) -> Truth:
        value = left(row)
        return _all([at_least(value, low(row)), at_least(high(row), value)])

    turned = draw(st.booleans())
    text = f"{name} {'not ' * turned}between {low_text} AND {high_text}"
    return Meaning(text, (lambda row: _not(of(row))) if turned else of)


@st.composite
def _list(draw: st.DrawFn) -> Meaning:
    kind = draw(st.sampled_from([Kind.MONEY, Kind.DATE, Kind.TEXT, Kind.CHOICE]))
    name, left = draw(_named((kind,)))
    literals = draw(st.lists(_literal(kind, name), min_size=1, max_size=4))
    values = [value for _, value in literals]
    turned = draw(st.booleans())

    def of(row: Row) -> Truth:
        value = left(row)
        found = None if value is None else value in values
        return _not(found) if turned else found

    listed = ", ".join(text for text, _ in literals)
    return Meaning(f"{name} {'NOT ' * turned}in ({listed})", of)


@st.composite
def _containment(draw: st.DrawFn) -> Meaning:
    name, left = draw(_named((Kind.TEXT, Kind.CHOICE)))
    part = draw(st.sampled_from(["", "crane", "müll", '40" f', "o'n", "\\", "%", "_", "1", "rent"]))

    def of(row: Row) -> Truth:
        value = left(row)
        return None if value is None else part.lower() in value.lower()

    return Meaning(f"{name} contains {_quoted(part, draw(st.integers(0, 1)))}", of)


@st.composite
def _test(draw: st.DrawFn) -> Meaning:
    kind = draw(st.sampled_from(list(Kind)))
    name, left = draw(_named((kind,)))
    test = draw(st.sampled_from(["null", "missing", "NULL"]))
    turned = draw(st.booleans())

    def of(row: Row) -> bool:
        value = left(row)
        found = value is None or (test == "missing" and value == "")
        return found != turned

    return Meaning(f"{name} is {'not ' * turned}{test}", of)


@st.composite
def _change(draw: st.DrawFn) -> Meaning:
    field = draw(st.sampled_from([one for one in FIELDS.values() if one.editable]))
    scope, turned = draw(st.sampled_from(["", "mine."])), draw(st.booleans())
    return Meaning(
        f"{scope}{field.name} is {'not ' * turned}changed",
        lambda row: (field.name in row["mine"]) != turned,
    )


@st.composite
def _flag(draw: st.DrawFn) -> Meaning:
    name, left = draw(_named((Kind.FLAG,)))
    return Meaning(name, left)


_PREDICATES = st.one_of(
    _comparison(), _comparison(), _range(), _list(), _containment(), _test(), _change(), _flag()
)


def _joined(word: str, parts: list[Meaning], join: Callable[[list[Truth]], Truth]) -> Meaning:
    text = f" {word} ".join(f"({part.text})" for part in parts)
    return Meaning(text, lambda row: join([part.of(row) for part in parts]))


def _compound(inner: st.SearchStrategy[Meaning]) -> st.SearchStrategy[Meaning]:
    several = st.lists(inner, min_size=2, max_size=4)
    return st.one_of(
        several.map(lambda parts: _joined("and", parts, _all)),
        several.map(lambda parts: _joined("OR", parts, _any)),
        inner.map(lambda part: Meaning(f"not ({part.text})", lambda row: _not(part.of(row)))),
    )


@st.composite
def _by_precedence(draw: st.DrawFn) -> Meaning:
    """`not` binds closest, then `and`, then `or`: without parentheses."""
    a, b, c = draw(_PREDICATES), draw(_PREDICATES), draw(_PREDICATES)
    return Meaning(
        f"{a.text} or {b.text} and not {c.text}",
        lambda row: _any([a.of(row), _all([b.of(row), _not(c.of(row))])]),
    )


expressions = st.recursive(_PREDICATES | _by_precedence(), _compound, max_leaves=6)
