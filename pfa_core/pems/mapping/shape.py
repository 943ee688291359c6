"""Shape of a field map's file."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pfa_core.errors import FaultCode
from pfa_core.model.record import FIELDS
from pfa_core.model.suggest import did_you_mean
from pfa_core.pems.mapping.steps import TransformFault
from pfa_core.pems.mapping.transforms import read_step
from pfa_core.shapes import AfterValidator, Shape, any_of, key, refused

_IDENTITY = "pfaId"


def _field(name: str) -> str:
    if name not in FIELDS:
        raise refused(FaultCode.UNKNOWN_FIELD, f"unknown field{did_you_mean(name, FIELDS)}")
    return name


def _changed(name: str) -> str:
    if _field(name) == _IDENTITY:
        raise refused(FaultCode.READ_ONLY_FIELD, "cannot change the pfaId")
    return name


def _steps(content: Any) -> Any:
    try:
        for step in content if isinstance(content, list) else [content]:
            read_step(step)
    except TransformFault as fault:
        raise refused(FaultCode.INVALID_ENUM_VALUE, str(fault)) from fault
    return content


def _default(value: Any) -> Any:
    if not isinstance(value, str | int | Decimal):
        raise refused(FaultCode.INVALID_TYPE, "must be a text or a number")
    return value


def _each_once(table: Mapping[str, str]) -> Mapping[str, str]:
    if len(set(table.values())) != len(table):
        raise refused(FaultCode.DUPLICATE_RECORD, "names a field twice")
    return table


def _with(*needed: str) -> AfterValidator:
    def check(table: Mapping[str, str]) -> Mapping[str, str]:
        for name in needed:
            if name not in table.values():
                raise refused(FaultCode.MISSING_REQUIRED_FIELD, f"does not name the {name}")
        return _each_once(table)

    return AfterValidator(check)


FieldName = Annotated[str, AfterValidator(_field)]
ChangedField = Annotated[str, AfterValidator(_changed)]


class ScreenNames(Shape):
    """The names of the user-defined screen."""

    fields: Annotated[dict[str, FieldName], _with(_IDENTITY, "organization")] = key(
        "field by name in the screen", "the name of a field"
    )


class FieldMapFile(Shape):
    """A TOML file with the names that PEMS has for fields."""

    noun: ClassVar[str] = "a table"
    fields: Annotated[dict[str, FieldName], _with(_IDENTITY)] = key(
        "field by alias of the grid", 'a table of alias = "field"', default=...
    )
    transforms: dict[
        ChangedField, Annotated[Any, AfterValidator(_steps), any_of("string", "object", "array")]
    ] = key("by field: a transform of its value, or several in order", "a table")
    defaults: dict[
        ChangedField,
        Annotated[Any, AfterValidator(_default), any_of("string", "number", "boolean")],
    ] = key("by field: what an empty value means", "a table")
    screen: ScreenNames = key("the user-defined screen", "a table")
