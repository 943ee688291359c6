"""`pfa sync pull` of a source that lost something: what it says, how it ends, what allows it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pfa_core.pems.sandbox.server import Sandbox
from tests.cli.conftest import baseline_record, six_records, write_lines
from tests.program import Pfa
from tests.terminals import on_terminal

__all__ = ["six_records"]


def rows(**changes: Any) -> list[dict[str, Any]]:
    return [
        {**baseline_record(n), "pemsVersion": "2026-11-02T08:00:00Z", **changes}
        for n in range(1, 7)
    ]


@pytest.fixture
def six(pfa: Pfa) -> Pfa:
    assert pfa("init", "--org", "HOLNG").code == 0
    assert pull(pfa, rows()).code == 0
    return pfa


def pull(pfa: Pfa, items: list[dict[str, Any]], *words: str) -> Any:
    return pfa("sync", "pull", "--from", write_lines(pfa.folder / "in.jsonl", items), *words)


def without(name: str) -> list[dict[str, Any]]:
    return [{n: v for n, v in row.items() if n != name} for row in rows()]


def test_a_field_that_is_gone_ends_with_9_and_the_option_that_allows_it(six: Pfa) -> None:
    before = six("list", "-o", "json").json["data"]
    items = [{**row, "rentalRate": 7} for row in without("monthlyRate")]
    for word in ("-n", "-v"):
        ran = pull(six, items, word)
        assert ran.code == 9
        assert "  monthlyRate: would be emptied in 6 records" in ran.err
        hint = (
            "unknown fields of this pull: rentalRate; if the source is right, add --allow-emptied"
        )
        assert f"hint: {hint} monthlyRate\n" in ran.err
        assert (
            "error: this pull would empty monthlyRate in 6 records; nothing was stored" in ran.err
        )
    assert six("list", "-o", "json").json["data"] == before
    ran = pull(six, without("monthlyRate"), "--allow-emptied", "monthlyRate", "-o", "json")
    assert (ran.code, ran.json["metadata"]["emptied"]) == (0, {"monthlyRate": 6})
    assert "emptied: monthlyRate in 6 records" in ran.err
    assert "emptied: monthlyRate in 6 records" in six("sync", "show", ran.json["runId"]).err


def test_an_unknown_field_to_allow_is_2(six: Pfa) -> None:
    ran = pull(six, rows(), "--allow-emptied", "monthlyrate")
    assert (ran.code, "did you mean monthlyRate?" in ran.err) == (2, True)


def test_older_records_end_with_3_each_named_and_the_option_that_allows_them(six: Pfa) -> None:
    items = rows(pemsVersion="2026-11-01T08:00:00Z", monthlyRate=1)
    for word in ("-n", "-v"):
        ran = pull(six, items[:2] + rows()[2:], word)
        assert (ran.code, "status     partial" in ran.out) == (3, True)
        assert "2 records are older than the mirror's and left out [INVALID_DATA]" in ran.err
    assert ran.err.count("[OLDER_VERSION]") == 1
    assert "  2 records, pemsVersion: " in ran.err
    assert "    H-001" in ran.err
    assert ", H-002" in ran.err
    assert "hint: to store them all the same, add --allow-older\n" in ran.err
    ran = pull(six, items, "--allow-older", "-o", "json")
    assert (ran.code, ran.json["updated"], ran.json["metadata"]["older"]) == (0, 6, 0)


@pytest.mark.variants(2)
@pytest.mark.parametrize(
    ("name", "content", "code", "says"),
    [
        ("page.html", "<!DOCTYPE html>\n<title>Sign in</title>\n", 9, "is a web page"),
        ("other.csv", "number,model\n1,A\n", 9, "is not a table of records"),
        ("none.json", "[]", 3, "no record in none.json, nothing was stored"),
        ("head.csv", "pfaId,model\n", 3, "no record in head.csv, nothing was stored"),
    ],
)
def test_what_holds_no_records_is_no_completed_pull(
    six: Pfa, tmp_path: Path, name: str, content: str, code: int, says: str
) -> None:
    at = six("status", "-o", "json").json["data"]["baselineAt"]
    path = tmp_path / name
    path.write_text(content)
    ran = six("sync", "pull", "--from", str(path))
    assert (ran.code, says in ran.err) == (code, True)
    assert "marked as missing" not in ran.err
    assert six("status", "-o", "json").json["data"]["baselineAt"] == at


def test_a_pull_from_files_says_that_it_marks_nothing(six: Pfa) -> None:
    ran = pull(six, rows()[:2])
    assert ran.code == 0
    hint = "4 other records of the mirror are as before: a file marks nothing as missing\n"
    assert hint in ran.err
    assert "marked as missing" not in ran.err
    hint = "1 other record of the mirror is as before: a file marks nothing as missing\n"
    assert hint in pull(six, rows()[:5]).err


def test_pems_without_a_record_marks_nothing_unless_allowed(
    six: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sandbox(organization="HOLNG") as pems:
        monkeypatch.setenv("PFA_PEMS_URL", pems.url)
        ran = six("sync", "pull")
        assert ran.code == 3
        assert "hint: if PEMS has none, add --allow-no-records\n" in ran.err
        assert "nothing was marked missing" in ran.err
        ran = six("sync", "pull", "-n", "--allow-no-records")
        assert (
            "6 records of the mirror not among those stored: a pull marks them as missing"
            in ran.err
        )
        ran = six("sync", "pull", "--allow-no-records", "-o", "json")
        assert (ran.code, ran.json["missing"]) == (0, 6)
        assert "marked as missing, kept until PEMS has them again" in ran.err
    assert six("sync", "pull", "--from", "x", "--allow-no-records").code == 2


def test_an_incremental_pull_that_is_cut_off_does_not_promise_to_resume(
    six: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [{**row, "organization": "HOLNG"} for row in rows()]
    config = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
    config.write_text("[profiles.default.pems]\nretry_delay = 0.01\n")
    config.chmod(0o600)
    with Sandbox(organization="HOLNG", records=items) as pems:
        monkeypatch.setenv("PFA_PEMS_URL", pems.url)
        assert six("sync", "pull").code == 0
        pems.faults = ["503:1:on=grid:after=1"]
        ran = six("sync", "pull", "--since", "2026-01-01", "--error-format", "json")
        assert ran.code == 3
        failure = json.loads(ran.err.splitlines()[-1])["error"]
        assert failure["hint"].endswith("the next pull asks for the others again")


def test_a_line_or_document_above_the_limit_is_9_and_the_option_raises_it(six: Pfa) -> None:
    ran = pull(six, rows(), "--max-size", "100")
    assert (ran.code, ran.out) == (9, "")
    assert "in.jsonl line 1 has more than 100 bytes; nothing was stored" in ran.err
    assert "hint: to read it all the same, raise --max-size" in ran.err
    assert pull(six, rows(), "--max-size", "1KiB").code == 0
    delta = six.folder / "delta.json"
    delta.write_text('{"pfaId": "H-001", "delta": {"model": "A"}}')
    ran = six("draft", "save", str(delta), "--max-size", "10")
    assert (ran.code, "has more than 10 bytes; nothing was saved" in ran.err) == (9, True)
    assert six("draft", "save", str(delta), "--max-size", "1M").code == 0


@pytest.mark.variants(3)
@pytest.mark.parametrize("text", ["0", "-1", "1T", "x", "", "1.5G", "0KiB"])
def test_a_limit_that_is_no_size_is_2(six: Pfa, text: str) -> None:
    ran = pull(six, rows(), f"--max-size={text}")
    assert (ran.code, "write it as 500K, 64MiB or 1GiB" in ran.err) == (2, True)


def test_a_limit_without_files_is_2(six: Pfa) -> None:
    ran = six("sync", "pull", "--max-size", "1G")
    assert (ran.code, "--max-size is of files" in ran.err) == (2, True)


@pytest.mark.long
def test_on_a_terminal_a_pull_names_the_command_that_shows_what_changed(six: Pfa) -> None:
    path = write_lines(six.folder / "in.jsonl", rows(monthlyRate=7))
    screen = on_terminal("sync", "pull", "--from", path)
    run = six("sync", "runs", "--limit", "1", "-o", "ids").lines[0]
    assert (screen.code, screen.lines[-1]) == (0, f"next: pfa changes --run {run}")
    assert six("changes", "--run", run, "-o", "ids").lines == [f"H-00{n}" for n in range(1, 7)]
    for words in ((), ("-n",), ("-q",)):  # nothing changed any more; nothing would be stored
        if words == ("-n",):
            path = write_lines(six.folder / "in.jsonl", rows(monthlyRate=8))
        assert "next:" not in on_terminal("sync", "pull", "--from", path, *words).text


@pytest.mark.slow
def test_a_first_pull_and_a_job_are_told_no_next_step(pfa: Pfa) -> None:
    assert pfa("init", "--org", "HOLNG").code == 0
    faulty = [*rows()[1:], {**rows()[0], "source": "Lease"}]
    path = write_lines(pfa.folder / "in.jsonl", faulty)
    screen = on_terminal("sync", "pull", "--from", path)
    assert (screen.code, "next:" in screen.text) == (3, False)
    assert pull(pfa, rows(monthlyRate=7)).err == ""


def listed(pfa: Pfa, name: str, *words: str) -> str:
    """The records as the program lists them, in a file of that name."""
    output = name.rpartition(".")[2]
    ran = pfa("list", "-o", output, *(["--header"] if output == "tsv" else []), *words)
    assert ran.code == 0
    path = pfa.folder / name
    path.write_bytes(ran.out.encode())
    return str(path)


def rate_in_pems(pfa: Pfa, pfa_id: str) -> Any:
    return pfa("list", "--baseline", "--id", pfa_id, "-o", "json").json["data"][0]["data"][
        "monthlyRate"
    ]


@pytest.mark.slow
@pytest.mark.variants(2)
@pytest.mark.parametrize("name", ["all.csv", "all.jsonl", "all.tsv", "all.json"])
def test_a_record_with_private_values_in_a_list_is_refused_and_the_others_are_taken(
    six: Pfa, name: str
) -> None:
    assert six("draft", "set", "H-002", "monthlyRate=77777", "--into", "secret").code == 0
    path = listed(six, name)
    for _ in range(2):  # what is refused is not recognized later either
        ran = six("sync", "pull", "--from", path)
        assert (ran.code, "unchanged  5" in ran.out, "rejected   1" in ran.out) == (3, True, True)
        assert "  H-002 syncState: is draft: the row has a user's own values" in ran.err
        assert "[OWN_VALUES]" in ran.err
        assert "hint: PEMS's values: pfa list --baseline; edits: pfa draft save FILE\n" in ran.err
    assert rate_in_pems(six, "H-002") == 3044
    one = listed(six, f"one-{name}", "--id", "H-002")
    ran = six("sync", "pull", "--from", one)
    assert (ran.code, "the only record was refused" in ran.err) == (9, True)
    assert "hint: PEMS's values: pfa list --baseline; edits: pfa draft save FILE\n" in ran.err
    ran = six("sync", "pull", "--from", listed(six, f"pems-{name}", "--baseline"), "-o", "json")
    assert (ran.code, ran.json["unchanged"]) == (0, 6)
    assert six("list", "--id", "H-002", "-o", "json").json["data"][0]["syncState"] == "draft"


def test_a_committed_value_in_a_list_is_refused_too(six: Pfa) -> None:
    assert six("draft", "set", "H-002", "monthlyRate=77777", "--into", "mine").code == 0
    assert six("commit", "--session", "mine", "--yes").code == 0
    ran = six("sync", "pull", "--from", listed(six, "one.csv", "--id", "H-002"))
    assert (ran.code, "syncState: is committed: " in ran.err) == (9, True)
    assert rate_in_pems(six, "H-002") == 3044


@pytest.mark.parametrize("name", ["sheet.csv", "sheet.tsv", "sheet.jsonl"])
def test_a_sheet_for_editing_is_not_pulled(six: Pfa, name: str) -> None:
    assert six("draft", "set", "H-002", "monthlyRate=77777", "--into", "secret").code == 0
    path = str(six.folder / name)
    assert six("list", "--to", path, "--id", "H-002").code == 0
    ran = six("sync", "pull", "--from", path)
    assert ran.code == 9
    if not name.endswith("jsonl"):
        assert f"{name} is a sheet for editing (column pfa.seen)" in ran.err
    assert "hint: PEMS's values: pfa list --baseline; edits: pfa draft save FILE\n" in ran.err
    assert rate_in_pems(six, "H-002") == 3044


def test_a_pull_from_files_has_no_number_of_missing_records_for_people(six: Pfa) -> None:
    ran = pull(six, rows()[:2])
    assert (ran.code, "missing " in ran.out) == (0, False)
    run = pull(six, rows()[:2], "-o", "json").json
    assert run["missing"] == 4
    assert "missing" not in six("sync", "runs").out
    assert "missing" not in six("sync", "show", run["runId"]).err
    assert six("sync", "runs", "-o", "json").json["data"][0]["counts"]["missing"] == 4
