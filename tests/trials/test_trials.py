"""Histories under attack: without a violation, the same each time, and with a deliberate bug found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.nursery import REPOSITORY, a_nursery
from tests.forms import long
from tests.trials import finding, history
from tests.trials.__main__ import main
from tests.trials.bugs import BUGS
from tests.trials.place import Place
from tests.trials.planning import plan
from tests.trials.setting import a_place
from tests.trials.steps import LOOKS, OF_USERS, RUNS, Act, Kind, Turn, Way, read, written
from tests.trials.terms import Terms
from tests.trials.together import Together

QUICK = Terms(own_server=False, small_disk=False, clocks=False, quick=True, danger=0.5)
SEED = 1009  # its first sixteen turns have kills, cuts, pushes, an edit in PEMS, an undo
# A change goes to PEMS, by each way.
SENT = [
    Turn(number=1, actor="bob", acts=(Act(kind=Kind.SAVE, values={"P-1": {"model": "bob 1"}}, session="s"),)),
    Turn(number=2, actor="bob", acts=(Act(kind=Kind.COMMIT, session="s"),), way=Way.PYTHON),
    Turn(number=3, actor="ann", acts=(Act(kind=Kind.PUSH),)),
]  # fmt: skip


@pytest.mark.slow
def test_a_short_history_keeps_every_promise(database_url: str) -> None:
    with a_place(database_url) as place:
        driver, failed = history.run(place, plan(SEED, 16, QUICK))
    assert failed is None, failed.violation
    assert sum(driver.processes.operations.values()) >= 16
    assert driver.processes.faults["kill -9"]
    assert driver.processes.faults["connection cut"]
    assert "database stopped and killed, full disk of the embedded directory" in place.skipped


@pytest.mark.long
@pytest.mark.parametrize("bug", ["forgotten-row", *long(["", "double-push", "skipped-entry"])])
def test_a_change_that_is_sent_tells_what_the_push_does_wrong(database_url: str, bug: str) -> None:
    with a_place(database_url, bug) as place:
        _, failed = history.run(place, SENT)
    assert (failed is not None) == bool(bug)


def test_a_seed_plans_the_same_turns_each_time_and_a_file_has_them_all() -> None:
    turns = plan(5, 600, Terms())
    assert turns == plan(5, 600, Terms())
    assert turns != plan(6, 600, Terms())
    assert read(written(turns)) == turns
    assert {act.kind for turn in turns for act in turn.acts} > OF_USERS | LOOKS | RUNS


@pytest.mark.slow
def test_each_deliberate_bug_is_of_a_function_that_is_there() -> None:
    every = "from tests.trials.bugs import BUGS\nfor bug in BUGS.values(): bug.switch_on()"
    subprocess.run([sys.executable, "-c", every], cwd=REPOSITORY, check=True, timeout=60)


@pytest.mark.long
def test_a_program_that_ends_ends_the_wait_for_its_processes(tmp_path: Path) -> None:
    with (
        a_nursery(tmp_path, "tests.trials.bodies", "no-such-bug") as nursery,
        pytest.raises((ChildProcessError, BrokenPipeError)),
    ):
        nursery.start(commands=[])


@pytest.mark.long
@pytest.mark.parametrize("bug", BUGS)
def test_the_checker_finds_each_deliberate_bug(bug: str) -> None:
    found = finding.find(bug)
    assert found.violation, (
        f"{BUGS[bug].what}: {found.operations} operations in {found.seconds:.0f} s"
    )


@pytest.mark.long
def test_the_shortest_history_of_a_bug_is_a_few_turns(database_url: str) -> None:
    @contextmanager
    def with_bug() -> Iterator[Place]:
        with a_place(bug="half-save") as place:
            yield place

    turns = plan(1, 12, QUICK)
    with with_bug() as place:
        _, failed = history.run(place, turns, every=4)
    assert failed
    shortest = history.shrunk(failed, with_bug, seconds=120)
    assert len(shortest.turns) == 1
    assert shortest.turns[0].acts[0].kind is Kind.SAVE


@pytest.mark.long
def test_a_file_with_turns_is_a_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trial.history"
    path.write_text(written(SENT))
    assert main(["--history", str(path)]) == 0
    said = capsys.readouterr().out
    assert "violations: 0" in said
    assert "operations: 6" in said  # with two pushes that find nothing left, and a pull


@pytest.mark.long
def test_many_processes_at_once_keep_every_promise() -> None:
    with a_place() as place:
        # Without clocks: under libfaketime a system call of a push ends with EINVAL at times.
        terms = Terms(small_disk=place.small_disk, clocks=False, together=True)
        together = Together(place, 1, terms)
        driver = together.run(0.5)
    assert together.violations == []
    assert sum(driver.processes.operations.values()) > 100
    assert sum(driver.processes.faults.values()) > 10
