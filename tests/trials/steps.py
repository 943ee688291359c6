"""What happens in a history: turns of processes, what they do in them, and where they are hit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What is done."""

    # By a user, to drafts and committed changes of their own.
    SAVE = "save"
    SHIFT = "shift"
    UNSET = "unset"
    DISCARD = "discard"
    RESTORE = "restore"
    COMMIT = "commit"
    UNCOMMIT = "uncommit"
    UNDO = "undo"
    REDO = "redo"
    RESOLVE = "resolve"
    # By a user, to look.
    LIST = "list"
    STATS = "stats"
    EXPORT = "export"
    # By the runs.
    PUSH = "push"
    PULL = "pull"
    RETRY = "retry"
    # By an administrator.
    ISSUE = "issue"
    REVOKE = "revoke"
    TOKEN = "token"
    VERIFY = "verify"
    # By others than the program.
    EDIT = "edit"
    PEMS_FAULTS = "pems-faults"
    PEMS_KILL = "pems-kill"
    DATABASE_QUIT = "database-quit"
    DATABASE_KILL = "database-kill"
    DISK_FULL = "disk-full"
    DISK_FREE = "disk-free"


OF_USERS = frozenset(list(Kind)[:10])
LOOKS = frozenset({Kind.LIST, Kind.STATS, Kind.EXPORT})
RUNS = frozenset({Kind.PUSH, Kind.PULL, Kind.RETRY})
# What these leave behind is known from what was before, so that several may run in one process.
CERTAIN = frozenset({Kind.SAVE, Kind.SHIFT, Kind.UNSET, Kind.DISCARD})


class Way(StrEnum):
    """By which way a process does it."""

    CLI = "cli"  # the command line, in a process that was forked with the program loaded
    PYTHON = "python"  # as the owner of the tables
    EXEC = "exec"  # the command line, started anew


class Blow(StrEnum):
    """What hits a process."""

    KILL = "kill -9"
    STOP = "SIGSTOP"
    CUT = "connection cut"
    SILENCE = "connection silent"
    DATABASE_QUIT = "database stopped at once"
    DATABASE_KILL = "database killed"


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a process is hit: at its nth commit or statement, before or after it, or at a step of a run.

    A statement that is hit after was sent, and its answer never comes. `point` "time": after nth milliseconds.
    """

    blow: Blow
    point: str
    nth: int = 1
    after: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that is done. `values`: by record the fields, or what the kind needs."""

    kind: Kind
    ids: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    session: str = ""
    number: int = 0
    word: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one process does, one act after the other.

    Args:
        clock: How far the process's clock is from the server's, as libfaketime takes it.
        room: How many bytes each file of the process may have at most; 0: any.
    """

    number: int
    actor: str
    acts: tuple[Act, ...]
    way: Way = Way.CLI
    hit: Hit | None = None
    clock: str = ""
    room: int = 0

    def as_json(self) -> dict[str, Any]:
        """The turn as JSON holds it."""
        return asdict(self)

    def __str__(self) -> str:
        acts = "; ".join(_shown(act) for act in self.acts)
        hit = f"  << {self.hit.blow} at {_where(self.hit)}" if self.hit else ""
        more = f"  clock {self.clock}" if self.clock else ""
        more += f"  files of {self.room} bytes" if self.room else ""
        return f"{self.number:>5} {self.actor:<6} {self.way:<8} {acts}{hit}{more}"


def _shown(act: Act) -> str:
    values = json.dumps(dict(act.values), default=str) if act.values else ""
    number = str(act.number) if act.number else ""
    parts = (act.kind, *act.ids, act.session, act.word, *act.words, number, values)
    return " ".join(str(part) for part in parts if part)


def _where(hit: Hit) -> str:
    if hit.point == "time":
        return f"{hit.nth} ms"
    side = "" if ":" in hit.point else ", after it" if hit.after else ", before it"
    return f"{hit.point} {hit.nth}{side}"


def renumbered(turns: Iterable[Turn]) -> list[Turn]:
    """The turns, numbered from 1."""
    return [replace(turn, number=place) for place, turn in enumerate(turns, 1)]


def written(turns: Sequence[Turn]) -> str:
    """The turns as lines of JSON, for `--history`."""
    return "".join(json.dumps(turn.as_json(), default=str) + "\n" for turn in turns)


def read(text: str) -> list[Turn]:
    """The turns of such lines."""
    return [_turn(json.loads(line)) for line in text.splitlines() if line.strip()]


def _turn(stated: Mapping[str, Any]) -> Turn:
    hit = stated["hit"]
    more: dict[str, Any] = {
        "acts": tuple(act_of(act) for act in stated["acts"]),
        "way": Way(stated["way"]),
        "hit": Hit(**{**hit, "blow": Blow(hit["blow"])}) if hit else None,
    }
    return Turn(**{**stated, **more})


def act_of(stated: Mapping[str, Any]) -> Act:
    """The act that JSON states."""
    tuples = {name: tuple(stated[name]) for name in ("ids", "words")}
    return Act(**{**stated, **tuples, "kind": Kind(stated["kind"])})
