"""The caller's changes that a revert is about, and the session of its drafts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from pfa_core.drafts.save import MAX_SESSION
from pfa_core.errors import NoDrafts, NotFound
from pfa_core.model import shell
from pfa_core.model.archives import LogArchive, named
from pfa_core.model.ids import PfaId, RunId
from pfa_core.model.modification import State
from pfa_core.operation import Tx
from pfa_core.store import archives, modifications, runs, sent
from pfa_core.store.sent import SentMark
from pfa_core.store.suggestions import like_session

_OPERATIONS = "type: pfa undo --list"


def select_sent(
    tx: Tx, session_id: str | None, run_id: str | None, ids: Sequence[PfaId]
) -> list[SentMark]:
    """Return the changes of the caller's to revert, in PFA id order."""
    lists: list[list[SentMark]] = []
    if session_id is not None:
        lists.append(sent.of_session(tx.conn, tx.principal, session_id))
    if run_id is not None:
        lists.append(sent.of_run(tx.conn, tx.principal, _run(tx, run_id)))
    if not lists:
        lists.append(sent.of_records(tx.conn, tx.principal, ids))
    first, *others = lists
    among = [{mark.modification_id for mark in one} for one in others]
    wanted = set(ids)
    marks = [
        mark
        for mark in first
        if all(mark.modification_id in one for one in among)
        and (not wanted or mark.pfa_id in wanted)
    ]
    missing = sorted(wanted - {mark.pfa_id for mark in marks})
    if missing or not marks:
        raise _nothing(tx, session_id, missing, by_record=session_id is None and run_id is None)
    return marks


def _run(tx: Tx, run_id: str) -> RunId:
    with suppress(ValueError):
        wanted = RunId(str(UUID(run_id.strip())))
        if runs.runs(tx.conn, tx.organization_id, 1, run_id=wanted):
            return wanted
    raise NotFound(f"run not found: {run_id!r}", hint="type: pfa sync runs")


def _nothing(
    tx: Tx, session_id: str | None, missing: Sequence[str], *, by_record: bool
) -> NoDrafts:
    on = f" on {', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}" if missing else ""
    if session_id is None:
        what = f"PEMS has taken no such change of {tx.user_id}{on}"
        past = archives.archives(tx.conn, tx.organization_id) if by_record else ()
        return _archived(what, past, missing[0]) if past else NoDrafts(what, hint=_OPERATIONS)
    states = modifications.states_of_session(tx.conn, tx.principal, session_id)
    if any(state != State.SYNCED for state in states):
        return NoDrafts(
            f"nothing of session {session_id!r}{on} is in PEMS yet", hint="type: pfa undo"
        )
    like = "" if states else like_session(tx.conn, tx.principal, session_id)
    return NoDrafts(
        f"PEMS has taken nothing of session {session_id!r} of {tx.user_id}{on}{like}",
        hint="type: pfa log --action commit",
    )


def _archived(what: str, past: Sequence[LogArchive], pfa_id: str) -> NoDrafts:
    """Say that the commit may be archived.

    By the record alone it is looked for in the trail.
    """
    last = past[-1]
    entries = shell.command("pfa log", [pfa_id], f"--action commit --from {shell.file(last.file)}")
    return NoDrafts(
        f"{what} since {last.day}; entries of before are archived in {named(past)}",
        hint=f"one of before is reverted by its session: pfa revert --session NAME"
        f" --id {shell.word(pfa_id)}; its name is in: {entries}",
    )


def name_of(session_id: str | None, run_id: str | None, ids: Sequence[str]) -> str:
    """Name what is reverted, for the session and the reason of the drafts."""
    if session_id is not None:
        return session_id
    if run_id is not None:
        return f"run-{run_id.strip()[-8:]}"
    more = f"-and-{len(ids) - 1}-more" if len(ids) > 1 else ""
    return f"{ids[0]}{more}"


def session_for(tx: Tx, what: str) -> str:
    """Return the session for the drafts.

    It is a new one, or that of an earlier call that is not committed.
    """
    name = f"revert-{what}"[:MAX_SESSION]
    number = 1
    while True:
        tail = "" if number == 1 else f"-{number}"
        session = name[: MAX_SESSION - len(tail)] + tail
        states = modifications.states_of_session(tx.conn, tx.principal, session)
        if set(states) <= {State.DRAFT}:
            return session
        number += 1
