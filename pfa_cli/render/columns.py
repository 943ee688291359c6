"""Kinds and roles of the columns that tables have, by name."""

from __future__ import annotations

from collections.abc import Sequence

from pfa_cli.render.kinds import Column, Kind
from pfa_core.model import record

_IDS = ("pfaId", "runId", "conflictId", "modificationId", "entryId", "tokenId", "keyId", "replaces",
        "anchor")  # fmt: skip
_NAMES = ("field",)
# Names that are far wider than what stands below them.
_HEADINGS = {"direction": "run"}
_STATES = (
    "syncState",
    "state",
    "status",
    "outcome",
    "action",
    "result",
    "direction",
    "resolution",
    "event",
    "from",
)
_VALUES = ("before", "after", "baseline", "mine", "merged", "base", "pems", "pemsNow", "value", "taken",
           "change", "fields", "delta", "counts", "message", "finding", "cure", "syncError", "problem")  # fmt: skip
_TIMES = ("at", "modifiedAt", "createdAt", "updatedAt", "committedAt", "startedAt", "finishedAt",
          "issuedAt", "expiresAt", "revokedAt", "grantedAt", "resolvedAt", "nextAttemptAt", "notAfter",
          "retiredAt", "lastChange", "changedAt")  # fmt: skip
_ROLES = {
    "before": "before",
    "after": "after",
    "base": "note",
    "mine": "after",
    "pems": "before",
    "pemsNow": "before",
    "costEffect": "variance",
    "variance": "variance",
    "draft_impact": "variance",
    "field": "strong",
    "mark": "strong",
}
_OF_RECORDS = {
    record.Kind.MONEY: Kind.MONEY,
    record.Kind.DATE: Kind.DATE,
    record.Kind.FLAG: Kind.STATE,
    record.Kind.CHOICE: Kind.STATE,
}
_KINDS = {
    **{
        name: _OF_RECORDS[field.kind]
        for name, field in (*record.FIELDS.items(), *record.COSTS.items())
        if field.kind in _OF_RECORDS
    },
    **dict.fromkeys(_IDS, Kind.ID),
    **dict.fromkeys(_STATES, Kind.STATE),
    **dict.fromkeys(_VALUES, Kind.VALUE),
    **dict.fromkeys(_TIMES, Kind.TIME),
    "costEffect": Kind.MONEY,
}


def described(
    names: Sequence[str | Column], *, numeric: frozenset[int], ranked: Sequence[str] = ()
) -> list[Column]:
    """Describe columns by their names.

    Args:
        numeric: Indexes of columns of numbers.
        ranked: Names from the most to the least important one; the others follow in their order.
    """
    order = {name: rank for rank, name in enumerate(ranked)}
    return [
        name
        if isinstance(name, Column)
        else _column(name, order.get(name, len(order) + index), index, index in numeric)
        for index, name in enumerate(names)
    ]


def _column(name: str, rank: int, index: int, is_number: bool) -> Column:  # noqa: FBT001
    kind = _KINDS.get(name.removeprefix("data."), Kind.NUMBER if is_number else Kind.TEXT)
    if is_number and name == "fields":  # a count here, their names elsewhere
        kind = Kind.NUMBER
    if index == 0 and (kind is Kind.ID or name in _NAMES):
        kind = Kind.KEY
    role = _ROLES.get(name, "state" if kind is Kind.STATE else "")
    heading = _HEADINGS.get(name)
    return Column(
        name=heading or name, kind=kind, rank=rank, role=role, key=name if heading else ""
    )
