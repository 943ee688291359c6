"""The field table, and what each field takes."""

from __future__ import annotations

from pfa_cli.envelopes.glossary import FieldInfo, JsonType, Kind
from pfa_core.model import record
from pfa_core.model.query import LOOKED_AT
from pfa_core.model.record import FIELDS, Field
from pfa_core.model.rights import MONEY

_KINDS: dict[record.Kind, tuple[Kind, JsonType, str]] = {
    record.Kind.TEXT: ("text", "string", ""),
    record.Kind.DATE: ("date", "string", "YYYY-MM-DD"),
    record.Kind.MONEY: ("money", "number", "currency"),
    record.Kind.FLAG: ("flag", "boolean", ""),
    record.Kind.CHOICE: ("choice", "string", ""),
}
# Where a unit says more than the kind.
_UNITS = {"monthlyRate": "currency per rateUom", "pemsVersion": "stamp of PEMS"}


def field_infos() -> list[FieldInfo]:
    """List every field, in the order of the field table."""
    return [_info(field) for field in FIELDS.values()]


def _info(field: Field) -> FieldInfo:
    kind, type_, unit = _KINDS[field.kind]
    return FieldInfo(
        field=field.name,
        kind=kind,
        type=type_,
        unit=_UNITS.get(field.name, unit),
        editable=field.editable,
        money=field.name in MONEY,
        sortable=bool(field.column),
        filters=_filters(field),
        choices=field.choices,
        default=field.default,
        max_length=field.max_length if field.kind is record.Kind.TEXT else None,
        means=field.meaning,
    )


def _filters(field: Field) -> list[str]:
    """List the options that filter by the field."""
    return [
        f"--{name.rstrip('_').replace('_', '-')}"
        for name, looked_at in LOOKED_AT.items()
        if field.name in looked_at
    ]
