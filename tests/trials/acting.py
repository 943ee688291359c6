"""Acts as words of the command line and as calls of the library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pfa_core
from pfa_core import Change, Filters, Selection
from pfa_core.conflicts.selection import ConflictSelection
from pfa_core.model.decision import Decision
from pfa_core.store.database import Database
from pfa_core.sync.pull.options import PullOptions
from pfa_core.sync.push.options import PushOptions
from tests.faults.pusher import read_profile
from tests.trials.steps import Act, Kind

# After these codes it is unknown whether more would be answered: the process ends its turn. 74: a stream or a file.
UNANSWERED = frozenset({69, 74, 76, 130, 143})
SHOWN = (
    "pfaId",
    "model",
    "manufacturer",
    "areaSilo",
    "category",
    "monthlyRate",
    "forecastStart",
    "forecastEnd",
)
LIFETIME = 2.0  # seconds in which a stopped run of the library keeps others out


def words_of(act: Act, folder: str) -> list[str]:
    """The command line of an act; files of it are in the folder."""
    only = [word for pfa_id in act.ids for word in ("--id", pfa_id)]
    session = ["--session", act.session] if act.session else []
    into = ["--into", act.session]
    (pfa_id, delta), *_ = act.values.items() or [("", {})]
    fields = [f"{name}={value}" for name, value in delta.items()] if act.kind is Kind.SAVE else []
    log = ["--log-file", f"{folder}/full.log"] if act.word == "log" else []
    by_kind: Mapping[Kind, list[str]] = {
        Kind.SAVE: ["draft", "set", pfa_id, *fields, *into],
        Kind.SHIFT: ["draft", "shift", str(act.number), *only, *into, "--move"],
        Kind.UNSET: ["draft", "unset", *act.ids, *act.words],
        Kind.DISCARD: ["discard", *only, *session],
        Kind.COMMIT: ["commit", *only, *session],
        Kind.UNCOMMIT: ["uncommit", *only, *session],
        Kind.RESTORE: ["restore", *only],
        Kind.UNDO: ["undo"],
        Kind.REDO: ["undo", "--redo"],
        Kind.RESOLVE: ["conflict", "resolve", "--all", "--partial", "--take", act.word],
        Kind.LIST: ["list", "-o", "jsonl", "--columns", ",".join(SHOWN)],
        Kind.STATS: ["stats", "-o", "json"],
        Kind.EXPORT: ["list", "--to", f"{folder}/export.csv"],
        Kind.PUSH: ["sync", "push", "--concurrency", "2", "--deadline", "10s", *log],
        Kind.PULL: ["sync", "pull", *act.words],
        Kind.RETRY: ["sync", "retry", "--deadline", "10s"],
        Kind.ISSUE: ["auth", "issue", "--user", act.word, "--ttl", "90d"],
        Kind.TOKEN: ["list", "--limit", "1", "-o", "ids"],
        Kind.VERIFY: ["log", "verify", "-o", "ids"],
    }
    return by_kind[act.kind]


def in_library(db: Database, who: Any, act: Act, pems: Mapping[str, Any]) -> None:
    """Do an act by a call."""
    if act.kind in (Kind.PUSH, Kind.PULL):
        _exchange(db, who, act, pems)
    else:
        _CALLS[act.kind](db, who, act, act.session or None)


def _exchange(db: Database, who: Any, act: Act, pems: Mapping[str, Any]) -> None:
    profile = read_profile(pems)
    if act.kind is Kind.PUSH:
        options = PushOptions(concurrency=2, lifetime=timedelta(seconds=LIFETIME))
        pfa_core.push_changes(db, who, profile, options)
    else:
        pfa_core.pull_pems(db, who, profile, _pull_options(act.words))


def _save(db: Database, who: Any, act: Act, session: str | None) -> None:
    changes = [Change(pfa_id, delta) for pfa_id, delta in act.values.items()]
    pfa_core.save(db, who, changes, session_id=session)


def _shift(db: Database, who: Any, act: Act, session: str | None) -> None:
    only = Filters(id=act.ids)
    pfa_core.shift(db, who, only, act.number, session_id=session, move=True)


def _resolve(db: Database, who: Any, act: Act, _: str | None) -> None:
    everything, decision = ConflictSelection(everything=True), Decision(act.word)
    pfa_core.resolve_conflicts(db, who, everything, decision, partial=True)


def _selecting(verb: Callable[..., Any]) -> Callable[[Database, Any, Act, str | None], None]:
    def call(db: Database, who: Any, act: Act, session: str | None) -> None:
        verb(db, who, Selection(ids=act.ids, session_id=session))

    return call


_CALLS: Mapping[Kind, Callable[[Database, Any, Act, str | None], Any]] = {
    Kind.SAVE: _save,
    Kind.SHIFT: _shift,
    Kind.UNSET: lambda db, who, act, _: pfa_core.unset_fields(
        db, who, Filters(id=act.ids), act.words
    ),
    Kind.DISCARD: _selecting(lambda *words: pfa_core.discard(*words)),
    Kind.COMMIT: _selecting(lambda *words: pfa_core.commit(*words)),
    Kind.UNCOMMIT: _selecting(lambda *words: pfa_core.uncommit(*words)),
    Kind.RESTORE: lambda db, who, act, _: pfa_core.restore(db, who, ids=act.ids),
    Kind.UNDO: lambda db, who, act, _: pfa_core.undo(db, who),
    Kind.REDO: lambda db, who, act, _: pfa_core.undo(db, who, redo=True),
    Kind.RESOLVE: _resolve,
    Kind.LIST: lambda db, who, act, _: _print_records(db, who),
}


def _pull_options(words: Sequence[str]) -> PullOptions:
    return PullOptions(incremental="--incremental" in words, restart="--restart" in words)


def _print_records(db: Database, who: Any) -> None:
    from pfa_core import exact_json
    from tests.faults.pusher import say

    page = pfa_core.list_records(db, who, pfa_core.Query(Filters()), page_size=1000)
    for record in page.records:
        say(exact_json.dumps(record.data))
