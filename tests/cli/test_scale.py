"""The program with a replica for its reads, on a replica alone, and behind a pooler."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pfa_core.store import replica
from tests import pooler, standby
from tests.cli.conftest import baseline_record, write_lines
from tests.forms import LONG
from tests.program import Pfa, a_stage
from tests.server import bound_url
from tests.standby import Standby, a_standby


@a_stage
def pulled(pfa: Pfa) -> None:
    """The organization HOLNG with four records."""
    assert pfa("init", "--org", "HOLNG").code == 0
    path = write_lines(
        pfa.folder / "base.jsonl", [baseline_record(number) for number in range(1, 5)]
    )
    assert pfa("sync", "pull", "--from", path).code == 0


@pytest.fixture(scope="module")
def running(postgres) -> Iterator[Standby]:
    if standby.why_none():
        pytest.skip(standby.why_none())
    with a_standby(postgres.url("postgres")) as found:
        yield found


@pytest.fixture
def replicated(pulled: Pfa, running: Standby, monkeypatch: pytest.MonkeyPatch) -> Pfa:
    """The program whose reads ask a standby."""
    running.catch_up()
    monkeypatch.setenv("PFA_DATABASE_READ_URL", running.url(bound_url(pulled.url)))
    return pulled


def kept(home: Path) -> list[Path]:
    return list((home / "state" / "pfa").glob("written-*"))


def test_a_later_command_sees_what_an_earlier_one_changed(
    replicated: Pfa, running: Standby, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "reads ask the replica host=" in replicated("-v", "list").err
    assert "reads ask" not in replicated("list").err
    monkeypatch.setattr(replica, "WAIT_SECONDS", 0.1)
    with running.behind():
        assert replicated("draft", "set", "H-001", "monthlyRate=77").code == 0
        assert len(kept(home)) == 1
        shown = replicated("-v", "show", "H-001", "-o", "json")
        assert "reads ask the server itself: the replica has not got what you changed" in shown.err
        assert "77" in shown.out
    monkeypatch.setattr(replica, "WAIT_SECONDS", 30.0)
    assert "reads ask the replica host=" in replicated("-v", "list").err


@pytest.mark.long
def test_the_doctor_compares_the_replica_with_its_server(
    replicated: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> dict[str, str]:
        listed = replicated("doctor", "-o", "json").json["data"]
        (one,) = (item for item in listed if item["check"] == "replica")
        return one

    assert found()["result"] == "ok"
    assert re.search(r"port=5433 .* \d+ bytes? of the log behind", found()["finding"])
    monkeypatch.setenv("PFA_DATABASE_READ_URL", replicated.url)
    assert found()["result"] == "notice"
    assert "takes writes" in found()["finding"]
    monkeypatch.setenv("PFA_DATABASE_READ_URL", "postgresql://ann@127.0.0.1:1/x")
    assert found()["result"] == "problem"
    assert replicated("list").code == 0
    monkeypatch.delenv("PFA_DATABASE_READ_URL")
    listed = replicated("doctor", "-o", "json").json["data"]
    assert "replica" not in {item["check"] for item in listed}


def test_a_replica_without_a_server_is_refused(
    replicated: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PFA_DATABASE_URL")
    refused = replicated("list")
    assert refused.code == 78
    assert "PFA_DATABASE_READ_URL names a replica, and no address of its server" in refused.err


@pytest.mark.slow
def test_on_a_replica_alone_reads_work_and_a_write_ends_with_69(
    pulled: Pfa, running: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.catch_up()
    monkeypatch.setenv("PFA_DATABASE_URL", running.url(bound_url(pulled.url)))
    for words in (
        ("list",), ("stats",), ("show", "H-001"), ("status",), ("log",), ("list", "-o", "csv"), ("diff",),
        ("log", "verify"), ("metrics",), ("changes", "--since", "1d"), ("conflict", "list"), ("sync", "runs"),
        ("draft", "list"), ("user", "list"), ("doctor",), ("db", "verify"), ("db", "status"), ("blame", "H-001"),
    ):  # fmt: skip
        assert pulled(*words).code == 0, words
    for words in (("draft", "set", "H-001", "monthlyRate=5"), ("commit", "--yes")):
        refused = pulled(*words)
        assert (refused.code, refused.out) == (69, ""), words
        assert "the database is read-only (a replica?); nothing was stored" in refused.err


# pip does not install PgBouncer: where it is not there the reason says so.
@pytest.mark.skipif(bool(pooler.why_none()), reason=pooler.why_none())
@pytest.mark.parametrize("size", [pytest.param(20, marks=LONG)])
def test_a_day_s_work_goes_through_a_pooler(
    pulled: Pfa, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pooler.a_pooler(pulled.url, size=size) as found:
        monkeypatch.setenv("PFA_DATABASE_URL", found.url(bound_url(pulled.url)))
        there = Pfa(found.url(pulled.url), pulled.folder, pulled.capsys, pulled.sessions)
        for words in (
            ("draft", "set", "H-001", "monthlyRate=5"), ("diff",), ("commit", "--yes"), ("stats",), ("log",),
            ("list", "-o", "csv"), ("undo", "--yes"), ("draft", "list"), ("db", "upgrade"), ("db", "status"),
        ):  # fmt: skip
            ran = there(*words)
            assert ran.code == 0, (words, ran.err)
        listed = there("doctor", "-o", "json").json["data"]
        (database,) = (item for item in listed if item["check"] == "database")
        assert database["finding"].endswith("; behind a pooler, settings go with each transaction")
        there.connect_anew()
