"""Saved views: filters under a name, with columns and an order of a list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from pfa_core.errors import Fault, FaultCode, InvalidData, InvalidRequest
from pfa_core.model.ids import UserId
from pfa_core.model.keys import invisible_in
from pfa_core.model.query import Filters, given_key, parse_sort
from pfa_core.model.suggest import nearest

MOST_OWN, MOST_SHARED = 200, 500  # the same in sql/views.sql
MAX_NAME = 200
MOST_COLUMNS = 200
_PARTS = ("filters", "columns", "sort")
_FLAGS = ("actualized", "discontinued", "transferable")
# The filters by their keys in JSON. The day from which an expression counts is each reader's own.
FILTERS: Mapping[str, str] = {
    first + "".join(map(str.capitalize, rest)): name
    for name, (first, *rest) in (
        (item.name, item.name.rstrip("_").split("_")) for item in fields(Filters)
    )
    if name != "today"
}
_KEYS = {name: key for key, name in FILTERS.items()}
_UNSET = {item.name: item.default for item in fields(Filters) if item.default is not MISSING}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A choice of records under a name: what `Filters` say, as they were given.

    An expression keeps its text, so that dates relative to today stay so. `columns` and `sort` are those of
    `pfa list`.

    Raises:
        InvalidRequest: An invalid name, column or order, or filters with a day of their own.
    """

    name: str
    filters: Filters = field(default_factory=Filters)
    columns: tuple[str, ...] = ()
    sort: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", view_name(self.name))
        object.__setattr__(self, "columns", tuple(self.columns))
        if self.filters.today is not None:
            raise InvalidRequest("a view has no day of its own: `today` is that of its use")
        if len(self.columns) > MOST_COLUMNS:
            raise InvalidRequest(f"a view has at most {MOST_COLUMNS} columns")
        for column in self.columns:
            if not column or len(column) > MAX_NAME or "," in column or not column.isprintable():
                raise InvalidRequest(f"invalid column {column!r}")
        if self.sort is not None:
            parse_sort(self.sort)

    def content(self) -> dict[str, Any]:
        """Return what is stored under the name: filters, and columns and order if any."""
        found: dict[str, Any] = {"filters": document_of(self.filters)}
        if self.columns:
            found["columns"] = list(self.columns)
        if self.sort:
            found["sort"] = self.sort
        return found

    def narrowed(self, filters: Filters) -> Filters:
        """Return the view's filters narrowed by others.

        Two expressions have to be true both.

        Raises:
            InvalidRequest: A filter is in both with different values, so that either could be meant.
        """
        joined: dict[str, Any] = {}
        for name in FILTERS.values():
            own, other = getattr(self.filters, name), getattr(filters, name)
            if _is_unset(name, own) or own == other:
                joined[name] = other
            elif _is_unset(name, other):
                joined[name] = own
            elif name == "where":
                joined[name] = f"({own}) and ({other})"
            else:
                raise InvalidRequest(
                    f"`{name}` is given and in the view {self.name} with another value:"
                    f" {', '.join(_texts(own))}",
                    hint="give it once; to change the view: pfa view save --help",
                )
        return replace(filters, **joined)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """A view as it is stored, by this version of pfa or another one.

    `content` is that of `View.content`, `created_by` the author. `hides_shared`: it is the user's own, and there is
    a shared one of its name.
    """

    name: str
    shared: bool
    content: Mapping[str, Any]
    created_by: UserId
    created_at: datetime
    updated_by: UserId
    updated_at: datetime
    hides_shared: bool = False

    @property
    def view(self) -> View:
        """The view.

        Raises:
            InvalidData: It has what this version of pfa does not know, or does not take.
        """
        return parse_view(self.name, self.content, f"the view {self.name}")


def view_name(name: str) -> str:
    """Return the name of a view in the form of a key.

    Raises:
        InvalidRequest: It is empty, too long, begins with - or holds what no reader can see.
    """
    key = given_key(name)
    if not key.strip() or len(key) > MAX_NAME:
        raise InvalidRequest(f"the name of a view has 1 to {MAX_NAME} characters")
    if key.startswith("-"):
        raise InvalidRequest(f"the name of a view does not begin with -: {key!r}")
    if not key.isprintable() or invisible_in(key):
        raise InvalidRequest(f"the name of a view is text that can be seen: {key!r}")
    return key


def document_of(filters: Filters) -> dict[str, Any]:
    """Return the filters in force by their keys in JSON, in a fixed order."""
    found = {}
    for key, name in FILTERS.items():
        value = getattr(filters, name)
        if not _is_unset(name, value):
            found[key] = list(value) if isinstance(value, tuple) else value
    return found


def parse_view(name: str, content: Mapping[str, Any], source: str) -> View:
    """Read the content of a view.

    Args:
        source: What messages name.

    Raises:
        InvalidData: With each part in `details` that is unknown, or that is not what it has to be.
    """
    faults = [*_faults(content)]
    if faults:
        one = faults[0]
        raise InvalidData(
            f"{source} cannot be used: {one.message}"
            + (f", and {len(faults) - 1} more" if len(faults) > 1 else ""),
            hint="save it anew: pfa view save --help",
            details=faults,
        )
    given = content.get("filters", {})
    try:
        return View(
            name=name,
            filters=Filters(**{FILTERS[key]: _frozen(value) for key, value in given.items()}),
            columns=tuple(content.get("columns", ())),
            sort=content.get("sort"),
        )
    except InvalidRequest as error:
        message = f"{source} cannot be used: {error.message}"
        raise InvalidData(message, hint=error.hint) from None


def _faults(content: Mapping[str, Any]) -> Iterator[Fault]:
    """Find parts that are unknown, and values of another type."""
    for key in content:
        if key not in _PARTS:
            yield _unknown("part", key, _PARTS)
    given = content.get("filters", {})
    if not isinstance(given, Mapping):
        yield _invalid("filters", "an object")
        return
    for key, value in given.items():
        if key not in FILTERS:
            yield _unknown("filter", key, FILTERS)
        elif must := _must_be(FILTERS[key], value):
            yield _invalid(key, must)
    if not _are_texts(content.get("columns", [])):
        yield _invalid("columns", "a list of texts")
    if not isinstance(content.get("sort", ""), str):
        yield _invalid("sort", "a text")


def _must_be(name: str, value: Any) -> str:
    """Say what the value of a filter must be; empty where it is."""
    if name in _FLAGS:
        return "" if isinstance(value, bool) else "true or false"
    if _UNSET[name] is False:
        return "" if value is True else "true"
    if _UNSET[name] == ():
        return "" if value and _are_texts(value) else "a list of texts"
    return "" if isinstance(value, str) else "a text"


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _unknown(what: str, key: str, known: Sequence[str] | Mapping[str, str]) -> Fault:
    near = nearest(key, known)
    suggestion = f"; did you mean {near}?" if near else ""
    message = f"this version of pfa does not know its {what} {key!r}{suggestion}"
    return Fault("", key, FaultCode.UNKNOWN_FIELD, message)


def _invalid(key: str, must: str) -> Fault:
    return Fault("", key, FaultCode.INVALID_TYPE, f"{key} must be {must}")


def _is_unset(name: str, value: Any) -> bool:
    return value == _UNSET[name] or value == ""


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _texts(value: Any) -> list[str]:
    if isinstance(value, tuple):
        return list(value)
    return [str(value).lower() if isinstance(value, bool) else str(value)]
