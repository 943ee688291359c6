"""Deliberate bugs, for the proof that the checker finds them; each is patched into the processes of a history.

Some break what a function does, some undo behind a transaction what it did: a look cannot tell them apart.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg

from pfa_core.model.audit import Action
from pfa_core.model.push import Verdict
from pfa_core.pems.services.rest import RestWriter
from pfa_core.pems.services.writer import Applied
from pfa_core.store import (
    audit,
    draft_writes,
    leases,
    mirror,
    outcome,
    overlays,
    queue,
    undo_writes,
)  # fmt: skip
from pfa_core.store.database import Database
from pfa_core.store.reads import merged
from pfa_core.sync import lease
from pfa_core.sync.push import delivery
from pfa_core.sync.push.settlement import Settler

OWNER = (
    "PFA_TRIALS_OWNER"  # the address of the tables' owner, for what happens behind a transaction
)


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug that can be switched on in a process."""

    what: str
    switch_on: Callable[[], None]


def around(owner: Any, name: str, wrapped: Callable[..., Any]) -> None:
    """Let `wrapped` be called in place of a function, with the function before its arguments."""
    plain = getattr(owner, name)

    def patched(*words: Any, **named: Any) -> Any:
        return wrapped(plain, *words, **named)

    setattr(owner, name, patched)


def behind(owner: Any, name: str, statement: str) -> None:
    """Let the tables' owner run a statement once a transaction is through that has called a function."""
    local = threading.local()

    def called(plain: Any, *words: Any, **named: Any) -> Any:
        answer = plain(*words, **named)
        local.pending = True
        return answer

    def transact(plain: Any, *words: Any, **named: Any) -> Any:
        local.pending = False
        answer = plain(*words, **named)
        if local.pending:
            local.pending = False
            with psycopg.connect(os.environ[OWNER], autocommit=True) as conn:
                conn.execute(statement.encode())
        return answer

    around(owner, name, called)
    around(Database, "transact", transact)


# --- the exchange -----------------------------------------------------------------------------------------


def _forget_a_row() -> None:
    def fold(plain: Any, self: Settler, conn: Any, results: Sequence[Any], at: Any) -> None:
        folded = [item for item in results if item.verdict is Verdict.SYNCED]
        plain(self, conn, [item for item in results if item not in folded[:1]], at)

    around(Settler, "_fold", fold)


def _change_keys() -> None:
    def write(plain: Any, self: RestWriter, one: Any) -> Any:
        return plain(self, replace(one, key=f"{one.key}.{uuid4().hex}"))

    around(RestWriter, "write", write)


def _send_twice() -> None:
    def write(plain: Any, self: RestWriter, one: Any) -> Any:
        answer = plain(self, one)
        if not isinstance(answer, Applied):
            return answer
        again = plain(self, replace(one, key=f"{one.key}.again", version=answer.version))
        return again if isinstance(again, Applied) else answer

    around(RestWriter, "write", write)


def _swallow_conflicts() -> None:
    def settle(plain: Any, self: Settler, conn: Any, results: Sequence[Any]) -> Any:
        return plain(self, conn, [
            replace(item, verdict=Verdict.SYNCED) if item.verdict is Verdict.CONFLICT else item
            for item in results
        ])  # fmt: skip

    around(Settler, "settle", settle)


def _overwrite() -> None:
    around(delivery, "three_way", lambda *_: [])


def _hold_the_lease() -> None:
    def acquire(plain: Any, *words: Any, **named: Any) -> Any:
        return plain(*words, **{**named, "lifetime": timedelta(minutes=50), "gone": None})

    around(leases, "acquire", acquire)
    around(leases, "beat", lambda *_, **__: True)
    around(leases, "release", lambda *_, **__: None)
    around(lease, "_is_dead", lambda *_, **__: False)


def _keep_claims() -> None:
    around(queue, "recover", lambda *_, **__: [])


# --- drafts -----------------------------------------------------------------------------------------------


def _see_others() -> None:
    def own(plain: Any, principal: Any) -> Any:
        return {**plain(principal), "user_id": "ann"}

    around(merged, "own", own)


def _lose_a_draft() -> None:
    lost = """DO $$ DECLARE lost record; BEGIN
        SELECT modification_id, user_id, pfa_id INTO lost FROM pfa_modification AS n
        WHERE state = 'draft' AND NOT EXISTS (
            SELECT FROM pfa_modification AS other
            WHERE other.modification_id <> n.modification_id AND other.state <> 'synced'
              AND (other.user_id, other.pfa_id) = (n.user_id, n.pfa_id))
        ORDER BY created_at LIMIT 1;
        DELETE FROM pfa_overlay WHERE (user_id, pfa_id) = (lost.user_id, lost.pfa_id);
        DELETE FROM pfa_modification WHERE modification_id = lost.modification_id;
    END $$"""
    behind(leases, "release", lost)


def _forget_a_field() -> None:
    def again(plain: Any, conn: Any, who: Any, drafts: Sequence[Any], at: Any) -> None:
        plain(conn, who, [replace(one, delta=_shorter(one.delta)) for one in drafts], at)

    for name in ("insert_again", "rewrite_drafts"):
        around(undo_writes, name, again)


def _shorter(delta: Mapping[str, Any]) -> dict[str, Any]:
    return dict(list(delta.items())[:-1]) if len(delta) > 1 else dict(delta)


def _keep_old_overlays() -> None:
    def put(plain: Any, *words: Any, there: bool = False) -> None:
        if not there:
            plain(*words, there=there)

    for name in ("put_overlays", "put_only_overlays"):
        around(overlays, name, put)


def _do_again() -> None:
    around(outcome.Ending, "has_committed", lambda *_: False)


def _store_half() -> None:
    def insert(plain: Any, conn: Any, who: Any, drafts: Sequence[Any], at: Any) -> None:
        for one in drafts:
            kept = _shorter(one.delta)
            plain(
                conn,
                who,
                [replace(one, delta=kept, base={n: one.base[n] for n in kept if n in one.base})],
                at,
            )

    around(draft_writes, "insert_drafts", insert)


# --- what is kept -----------------------------------------------------------------------------------------


def _skip_entries() -> None:
    def write(
        plain: Any, conn: Any, code: Any, user: Any, action: Action, *words: Any, **named: Any
    ) -> None:
        if action is not Action.ACKNOWLEDGE:
            plain(conn, code, user, action, *words, **named)

    around(audit, "write", write)


def _skip_a_version() -> None:
    behind(mirror, "fold", "UPDATE pfa_mirror SET version = version + 1 WHERE pfa_id IN"
           " (SELECT pfa_id FROM pfa_mirror WHERE version > 1 ORDER BY updated_at DESC LIMIT 1)")  # fmt: skip


def _leave_sums() -> None:
    behind(mirror, "fold", "UPDATE kpi_rollup SET record_count = record_count + 1 WHERE ctid IN"
           " (SELECT ctid FROM kpi_rollup WHERE record_count > 0 LIMIT 1)")  # fmt: skip


def _revive_tokens() -> None:
    behind(leases, "release", "UPDATE pfa_token SET revoked_at = NULL, revoked_by = NULL")


def _rewrite_the_trail() -> None:
    behind(
        mirror,
        "fold",
        "UPDATE audit_log SET reason = 'nothing happened' WHERE action = 'acknowledge'",
    )


BUGS: Mapping[str, Bug] = {
    "forgotten-row": Bug("a settlement that forgets one row of the mirror", _forget_a_row),
    "changed-key": Bug("a repetition without the idempotency key of the first send", _change_keys),
    "double-push": Bug("a change that is sent twice", _send_twice),
    "swallowed-conflict": Bug(
        "a conflict that is settled as if PEMS had the change", _swallow_conflicts
    ),
    "overwritten": Bug(
        "a value of another client that is overwritten without a question", _overwrite
    ),
    "endless-lease": Bug("a lease that ends neither by its run nor with it", _hold_the_lease),
    "kept-claims": Bug("claims of a killed run that no other gives back", _keep_claims),
    "others-overlay": Bug("a list with the overlay of another user", _see_others),
    "lost-draft": Bug("a draft that is lost when a run ends", _lose_a_draft),
    "forgetful-undo": Bug("an undo that forgets a field", _forget_a_field),
    "stale-overlay": Bug("an overlay that stays as it was", _keep_old_overlays),
    "done-again": Bug("an act done again whose COMMIT was not answered", _do_again),
    "half-save": Bug("a save that stores all fields but one", _store_half),
    "skipped-entry": Bug("an acknowledgement that is not in the trail", _skip_entries),
    "skipped-version": Bug("a version of the mirror that is skipped", _skip_a_version),
    "stale-rollup": Bug("sums that are not those of the records", _leave_sums),
    "revived-token": Bug("a revocation that a run undoes", _revive_tokens),
    "rewritten-trail": Bug("an entry of the trail that is altered", _rewrite_the_trail),
}
