"""Common parts of the JSON.

`render.json.document` writes them: field names in camel case, in the order declared here. A field made
by `absent()` is left out while it is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pfa_cli.envelopes.groups import grouped
from pfa_cli.parameters import with_options

if TYPE_CHECKING:
    from pfa_core.errors import Fault

T = TypeVar("T")
ABSENT = "absent"


def absent() -> Any:
    """Declare a field that the JSON holds only where it has a value."""
    return field(default=None, metadata={ABSENT: True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault of one record; `position` only where the input has one."""

    pfa_id: str
    field: str
    code: str
    message: str
    position: str | None = absent()


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
class Failed:
    """The content of an error: `{"error": …}`."""

    code: str
    message: str
    exit_code: int
    retryable: bool
    hint: str
    details: list[Problem]
    groups: list[ProblemGroup]


@dataclass(frozen=True, slots=True)
class Error:
    """An error on stderr."""

    error: Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """Circumstances of a read; `masked` where money is hidden."""

    query_time: float | None = absent()
    filters: Sequence[str] | None = absent()
    total_records: int | None = absent()
    organization: str | None = absent()
    masked: bool | None = absent()


@dataclass(frozen=True, slots=True)
class Data(Generic[T]):
    """Most results: the data, and the circumstances of the read.

    Where the data are a stream, these are known after it.
    """

    data: T
    metadata: Metadata | Callable[[], Metadata] = field(default_factory=Metadata)


def problems(faults: Iterable[Fault]) -> list[Problem]:
    """Convert faults of the library to problems that name options."""
    return [
        Problem(
            pfa_id=fault.pfa_id,
            field=fault.field,
            code=fault.code,
            message=with_options(fault.message),
            position=fault.position or None,
        )
        for fault in faults
    ]


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
