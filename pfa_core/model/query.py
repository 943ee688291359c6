"""Queries: filters, order, paging."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from datetime import date
from typing import TYPE_CHECKING

from pfa_core.errors import InvalidRequest
from pfa_core.model.keys import normal_key
from pfa_core.model.modification import OVERLAYING, State
from pfa_core.model.ordering import SortKey, parse_keys
from pfa_core.model.record import COSTS, LIST_SORTABLE
from pfa_core.model.suggest import not_one_of

if TYPE_CHECKING:
    from pfa_core.model.where.tree import Expression

MAX_ROWS = 100_000  # of a result that is not paged
EQUAL_FILTERS = {
    "category": "category",
    "class_": "class",
    "source": "source",
    "dor": "dor",
    "area_silo": "areaSilo",
    "manufacturer": "manufacturer",
    "model": "model",
    "contract": "contract",
    "currency": "currency",
    "id": "pfaId",
}
# The fields of a record that a filter reads.
SEARCHED = ("category", "class", "manufacturer", "model", "contract", "equipment", "description")
LOOKED_AT: Mapping[str, tuple[str, ...]] = {
    **{name: (field,) for name, field in EQUAL_FILTERS.items()},
    **dict.fromkeys(("start_from", "start_to"), ("forecastStart",)),
    **dict.fromkeys(("end_from", "end_to"), ("forecastEnd",)),
    "actualized": ("isActualized",),
    "discontinued": ("isDiscontinued",),
    "transferable": ("isFundsTransferable",),
    "no_start": ("forecastStart",),
    "no_end": ("forecastEnd",),
    "no_rate": ("monthlyRate",),
    "no_price": ("purchasePrice",),
    "search": ("pfaId", *SEARCHED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """A choice of records by their merged values.

    Every filter narrows; several values of one widen. Dates are inclusive `YYYY-MM-DD`; a flag of None
    means either. `no_start`, `no_end`, `no_rate` and `no_price` choose records without such a value in the
    forecast, whatever their source. `search` is contained, whatever the case, in id, category, class,
    manufacturer, model, contract, equipment or description. Ids, values and search are held in the form that
    the mirror's keys have, see `given_key`.

    `where` is an expression over fields, such as `monthlyRate > 10000 and forecastStart < today+30d`; its
    language is described in docs/everyday-work.md. `today` is the day that it counts from; None: the day of
    the operation, in UTC.

    Raises:
        InvalidRequest: An invalid date, an unknown state, a text that cannot be stored, an expression that
            cannot be read; the hint then shows the place.
    """

    category: tuple[str, ...] = ()
    class_: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    dor: tuple[str, ...] = ()
    area_silo: tuple[str, ...] = ()
    manufacturer: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    contract: tuple[str, ...] = ()
    currency: tuple[str, ...] = ()
    id: tuple[str, ...] = ()
    start_from: str | None = None
    start_to: str | None = None
    end_from: str | None = None
    end_to: str | None = None
    actualized: bool | None = None
    discontinued: bool | None = None
    transferable: bool | None = None
    no_start: bool = False
    no_end: bool = False
    no_rate: bool = False
    no_price: bool = False
    state: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    changed: bool = False
    search: str | None = None
    where: str | None = None
    today: str | None = None

    def __post_init__(self) -> None:
        for name in ("start_from", "start_to", "end_from", "end_to", "today"):
            _require_date(name, getattr(self, name))
        known = (State.PRISTINE, *OVERLAYING)
        for state in self.state:
            if state not in known:
                raise not_one_of(f"invalid state: {state!r}", state, known, listed="states")
        for value in self.session:
            require_text(value)
        for name in EQUAL_FILTERS:
            object.__setattr__(self, name, tuple(map(given_key, getattr(self, name))))
        if self.search:
            object.__setattr__(self, "search", given_key(self.search))
        if self.where is not None:
            _require_expression(self.where)

    def given(self) -> list[str]:
        """List the filters in force by their names on the command line, in a fixed order."""
        return [
            item.name.rstrip("_").replace("_", "-")
            for item in fields(self)
            if item.name != "today" and getattr(self, item.name) not in (item.default, "")
        ]

    def looked_at(self) -> list[str]:
        """List the fields of a record that the filters in force read.

        A draft of other fields does not change which records match.
        """
        found = [
            field
            for name, looked_at in LOOKED_AT.items()
            if getattr(self, name) not in (_UNSET[name], "")
            for field in looked_at
        ]
        if self.where:
            from pfa_core.model.where.tree import looked_at

            found += looked_at(_parsed(self.where))
        return found

    def named_in_where(self) -> list[str]:
        """List the fields that the expression names, in any scope."""
        if not self.where:
            return []
        from pfa_core.model.where.tree import field_names

        return field_names(_parsed(self.where))

    def wants_pristine(self) -> bool:
        """Return whether records without a modification of the caller's can match."""
        return (
            not self.changed
            and not self.session
            and (not self.state or State.PRISTINE in self.state)
        )

    def narrows_touched(self) -> bool:
        """Return whether a filter reads the caller's modifications.

        Other filters read the record's values.
        """
        return bool(self.state or self.session)


_UNSET = {item.name: item.default for item in fields(Filters)}


DEFAULT_SORT = (SortKey("forecastStart"),)


def parse_sort(text: str) -> tuple[SortKey, ...]:
    """Parse sort keys such as `category,-forecastStart`; ties are broken by PFA id.

    The costs of a record are keys too: planCost, forecastCost, actualCost, variance.

    Raises:
        InvalidRequest: A field that is unknown, not sortable, or named twice.
    """
    return parse_keys(text, LIST_SORTABLE) or DEFAULT_SORT


def complete_sort(keys: tuple[SortKey, ...]) -> tuple[SortKey, ...]:
    """Append the PFA id where it is absent, which makes the order total."""
    if any(key.field == "pfaId" for key in keys):
        return keys
    return (*keys, SortKey("pfaId"))


@dataclass(frozen=True, slots=True)
class Query:
    """Filters, order and start.

    `after` resumes after a cursor; `baseline` reads the mirror's values without the caller's
    modifications; `costs` computes what each record costs.
    """

    filters: Filters = field(default_factory=Filters)
    sort: tuple[SortKey, ...] = DEFAULT_SORT
    after: str | None = None
    baseline: bool = False
    _: KW_ONLY
    costs: bool = False

    @property
    def orders_by_cost(self) -> bool:
        """Return whether a sort key is a cost, which is computed of every matching record."""
        return any(key.field in COSTS for key in self.sort)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sort", tuple(self.sort))  # a list could not be the key of a cache
        if self.baseline:
            require_comparable(self.filters)


def require_comparable(filters: Filters) -> None:
    """Refuse filters on modifications where the mirror alone is read.

    Raises:
        InvalidRequest: They ask for states, sessions or changes.
    """
    if filters.narrows_touched() or filters.changed:
        raise InvalidRequest("`baseline` cannot be combined with `state`, `session` or `changed`")


def _require_date(name: str, value: str | None) -> None:
    if value is None:
        return
    try:
        if len(value) != 10 or date.fromisoformat(value).isoformat() != value:
            raise ValueError(value)
    except ValueError:
        raise InvalidRequest(f"`{name}` must be a date YYYY-MM-DD, not {value!r}") from None


def _require_expression(text: str) -> None:
    require_text(text)
    _parsed(text)


def _parsed(text: str) -> Expression:
    # Loaded for those who write one: most lists have none.
    from pfa_core.model.where.parser import parse

    return parse(text)


def require_text(value: str) -> None:
    """Refuse a text that PostgreSQL cannot store.

    Raises:
        InvalidRequest: It holds a NUL character or half a surrogate pair.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"not a valid text: {value!r}") from None
    if "\0" in value:
        raise InvalidRequest(f"not a valid text: {value!r} holds a NUL character")


def given_key(text: str) -> str:
    """Return an id or a value that a caller gives in the form of the mirror's keys.

    One of blanks only stays as it is: nothing would mean everything.

    Raises:
        InvalidRequest: As `require_text`.
    """
    require_text(text)
    return normal_key(text) or text


def require_limit(limit: int) -> None:
    """Refuse a number of rows below 1 or above `MAX_ROWS`.

    Raises:
        InvalidRequest: Out of range.
    """
    if not 1 <= limit <= MAX_ROWS:
        raise InvalidRequest(f"`limit` is 1 to {MAX_ROWS:,}, not {limit}")
