"""What must be true after any failure: every committed change in PEMS exactly once, and both sides agree."""

from __future__ import annotations

import base64
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pfa_core
from pfa_core import Filters, exact_json
from pfa_core.model.delta import same
from pfa_core.pems.sandbox.records import StoredRecord
from pfa_core.pems.sandbox.server import LogEntry, Outcome
from tests.acceptance.brute_force import figures
from tests.pems_server import ORG, FarSide

USERNAME, CANARY = "svc", "canary-7c1b5e0d93"
MAX_RESOLUTIONS = 12


@dataclass(frozen=True)
class Modification:
    """A committed change as it ended, and all that its user ever committed with it."""

    modification_id: str
    pfa_id: str
    user_id: str
    state: str
    delta: dict[str, Any]
    committed_at: Any
    failed_for_good: bool
    error: str
    resolutions: int

    @property
    def place(self) -> tuple[Any, str]:
        """Its place among the committed changes of the record."""
        return self.committed_at, self.modification_id


@dataclass
class Evidence:
    """Both sides as they are, read once."""

    far: FarSide
    log: tuple[LogEntry, ...]
    modifications: dict[str, Modification]
    owners: dict[tuple[str, str, Any], set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, far: FarSide, log: tuple[LogEntry, ...] | None = None) -> Evidence:
        """Read the database and the log of PEMS."""
        rows = far.world.rows(
            "SELECT modification_id::text, pfa_id, user_id, state, delta, committed_at,"
            " state = 'sync_error' AND next_attempt_at IS NULL, coalesce(sync_error, ''),"
            " (SELECT count(*) FROM audit_log AS a WHERE a.organization_id = m.organization_id"
            "  AND a.modification_id = m.modification_id"
            "  AND a.action = 'resolve')"
            " FROM pfa_modification AS m WHERE state <> 'draft'"
        )
        found = cls(
            far, far.pems.log if log is None else log, {r[0]: Modification(*r) for r in rows}
        )
        for key, pfa_id, delta in far.world.rows(
            "SELECT modification_id::text, pfa_id, after FROM audit_log"
            " WHERE action IN ('commit', 'resolve') AND modification_id IS NOT NULL"
        ):
            for name, value in (delta or {}).items():
                found.owners.setdefault((pfa_id, name, _hashable(value)), set()).add(key)
        return found

    @property
    def own(self) -> list[LogEntry]:
        """What PEMS applied of the pushes' writes, in order."""
        return [entry for entry in self.applied if entry.write.writer != "other"]

    @property
    def applied(self) -> list[LogEntry]:
        """What PEMS applied of anybody, in order."""
        return [entry for entry in self.log if entry.outcome is Outcome.APPLIED]

    def owner(self, entry: LogEntry) -> str:
        """The modification that a write of a push is of: no two ever give a field the same value."""
        candidates = [
            self.owners.get((entry.write.pfa_id, name, _hashable(value)), set())
            for name, value in (entry.write.changes or {}).items()
        ]
        common = set.intersection(*candidates) if candidates else set()
        assert len(common) == 1, f"write {entry.seq} is of {len(common)} modifications"
        return common.pop()


def require_exactly_once(evidence: Evidence) -> None:
    """No modification was applied twice, and each field of one that is called synced was applied, by
    a push or by another client."""
    times: Counter[tuple[str, ...]] = Counter()
    for entry in evidence.own:
        key = evidence.owner(entry)
        if entry.write.key:
            assert entry.write.key.partition(".")[0] == key, "a write went under another's key"
        times[key,] += 1
        times.update((key, name, str(value)) for name, value in (entry.write.changes or {}).items())
    for what, number in times.items():
        item = evidence.modifications.get(what[0])
        # A person who decides for the user's value lets it be sent once more; one for PEMS's may end it.
        allowed = 1 + item.resolutions if item else MAX_RESOLUTIONS
        assert number <= allowed, f"{what} was applied {number} times"
    for item in evidence.modifications.values():
        if item.state == "synced":
            _require_arrived(evidence, item)


def _require_arrived(evidence: Evidence, item: Modification) -> None:
    for name, value in item.delta.items():
        assert any(
            entry.write.pfa_id == item.pfa_id
            and name in (entry.write.changes or {})
            and same((entry.write.changes or {})[name], value)
            for entry in evidence.applied
        ), f"{name} of {item.modification_id} is called synced and was never applied"


def require_order(evidence: Evidence) -> None:
    """The writes of one record by one user are in the order they were committed in."""
    last: dict[tuple[str, str], tuple[Any, str]] = {}
    for entry in evidence.own:
        item = evidence.modifications.get(evidence.owner(entry))
        if item is None or item.resolutions:
            continue
        place = (item.pfa_id, item.user_id)
        assert place not in last or last[place] <= item.place, f"{place} out of order"
        last[place] = item.place


def require_nothing_lost(evidence: Evidence, *, ambiguous: bool) -> None:
    """Every committed change is synced, or waits for a person for a reason, or behind one that does.

    Args:
        ambiguous: Without keys a lost answer may be indistinguishable from a write that never came.
    """
    committed = {key for keys in evidence.owners.values() for key in keys}
    gone = set(
        evidence.far.world.rows(
            "SELECT modification_id::text FROM audit_log"
            " WHERE action IN ('resolve', 'discard', 'uncommit', 'settle')"
        )
    )
    lost = {key for key in committed - evidence.modifications.keys() if (key,) not in gone}
    assert not lost, f"lost without a trace: {lost}"
    stuck: dict[tuple[str, str], list[Modification]] = defaultdict(list)
    for item in evidence.modifications.values():
        if item.state == "conflict":
            _require_dispute(evidence, item, ambiguous=ambiguous)
        elif item.failed_for_good:
            assert item.pfa_id not in _ids(evidence.far.pems.records), item
        if item.state == "conflict" or item.failed_for_good:
            stuck[item.pfa_id, item.user_id].append(item)
    for item in evidence.modifications.values():
        if item.state in ("committed", "syncing") or (
            item.state == "sync_error" and not item.failed_for_good
        ):
            before = stuck[item.pfa_id, item.user_id]
            assert any(one.place < item.place for one in before), f"{item} was left behind"


def _require_dispute(evidence: Evidence, item: Modification, *, ambiguous: bool) -> None:
    """Another client changed one of the fields in question in PEMS, or, where that cannot be distinguished from
    a write of a push that was changed again, anything of the record."""
    for entry in evidence.applied:
        if entry.write.pfa_id != item.pfa_id or entry.write.changes is None:
            continue
        if entry.write.writer != "other":
            owner = evidence.modifications.get(evidence.owner(entry))
            if owner is not None and owner.user_id == item.user_id and not owner.resolutions:
                continue
        if ambiguous or entry.write.changes.keys() & item.delta.keys():
            return
    raise AssertionError(f"in conflict with no other client: {item}")


def require_agreement(far: FarSide, *, only_ours: Iterable[str] | None = None) -> None:
    """The mirror equals PEMS, of all records or of some; a version it claims to know is true."""
    mirror = far.world.mirror()
    missing = {
        row[0]
        for row in far.world.rows("SELECT pfa_id FROM pfa_mirror WHERE missing_since IS NOT NULL")
    }
    held = {item.pfa_id: item for item in far.pems.records}
    if only_ours is None:
        assert mirror.keys() - missing == held.keys()
    for pfa_id in held if only_ours is None else only_ours:
        differing = _differing(mirror[pfa_id], held[pfa_id].data)
        assert differing == {}, (pfa_id, differing)
    for pfa_id, revision in far.world.rows("SELECT pfa_id, pems_revision FROM pfa_mirror"):
        if pfa_id in held and revision == str(held[pfa_id].version):
            differing = _differing(mirror[pfa_id], held[pfa_id].data)
            assert differing == {}, (pfa_id, revision, differing)


def _agree(far: FarSide) -> bool:
    mirror = far.world.mirror()
    return not any(_differing(mirror[item.pfa_id], item.data) for item in far.pems.records)


def _differing(mirror: Mapping[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: (mirror.get(name), value)
        for name, value in held.items()
        if name in mirror and not same(mirror.get(name), value)
    }


def last_written_by_us(evidence: Evidence, *, racing: bool = False) -> list[str]:
    """Records that PEMS has, which no other client changed after the push.

    Args:
        racing: Nor right before the push: the screen service cannot tell what comes between its look and
            its update, so the mirror learns of it by a pull only.
    """
    writers: dict[str, list[str]] = defaultdict(list)
    for entry in evidence.applied:
        writers[entry.write.pfa_id].append(entry.write.writer)
    held = _ids(evidence.far.pems.records)
    recent = {pfa_id: who[-2:] if racing else who[-1:] for pfa_id, who in writers.items()}
    return [pfa_id for pfa_id, who in recent.items() if "other" not in who and pfa_id in held]


def require_overlays(far: FarSide) -> None:
    """Every overlay is the pure merge of the mirror and what its user has on the way."""
    mirror = far.world.mirror()
    stacked: dict[tuple[str, str], dict[str, Any]] = {}
    for user, pfa_id, delta in far.world.rows(
        "SELECT user_id, pfa_id, delta FROM pfa_modification WHERE state <> 'synced'"
        " ORDER BY state = 'draft', committed_at, modification_id"
    ):
        stacked.setdefault((user, pfa_id), {}).update(delta)
    overlays = {
        (user, pfa_id): (delta, data)
        for user, pfa_id, delta, data in far.world.rows(
            "SELECT user_id, pfa_id, delta, data FROM pfa_overlay"
        )
    }
    assert overlays == {
        (user, pfa_id): (delta, {**mirror[pfa_id], **delta})
        for (user, pfa_id), delta in stacked.items()
    }
    lost = far.world.rows(
        "SELECT o.pfa_id FROM pfa_overlay AS o"
        " LEFT JOIN pfa_modification AS m USING (organization_id, user_id, pfa_id, modification_id)"
        " WHERE m.state IS NULL OR m.state = 'synced'"
    )
    assert lost == [], f"overlays over which no living modification lies: {lost}"


def require_sums(far: FarSide) -> None:
    """The rollup, and what the user sees, are what comes out when every record is looked at."""
    mirror = far.world.mirror()
    computed = pfa_core.compute_stats(far.db, far.ann, Filters(), baseline=True)
    assert computed.figures == figures([(item, item) for item in mirror.values()])
    merged = far.world.merged()
    pairs = [(item, merged.get(pfa_id, item)) for pfa_id, item in mirror.items()]
    drafts = far.world.rows(
        "SELECT count(*) FROM pfa_modification WHERE user_id = 'ann' AND state = 'draft'"
    )
    seen = pfa_core.compute_stats(far.db, far.ann, Filters()).figures
    assert seen == figures(pairs, drafts[0][0])
    assert far.world.rows("SELECT * FROM kpi_rollup WHERE record_count <= 0") == []


def require_rest(far: FarSide) -> None:
    """Nobody is at work any more, and nothing looks as if."""
    assert far.world.rows("SELECT pfa_id FROM pfa_modification WHERE state = 'syncing'") == []
    assert far.world.rows("SELECT pfa_id FROM pfa_modification WHERE claim_id IS NOT NULL") == []
    assert far.world.rows("SELECT name FROM pfa_lease") == []
    assert far.world.rows("SELECT run_id FROM pfa_sync_log WHERE status = 'running'") == []


def require_secrecy(far: FarSide, *said: str) -> None:
    """The password is in no text and in no table."""
    encoded = base64.b64encode(f"{USERNAME}:{CANARY}".encode()).decode()
    texts = [*said, *(_table(far, name) for name in _tables(far))]
    for text in texts:
        assert CANARY not in text
        assert encoded not in text


def _tables(far: FarSide) -> list[str]:
    rows = far.world.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [row[0] for row in rows]


def _table(far: FarSide, name: str) -> str:
    # Of the server: a standby has no tables without a log.
    rows = far.world.owner.transact(
        lambda conn: conn.execute(f'SELECT t::text FROM "{name}" AS t').fetchall()
    )
    return "\n".join(row[0] for row in rows)


def _ids(records: Iterable[StoredRecord]) -> set[str]:
    return {item.pfa_id for item in records}


def _hashable(value: Any) -> Any:
    return exact_json.dumps(value) if isinstance(value, dict | list) else value


def describe(far: FarSide) -> str:
    """Both sides, for the person who has to find out what went wrong."""
    found = [f"{item}" for item in Evidence.of(far).modifications.values()]
    for entry in far.pems.log:
        write = entry.write
        stated = (write.writer, write.pfa_id, write.key, write.base_version, write.changes)
        found.append(f"{entry.seq} {entry.outcome} {entry.version} {stated}")
    rows = far.world.rows(
        "SELECT at, action, pfa_id, modification_id::text, reason FROM audit_log"
        " WHERE modification_id IS NOT NULL ORDER BY at, entry_id"
    )
    return "\n".join([*found, *map(str, rows)])


def require_everything(far: FarSide, *said: str, ambiguous: bool, racing: bool = False) -> None:
    """All of it, then a full pull, and that a second one finds nothing to do."""
    evidence = Evidence.of(far)
    require_exactly_once(evidence)
    require_order(evidence)
    require_nothing_lost(evidence, ambiguous=ambiguous)
    require_agreement(far, only_ours=last_written_by_us(evidence, racing=racing))
    require_overlays(far)
    require_sums(far)
    _require_still(far)
    require_rest(far)
    require_overlays(far)
    require_sums(far)
    require_secrecy(far, *said)


def _require_still(far: FarSide) -> None:
    """A full pull brings what only others changed; the next finds everything as it is."""
    result = far.pull()
    assert result.status == "completed", result
    if result.message or not _agree(far):
        # It went on behind pages that were read before, or something changed within the tenth of a
        # second before a push wrote the record, in which a pull takes nothing in.
        time.sleep(0.11)
        assert far.pull().status == "completed"
    require_agreement(far)
    again = far.pull()
    assert (again.status, again.unchanged) == ("completed", len(far.pems.records)), again
    wrongly = far.world.rows(
        "SELECT pfa_id FROM pfa_mirror WHERE missing_since IS NOT NULL AND organization_id = %s",
        ORG,
    )
    assert {row[0] for row in wrongly}.isdisjoint(_ids(far.pems.records))
