"""The proof that a history kept every promise: trail, mirror, changes and PEMS's own log beside each other."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pfa_core
from pfa_core.model.delta import same
from tests.faults import proof
from tests.kpis.exact import QUESTIONS, require_exact
from tests.pems_server import ORG, FarSide
from tests.trials import looking
from tests.trials.calm import make_calm
from tests.trials.driver import Driver
from tests.trials.expectations import require_unchanged
from tests.trials.known import Violation
from tests.trials.place import USERS

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Keyed(proof.Evidence):
    """Both sides, read once; a write's key says whose change it is."""

    @classmethod
    def of(cls, far: FarSide, log: Any = None) -> Keyed:
        """Read both sides. What its user has taken away again, after a commit was undone, is not missed."""
        found = super().of(far, log)
        assert isinstance(found, Keyed)
        taken = far.world.rows(
            "SELECT DISTINCT modification_id::text FROM audit_log"
            " WHERE action IN ('undo', 'save', 'unset', 'discard') AND after IS NULL"
            " UNION SELECT modification_id::text FROM pfa_modification WHERE state = 'draft'"
        )
        away = {row[0] for row in taken}
        found.owners = {what: keys - away for what, keys in found.owners.items()}
        return found

    def owner(self, entry: Any) -> str:
        return str(entry.write.key).partition(".")[0]


def check(driver: Driver) -> None:
    """Let everything come to rest, and require every promise.

    Raises:
        Violation: One of them was not kept.
    """
    make_calm(driver)
    far = driver.place.far()
    try:
        _require_all(driver, far)
    except Violation:
        raise
    except AssertionError as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{place.name}: {place.line}\n{error}"[:4000]
        raise Violation(f"{said}\n{_trail_of_ids(far, str(error))}") from error
    finally:
        far.world.close()


def _trail_of_ids(far: FarSide, said: str) -> str:
    """What the trail says of the modifications that a violation names."""
    ids = sorted(set(_ID.findall(said)))[:3]
    rows = far.world.rows(
        "SELECT at, action, user_id, pfa_id, modification_id::text, before, after, reason FROM audit_log"
        " WHERE modification_id = ANY (%s::uuid[]) ORDER BY modification_id, at, entry_id",
        ids,
    )
    return "\n".join(map(str, rows))


def _require_all(driver: Driver, far: FarSide) -> None:
    for user in USERS:
        require_unchanged(driver.users[user], looking.drafts(driver.place, user))
    evidence = Keyed.of(far)
    _require_keys(evidence)
    proof.require_exactly_once(evidence)
    require_no_late_disputes(evidence)
    require_nothing_overwritten(evidence)
    proof.require_order(evidence)
    proof.require_nothing_lost(evidence, ambiguous=False)
    _require_committed(driver, far)
    proof.require_agreement(far, only_ours=proof.last_written_by_us(evidence))
    proof.require_overlays(far)
    require_no_foreign(driver.foreign, evidence)
    require_versions(far)
    require_trail(far)
    require_exact(far.world, USERS, QUESTIONS[:4])
    _require_rest(far)
    require_chain(far)
    driver.require_tokens()


def _require_rest(far: FarSide) -> None:
    """Require that no process looks as if it were at work."""
    proof.require_rest(far)


def _require_keys(evidence: proof.Evidence) -> None:
    for entry in evidence.own:
        if not entry.write.key:
            raise Violation(f"write {entry.seq} of {entry.write.pfa_id} went without a key")


def require_no_late_disputes(evidence: proof.Evidence) -> None:
    """Require that no change is in conflict that PEMS has taken: its key tells so, whatever the record shows."""
    taken = {evidence.owner(entry) for entry in evidence.own}
    for key, item in evidence.modifications.items():
        if item.state == "conflict" and not item.resolutions and key in taken:
            raise Violation(f"in conflict, although PEMS has taken it: {item}")


def require_nothing_overwritten(evidence: proof.Evidence) -> None:
    """Require that a push overwrote only what the user had seen, or what a person decided to overwrite."""
    bases = dict(
        evidence.far.world.rows("SELECT modification_id::text, base FROM pfa_modification")
    )
    held: dict[tuple[str, str], tuple[Any, str]] = {}
    for entry in evidence.applied:
        own = entry.write.writer != "other"
        key = evidence.owner(entry) if own else ""
        item = evidence.modifications.get(key)
        for name, value in (entry.write.changes or {}).items():
            place = (entry.write.pfa_id, name)
            before, writer = held.get(place, (None, ""))
            held[place] = (value, item.user_id if item else "another")
            if item is None or item.resolutions or writer in ("", item.user_id):
                continue
            if not same(before, bases[key].get(name)):
                raise Violation(
                    f"{name} {value} of {key} overwrote {before}, seen: {bases[key].get(name)}"
                )


def _require_committed(driver: Driver, far: FarSide) -> None:
    """Require that each change that was committed is still one, or that the trail says why not."""
    known = {key for user in driver.users.values() for key in user.committed}
    rows = far.world.rows(
        "SELECT modification_id::text FROM pfa_modification WHERE state <> 'draft'"
    )
    gone = far.world.rows(
        "SELECT modification_id::text FROM audit_log"
        " WHERE action IN ('resolve', 'settle') AND modification_id IS NOT NULL"
    )
    lost = known - {row[0] for row in rows} - {row[0] for row in gone}
    if lost:
        raise Violation(f"committed, and neither in PEMS nor listed: {sorted(lost)}")


def require_no_foreign(shown: set[tuple[str, str, str, str]], evidence: proof.Evidence) -> None:
    """Require that no user was shown what another one had not sent to PEMS."""
    sent = {
        (entry.write.pfa_id, name, str(value))
        for entry in evidence.applied
        for name, value in (entry.write.changes or {}).items()
    }
    mixed = sorted(one for one in shown if one[1:] not in sent)
    if mixed:
        raise Violation(f"shown to another user before it was in PEMS: {mixed[:5]}")


def require_versions(far: FarSide) -> None:
    """Require that the versions of each record are 1, 2, 3 … without a gap, each with its own content."""
    history: dict[str, list[tuple[int, Any]]] = {}
    rows: Sequence[tuple[str, int, Any]] = far.world.rows(
        "SELECT pfa_id, version, data FROM pfa_mirror_history WHERE organization_id = %s"
        " UNION ALL SELECT pfa_id, version, data FROM pfa_mirror WHERE organization_id = %s"
        " ORDER BY 1, 2",
        ORG, ORG,
    )  # fmt: skip
    for pfa_id, version, data in rows:
        history.setdefault(pfa_id, []).append((version, data))
    for pfa_id, versions in history.items():
        numbers = [number for number, _ in versions]
        if numbers != list(range(1, len(numbers) + 1)):
            raise Violation(f"the versions of {pfa_id} are {numbers}")
        for (number, before), (_, after) in pairwise(versions):
            if before == after:
                raise Violation(f"version {number + 1} of {pfa_id} is version {number} again")


def require_trail(far: FarSide) -> None:
    """Require that the trail says of each modification how it came to be what it is."""
    rows = far.world.rows(
        "SELECT m.modification_id::text, m.state, m.delta, array_agg(a.action),"
        " bool_or(a.after = m.delta) FROM pfa_modification AS m"
        " LEFT JOIN audit_log AS a ON a.organization_id = m.organization_id"
        " AND a.modification_id = m.modification_id"
        " WHERE m.organization_id = %s GROUP BY m.modification_id, m.state, m.delta",
        ORG,
    )
    for key, state, delta, actions, is_told in rows:
        if state == "draft" and not is_told:
            raise Violation(f"no entry of the trail says {delta} of the draft {key}: {actions}")
        if state == "synced" and "acknowledge" not in actions:
            raise Violation(f"{key} is synced, and the trail says {actions}")
        if state == "conflict" and "dispute" not in actions:
            raise Violation(f"{key} is in conflict, and the trail says {actions}")


def require_chain(far: FarSide) -> None:
    """Require that the chain of the trail is whole."""
    report = pfa_core.verify_log(far.db, far.ann)
    if not report.whole:
        raise Violation(f"the chain of the trail is broken: {report}")
