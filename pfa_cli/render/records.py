"""Merged records as rows or as JSON with every digit kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pfa_cli.render.plain import instant
from pfa_core.model.record import COSTS, FIELDS, LIST_COLUMNS, Kind, in_field_order

if TYPE_CHECKING:
    from pfa_core.model.merged import MergedRecord

TABLE_COLUMNS = LIST_COLUMNS
# From the most to the least important one, for narrow terminals.
RANKED = ("pfaId", "forecastStart", "forecastEnd", "category", "monthlyRate", "areaSilo", "purchasePrice",
          "syncState", "source")  # fmt: skip
MARKS = ("syncState", "sessionId", "version", "modifiedAt", "modifiedBy")
ALL_COLUMNS = (*FIELDS, *MARKS)
KNOWN_COLUMNS = (*ALL_COLUMNS, *COSTS)
NUMBERS = frozenset(
    (*(field.name for field in FIELDS.values() if field.kind is Kind.MONEY), *COSTS, "version")
)


def row(
    record: MergedRecord, columns: tuple[str, ...] = (), *, cents: bool = False
) -> Mapping[str, Any]:
    """Make a row: data, costs, marks, and the `data.NAME` columns asked for.

    Args:
        cents: Round the costs to cents, for people; else they add up to the sums of stats.
    """
    data = record.data
    named = {name: data.get(name[5:]) for name in columns if name.startswith("data.")}
    return {**data, **named, **_costs(record, cents=cents), **_marks(record)}


def _costs(record: MergedRecord, *, cents: bool) -> Mapping[str, Any]:
    if record.costs is None:
        return {}
    found = record.costs
    amounts = (found.plan, found.forecast, found.actual, found.variance)
    if cents:
        from pfa_core.model.money import cents as rounded

        amounts = tuple(None if amount is None else rounded(amount) for amount in amounts)
    return dict(zip(COSTS, amounts, strict=True))


def element(record: MergedRecord, *, ordered: bool = False) -> str:
    """Make an element of "data" around the JSON text that the database wrote.

    Args:
        ordered: Put its fields into the order of the field table, which takes parsing them.
    """
    from pfa_core import exact_json

    marks = exact_json.dumps(_marks(record))
    data = record.data_json
    if ordered and not isinstance(parsed := record.data, exact_json.Unreadable):
        data = exact_json.dumps(in_field_order(parsed))
    return f'{{"pfaId":{exact_json.dumps(record.pfa_id)},"data":{data},{marks[1:]}'


def _marks(record: MergedRecord) -> dict[str, Any]:
    return {
        "syncState": str(record.sync_state),
        "sessionId": record.session_id,
        "version": record.version,
        "modifiedAt": instant(record.modified_at) if record.modified_at else None,
        "modifiedBy": record.modified_by,
    }
