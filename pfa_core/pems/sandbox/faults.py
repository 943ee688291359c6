"""Faults on request, chosen by seeded chance and by count."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pfa_core.errors import InvalidRequest
from pfa_core.model.values import shorten

MAX_SECONDS = 3600.0
DEFAULT_PAUSE = 0.005
DEFAULT_LENGTH = 10
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")
_PROBABILITY = re.compile(r"0(?:\.\d+)?|1(?:\.0+)?|\.\d+")
_GRAMMAR = (
    "KIND[:PROBABILITY][:on=grid|rest|screen|health][:times=N][:after=N], "
    "latency:50ms, 429:…:retry-after=2, slow:…:pause=5ms, cuts:…:length=10"
)


class Kind(StrEnum):
    """Name a fault.

    With the last six the request is applied, with the last three of them not as it was sent.
    """

    LATENCY = "latency"
    LOCKED = "423"
    TOO_EARLY = "425"
    TOO_MANY = "429"
    SERVER_ERROR = "500"
    UNAVAILABLE = "503"
    RESET_BEFORE = "reset-before"
    ALERT = "alert"
    RESET_AFTER = "reset-after"
    TRUNCATE = "truncate"
    SLOW = "slow"
    ROUNDS = "rounds"
    CUTS = "cuts"
    CAPITALS = "capitals"


# Of writes only, beside any other fault: money is rounded to whole units, texts are cut or capitalized.
ALTERING = (Kind.ROUNDS, Kind.CUTS, Kind.CAPITALS)

_MAY_ASK_TO_WAIT = (Kind.LOCKED, Kind.TOO_MANY, Kind.UNAVAILABLE)


class PathKind(StrEnum):
    """Name a service of PEMS; each has a path of its own."""

    GRID = "grid"
    REST = "rest"
    SCREEN = "screen"
    HEALTH = "health"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """One fault and when it strikes.

    Args:
        seconds: The latency, or the pause between slow pieces.
        length: The characters that are left of a text that is cut.
        on: The service; None: every one.
        times: The most times that it strikes; None: any number.
        after: The number of matching requests that it spares first.
    """

    kind: Kind
    probability: float = 1.0
    seconds: float = 0.0
    retry_after: str = ""
    length: int = DEFAULT_LENGTH
    on: PathKind | None = None
    times: int | None = None
    after: int = 0

    def __str__(self) -> str:
        parts: list[str] = [self.kind]
        if self.kind is Kind.LATENCY:
            parts.append(f"{self.seconds:g}s")
        parts.append(f"{self.probability:g}")
        if self.kind is Kind.SLOW:
            parts.append(f"pause={self.seconds:g}s")
        if self.kind is Kind.CUTS:
            parts.append(f"length={self.length}")
        if self.retry_after:
            parts.append(f"retry-after={self.retry_after}")
        parts += [f"on={self.on}"] if self.on else []
        parts += [f"times={self.times}"] if self.times is not None else []
        parts += [f"after={self.after}"] if self.after else []
        return ":".join(parts)


@dataclass(frozen=True, slots=True)
class Strike:
    """The wait, the fault, at most one, and the alterations of a request."""

    latency: float = 0.0
    rule: FaultRule | None = None
    alterations: tuple[FaultRule, ...] = ()

    @property
    def kind(self) -> Kind | None:
        """Return the fault's kind, None for a request that is spared."""
        return self.rule.kind if self.rule else None


def parse_fault(spec: str) -> FaultRule:
    """Parse a rule such as `429:0.1:retry-after=2:on=rest:times=3`.

    Raises:
        InvalidRequest: The text is not a rule; the grammar is in the hint.
    """
    name, *words = spec.split(":")
    if name not in list(Kind):
        raise _wrong(spec, f"unknown kind {shorten(name)}; kinds are {', '.join(Kind)}")
    rule = FaultRule(kind=Kind(name), seconds=DEFAULT_PAUSE if name == Kind.SLOW else 0.0)
    if rule.kind is Kind.LATENCY and not (words and _DURATION.fullmatch(words[0])):
        raise _wrong(spec, "latency needs a duration")
    for word in words:
        rule = _with_word(rule, word, spec)
    return rule


def _with_word(rule: FaultRule, word: str, spec: str) -> FaultRule:
    name, _, value = word.partition("=")
    if _PROBABILITY.fullmatch(word):
        return replace(rule, probability=float(word))
    if _DURATION.fullmatch(word) and rule.kind is Kind.LATENCY:
        return replace(rule, seconds=_seconds(word, spec))
    if name == "pause" and rule.kind is Kind.SLOW:
        return replace(rule, seconds=_seconds(value, spec))
    if name == "retry-after" and value and rule.kind in _MAY_ASK_TO_WAIT:
        return replace(rule, retry_after=value)
    if name == "length" and value.isdecimal() and int(value) and rule.kind is Kind.CUTS:
        return replace(rule, length=int(value))
    if name == "on" and value in list(PathKind):
        return replace(rule, on=PathKind(value))
    if name == "times" and value.isdecimal():
        return replace(rule, times=int(value))
    if name == "after" and value.isdecimal():
        return replace(rule, after=int(value))
    raise _wrong(spec, f"unexpected {shorten(word)}")


def _seconds(text: str, spec: str) -> float:
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else -1
    if not 0 <= seconds <= MAX_SECONDS:
        raise _wrong(
            spec, f"invalid duration {shorten(text)}, use one such as 50ms or 2s, at most an hour"
        )
    return seconds


def _wrong(spec: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"fault {shorten(spec)}: {reason}", hint=f"write {_GRAMMAR}")


def _replaces(rule: FaultRule) -> bool:
    """Return whether only one such fault strikes a request."""
    return rule.kind is not Kind.LATENCY and rule.kind not in ALTERING


@dataclass(slots=True)
class _Counted:
    """A rule in force: the requests that it matched, and those that it struck."""

    rule: FaultRule
    seen: int = 0
    struck: int = 0


@dataclass(slots=True)
class FaultBox:
    """The rules in force.

    The same seed and the same order of requests strike the same requests.
    """

    seed: int = 0
    _rules: list[_Counted] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _random: random.Random = field(default_factory=random.Random)

    def set(self, rules: Iterable[FaultRule | str], seed: int | None = None) -> None:
        """Replace all rules, and reset counts and chance; None keeps the seed."""
        parsed = [parse_fault(rule) if isinstance(rule, str) else rule for rule in rules]
        with self._lock:
            self.seed = self.seed if seed is None else seed
            self._random.seed(self.seed)
            self._rules = [_Counted(rule) for rule in parsed]

    def strike(self, where: PathKind, *, writes: bool = False) -> Strike:
        """Decide the fault of the next request there; the first rule that fires wins.

        Every latency counts, and every alteration of a request that writes.
        """
        fired: list[FaultRule] = []
        with self._lock:
            for counted in self._rules:
                kind = counted.rule.kind
                alters = kind in ALTERING
                if alters and not writes:
                    continue
                open_to = alters or kind is Kind.LATENCY or not any(map(_replaces, fired))
                if open_to and self._fires(counted, where):
                    counted.struck += 1
                    fired.append(counted.rule)
        return Strike(
            sum(rule.seconds for rule in fired if rule.kind is Kind.LATENCY),
            next(filter(_replaces, fired), None),
            tuple(rule for rule in fired if rule.kind in ALTERING),
        )

    def _fires(self, counted: _Counted, where: PathKind) -> bool:
        rule = counted.rule
        if rule.on not in (None, where):
            return False
        counted.seen += 1
        if counted.seen <= rule.after or (rule.times is not None and counted.struck >= rule.times):
            return False
        return rule.probability >= 1 or self._random.random() < rule.probability

    @property
    def rules(self) -> tuple[FaultRule, ...]:
        """Return the rules in force, in order."""
        return tuple(counted.rule for counted in self._rules)

    @property
    def struck(self) -> Mapping[str, int]:
        """Count how often each kind of fault struck since the rules were set."""
        totals: Counter[str] = Counter()
        for counted in self._rules:
            totals[counted.rule.kind] += counted.struck
        return dict(totals)

    def as_json(self) -> dict[str, object]:
        """Return the rules with their counts."""
        rules = [{"fault": str(item.rule), "struck": item.struck} for item in self._rules]
        return {"faults": rules, "seed": self.seed}
