"""The field table of the PFA record.

It is the source of validation, SQL columns and reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from typing import Any, LiteralString

from pfa_core.model.costing import RATE_UNITS, SPELLINGS

MAX_ID = 200
MAX_KEY_TEXT = 200
MAX_FREE_TEXT = 100_000


class Kind(Enum):
    """The form of a field's JSON value."""

    TEXT = "text"
    DATE = "date YYYY-MM-DD"
    MONEY = "number ≥ 0"
    FLAG = "true or false"
    CHOICE = "one of a list"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the record.

    `column` names the generated SQL column, empty where there is none; `editable` fields may be
    in a delta; `default` fills a baseline record in which the field is missing or null. `spellings` are
    other texts of a choice, in lower case. A `code` is trimmed and in upper case. A `sparse` field is
    absent from a record that has no value of it.
    """

    name: LiteralString
    kind: Kind
    meaning: str
    column: LiteralString = ""
    _: KW_ONLY
    editable: bool = False
    choices: tuple[LiteralString, ...] = ()
    max_length: int = MAX_KEY_TEXT
    default: LiteralString | bool | None = None
    spellings: Mapping[str, LiteralString] = field(default_factory=dict)
    code: bool = False
    sparse: bool = False
    is_key: bool = field(init=False)

    def __post_init__(self) -> None:
        """Tell once whether it is a key: every value that is read asks for that."""
        object.__setattr__(self, "is_key", self.kind is Kind.TEXT and bool(self.column))


def _text(name: LiteralString, meaning: str, column: LiteralString = "", **rest: Any) -> Field:
    return Field(name, Kind.TEXT, meaning, column, **rest)


def _date(name: LiteralString, meaning: str, column: LiteralString, *, editable: bool) -> Field:
    return Field(name, Kind.DATE, meaning, column, editable=editable)


def _flag(
    name: LiteralString, meaning: str, column: LiteralString = "", *, editable: bool
) -> Field:
    return Field(
        name, Kind.FLAG, meaning, column, editable=editable, default=False if column else None
    )


FIELDS: Mapping[str, Field] = {
    each.name: each
    for each in (
        _text("pfaId", "business key, unique in its organization", "pfa_id", max_length=MAX_ID),
        _text("organization", "the organization's code"),
        _text("description", "what is required", max_length=MAX_FREE_TEXT),
        _text("areaSilo", "work area", "area_silo", editable=True, default=""),
        _text("category", "equipment category", "category", editable=True, default=""),
        _text("forecastCategory", "the category's description in PEMS", max_length=MAX_FREE_TEXT),
        _text("class", "equipment class", "class", editable=True, default=""),
        Field(
            "source",
            Kind.CHOICE,
            "how the equipment is obtained",
            "source",
            editable=True,
            choices=("Rental", "Purchase"),
            default="Rental",
        ),
        Field(
            "dor",
            Kind.CHOICE,
            "who carries the cost",
            "dor",
            editable=True,
            choices=("BEO", "PROJECT"),
            default="PROJECT",
        ),
        _flag("isActualized", "on site and billing", "is_actualized", editable=True),
        _flag("isDiscontinued", "cancelled; left out of costs", "is_discontinued", editable=True),
        _flag(
            "isFundsTransferable",
            "budget donor; left out of costs",
            "is_funds_transferable",
            editable=True,
        ),
        Field(
            "monthlyRate",
            Kind.MONEY,
            "price of a month, or of `rateUom`, used if Rental",
            "monthly_rate",
            editable=True,
        ),
        Field(
            "purchasePrice", Kind.MONEY, "price, used if Purchase", "purchase_price", editable=True
        ),
        Field(
            "rateUom",
            Kind.CHOICE,
            "unit of the rate, absent: the organization's",
            "rate_uom",
            choices=RATE_UNITS,
            spellings=SPELLINGS,
            sparse=True,
        ),
        _text(
            "currency",
            "currency of rate and price, absent: the organization's",
            "currency",
            code=True,
            sparse=True,
        ),
        _text("manufacturer", "make", "manufacturer", editable=True, default=""),
        _text("model", "model", "model", editable=True, default=""),
        _text("contract", "contract number", "contract"),
        _text(
            "equipment",
            "asset tag of the assigned machine",
            editable=True,
            max_length=MAX_FREE_TEXT,
        ),
        _date("originalStart", "plan: first day", "original_start", editable=False),
        _date("originalEnd", "plan: the day after the last", "original_end", editable=False),
        _flag("hasPlan", "both plan dates are present", editable=False),
        _date("forecastStart", "forecast: first day", "forecast_start", editable=True),
        _date("forecastEnd", "forecast: the day after the last", "forecast_end", editable=True),
        _date("actualStart", "actual: first day", "actual_start", editable=True),
        _date("actualEnd", "actual: the day after the last", "actual_end", editable=True),
        _flag("hasActuals", "both actual dates are present", editable=False),
        _text("pemsVersion", "PEMS's last-modified stamp"),
        _text("lastSyncedAt", "bookkeeping of PEMS's side"),
        _text("syncBatchId", "bookkeeping of PEMS's side"),
    )
}

DATE_PAIRS = (
    ("originalStart", "originalEnd"),
    ("forecastStart", "forecastEnd"),
    ("actualStart", "actualEnd"),
)
# Fields whose loss a pull reports: not keys, what is derived, nor bookkeeping.
_UNCHECKED = ("pfaId", "organization", "hasPlan", "hasActuals", "lastSyncedAt", "syncBatchId")
CHECKED: Mapping[str, Field] = {
    name: each for name, each in FIELDS.items() if name not in _UNCHECKED
}
# Of them those whose default is a value like any other: the record does not show that it had none.
DEFAULTED = tuple(
    name
    for name, each in CHECKED.items()
    if each.kind in (Kind.CHOICE, Kind.FLAG) and each.default is not None
)
EDITABLE = tuple(each.name for each in FIELDS.values() if each.editable)
# What a list shows, and the columns of its TSV, which has no header.
LIST_COLUMNS = (
    "pfaId",
    "category",
    "areaSilo",
    "source",
    "forecastStart",
    "forecastEnd",
    "monthlyRate",
    "purchasePrice",
    "syncState",
)
# What `pfa list` says of a record beside its data.
MARKS = ("syncState", "sessionId", "version", "modifiedAt", "modifiedBy")
SORTABLE: Mapping[str, Field] = {each.name: each for each in FIELDS.values() if each.column}
# What one record costs, beside its fields: see `model.costs`. Columns of a list, and keys of its order.
COSTS: Mapping[str, Field] = {
    each.name: each
    for each in (
        Field("planCost", Kind.MONEY, "cost by the plan, of PEMS's own values", "plan_cost"),
        Field("forecastCost", Kind.MONEY, "cost by the forecast", "forecast_cost"),
        Field("actualCost", Kind.MONEY, "cost by the actual dates", "actual_cost"),
        Field("variance", Kind.MONEY, "forecast − plan, + is over the plan", "variance"),
    )
}
LIST_SORTABLE: Mapping[str, Field] = {**SORTABLE, **COSTS}


def in_field_order(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put fields into the order of the field table, unknown ones behind them.

    PostgreSQL keeps them by the length of their names.
    """
    known = {name: values[name] for name in FIELDS if name in values}
    return known if len(known) == len(values) else {**known, **values}
