"""The counts of a push, and the changes that are not in PEMS as they were sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pfa_core.errors import Fault, FaultCode
from pfa_core.model.ids import ModificationId
from pfa_core.model.push import Result, Verdict

MAX_PROBLEMS = 1000


@dataclass
class Tally:
    """The changes of a run, each counted by its last result.

    `altered` are those synced ones that PEMS stored otherwise, `others` those that are not synced.
    """

    synced: int = 0
    recovered: int = 0
    altered: dict[str, Result] = field(default_factory=dict)
    others: dict[str, Result] = field(default_factory=dict)

    def copy(self) -> Tally:
        """Return a tally of its own with the same counts."""
        return replace(self, altered=dict(self.altered), others=dict(self.others))

    def add(self, results: Iterable[Result]) -> None:
        """Count results; a later one of a change replaces the earlier."""
        for result in results:
            key = result.task.modification_id
            self.others.pop(key, None)
            if result.verdict is Verdict.SYNCED:
                self.synced += 1
                if result.altered:
                    self.altered[key] = result
            elif result.verdict is not Verdict.RELEASED:
                self.others[key] = result

    def counts(self) -> dict[str, int]:
        """Return the numbers by outcome, as history and results hold them."""
        verdicts = Counter(item.verdict for item in self.others.values())
        return {
            "total": self.synced + len(self.others),
            "synced": self.synced,
            "altered": len(self.altered),
            "rejected": verdicts[Verdict.REJECTED],
            "conflicts": verdicts[Verdict.CONFLICT],
            "retrying": verdicts[Verdict.RETRYING],
            "recovered": self.recovered,
        }

    def retrying(self) -> list[ModificationId]:
        """Return the changes that are due again later."""
        found = (item for item in self.others.values() if item.verdict is Verdict.RETRYING)
        return [item.task.modification_id for item in found]

    def problems(self) -> list[Fault]:
        """Return why changes are not in PEMS yet, or not as they were sent; at most 1,000."""
        found = [*self.others.values(), *self.altered.values()]
        return [_problem(item) for item in found[:MAX_PROBLEMS]]


def _problem(result: Result) -> Fault:
    code = result.code or FaultCode(result.verdict.upper())
    place = f"session {result.task.session_id}"
    return Fault(result.task.pfa_id, "", code, result.message, position=place)
