"""Decisions on fields in conflict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from pfa_core.errors import InvalidData, InvalidRequest
from pfa_core.model.delta import clean


class Answer(StrEnum):
    """The value that a field gets: the user's, that of PEMS, another one."""

    MINE = "mine"
    PEMS = "pems"
    SET = "set"


class ConflictStatus(StrEnum):
    """The status of a conflict."""

    OPEN = "unresolved"
    RESOLVED = "resolved"


class ConflictResolution(StrEnum):
    """The values that a resolved conflict took; `merged`: not all of one side."""

    MINE = "mine"
    PEMS = "pems"
    MERGED = "merged"


TAKES = (Answer.MINE, Answer.PEMS)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answers to conflicts.

    Args:
        take: mine or pems, for each field without an answer of its own.
        fields: mine or pems, by field.
        values: New values, by field; also for fields that the modification changes without conflict.

    Raises:
        InvalidRequest: No answer, two for one field, or another one than mine and pems.
    """

    take: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.take is None and not self.fields and not self.values:
            raise InvalidRequest(
                "choose a resolution", hint="give `take=mine`, `take=pems` or `values`"
            )
        for answer in (*([] if self.take is None else [self.take]), *self.fields.values()):
            if answer not in TAKES:
                raise InvalidRequest(f"invalid answer: {answer!r}; use {' or '.join(TAKES)}")
        twice = sorted(self.fields.keys() & self.values.keys())
        if twice:
            raise InvalidRequest(f"two answers for one field: {twice[0]}")

    def cleaned(self) -> Decision:
        """Return the decision with its values as they are stored.

        Raises:
            InvalidData: A value that its field cannot have, or a field that cannot be edited.
        """
        if not self.values:
            return self
        values, faults = clean("", self.values)
        if faults:
            raise InvalidData("invalid value, nothing was resolved", details=faults)
        return replace(self, values=values)

    def answer(self, name: str) -> Answer | None:
        """Return the answer for a field in conflict; None where there is none."""
        if name in self.values:
            return Answer.SET
        answer = self.fields.get(name, self.take)
        return None if answer is None else Answer(answer)
