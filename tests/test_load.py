"""Many at once: the load benchmark in its short form has no error, and no organization waits for another one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load import outcomes, waits
from benchmarks.load.outcomes import Ran, ended, percentile
from benchmarks.load.waits import Session, Watch, running
from pfa_core.store.embedded import layout, server
from tests import pooler
from tests.forms import LONG
from tests.server import reachable_directory

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that the server's user can reach."""
    path = reachable_directory("pfa-load-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def run(folder: Path, *words: str) -> list[dict[str, Any]]:
    """What the parts of a short run found, none of which failed."""
    found = folder / "found.json"
    argv = [sys.executable, "-m", "benchmarks.load", *words, "--folder", str(folder)]
    short = ("--people", "2", "--records", "300", "--json", str(found))
    done = subprocess.run([*argv, *short], cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert found.exists(), done.stderr
    parts = json.loads(found.read_text())
    assert [part["failures"] for part in parts] == [[]] * len(parts)
    assert [part["watch"]["across"] for part in parts if part["watch"]] == [[]] * sum(
        bool(part["watch"]) for part in parts
    )
    return parts


# Programs that are loaded already: what is tested is the server's start, not Python's.
AT_ONCE = """
import os, sys
from pathlib import Path
from pfa_core.errors import PfaError
from pfa_core.store import migrations
from pfa_core.store.database import Database
from pfa_core.store.embedded import server

def use():
    with Database(None, Path(sys.argv[1])) as db:
        db.read(lambda conn: conn.execute("SELECT count(*) FROM pfa_mirror").fetchone())

def child():
    code = 1
    try:
        use()
        code = 0
    except PfaError as error:
        print(error.code, error.message, error.hint, file=sys.stderr, flush=True)
    finally:
        os._exit(code)

pids = [os.fork() or child() for _ in range(int(sys.argv[2]))]
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids])
"""


def at_once(root: Path, processes: int) -> tuple[str, str]:
    """So many processes at once that use the embedded server: their exit codes, and what they said."""
    argv = [sys.executable, "-c", AT_ONCE, str(root), str(processes)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300)
    said = [line for line in done.stderr.splitlines() if "waiting for another upgrade" not in line]
    return done.stdout.strip(), "\n".join(said)


@pytest.mark.long
def test_of_many_processes_one_starts_the_server_and_all_work(folder: Path) -> None:
    processes = 60
    root, well = folder / "pfa", (str([0] * processes), "")
    try:
        assert at_once(root, processes) == well
        assert (root / "setup.log").read_text().count("running bootstrap script") == 1
        assert [path.name for path in root.glob("*pgdata*")] == [f"pgdata-{major(root)}"]
        assert not list(root.glob(".init-*"))
        os.kill(running(root) or 0, signal.SIGKILL)
        assert at_once(root, processes) == well
    finally:
        server.stop(root)


def major(root: Path) -> int:
    return layout.major(server.status(root).version)


@LONG
def test_jobs_of_cron_at_once_start_a_server_and_none_fails(folder: Path) -> None:
    cold, work = run(folder, "--cron", "8", "--minutes", "0.1")
    assert {row["kind"]: row["calls"] for row in cold["rows"]} == {
        "cold: no data": 8,
        "cold: stopped": 8,
        "cold: killed": 8,
        "killed under way": 8,
        "all": 32,
    }
    assert work["rows"][-1]["calls"] >= 8 + 4
    assert work["watch"]["connections"] > 0


@pytest.mark.skipif(bool(pooler.why_none()), reason=pooler.why_none())
@LONG
def test_clients_of_a_pooler_at_once_get_their_work_done(folder: Path) -> None:
    (work,) = run(folder, "--pool", "24", "--sessions", "4", "--minutes", "0.1")
    assert work["rows"][-1]["calls"] > 24
    # PgBouncer's sessions, not its clients.
    assert 0 < work["watch"]["connections"] <= 5


@LONG
def test_organizations_at_once_wait_for_no_lock_of_one_another(folder: Path) -> None:
    (work,) = run(folder, "--organizations", "3")
    assert [figure["name"] for figure in work["figures"]] == [
        "first pull",
        "pull of changes",
        "push",
    ]
    assert all(figure["share"] > 0 and figure["slowest"] > 0 for figure in work["figures"])


# --- what is made of it ---------------------------------------------------------------------------


def test_a_percentile_is_a_time_that_was_measured() -> None:
    assert percentile([], 0.99) == 0
    assert percentile([1.0], 0.5) == 1
    hundred = [float(number) for number in range(1, 101)]
    assert [percentile(hundred, share) for share in (0.5, 0.95, 0.99, 1)] == [50, 95, 99, 100]


def test_a_lease_that_is_held_is_counted_and_what_was_not_expected_is_shown_once() -> None:
    calls = [
        ended("push", 1, 0, (0, 75), ""),
        ended("push", 2, 75, (0, 75), "another push is running"),
        *[ended("push", 3, 69, (0, 75), " away\n")] * 2,
        ended("list", 4, 1, (0,), ""),
    ]
    push, listed, every = outcomes.rows(calls)
    assert (push.calls, push.p50, push.longest, push.held, push.errors) == (4, 2, 3, 1, 2)
    assert (listed.kind, listed.errors, every.calls, every.errors) == ("list", 1, 5, 3)
    assert outcomes.rows(calls[:1]) == outcomes.rows([Ran("push", 1, 0)])
    assert outcomes.failures(calls) == [
        {"kind": "push", "code": 69, "said": "away", "times": 2},
        {"kind": "list", "code": 1, "said": "it said nothing", "times": 1},
    ]


def session(pid: int, name: str, *blockers: int, state: str = "active") -> Session:
    kind, event = ("Lock", "transactionid") if blockers else (None, None)
    return Session(pid, "client backend", name, state, kind, event, "SELECT 1", list(blockers))


def test_a_wait_for_another_organization_s_lock_is_kept_apart() -> None:
    watch = Watch()
    watch.look(
        [
            session(1, "A save", 2),
            session(2, "A commit"),
            session(3, "B pull", 2),
            session(4, "B list", state="idle"),
        ]
    )
    assert (watch.connections, watch.busy) == (4, 3)
    assert watch.blocked == {
        ("save", "commit", "transactionid"): 1,
        ("pull", "commit", "transactionid"): 1,
    }
    assert watch.across == {("B pull", "A commit", "transactionid"): 1}
    assert "  50.0% nothing" not in "\n".join(watch.lines())


def test_a_session_without_a_name_is_known_by_its_function() -> None:
    one = session(1, "pfa")._replace(query="SELECT * FROM pfa_save_drafts($1, $2)")
    assert (one.organization, one.work) == ("", "pfa_save_drafts")
    assert one._replace(query="COMMIT").work == "COMMIT"
    assert one._replace(backend="autovacuum worker").work == "autovacuum worker"


def test_no_server_has_no_memory(tmp_path: Path) -> None:
    assert (waits.memory(tmp_path), waits.processor_seconds(tmp_path)) == (0, 0)
