"""What calls took and how they ended, by kind."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

HELD = 75  # the exit code where another run of the kind holds the lease
HEADER = f"{'kind':<22} {'calls':>7} {'p50':>8} {'p95':>8} {'p99':>8} {'max':>8} {'held':>6} {'errors':>7}"


@dataclass(frozen=True)
class Ran:
    """One call: its kind, seconds and exit code; `said` is what an unexpected end left on stderr."""

    kind: str
    seconds: float
    code: int
    said: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.said)


@dataclass(frozen=True)
class Row:
    """All calls of one kind, in seconds."""

    kind: str
    calls: int
    p50: float
    p95: float
    p99: float
    longest: float
    held: int
    errors: int

    def line(self) -> str:
        times = " ".join(f"{at:>8.2f}" for at in (self.p50, self.p95, self.p99, self.longest))
        return f"{self.kind:<22} {self.calls:>7,} {times} {self.held:>6,} {self.errors:>7,}"


def ended(kind: str, seconds: float, code: int, expected: Iterable[int], said: str) -> Ran:
    """A call that ended; what it said is kept where its code was not expected."""
    shown = "" if code in expected else said.strip()[-2000:] or "it said nothing"
    return Ran(kind, seconds, code, shown)


def rows(calls: Sequence[Ran]) -> list[Row]:
    """A row for each kind, and one of all."""
    kinds = dict.fromkeys(call.kind for call in calls)
    found = [_row(kind, [call for call in calls if call.kind == kind]) for kind in kinds]
    return [*found, _row("all", calls)] if len(found) > 1 else found


def _row(kind: str, calls: Sequence[Ran]) -> Row:
    seconds = sorted(call.seconds for call in calls)
    return Row(
        kind,
        len(calls),
        percentile(seconds, 0.5),
        percentile(seconds, 0.95),
        percentile(seconds, 0.99),
        percentile(seconds, 1),
        sum(call.code == HELD and not call.failed for call in calls),
        sum(call.failed for call in calls),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that is not exceeded by that share of them; 0 of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def failures(calls: Iterable[Ran]) -> list[dict[str, Any]]:
    """What failed, like failures once, the most frequent first."""
    found = Counter((call.kind, call.code, call.said) for call in calls if call.failed)
    return [
        {"kind": kind, "code": code, "said": said, "times": times}
        for (kind, code, said), times in found.most_common()
    ]
