"""Common parts of the JSON.

`render.json.document` writes them: field names in camel case, in the order declared here. A field made
by `absent()` is left out while it is None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")
ABSENT = "absent"


def absent() -> Any:
    """Declare a field that the JSON holds only where it has a value."""
    return field(default=None, metadata={ABSENT: True})


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
