"""Many inputs for one parser, and what is wrong with it."""

from __future__ import annotations

import random
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from tests.fuzz.mutations import mutated

MOST_SECONDS = 1.0  # of the processor, for one input
HANG_SECONDS = 2.0  # after which it is given up
MOST_GROWTH = 200 << 20  # bytes
_KEPT = 2_000  # inputs that others are made of
_LOOK = 2_000  # inputs between two looks at the memory


class Hang(BaseException):
    """An input that takes many times as long as one may; no parser catches it."""


@dataclass(frozen=True)
class Finding:
    """An input and what is wrong: an error other than a refusal, its time, or the memory that is not given back."""

    content: bytes
    reason: str


@dataclass(frozen=True)
class Result:
    """What came of so many inputs."""

    cases: int
    findings: list[Finding]


def trial(
    take: Callable[[bytes], None],
    pool: Sequence[bytes],
    *,
    seed: int,
    cases: int | None = None,
    until: float | None = None,
    most_findings: int = 10,
) -> Result:
    """Let a parser take inputs, first those of the pool, until so many or a time of the monotonic clock."""
    chance, kept = random.Random(seed), list(pool)
    findings: dict[str, Finding] = {}
    number, memory = 0, _memory()
    for number, content in enumerate(_inputs(chance, kept, len(pool)), 1):
        reason = reason_of(take, content)
        if reason:
            findings.setdefault(reason, Finding(content, reason))
        elif chance.random() < 0.02:
            # What was taken once may lead to what is refused otherwise.
            kept[chance.randrange(len(pool), _KEPT) if len(kept) >= _KEPT else len(kept) :] = [
                content
            ]
        if number % _LOOK == 0 and _memory() - memory > MOST_GROWTH:
            growth = (_memory() - memory) >> 20
            findings["memory"] = Finding(content, f"{growth} MiB more after {number} inputs")
        over = until is not None and number % 20 == 0 and time.monotonic() > until
        if number == cases or over or len(findings) >= most_findings or "memory" in findings:
            break
    return Result(number, list(findings.values()))


def reason_of(take: Callable[[bytes], None], content: bytes) -> str:
    """Return what is wrong with how an input is taken; empty for nothing. Of equal faults one text."""
    begun = time.process_time()
    try:
        with _bounded():
            take(content)
    except Hang:
        return f"hangs for more than {HANG_SECONDS:g} s"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {place.filename}:{place.lineno} {place.name}"
    taken = time.process_time() - begun
    return f"takes more than {MOST_SECONDS:g} s" if taken > MOST_SECONDS else ""


def _inputs(chance: random.Random, kept: list[bytes], given: int) -> Iterator[bytes]:
    yield from kept[:given]
    while True:
        yield mutated(chance, kept)


@contextmanager
def _bounded() -> Iterator[None]:
    def end(_: int, __: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
