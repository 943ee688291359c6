"""A prepared program, copied for each run whose connection is cut, and what that run leaves."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pfa_core.errors import DatabaseUnavailable
from pfa_core.pems.sandbox.server import Outcome, Sandbox
from tests.cut import When, cut_at
from tests.program import Pfa

# What differs between two executions of the same: ids, times, digests, secrets, PEMS's port.
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16,}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*(?:\+00(?::00)?|Z)?")
_PORT = re.compile(r"127\.0\.0\.1:\d+")
ATTEMPTS = "pfa_modification AS attempts"
OVERLAY_SUMS = "kpi_overlay"
TABLES = {
    "pfa_modification": "user_id, pfa_id, delta, base, state, session_id, version, change_reason, base_version,"
    " failures, generation, sent_version IS NULL, next_attempt_at IS NULL, sync_error",
    ATTEMPTS: "pfa_id, attempts",
    "pfa_mirror": "pfa_id, data - 'pemsVersion', version",
    "pfa_mirror_history": "pfa_id, data - 'pemsVersion', version",
    "pfa_overlay": "user_id, pfa_id, data - 'pemsVersion'",
    "pfa_sync_conflict": "user_id, pfa_id, fields, status, resolution, resolved_by, settlement",
    "pfa_sync_outcome": "pfa_id, position, outcome, code, message, attempt",
    "pfa_pull_page": "row_offset, row_count, ids",
    "pfa_digest": "pfa_id, version, shape",
    "kpi_rollup": "*",
    OVERLAY_SUMS: "*",
    "kpi_month": "*",
    "kpi_field": "*",
    "audit_log": "user_id, action, pfa_id, session_id, before, after, reason",
    "audit_head": "number",
    "pfa_member": "user_id, role, rights",
    "pfa_token": "user_id, kind, revoked_at IS NULL",
    "pfa_signing_key": "not_after IS NULL, retired_at IS NULL",
    "pfa_organization": "organization_id, status",
    "pfa_sync_log": "direction, kind, status, counts",
    "pfa_lease": "count(*)",
}
PEMS_STATE = "pems.state"


@dataclass(frozen=True)
class Left:
    """What a run left: its exit code, every table and what PEMS applied, and how many COMMITs there were."""

    code: int
    state: dict[str, list[str]]
    commits: int


@dataclass
class Stage:
    """Copies of the prepared program, one after the other."""

    copy: Callable[[Callable[[Pfa], None]], AbstractContextManager[Pfa]] = field(repr=False)

    def after(
        self,
        prepare: Callable[[Pfa], None],
        words: tuple[str, ...],
        number: int,
        when: When,
        *,
        times: int = 1,
        again: bool = False,
    ) -> Left:
        """Run a command whose connection is cut; number 0: none is cut.

        Args:
            again: Where it was given up, run it again, with nothing cut: the exit code is that of this run.
        """
        with self.copy(prepare) as pfa, a_pems(pfa.folder) as pems:
            given = [word.replace("FOLDER", str(pfa.folder)) for word in words]
            with cut_at(number, when, times=times) as commits:
                ran = pfa(*given)
            if again and ran.code == DatabaseUnavailable.exit_code:
                ran = pfa(*given)
            assert pfa("list", "--org", "HOLNG", "-o", "ids").code == 0  # the user can go on
            return Left(ran.code, state(pfa.url) | {"PEMS": applied(pems)}, commits.seen)


@contextmanager
def a_pems(folder: Path) -> Iterator[Sandbox]:
    """The PEMS of a program, which its folder holds."""
    with (
        Sandbox(organization="HOLNG", state=folder / PEMS_STATE) as pems,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PFA_PEMS_URL", pems.url)
        yield pems


@pytest.fixture
def stage(
    copied: Callable[[Callable[[Pfa], None]], AbstractContextManager[Pfa]],
    home: Path,
    tmp_path: Path,
) -> Stage:
    """Copies of what a function prepares, each without what the one before it left."""

    @contextmanager
    def copy(prepare: Callable[[Pfa], None]) -> Iterator[Pfa]:
        for folder in (tmp_path, home):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        with copied(prepare) as pfa:
            yield pfa

    return Stage(copy)


def applied(pems: Sandbox) -> list[str]:
    """What PEMS holds, and what it applied; no key twice."""
    log = [entry for entry in pems.log if entry.outcome is Outcome.APPLIED]
    keys = Counter(entry.write.key for entry in log if entry.write.key)
    assert [key for key, number in keys.items() if number > 1] == []
    held = [f"{item.pfa_id} {item.version} {plain(item.data)}" for item in pems.records]
    return sorted(f"{entry.write.pfa_id} {plain(entry.write.changes)}" for entry in log) + held


def state(url: str) -> dict[str, list[str]]:
    """The rows of every table, without what differs between two executions."""
    with psycopg.connect(url, autocommit=True) as conn:
        rows = {
            table: conn.execute(f"SELECT {columns} FROM {table}").fetchall()
            for table, columns in TABLES.items()
        }
    # Sums of nothing are left until the next run that has something to do: they change no figure.
    rows[OVERLAY_SUMS] = [row for row in rows[OVERLAY_SUMS] if any(map(_is_something, row))]
    return {table: sorted(map(plain, found)) for table, found in rows.items()}


def _is_something(value: object) -> bool:
    """Whether it is a number other than 0."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool) and value != 0


def differing(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, Any]:
    """The rows that only one of two states has, by table."""
    found = {table: (Counter(rows), Counter(other[table])) for table, rows in one.items()}
    return {
        table: (list(mine - theirs), list(theirs - mine))
        for table, (mine, theirs) in found.items()
        if mine != theirs
    }


def plain(value: object) -> str:
    """Write a value without what differs between two executions."""
    return _PORT.sub("PEMS", _TIME.sub("TIME", _UUID.sub("ID", repr(value))))
