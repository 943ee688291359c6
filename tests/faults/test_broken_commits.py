"""Operations whose connection is cut at a COMMIT: state, trail and exit code are those of one execution."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.cli.conftest import Pfa, six_records
from tests.cut import When, cut_at
from tests.forms import long
from tests.server import Server, bound_url

NEXT_DAY = {"H-004": {"monthlyRate": 9000}}  # what PEMS has changed meanwhile
DELTA = {"pfaId": "H-006", "delta": {"model": "F"}, "expectedVersion": 0}
# What differs between two executions of the same: ids, times, digests, secrets.
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16,}\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*(?:\+00(?::00)?|Z)?")
TABLES = {
    "pfa_modification": "user_id, pfa_id, delta, base, state, session_id, version, change_reason, base_version",
    "pfa_mirror": "pfa_id, data, version",
    "pfa_overlay": "user_id, pfa_id, data",
    "kpi_rollup": "*",
    "audit_log": "user_id, action, pfa_id, session_id, before, after, reason",
    "audit_head": "number",
    "pfa_member": "user_id, role, rights",
    "pfa_token": "user_id, kind, revoked_at IS NULL",
    "pfa_signing_key": "not_after IS NULL, retired_at IS NULL",
    "pfa_organization": "organization_id, status",
    "pfa_sync_log": "direction, kind, status, counts",
    "pfa_lease": "count(*)",
}


def prepare(pfa: Pfa) -> None:
    """Six records; drafts in two sessions, one session committed, one discarded, one member more."""
    six_records(pfa)
    for words in (
        ("draft", "set", "H-001", "model=A", "--into", "open"),
        ("draft", "set", "H-002", "model=B", "manufacturer=C", "--into", "open"),
        ("draft", "set", "H-003", "model=D", "--into", "done"),
        ("commit", "--session", "done"),
        ("draft", "set", "H-005", "model=E", "--into", "gone"),
        ("discard", "--session", "gone"),
        ("user", "grant", "bob", "--role", "editor"),
    ):
        ran = pfa(*words)
        assert ran.code == 0, ran.err
    records = [json.loads(line) for line in (pfa.folder / "mirror.jsonl").read_text().splitlines()]
    changed = [record | NEXT_DAY.get(record["pfaId"], {}) for record in records]
    (pfa.folder / "next.jsonl").write_text("".join(json.dumps(one) + "\n" for one in changed))
    (pfa.folder / "delta.json").write_text(
        json.dumps({"sessionId": "new", "modifications": [DELTA]})
    )


OPERATIONS: dict[str, tuple[str, ...]] = {
    "set": ("draft", "set", "H-004", "model=X", "--into", "new"),
    "set again": ("draft", "set", "H-001", "model=X", "--into", "open"),
    "set by a filter": (
        "draft",
        "set",
        "--category",
        "Crane",
        "category=Loader",
        "--move",
        "--into",
        "more",
    ),
    "save": ("draft", "save", "FOLDER/delta.json"),
    "shift": ("draft", "shift", "14", "--id", "H-004", "--into", "new"),
    "shift of a draft": ("draft", "shift", "14", "--id", "H-001", "--move"),
    "unset": ("draft", "unset", "--session", "open", "model"),
    "commit of a session": ("commit", "--session", "open"),
    "commit of an id": ("commit", "--id", "H-001"),
    "uncommit": ("uncommit", "--session", "done"),
    "discard": ("discard", "--session", "open"),
    "restore": ("restore", "--session", "gone"),
    "pull": ("sync", "pull", "--from", "FOLDER/next.jsonl"),
    "issue": ("auth", "issue", "--user", "bob"),
    "revoke tokens": ("auth", "revoke", "--user", "bob"),
    "rotate": ("auth", "keys", "rotate"),
    "grant": ("user", "grant", "eve", "--role", "viewer"),
    "revoke": ("user", "revoke", "bob"),
    "add": ("org", "add", "OTHER"),
}


@dataclass
class Stage:
    """Copies of the prepared program, one after the other."""

    copy: Callable[[], AbstractContextManager[Pfa]] = field(repr=False)

    def after(self, words: tuple[str, ...], number: int, when: When) -> tuple[Any, ...]:
        """The exit code, the state, and how many COMMITs there were; number 0: none is cut."""
        with self.copy() as pfa:
            given = [word.replace("FOLDER", str(pfa.folder)) for word in words]
            with cut_at(number, when) as commits:
                ran = pfa(*given)
            return (ran.code, state(pfa.url)), commits.seen


@pytest.fixture
def stage(
    postgres: Server,
    home: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Stage:
    def build(url: str) -> Path:
        monkeypatch.setenv("PFA_DATABASE_URL", bound_url(url))
        prepare(Pfa(url, tmp_path, capsys))
        kept = tmp_path_factory.mktemp("stage")
        shutil.copytree(tmp_path, kept / "folder")
        shutil.copytree(home, kept / "home")
        return kept

    @contextmanager
    def copy() -> Iterator[Pfa]:
        name, files = postgres.built(prepare, build)
        for made, kept in ((tmp_path, files / "folder"), (home, files / "home")):
            shutil.rmtree(made, ignore_errors=True)
            shutil.copytree(kept, made)
        with postgres.database(name) as url:
            monkeypatch.setenv("PFA_DATABASE_URL", bound_url(url))
            yield Pfa(url, tmp_path, capsys)

    return Stage(copy)


def state(url: str) -> dict[str, list[str]]:
    """The rows of every table, without what differs between two executions."""
    with psycopg.connect(url, autocommit=True) as conn:
        return {
            table: sorted(map(plain, conn.execute(f"SELECT {columns} FROM {table}")))
            for table, columns in TABLES.items()
        }


def differing(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, Any]:
    return {table: (rows, other[table]) for table, rows in one.items() if rows != other[table]}


def plain(row: tuple[Any, ...]) -> str:
    return _TIME.sub("TIME", _UUID.sub("ID", repr(row)))


# One of each kind: what is relative, what makes something new, what moves states, what writes a file.
SHORT = ("set", "shift", "commit of a session", "restore", "pull", "issue", "rotate")


@pytest.mark.parametrize("name", [*SHORT, *long(sorted(OPERATIONS.keys() - SHORT))])
def test_an_operation_cut_at_its_commit_is_done_once(stage: Stage, name: str) -> None:
    words = OPERATIONS[name]
    whole, commits = stage.after(words, 0, When.AFTER)
    assert whole[0] == 0
    assert commits >= 1
    for number in range(1, commits + 1):
        for when in When:
            (code, after), _ = stage.after(words, number, when)
            assert code == whole[0], (number, when)
            assert differing(after, whole[1]) == {}, (number, when)
