"""Operations whose connection is cut at a COMMIT: state, trail and exit code are those of one execution."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pfa_core.store.database import BROKEN_COMMITS
from tests.audit.aging import age_trail
from tests.cli.conftest import baseline_record, six_records
from tests.cli.walk import forget
from tests.cut import When
from tests.faults.cut_stage import ATTEMPTS, Left, Stage, a_pems, differing, stage
from tests.forms import long
from tests.program import Pfa

__all__ = ["stage"]  # a fixture

NEXT_DAY = {"H-004": {"monthlyRate": 9000}}  # what PEMS has changed meanwhile
RELATIVE = {"pfaId": "H-001", "delta": {"monthlyRate": {"multiply": 2}}}
DELTA = {"pfaId": "H-006", "delta": {"model": "F"}, "expectedVersion": 0}


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
        ("view", "save", "common", "--dor", "BEO", "--shared"),
    ):
        done(pfa, *words)
    records = [json.loads(line) for line in (pfa.folder / "mirror.jsonl").read_text().splitlines()]
    changed = [record | NEXT_DAY.get(record["pfaId"], {}) for record in records]
    (pfa.folder / "next.jsonl").write_text("".join(json.dumps(one) + "\n" for one in changed))
    (pfa.folder / "delta.json").write_text(
        json.dumps({"sessionId": "new", "modifications": [DELTA]})
    )
    (pfa.folder / "relative.json").write_text(json.dumps(RELATIVE))
    done(pfa, "plan", "--session", "open", "--to", str(pfa.folder / "plan.json"))


def prepare_undone(pfa: Pfa) -> None:
    """Two operations, the last one taken back: an undo repeated by mistake would take back the other too."""
    prepare(pfa)
    done(pfa, "commit", "--session", "open")
    done(pfa, "undo")


def prepare_sent(pfa: Pfa) -> None:
    """Two changes that PEMS has, one of them changed there since."""
    records = [{**baseline_record(number), "organization": "HOLNG"} for number in range(1, 4)]
    with a_pems(pfa.folder) as pems:
        pems.load(records)
        done(pfa, "init", "--org", "HOLNG")
        done(pfa, "sync", "pull")
        done(pfa, "draft", "set", "H-001", "H-002", "model=A", "--into", "sent")
        done(pfa, "commit", "--session", "sent")
        done(pfa, "sync", "push")
        pems.change("H-002", model="Theirs")
        done(pfa, "sync", "pull")


def prepare_exchange(pfa: Pfa) -> None:
    """A conflict and a dead letter, three changes to send, one of them against PEMS, another field there.

    H-001 is in conflict, H-002 was missing in PEMS when it was sent and is there again, H-003 to H-005 are
    committed, PEMS has changed H-004 and H-006.
    """
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
    records = [{**baseline_record(number), "organization": "HOLNG"} for number in range(1, 7)]
    with a_pems(pfa.folder) as pems:
        pems.load(records)
        done(pfa, "init", "--org", "HOLNG")
        config.write_text("[profiles.default.pems]\nretry_delay = 0.01\ngrid.page_size = 3\n")
        config.chmod(0o600)
        done(pfa, "sync", "pull")
        done(pfa, "draft", "set", "H-001", "H-002", "model=A", "--into", "first")
        done(pfa, "commit", "--session", "first")
        pems.change("H-001", model="Theirs")
        pems.remove("H-002")
        done(pfa, "sync", "push", code=3)
        pems.load(records)
        done(pfa, "draft", "set", "H-003", "H-004", "H-005", "model=B", "--into", "second")
        done(pfa, "commit", "--session", "second")
        pems.change("H-004", model="Theirs")
        pems.change("H-006", monthlyRate=9000)


def prepare_limited(pfa: Pfa) -> None:
    """No commit is within the limit."""
    prepare(pfa)
    done(pfa, "org", "set", "--max-records", "0")


def prepare_limited_exchange(pfa: Pfa) -> None:
    """No push is within the limit."""
    prepare_exchange(pfa)
    done(pfa, "org", "set", "--max-records", "0")


def prepare_archived(pfa: Pfa) -> None:
    """The organization is archived by an export."""
    prepare(pfa)
    done(pfa, "org", "export", "HOLNG", str(pfa.folder / "holng.pfa"))


def prepare_exported(pfa: Pfa) -> None:
    """An organization is in a file, and not in the database."""
    prepare(pfa)
    done(pfa, "org", "add", "OTHER")
    done(pfa, "org", "export", "OTHER", str(pfa.folder / "other.pfa"))
    forget(pfa, "OTHER")


def prepare_aged(pfa: Pfa) -> None:
    """All of it was ten years ago, but what members and settings are."""
    prepare(pfa)
    with psycopg.connect(pfa.url) as conn:
        values = {"code": "HOLNG", "past": timedelta(days=3652), "links": 10**9}
        age_trail(conn, values)


def done(pfa: Pfa, *words: str, code: int = 0) -> None:
    ran = pfa(*words)
    assert ran.code == code, ran.err


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
    "set relative": ("draft", "set", "H-004", "monthlyRate=+5%", "--into", "new"),
    "set relative over a draft": (
        "draft",
        "set",
        "H-001",
        "model=A",
        "forecastEnd=+1m",
        "monthlyRate=*2",
        "--into",
        "open",
    ),
    "save": ("draft", "save", "FOLDER/delta.json"),
    "save relative": ("draft", "save", "FOLDER/relative.json"),
    "shift": ("draft", "shift", "14", "--id", "H-004", "--into", "new"),
    "shift of a draft": ("draft", "shift", "14", "--id", "H-001", "--move"),
    "unset": ("draft", "unset", "--session", "open", "model"),
    "commit of a session": ("commit", "--session", "open"),
    "commit of an id": ("commit", "--id", "H-001"),
    "uncommit": ("uncommit", "--session", "done"),
    "discard": ("discard", "--session", "open"),
    "restore": ("restore", "--session", "gone"),
    "pull from a file": ("sync", "pull", "--from", "FOLDER/next.jsonl"),
    "issue": ("auth", "issue", "--user", "bob"),
    "revoke tokens": ("auth", "revoke", "--user", "bob"),
    "rotate": ("auth", "keys", "rotate"),
    "grant": ("user", "grant", "eve", "--role", "viewer"),
    "revoke": ("user", "revoke", "bob"),
    "add": ("org", "add", "OTHER"),
    "export": ("org", "export", "HOLNG", "FOLDER/holng.pfa"),
    "import": ("org", "import", "FOLDER/other.pfa"),
    "archive the trail": (
        "log",
        "archive",
        "--before",
        "2020-01-01",
        "--to",
        "FOLDER/trail.gz",
    ),
    "reopen": ("org", "reopen", "HOLNG", "--reason", "why"),
    "save a view": ("view", "save", "cranes", "--category", "Crane"),
    "share a view again": ("view", "save", "common", "--category", "Crane", "--shared"),
    "delete a view": ("view", "delete", "common", "--shared"),
    "configure": ("org", "set", "--currency", "EUR", "--max-records", "5"),
    "commit over a limit": ("commit", "--session", "open", "--override", "why"),
    "commit of a plan": ("commit", "--plan", "FOLDER/plan.json"),
    "undo": ("undo",),
    "undo of the one before": ("undo",),
    "redo": ("undo", "--redo"),
    "revert": ("revert", "--session", "sent"),
}
# Where an operation has a stage of its own.
STAGES = {
    "import": prepare_exported,
    "archive the trail": prepare_aged,
    "reopen": prepare_archived,
    "undo of the one before": prepare_undone,
    "redo": prepare_undone,
    "commit over a limit": prepare_limited,
    "push over a limit": prepare_limited_exchange,
    "revert": prepare_sent,
}


EXCHANGES: dict[str, tuple[str, ...]] = {
    "push": ("sync", "push"),
    "push of one": ("sync", "push", "--limit", "1"),
    "push over a limit": ("sync", "push", "--override", "why"),
    "retry": ("sync", "retry"),
    "pull": ("sync", "pull"),
    "pull of what changed": ("sync", "pull", "--incremental"),
    "resolve": ("conflict", "resolve", "H-001", "--take", "mine"),
    "resolve as PEMS": ("conflict", "resolve", "--all", "--take", "pems"),
    "refresh": ("auth", "refresh"),
    "refresh and revoke": ("auth", "refresh", "--revoke-old"),
}

ALL = {**OPERATIONS, **EXCHANGES}
CODES = {"push": 3, "push over a limit": 3, "revert": 3}  # PEMS holds another value of one of them
# 0: the conflict was settled before, with the changes
CODES_AGAIN = {"push": {3, 0}, "push over a limit": {3, 0}}
# One of each kind, at each COMMIT: what is relative, what makes something new, what moves states, what writes a
# file; of an exchange with PEMS at some of them.
EVERY: tuple[int, ...] = ()
SHORT = {
    "shift": EVERY,
    "set relative": EVERY,
    "commit of a session": EVERY,
    "pull from a file": EVERY,
    "undo of the one before": EVERY,
    "refresh and revoke": EVERY,
    "push": (4, 5),  # the claims, the record of what is sent
    "pull": (3,),  # the first page
}
SHORT_GIVEN_UP = {
    "shift": EVERY,
    "refresh and revoke": EVERY,
    "retry": (2,),  # the push's begin, behind what the retry lets be due again
    "pull": (3,),  # the first page, while the second waits
}
# What an interrupted run writes beside what it does: the run itself, and that of the next one.
OF_RUNS = (
    "pfa_sync_log",
    "pfa_sync_outcome",
    "pfa_pull_page",
    "audit_log",
    "audit_head",
    ATTEMPTS,
)


@pytest.fixture
def run(stage: Stage) -> Callable[..., Left]:
    """Run an operation of the tables in a copy of its stage."""

    def run(name: str, number: int, when: When, **how: Any) -> Left:
        prepared = STAGES.get(name, prepare_exchange if name in EXCHANGES else prepare)
        return stage.after(prepared, ALL[name], number, when, **how)

    return run


def each(
    short: Mapping[str, tuple[int, ...]], *, without: Sequence[str] = ()
) -> pytest.MarkDecorator:
    """Some operations at some of their COMMITs, in the long form all at each."""
    rest = sorted(name for name in ALL.keys() - without if short.get(name, (0,)) != EVERY)
    return pytest.mark.parametrize(
        ("name", "places"), [*short.items(), *long((name, EVERY) for name in rest)]
    )


@pytest.mark.variants(1)
@each(SHORT)
def test_an_operation_cut_at_its_commit_is_done_once(
    run: Callable[..., Left], name: str, places: tuple[int, ...]
) -> None:
    whole = run(name, 0, When.AFTER)
    assert whole.code == CODES.get(name, 0)
    assert whole.commits >= max(places, default=1)
    for number in places or range(1, whole.commits + 1):
        for when in When:
            left = run(name, number, when)
            assert left.code == whole.code, (number, when)
            found = differing(left.state, whole.state)
            if (
                name in EXCHANGES
            ):  # how many answers of PEMS one transaction settles is a matter of time
                found.pop("audit_head", None)
            assert found == {}, (number, when)


# The next push sends another one.
@pytest.mark.slow
@pytest.mark.variants(1)
@each(SHORT_GIVEN_UP, without=["push of one"])
def test_an_operation_that_was_given_up_at_a_commit_is_done_once_by_the_next_one(
    run: Callable[..., Left], name: str, places: tuple[int, ...]
) -> None:
    whole = run(name, 0, When.AFTER)
    for number in places or range(1, whole.commits + 1):
        left = run(name, number, When.BEFORE, times=BROKEN_COMMITS, again=True)
        assert left.code in CODES_AGAIN.get(name, {whole.code}), number
        found = differing(left.state, whole.state)
        if ALL[name][0] == "sync":
            found = {table: rows for table, rows in found.items() if table not in OF_RUNS}
        assert found == {}, number
