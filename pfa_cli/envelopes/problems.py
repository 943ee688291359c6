"""JSON of the faults of an input."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfa_cli.envelopes.base import absent
from pfa_cli.parameters import with_options

if TYPE_CHECKING:
    from pfa_core.errors import Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault of one record; `position` only where the input has one."""

    pfa_id: str
    field: str
    code: str
    message: str
    position: str | None = absent()


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
