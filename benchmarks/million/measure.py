"""Medians of interleaved rounds, and the table of what was reached."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One row: pfa and the yardstick, in seconds or in the unit named; the ratio pfa / yardstick must
    not exceed `most`."""

    name: str
    yardstick: str
    own: float
    beside: float
    most: float
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.own / self.beside

    @property
    def good(self) -> bool:
        return self.ratio <= self.most

    def row(self) -> str:
        mark = "" if self.good else "  MISSED"
        return (
            f"{self.name:<58} {self._shown(self.own):>10} {self._shown(self.beside):>10}"
            f" {self.ratio:>8.3f} {self.most:>8.3f}{mark}"
        )

    def _shown(self, value: float) -> str:
        if self.unit == "s" and value < 1:
            return f"{value * 1000:.2f} ms"
        return f"{value:.2f} {self.unit}"

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "good": self.good}


# A connection that is used: PostgreSQL plans a statement anew the first ten times.
USED = 12
OFTEN = 40
HEADER = f"{'work':<58} {'own':>10} {'yardstick':>10} {'ratio':>8} {'at most':>8}"


def interleaved(
    own: Callable[[], object], yardstick: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """The median seconds of both, A B A B …, after one round that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for work, taken in zip((own, yardstick), times, strict=True):
            seconds = timed(work)
            if number:
                taken.append(seconds)
    return statistics.median(times[0]), statistics.median(times[1])


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes; a call that returns a float has measured itself."""
    began = time.perf_counter()
    result = work()
    return result if isinstance(result, float) else time.perf_counter() - began


def options(
    text: str | None, *, records: int, rounds: int, data: bool = True
) -> argparse.ArgumentParser:
    """What every measurement is asked with.

    Args:
        data: Whether it writes files of records, for which a folder may be named.
    """
    parser = argparse.ArgumentParser(description=(text or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=records)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", type=Path)
    parser.set_defaults(folder=None)
    if data:
        parser.add_argument("--folder", type=Path)
    return parser


def report(
    measured: Callable[[Path, Path, argparse.Namespace], Iterable[Figure]],
    given: argparse.Namespace,
    row: Callable[[Figure], str] = Figure.row,
) -> int:
    """Print the figures as they come and keep them where that was asked; 1 when a target is missed.

    Args:
        measured: Given a folder for a server, one for data, and the options.
    """
    found: list[Figure] = []
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as temporary:
        Path(temporary).chmod(0o755)  # as root the server runs under a service user
        for figure in measured(Path(temporary), given.folder or Path(temporary), given):
            found.append(figure)
            print(row(figure), flush=True)
    missed = [figure.name for figure in found if not figure.good]
    print(f"{len(found)} figures, {len(missed)} missed")
    if given.json:
        content = {"records": given.records, "figures": [figure.document() for figure in found]}
        given.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return 1 if missed else 0
