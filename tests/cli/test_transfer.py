"""`pfa org export`, `import` and `reopen`, `pfa db backup` and `restore`: what they say and how they end."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

import psycopg
import pytest

from tests.cli.conftest import six_records
from tests.program import Pfa, a_stage
from tests.server import Server


@a_stage
def ready(pfa: Pfa) -> None:
    """Six records, a draft of H-001."""
    six_records(pfa)
    assert pfa("draft", "set", "H-001", "monthlyRate=5").code == 0


@pytest.fixture
def other(postgres: Server, template: str) -> Iterator[str]:
    """A migrated database without an organization."""
    with postgres.database(template) as url:
        yield url


@pytest.fixture
def empty(postgres: Server) -> Iterator[str]:
    """A database without anything."""
    with postgres.database() as url:
        yield url


def test_an_export_into_a_pipe_that_is_not_read_leaves_the_organization_active(ready: Pfa) -> None:
    """As `pfa org export HOLNG >(true)`."""
    reading, writing = os.pipe()
    os.close(reading)
    name = f"/dev/fd/{writing}"
    before = sorted(os.listdir(ready.folder))
    ran = ready("org", "export", "HOLNG", name)
    said = f"error: {name} was not written: what reads it did not take all of it [READER_GONE]\n"
    assert (ran.code, ran.out, ran.err) == (141, "", said)
    assert sorted(os.listdir(ready.folder)) == before
    assert ready("draft", "set", "H-002", "model=X").code == 0
    assert ready("view", "save", "mine", "--category", "Crane").code == 0
    for words in (
        ("report", "--to", name, "--format", "html"),
        ("view", "show", "mine", "--to", name),
    ):
        ran = ready(*words)
        assert (ran.code, ran.err.endswith(said)) == (141, True), ran.err
    os.close(writing)


def test_an_export_into_a_pipe_says_how_to_go_on_where_it_was_not_kept(ready: Pfa) -> None:
    """As `pfa org export HOLNG >(head -c 10)`: what is short fits into the pipe."""
    reading, writing = os.pipe()
    ran = ready("org", "export", "HOLNG", f"/dev/fd/{writing}")
    os.close(reading)
    os.close(writing)
    assert ran.code == 0
    cure = "pfa org reopen HOLNG --reason 'not kept'"
    assert ran.err.endswith(
        f"type: pfa org import FILE; import it once; if it was not kept, type: {cure}\n"
    )
    assert ready(*shlex.split(cure)[1:]).code == 0
    assert ready("draft", "set", "H-002", "model=X").code == 0


@pytest.mark.slow
def test_an_organization_moves_and_each_side_says_what_comes_next(ready: Pfa, other: str) -> None:
    file = str(ready.folder / "holng.pfa")
    counted = ready("org", "export", "HOLNG", file, "-n")
    assert (counted.code, counted.err) == (0, "dry run, rolled back\n")
    exported = ready("org", "export", "HOLNG", file)
    assert "status         archived\n" in exported.out
    assert (
        f"hint: HOLNG is archived here; on the other side type: pfa org import {file}; import it once\n"
        == exported.err
    )
    assert "in HOLNG, which is archived: nothing is exchanged" in ready("doctor").out
    refused = ready("draft", "set", "H-002", "model=X")
    assert (refused.code, "pfa org reopen HOLNG --reason TEXT" in refused.err) == (7, True)
    pulled = ready("sync", "pull", "--from", str(ready.folder / "mirror.jsonl"))
    assert (pulled.code, "is archived: nothing is exchanged" in pulled.err) == (5, True)
    there = ("--database-url", other)
    imported = ready("org", "import", file, *there, "-o", "json")
    data = imported.json["data"]
    assert (data["organization"], data["records"], data["modifications"]) == ("HOLNG", 6, 1)
    assert data["rows"]["pfa_mirror"] == 6
    again = ready("org", "import", file, *there)
    assert (again.code, "already; nothing was stored" in again.err) == (7, True)
    said = ready("org", "import", file, "-n")
    assert (said.code, "--database-url ADDRESS" in said.err) == (7, True)
    signed = ready("init", "--org", "HOLNG", *there)
    assert signed.code == 0
    assert len(ready("draft", "list", *there).lines) == 1
    assert ready("log", "verify", *there).code == 0
    assert ready("db", "verify", *there).code == 0
    reopened = ready("org", "reopen", "HOLNG", "--reason", "given up", "-o", "json")
    assert reopened.json["data"] == {
        "organization": "HOLNG",
        "before": "archived",
        "after": "active",
    }
    assert ready("org", "reopen", "HOLNG", "--reason", "again").code == 7
    assert ready("draft", "set", "H-002", "model=X").code == 0


@pytest.mark.parametrize("file", ["-", "/dev/stdout", "/proc/self/fd/1"])
def test_what_has_its_result_on_stdout_writes_no_file_there(ready: Pfa, file: str) -> None:
    exported = ready("org", "export", "HOLNG", file)
    assert (exported.code, "pfa org export HOLNG >(COMMAND)" in exported.err) == (2, True)
    backup = ready("db", "backup", file)
    assert (backup.code, "pfa db backup >(COMMAND)" in backup.err) == (2, True)
    if file != "/dev/stdout":  # which root could replace
        planned = ready("plan", "--all", "--to", file)
        assert (planned.code, "pfa plan -o json" in planned.err) == (2, True)
    archived = ready("log", "archive", "--before", "2d", "--to", file)
    assert archived.code in (2, 7)
    assert "active" in ready("org", "list").out
    assert not (ready.folder / "-").exists()


def test_a_commit_where_nothing_is_exchanged_names_what_helps(ready: Pfa) -> None:
    with psycopg.connect(ready.url, autocommit=True) as conn:
        conn.execute("UPDATE pfa_organization SET status = 'suspended'")
    tried = ready("commit", "--all", "--dry-run")
    assert (tried.code, "suspended" in tried.err) == (0, False)
    done = ready("commit", "--all")
    assert done.code == 0
    assert "sync push" not in done.err
    assert "HOLNG is suspended: what is committed waits" in done.err
    assert "an admin types: pfa org reopen HOLNG --reason TEXT" in done.err
    assert ready("org", "reopen", "HOLNG", "--reason", "it goes on nowhere else").code == 0
    assert ready("draft", "set", "H-002", "model=X").code == 0
    assert "next: pfa sync push\n" in ready("commit", "--all").err


def test_a_damaged_file_and_another_organization_end_with_their_codes(
    ready: Pfa, other: str
) -> None:
    file = ready.folder / "holng.pfa"
    assert ready("org", "export", "HOLNG", str(file), "--copy").code == 0
    assert ready("org", "export", "HOLNG", str(file), "--org", "RIO").code == 2
    assert ready("org", "export", "RIO", str(file)).code == 5
    file.write_bytes(file.read_bytes()[:-100])
    cut = ready("org", "import", str(file), "--database-url", other)
    assert (cut.code, "is cut off; nothing was stored" in cut.err) == (9, True)
    assert ready("org", "import", "none.pfa", "--database-url", other).code == 6


@pytest.mark.long
def test_a_backup_comes_back_into_a_database_without_data(ready: Pfa, empty: str) -> None:
    file = str(ready.folder / "pfa.dump")
    made = ready("db", "backup", file, "-o", "json")
    (found,) = made.json["data"]["organizations"]
    assert (made.code, found["organization"], found["records"], found["flaws"]) == (
        0,
        "HOLNG",
        6,
        0,
    )
    full = ready("db", "restore", file)
    assert (full.code, "has organizations: HOLNG" in full.err) == (7, True)
    there = ("--database-url", empty)
    assert ready("db", "restore", file, *there, "-n").err == "dry run, rolled back\n"
    restored = ready("db", "restore", file, *there)
    assert restored.code == 0
    assert "next, for what PEMS has had since the backup: pfa sync pull, then pfa sync push" in (
        restored.err
    )
    assert len(ready("draft", "list", *there).lines) == 1


@pytest.mark.long
def test_a_flaw_in_a_backup_ends_with_1_and_names_what_shows_it(ready: Pfa) -> None:
    with psycopg.connect(ready.url, autocommit=True) as conn:
        conn.execute("UPDATE audit_log SET reason = 'forged' WHERE action = 'save'")
    unverified = ready("db", "backup", str(ready.folder / "pfa.dump"), "--no-verify")
    assert (unverified.code, "was not restored for a check" in unverified.err) == (0, True)
    made = ready("db", "backup", str(ready.folder / "pfa.dump"))
    assert made.code == 1
    assert "HOLNG: 1 flaw of the trail: pfa log verify --org HOLNG" in made.err
