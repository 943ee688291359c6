"""What a person decides about fields that PEMS and a user changed both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pfa_core.errors import InvalidData, InvalidRequest
from pfa_core.model.delta import clean


class Answer(StrEnum):
    """Which value a field gets: mine, that of PEMS, or another one that is set."""

    MINE = "mine"
    PEMS = "pems"
    SET = "set"


TAKES = (Answer.MINE, Answer.PEMS)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answers to conflicts: new values by field, whose value by field, and whose for the rest.

    Values may also be given for fields that the modification changes without conflict.

    Raises:
        InvalidRequest: Nothing is decided, a field twice, or by another word than mine and pems.
    """

    take: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.take is None and not self.fields and not self.values:
            raise InvalidRequest(
                "nothing is decided", hint="give --take mine, --take pems or --set FIELD=VALUE"
            )
        for word in (*([] if self.take is None else [self.take]), *self.fields.values()):
            if word not in TAKES:
                raise InvalidRequest(f"{word!r} is none of {', '.join(TAKES)}")
        twice = sorted(self.fields.keys() & self.values.keys())
        if twice:
            raise InvalidRequest(f"{twice[0]} is both taken and set")

    def cleaned(self) -> Decision:
        """The decision with its values as they are stored.

        Raises:
            InvalidData: A value that its field cannot have, or a field that cannot be edited.
        """
        if not self.values:
            return self
        values, faults = clean("", self.values)
        if faults:
            raise InvalidData("a value is wrong, nothing was settled", details=faults)
        return Decision(self.take, self.fields, values)

    def answer(self, name: str) -> Answer | None:
        """The answer for a field in conflict; None where there is none."""
        if name in self.values:
            return Answer.SET
        word = self.fields.get(name, self.take)
        return None if word is None else Answer(word)
