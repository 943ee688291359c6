"""Life cycle of a modification: its transitions as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pfa_core.model.modification import State


class Verb(StrEnum):
    """A step from one state to another."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A step of the life cycle: source states, target states, actor, condition.

    The documentation and a test of the SQL follow it. A target of PRISTINE: the row is deleted.
    """

    verb: Verb
    sources: tuple[State, ...]
    targets: tuple[State, ...]
    by: str
    guard: str


TRANSITIONS = {
    step.verb: step
    for step in (
        Transition(
            verb=Verb.SAVE,
            sources=(State.PRISTINE, State.DRAFT),
            targets=(State.DRAFT, State.PRISTINE),
            by="user",
            guard="expected version; valid on the merged record; removed when every value is the one below",
        ),
        Transition(
            verb=Verb.DISCARD,
            sources=(State.DRAFT,),
            targets=(State.PRISTINE,),
            by="user",
            guard="own; the audit trail keeps the delta",
        ),
        Transition(
            verb=Verb.COMMIT,
            sources=(State.DRAFT,),
            targets=(State.COMMITTED,),
            by="user",
            guard="version; valid; the baseline has not changed in the same fields",
        ),
        Transition(
            verb=Verb.UNCOMMIT,
            sources=(State.COMMITTED, State.SYNC_ERROR),
            targets=(State.DRAFT,),
            by="user",
            guard="nothing sent, or PEMS surely did not take it; no other draft on the record",
        ),
        Transition(
            verb=Verb.CLAIM,
            sources=(State.COMMITTED, State.SYNC_ERROR),
            targets=(State.SYNCING,),
            by="pusher",
            guard="oldest of its record; due; lease",
        ),
        Transition(
            verb=Verb.ACKNOWLEDGE,
            sources=(State.SYNCING,),
            targets=(State.SYNCED,),
            by="pusher",
            guard="claim id; the delta is folded into the mirror in the same transaction",
        ),
        Transition(
            verb=Verb.REJECT,
            sources=(State.SYNCING,),
            targets=(State.SYNC_ERROR,),
            by="pusher",
            guard="claim id",
        ),
        Transition(
            verb=Verb.DISPUTE,
            sources=(State.SYNCING, State.COMMITTED),
            targets=(State.CONFLICT,),
            by="pusher",
            guard="fields, base, mine and theirs recorded",
        ),
        Transition(
            verb=Verb.RESOLVE,
            sources=(State.CONFLICT,),
            targets=(State.COMMITTED, State.PRISTINE),
            by="user",
            guard="validated again on the current mirror",
        ),
        Transition(
            verb=Verb.RECOVER,
            sources=(State.SYNCING,),
            targets=(State.COMMITTED,),
            by="pusher",
            guard="lease expired; reading the record back shows whether it was sent",
        ),
    )
}
