"""The life cycle of a modification, as data: SQL guards, the documentation and a test follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pfa_core.model.delta import FieldConflict


class State(StrEnum):
    """Where a modification stands. PRISTINE is the absence of one and never stored."""

    PRISTINE = "pristine"
    DRAFT = "draft"
    COMMITTED = "committed"
    SYNCING = "syncing"
    SYNCED = "synced"
    SYNC_ERROR = "sync_error"
    CONFLICT = "conflict"


OVERLAYING = (State.DRAFT, State.COMMITTED, State.SYNCING, State.SYNC_ERROR, State.CONFLICT)


class Verb(StrEnum):
    """What moves a modification."""

    SAVE = "save"
    DISCARD = "discard"
    COMMIT = "commit"
    UNCOMMIT = "uncommit"
    CLAIM = "claim"
    ACKNOWLEDGE = "acknowledge"
    REJECT = "reject"
    DISPUTE = "dispute"
    RESOLVE = "resolve"
    RECOVER = "recover"


@dataclass(frozen=True, slots=True)
class Transition:
    """From which states a verb starts, where it may lead (PRISTINE: the row goes), who does it."""

    verb: Verb
    sources: tuple[State, ...]
    targets: tuple[State, ...]
    by: str
    guard: str


TRANSITIONS = {
    step.verb: step
    for step in (
        Transition(
            Verb.SAVE,
            (State.PRISTINE, State.DRAFT),
            (State.DRAFT,),
            "user",
            "expected version; valid on the merged record",
        ),
        Transition(
            Verb.DISCARD,
            (State.DRAFT,),
            (State.PRISTINE,),
            "user",
            "own; the audit trail keeps the delta",
        ),
        Transition(
            Verb.COMMIT,
            (State.DRAFT,),
            (State.COMMITTED,),
            "user",
            "version; valid; baseline not moved on the same fields",
        ),
        Transition(
            Verb.UNCOMMIT,
            (State.COMMITTED, State.SYNC_ERROR),
            (State.DRAFT,),
            "user",
            "nothing sent, or PEMS refused it for good; no other draft on the record",
        ),
        Transition(
            Verb.CLAIM,
            (State.COMMITTED, State.SYNC_ERROR),
            (State.SYNCING,),
            "pusher",
            "oldest of its record; due; lease",
        ),
        Transition(
            Verb.ACKNOWLEDGE,
            (State.SYNCING,),
            (State.SYNCED,),
            "pusher",
            "claim id; the delta is folded into the mirror in the same transaction",
        ),
        Transition(Verb.REJECT, (State.SYNCING,), (State.SYNC_ERROR,), "pusher", "claim id"),
        Transition(
            Verb.DISPUTE,
            (State.SYNCING, State.COMMITTED),
            (State.CONFLICT,),
            "pusher",
            "fields, base, mine and theirs recorded",
        ),
        Transition(
            Verb.RESOLVE,
            (State.CONFLICT,),
            (State.COMMITTED, State.PRISTINE),
            "user",
            "checked again against today's mirror",
        ),
        Transition(
            Verb.RECOVER,
            (State.SYNCING,),
            (State.COMMITTED,),
            "pusher",
            "lease expired; read-back decides whether it was sent",
        ),
    )
}


def may(verb: Verb, state: State) -> bool:
    """Whether the verb starts from the state."""
    return state in TRANSITIONS[verb].sources


@dataclass(frozen=True, slots=True)
class ModificationView:
    """A modification as its user sees it; `overtaken` tells the fields PEMS changed meanwhile. Where
    `masked`, money is None."""

    modification_id: str
    pfa_id: str
    session_id: str
    state: str
    version: int
    delta: Mapping[str, Any]
    base: Mapping[str, Any]
    change_reason: str | None
    created_at: datetime
    updated_at: datetime
    committed_at: datetime | None
    overtaken: tuple[FieldConflict, ...]
    masked: bool = False
