"""Looks at the database beside the program: drafts, dates, what a user must be shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pfa_core.model.delta import same
from tests.pems_server import ORG
from tests.trials import expectations
from tests.trials.expectations import DONE
from tests.trials.known import Draft, Drafts, Tried, User, Violation
from tests.trials.place import RECORDS, USERS, Place
from tests.trials.steps import Kind

_COMMITS = frozenset({Kind.COMMIT, Kind.UNDO, Kind.REDO})


def drafts(place: Place, user: str) -> dict[str, Draft]:
    """A user's drafts as they are stored."""
    rows = place.rows(
        "SELECT pfa_id, session_id, delta, modification_id::text FROM pfa_modification"
        " WHERE organization_id = %s AND user_id = %s AND state = 'draft'",
        ORG, user,
    )  # fmt: skip
    return {pfa_id: Draft(session, delta, key) for pfa_id, session, delta, key in rows}


def dates(place: Place, user: str, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """The forecast dates below a user's drafts, by record: the mirror's, or those that the user committed."""
    found = dict(
        place.rows(
            "SELECT pfa_id, data FROM pfa_mirror WHERE organization_id = %s AND pfa_id = ANY (%s)",
            ORG, list(ids),
        )
    )  # fmt: skip
    for pfa_id, delta in place.rows(
        "SELECT pfa_id, delta FROM pfa_modification WHERE organization_id = %s AND user_id = %s"
        " AND pfa_id = ANY (%s) AND state NOT IN ('draft', 'synced') ORDER BY committed_at, modification_id",
        ORG, user, list(ids),
    ):  # fmt: skip
        found[pfa_id] = {**found[pfa_id], **delta}
    return {
        pfa_id: {name: data[name] for name in expectations.DATES} for pfa_id, data in found.items()
    }


def can_lock(place: Place, user: str) -> bool:
    """Whether a user's member row can be locked within a moment."""
    return place.can_lock(
        "SELECT FROM pfa_member WHERE organization_id = %s AND user_id = %s FOR UPDATE", ORG, user
    )


def with_committed(
    place: Place, user: User, before: Drafts, found: Drafts, tried: Sequence[Tried]
) -> User:
    """The user, with the drafts that a commit has taken.

    Raises:
        Violation: A commit that was acknowledged left no trace of a draft.
    """
    kinds = {one.act.kind for one in tried}
    held = {draft.modification for draft in found.values()}
    gone = [draft.modification for draft in before.values() if draft.modification not in held]
    if not kinds & _COMMITS or not gone:
        return user
    rows = place.rows(
        "SELECT modification_id::text FROM pfa_modification WHERE modification_id = ANY (%s::uuid[])",
        gone,
    )
    committed = {row[0] for row in rows}
    if any(one.act.kind is Kind.COMMIT and one.code in DONE for one in tried):
        settled = place.rows(
            "SELECT modification_id::text FROM audit_log WHERE action IN ('settle', 'commit', 'resolve')"
            " AND modification_id = ANY (%s::uuid[])",
            gone,
        )
        lost = set(gone) - committed - {row[0] for row in settled}
        if lost:
            raise Violation(f"committed, and nowhere: {sorted(lost)}")
    return expectations.committed(user, before, committed)


def author(value: Any) -> str:
    """The user whose act a value is from; empty for one of PEMS or of the beginning."""
    if isinstance(value, str):
        word = value.partition(" ")[0]
        return word if word in USERS else ""
    if isinstance(value, bool) or value is None or value < 1_000_000:
        return ""
    place = int(value) // 1_000_000 - 1
    return tuple(USERS)[place] if place < len(USERS) else ""


def foreign_values(user: str, lines: Iterable[Mapping[str, Any]]) -> set[tuple[str, str, str, str]]:
    """The values of other users that a user was shown; PEMS has to have them."""
    return {
        (user, line["pfaId"], name, str(value))
        for line in lines
        for name, value in line.items()
        if name != "pfaId" and author(value) not in ("", user)
    }


def require_own_view(user: User, lines: Sequence[Mapping[str, Any]]) -> None:
    """Require that a list shows every record, and the user's drafts over it."""
    found = {line["pfaId"]: line for line in lines}
    if len(found) != RECORDS:
        raise Violation(f"a list has {len(found)} records of {RECORDS}")
    for pfa_id, draft in user.drafts.items():
        for name, value in draft.delta.items():
            if not same(found[pfa_id].get(name), value):
                raise Violation(
                    f"{name} of {pfa_id} was saved as {value}, and is shown as {found[pfa_id].get(name)}"
                )


def require_overlaid(place: Place, user: str, found: Drafts) -> None:
    """Require that the overlays of a user have the user's drafts in them."""
    overlays = dict(
        place.rows(
            "SELECT pfa_id, data FROM pfa_overlay WHERE organization_id = %s AND user_id = %s",
            ORG, user,
        )
    )  # fmt: skip
    for pfa_id, draft in found.items():
        data = overlays.get(pfa_id, {})
        hidden = {k: v for k, v in draft.delta.items() if k not in data or not same(data[k], v)}
        if hidden:
            raise Violation(f"saved for {pfa_id}, and not shown: {hidden}")


def require_merged(place: Place, user: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Require that a list shows the mirror with the user's modifications over it, and nothing else."""
    world = place.world
    merged = world.mirror()
    for pfa_id, delta in world.rows(
        "SELECT pfa_id, delta FROM pfa_modification WHERE user_id = %s AND state <> 'synced'"
        " ORDER BY committed_at NULLS LAST, modification_id",
        user,
    ):
        merged[pfa_id] = {**merged[pfa_id], **delta}
    world.close()
    for line in lines:
        wanted = merged[line["pfaId"]]
        for name, value in wanted.items():
            if name in line and not same(line[name], value):
                raise Violation(
                    f"{user} is shown {line[name]} for {name} of {line['pfaId']}, not {value}"
                )


def require_whole_export(path: Path, code: int | None) -> None:
    """Require that an export is there in whole, or not at all; it is removed."""
    if path.exists():
        rows = len(path.read_text().splitlines()) - 1
        path.unlink()
        if rows != RECORDS:
            raise Violation(f"an export has {rows} of {RECORDS} records, exit code {code}")
    elif code == 0:
        raise Violation("an export succeeded, and is not there")
