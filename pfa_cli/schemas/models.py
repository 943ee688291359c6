"""Pydantic models and JSON Schemas made from the types of results.

Only the generator of the schemas and tests import this module: it loads pydantic and every use case.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    NewType,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, WithJsonSchema, create_model
from pydantic.json_schema import GenerateJsonSchema

from pfa_cli.envelopes.base import ABSENT
from pfa_cli.render.names import key
from pfa_cli.schemas.meanings import meaning

_NUMBER = Annotated[Decimal, WithJsonSchema({"type": "number"})]
_INSTANT = Annotated[datetime, WithJsonSchema({"type": "string", "format": "date-time"})]
_DAY = Annotated[date, WithJsonSchema({"type": "string", "format": "date"})]
_LISTS = (list, tuple, frozenset, Sequence, Iterable, AbstractSet)
_UNIONS = (Union, types.UnionType)
_IN_METADATA = "masked"  # as `render.json`: a flag of results that the metadata has once


class Schema(GenerateJsonSchema):
    """Schemas without titles of keys, which would only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Leave titles to models."""
        return False


class Models:
    """Pydantic models of dataclasses, as `render.json.document` writes them.

    Args:
        names: What annotations name and their modules import for type checkers only.
        snake_case: The dataclasses whose keys are as Python spells them; those of others are in camel case.
    """

    def __init__(self, names: Mapping[str, Any], snake_case: Collection[type] = ()) -> None:
        self._names, self._snake_case = names, snake_case
        self._made: dict[Any, type[BaseModel]] = {}

    def model_of(self, kind: Any) -> type[BaseModel]:
        """Return the model of a dataclass, parametrized or not."""
        if kind not in self._made:
            self._made[kind] = self._make(kind)
        return self._made[kind]

    def _make(self, kind: Any) -> type[BaseModel]:
        origin = get_origin(kind) or kind
        given = _parameters(kind)
        hints = get_type_hints(origin, localns=dict(self._names))
        made: dict[str, Any] = {}
        for number, item in enumerate(fields(origin)):
            is_absent = ABSENT in item.metadata
            if item.name == _IN_METADATA and not is_absent:
                continue
            name = item.name if origin in self._snake_case else key(item.name)
            kind_of = self._converted(hints[item.name], given)
            # The attributes are numbered: names such as `json` would hide those of pydantic.
            made[f"key{number}"] = (
                _without_none(kind_of) if is_absent else kind_of,
                _key(name, origin.__name__, is_absent=is_absent),
            )
        config = ConfigDict(extra="forbid", title=origin.__name__)
        return create_model(origin.__name__, __config__=config, __doc__=_about(origin), **made)

    def _converted(self, hint: Any, given: Mapping[Any, Any]) -> Any:
        if isinstance(hint, TypeVar):
            return self._converted(given[hint], given) if hint in given else Any
        if isinstance(hint, NewType):
            return self._converted(hint.__supertype__, given)
        if simple := {Decimal: _NUMBER, datetime: _INSTANT, date: _DAY}.get(hint):
            return simple
        origin, inner = get_origin(hint), get_args(hint)
        if is_dataclass(origin or hint):
            bound = tuple(given.get(each, each) for each in inner)
            return self.model_of(hint if bound == inner else (origin or hint)[bound])
        if origin in _UNIONS:
            return Union[tuple(self._converted(each, given) for each in inner)]  # noqa: UP007
        if origin is Callable:
            return self._converted(inner[1], given)  # known after the data: written by then
        if origin in _LISTS:
            return list[self._converted(inner[0], given)]
        if origin in (dict, Mapping):
            return dict[str, self._converted(inner[1], given)]
        return hint

    def json_schema(self, kind: Any, *, line: Any = None) -> dict[str, Any]:
        """Make the JSON Schema of a type, with that of its lines of JSONL under `$defs`."""
        schema = _schema_of(self._converted(kind, {}))
        if line is None:
            return schema
        inner = _schema_of(self._converted(line, {}))
        definitions = {**schema.pop("$defs", {}), **inner.pop("$defs", {})}
        named = inner.get("title", "")
        if definitions.get(named) == inner:
            inner = {"$ref": f"#/$defs/{named}"}
        return {**schema, "$defs": {**definitions, "line": inner}}


def _schema_of(kind: Any) -> dict[str, Any]:
    return TypeAdapter(kind).json_schema(schema_generator=Schema)


def _parameters(kind: Any) -> dict[Any, Any]:
    """Return what the type variables of a dataclass and of its bases stand for."""
    found: dict[Any, Any] = {}
    for each in (kind, *getattr(kind, "__orig_bases__", ())):
        origin = get_origin(each)
        if is_dataclass(origin):
            found |= dict(zip(getattr(origin, "__parameters__", ()), get_args(each), strict=False))
    return found


def _without_none(kind: Any) -> Any:
    if get_origin(kind) not in _UNIONS:
        return kind
    return Union[tuple(each for each in get_args(kind) if each is not types.NoneType)]  # noqa: UP007


def _key(name: str, owner: str, *, is_absent: bool) -> Any:
    text, unit = meaning(owner, name)

    def finish(schema: dict[str, Any]) -> None:
        schema.pop("default", None)
        schema["description"] = text
        if unit:
            schema["x-unit"] = unit

    return Field(default=None if is_absent else ..., alias=name, json_schema_extra=finish)


def _about(kind: type[Any]) -> str:
    return " ".join((kind.__doc__ or "").partition("\n\n")[0].split())
