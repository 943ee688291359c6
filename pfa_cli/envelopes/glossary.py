"""JSON of explanations and of the field table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "date", "money", "flag", "choice"]
JsonType = Literal["string", "number", "boolean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One meaning of a word; `next` is what to do, empty where nothing is."""

    word: str
    kind: str
    means: str
    next: str = ""
    exit_code: int | None = None
    retryable: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldInfo:
    """A field of a PFA record: its values, and what may be done with it."""

    field: str
    kind: Kind
    type: JsonType
    unit: str
    editable: bool
    money: bool
    sortable: bool
    filters: Sequence[str]
    choices: Sequence[str]
    default: str | bool | None
    max_length: int | None
    means: str
