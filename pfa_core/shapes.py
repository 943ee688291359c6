"""Shapes of files and answers as pydantic models, and their faults, all at once.

Readers load a shape only to explain what they refuse: loading pydantic takes as long as loading psycopg.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from pfa_core.errors import Fault, FaultCode
from pfa_core.model.suggest import nearest
from pfa_core.model.values import shorten

__all__ = [
    "AfterValidator",
    "Found",
    "OpenShape",
    "Shape",
    "any_of",
    "find_faults",
    "key",
    "place_text",
    "refused",
]
_CODES = {
    "extra_forbidden": FaultCode.UNKNOWN_FIELD,
    "missing": FaultCode.MISSING_REQUIRED_FIELD,
    "literal_error": FaultCode.INVALID_ENUM_VALUE,
    "enum": FaultCode.INVALID_ENUM_VALUE,
}
_BOUNDS = ("greater_than", "less_than", "too_long", "too_short", "finite_number", "multiple_of")
_UNIONS = (Union, types.UnionType)
_KEY = "[key]"  # what pydantic writes behind the key of a mapping that is at fault itself


class Shape(BaseModel):
    """Base of a shape: no other keys, no conversion of values."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    noun: ClassVar[str] = "an object"  # of a value with keys, in messages


class OpenShape(BaseModel):
    """Base of a shape with other keys beside its own: PEMS may add some."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)
    noun: ClassVar[str] = "an object"


@dataclass(frozen=True, slots=True)
class Found:
    """One fault of a shape.

    `place` has the keys and positions that lead to it; `near` is the known key that an unknown one is most like.
    """

    place: tuple[str | int, ...]
    code: FaultCode
    reason: str
    near: str = ""

    @property
    def name(self) -> str:
        """Return the key at fault; empty where it is an element of a list, or the whole."""
        return self.place[-1] if self.place and isinstance(self.place[-1], str) else ""

    @property
    def above(self) -> tuple[str | int, ...]:
        """Return the place of the value that has the key."""
        return self.place[:-1] if self.name else self.place

    def as_fault(self, position: str) -> Fault:
        """Convert to a fault of the library."""
        return Fault("", self.name, self.code, self.reason, position=position)


def key(meaning: str, must: str = "", *, unit: str = "", default: Any = None, **bounds: Any) -> Any:
    """Declare a key with its meaning, what its value must be, and its bounds.

    Args:
        default: `...` where the key has to be there.
    """
    extra = {name: text for name, text in (("x-must", must), ("x-unit", unit)) if text}
    return Field(default=default, description=meaning, json_schema_extra={**extra}, **bounds)


def any_of(*kinds: str) -> Any:
    """Annotate a value that a validator checks with its types in the schema."""
    return WithJsonSchema({"anyOf": [{"type": kind} for kind in kinds]})


def refused(code: FaultCode, reason: str) -> PydanticCustomError:
    """Make the error of a rule, for a validator to raise."""
    return PydanticCustomError(code.value, "{reason}", {"reason": reason})


def find_faults(shape: type[BaseModel], value: Any) -> list[Found]:
    """Find every way in which a value is not of a shape, in its order."""
    try:
        shape.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        return list(_without_repetition(_found(shape, dict(each)) for each in details))
    return []


def _without_repetition(found: Iterator[Found]) -> Iterator[Found]:
    """Yield one fault for each place: a union tells one for each of its kinds."""
    seen: set[tuple[str | int, ...]] = set()
    for each in found:
        if each.place not in seen:
            seen.add(each.place)
            yield each


def _found(shape: type[BaseModel], detail: Mapping[str, Any]) -> Found:
    kind, place = str(detail["type"]), tuple(detail["loc"])
    if place and place[-1] == _KEY:
        place = place[:-1]
    place = _known_part(shape, place, kind)
    if kind in list(FaultCode):
        return Found(place, FaultCode(kind), detail["ctx"]["reason"])
    code = _CODES.get(kind) or _code(kind)
    if code is FaultCode.UNKNOWN_FIELD:
        near = _nearest(_kind_at(shape, place[:-1]), str(place[-1]))
        meant = f"; did you mean {near}?" if near else ""
        return Found(place, code, f"unknown key{meant}", near)
    if code is FaultCode.MISSING_REQUIRED_FIELD:
        return Found(place, code, "is missing")
    return Found(place, code, f"must be {_must(shape, place) or _usual(shape, kind, detail)}")


def _code(kind: str) -> FaultCode:
    in_bounds = not any(part in kind for part in _BOUNDS)
    return FaultCode.INVALID_TYPE if in_bounds else FaultCode.INVALID_RANGE


def _usual(shape: type[BaseModel], kind: str, detail: Mapping[str, Any]) -> str:
    """Say what a value must be whose key says nothing of it."""
    noun = str(getattr(shape, "noun", ""))
    texts = {
        "string_type": "a text",
        "int_type": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "dict_type": noun,
        "model_type": noun,
        "list_type": "a list",
        "literal_error": str(detail.get("ctx", {}).get("expected", "another value")),
    }
    return texts.get(kind, "another value")


def _must(shape: type[BaseModel], place: Sequence[str | int]) -> str:
    kind: Any = shape
    said = ""
    for step in place:
        if _is_shape(kind):
            field = _fields(kind).get(str(step))
            extra = field.json_schema_extra if field is not None else None
            said = str(extra.get("x-must", "")) if isinstance(extra, dict) else ""
        else:
            said = ""
        kind = _inside(kind, step)
    return said


def _nearest(kind: Any, written: str) -> str:
    return nearest(written, _fields(kind)) if _is_shape(kind) else ""


def _known_part(
    shape: type[BaseModel], place: Sequence[str | int], kind: str
) -> tuple[str | int, ...]:
    """Leave out of a place what names a variant of a union."""
    found: list[str | int] = []
    inside: Any = shape
    for number, step in enumerate(place):
        following = _inside(inside, step)
        is_last_unknown = kind == "extra_forbidden" and number == len(place) - 1
        if following is None and not is_last_unknown:
            continue
        found.append(step)
        inside = following
    return tuple(found)


def _kind_at(shape: type[BaseModel], place: Sequence[str | int]) -> Any:
    kind: Any = shape
    for step in place:
        kind = _inside(kind, step)
    return kind


def _inside(kind: Any, step: str | int) -> Any:
    """Return the type of what a key or a position leads to; None for none."""
    if _is_shape(kind):
        field = _fields(kind).get(str(step))
        return None if field is None else _plain(field.annotation)
    if get_origin(kind) in (dict, Mapping) and isinstance(step, str):
        return _plain(get_args(kind)[1])
    if get_origin(kind) in (list, Sequence) and isinstance(step, int):
        return _plain(get_args(kind)[0])
    return None


def _plain(kind: Any) -> Any:
    """Return a type without its annotations and without None."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in _UNIONS:
        inner = [each for each in get_args(kind) if each is not types.NoneType]
        composed = [each for each in map(_plain, inner) if _is_shape(each) or get_origin(each)]
        return composed[0] if composed else (_plain(inner[0]) if inner else Any)
    return kind


def _is_shape(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _fields(kind: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in kind.model_fields.items()}


def place_text(place: Sequence[str | int]) -> str:
    """Write a place as keys and positions: `profiles.default.pems`, `modifications 3`."""
    text = ""
    for step in place:
        text += (
            f" {step + 1}" if isinstance(step, int) else f"{'.' if text else ''}{shorten_key(step)}"
        )
    return text


def shorten_key(name: str) -> str:
    """Write a key that may be any text."""
    return name if name.isidentifier() else shorten(name)
