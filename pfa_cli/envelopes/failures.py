"""JSON of errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from pfa_cli.envelopes.base import ABSENT
from pfa_cli.envelopes.groups import grouped
from pfa_cli.envelopes.problems import Problem
from pfa_cli.parameters import with_options

if TYPE_CHECKING:
    from pfa_core.errors import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemGroup:
    """Faults that say the same of the same field.

    `examples`: ids of records, or positions.
    """

    code: str
    field: str
    message: str
    count: int
    examples: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceededLimit:
    """A limit that a commit or a push is over; money is null where it is masked."""

    guard: str
    found: Decimal | None
    most: Decimal | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The content of an error: `{"error": …}`."""

    code: str
    message: str
    exit_code: int
    retryable: bool
    hint: str
    details: list[Problem]
    groups: list[ProblemGroup]
    limits: list[ExceededLimit] | None = field(default=None, metadata={ABSENT: True})


@dataclass(frozen=True, slots=True)
class Error:
    """An error on stderr."""

    error: Failed


def problem_groups(faults: Iterable[Fault]) -> list[ProblemGroup]:
    """Convert faults of the library to their groups, equal ones counted once."""
    return [
        ProblemGroup(
            code=group.first.code,
            field=group.first.field,
            message=with_options(group.first.message),
            count=group.count,
            examples=[fault.pfa_id or fault.position for fault in group.examples],
        )
        for group in grouped(faults)
    ]
