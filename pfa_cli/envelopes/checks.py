"""JSON of the checks of a setup."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """Finding of one check; `exit_code` is 0 unless it is a problem."""

    check: str
    result: Literal["ok", "notice", "problem", "skipped"]
    finding: str
    _: KW_ONLY
    cure: str = ""
    exit_code: int = 0
