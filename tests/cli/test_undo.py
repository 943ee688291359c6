"""`pfa undo` and `pfa revert` on the command line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pfa_core.pems.sandbox.server import Sandbox
from tests.cli.conftest import six_records
from tests.program import Pfa, a_stage


@a_stage
def drafted(pfa: Pfa) -> None:
    """Two records are drafted in the session s, one of them twice."""
    six_records(pfa)
    assert pfa("draft", "set", "H-001", "H-002", "monthlyRate=+100", "--into", "s").code == 0
    assert pfa("draft", "set", "H-001", "model=B", "--into", "s").code == 0


def operations(pfa: Pfa) -> list[tuple[str, int, str]]:
    found = pfa("undo", "--list", "-o", "json").json["data"]
    return [(one["kind"], one["records"], one["undoing"]) for one in found]


def test_the_list_shows_what_undoing_does_and_undo_does_it(drafted: Pfa) -> None:
    assert operations(drafted) == [
        ("save", 1, "sets 1 draft back"),
        ("save", 2, "deletes 2 drafts"),
    ]
    shown = drafted("undo", "--list", "-o", "tsv")
    assert [line.split("\t")[1] for line in shown.lines] == ["save", "save"]
    first = drafted("undo")
    assert first.code == 0
    assert "undone: operation" in first.err
    assert "1 set back" in first.err
    assert "next: pfa undo --redo takes this back" in first.err
    second = drafted("undo", "-o", "json").json
    assert (second["kind"], second["records"], second["redone"]) == ("save", 2, False)
    assert [one["became"] for one in second["undone"]] == ["deleted", "deleted"]
    assert drafted("draft", "list", "-o", "ids").lines == []
    nothing = drafted("undo")
    assert (nothing.code, "nothing of yours is left to undo" in nothing.err) == (6, True)
    assert drafted("undo", "--redo", "-q").code == 0
    assert drafted("draft", "list", "-o", "ids").lines == ["H-001", "H-002"]


def test_a_dry_run_shows_the_effect_on_cost_and_undoes_nothing(drafted: Pfa) -> None:
    number = drafted("undo", "--list", "-o", "json").json["data"][1]["operation"]
    assert drafted("undo", str(number), "--dry-run").code == 7
    assert drafted("undo", "-q").code == 0
    ran = drafted("undo", "--dry-run")
    assert ran.err.splitlines()[0].startswith("dry run, rolled back: undone: operation")
    assert "monthlyRate  2 records, in all" in ran.err
    assert "forecast cost of 2 records:" in ran.err
    assert drafted("undo", "-n", "-o", "json").json["preview"]["records"] == 2
    assert drafted("draft", "list", "-o", "ids").lines == ["H-001", "H-002"]


def test_an_operation_under_a_later_one_names_what_to_type(drafted: Pfa) -> None:
    found = drafted("undo", "--list", "-o", "json").json["data"]
    later, number = (one["operation"] for one in found)
    refused = drafted("undo", str(number))
    assert refused.code == 7
    assert f"hint: type: pfa undo {later}" in refused.err
    assert f"H-001: operation {later} changed it since" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--list", "--redo"], "--list cannot be combined"),
        (["--list", "-n"], "--list cannot be combined"),
        (["--limit", "3"], "--limit requires --list"),
        (["3", "--redo"], "OPERATION cannot be combined with --redo"),
        (["0"], "not the number of an operation: 0"),
    ],
)
def test_what_contradicts_itself_is_refused(drafted: Pfa, words: list[str], message: str) -> None:
    refused = drafted("undo", *words)
    assert (refused.code, message in refused.err) == (2, True)


@pytest.fixture
def pushed(drafted: Pfa, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Pfa, Sandbox]]:
    """The session s is in PEMS, which has changed a field of one record since."""
    records = [
        {**one["data"], "organization": "HOLNG"}
        for one in drafted("list", "--baseline", "-o", "json").json["data"]
    ]
    with Sandbox(organization="HOLNG", records=records) as pems:
        monkeypatch.setenv("PFA_PEMS_URL", pems.url)
        assert drafted("commit", "--session", "s").code == 0
        assert drafted("sync", "push").code == 0
        pems.change("H-001", model="THEIRS")
        assert drafted("sync", "pull").code == 0
        yield drafted, pems


def test_what_was_pushed_is_reverted_and_what_was_changed_since_is_named(
    pushed: tuple[Pfa, Sandbox],
) -> None:
    pfa, pems = pushed
    refused = pfa("undo")
    assert refused.code == 7
    assert "hint: type: pfa revert --session s" in refused.err
    tried = pfa("revert", "--session", "s", "--dry-run")
    assert tried.code == 3
    assert "forecast cost of 2 records:" in tried.err
    assert pfa("draft", "list", "-o", "ids").lines == []
    ran = pfa("revert", "--session", "s")
    assert ran.code == 3
    assert "2 drafts saved in session revert-s" in ran.err
    assert "H-001 model: PEMS has THEIRS now, not your B: left as it is" in ran.err
    assert "1 field changed in PEMS since" in ran.err
    assert "2 drafts unchanged" in pfa("revert", "--session", "s").err
    again = pfa("revert", "--session", "s", "-o", "json").json
    (left,) = again["changedSince"]
    assert (left["field"], left["sent"], left["pems"]) == ("model", "B", "THEIRS")
    assert pfa("commit", "--session", "revert-s").code == 0
    assert pfa("sync", "push").code == 0
    rates = {one.pfa_id: one.data["monthlyRate"] for one in pems.records}
    listed = pfa("list", "--id", "H-001", "-o", "json").json["data"]
    assert rates["H-001"] == listed[0]["data"]["monthlyRate"]
    done = pfa("revert", "--session", "s", "--id", "H-002")
    assert (done.code, "1 record as before already" in done.err) == (0, True)


def test_a_revert_of_nothing_is_refused(drafted: Pfa) -> None:
    nothing = drafted("revert")
    assert (nothing.code, "give --session, --run or --id" in nothing.err) == (2, True)
    early = drafted("revert", "--session", "s")
    assert (early.code, "nothing of session 's' is in PEMS yet" in early.err) == (6, True)
