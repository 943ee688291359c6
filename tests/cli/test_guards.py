"""`pfa commit` and `pfa sync push` over a limit: what is said, and what is recorded."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conftest import ready
from tests.cli.test_sync import a_pems
from tests.program import Pfa

__all__ = ["ready"]  # a fixture


@pytest.fixture
def drafted(ready: Pfa) -> Pfa:
    """Drafts of two records, and a limit of one."""
    assert ready("draft", "set", "H-001", "H-002", "model=A", "--into", "s").code == 0
    assert ready("org", "set", "--max-records", "1").code == 0
    return ready


def states(pfa: Pfa) -> list[str]:
    return pfa("draft", "list", "--state", "draft", "-o", "ids").lines


def test_the_refusal_has_the_numbers_what_is_kept_and_what_to_type(drafted: Pfa) -> None:
    ran = drafted("commit", "--session", "s")
    assert (ran.code, ran.out) == (7, "")
    assert ran.err.splitlines() == [
        "hint: with a reason for the audit trail: --override REASON; fewer at once: --session, --id or --where",
        "error: the commit is over a limit: 2 records, at most 1 (organization HOLNG); nothing was committed,"
        " the drafts are kept [GUARD_EXCEEDED]",
    ]
    assert states(drafted) == ["H-001", "H-002"]
    assert drafted("commit", "--session", "s", "-n").code == 7
    assert drafted("commit", "--id", "H-001").code == 0


def test_an_override_says_so_and_is_in_the_log(drafted: Pfa) -> None:
    ran = drafted("commit", "--session", "s", "--override", "agreed with the client", "-n")
    assert ran.code == 0
    assert "dry run, rolled back: over a limit (records of organization HOLNG)\n" in ran.err
    assert drafted("log", "--action", "override", "-o", "json").json["data"] == []
    ran = drafted("commit", "--session", "s", "--override", "agreed with the client")
    assert ran.code == 0
    assert ran.err.splitlines()[:3] == [
        "over a limit (records of organization HOLNG); your reason is recorded: pfa log --action override",
        "2 drafts committed",
        "next: pfa sync push --override REASON",
    ]
    line = drafted("log", "--action", "override", "-o", "tsv", "--columns", "change").lines[-1]
    assert line == "commit: 2 records (limit 1)"
    (entry,) = drafted("log", "--action", "override", "-o", "json").json["data"]
    assert (entry["reason"], entry["sessionId"]) == ("agreed with the client", "s")
    assert entry["after"] == {
        "operation": "commit",
        "records": 2,
        "max_records": 1,
        "max_records_of": "organization HOLNG",
    }
    assert "agreed with the client" in drafted("log", "--session", "s", "-o", "table").out
    assert drafted("log", "verify").code == 0


def test_an_override_that_is_not_needed_is_said_to_be_none(drafted: Pfa) -> None:
    ran = drafted("commit", "--id", "H-001", "--override", "to be sure")
    assert ran.code == 0
    assert "no limit was exceeded: --override was not needed, and is not recorded" in ran.err
    assert drafted("log", "--action", "override", "-o", "json").json["data"] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("commit", "--session", "s", "--override", " "), 2),
        (("undo", "--list", "--override", "x"), 2),
        (("org", "set", "--max-records", "few"), 2),
        (("org", "set", "--max-money", "-1"), 2),
        (("org", "set"), 2),
        (("sync", "push", "-n", "--override", ""), 2),
    ],
)
def test_what_is_no_reason_and_no_limit_is_refused(
    drafted: Pfa, words: tuple[str, ...], code: int
) -> None:
    assert drafted(*words).code == code
    assert states(drafted) == ["H-001", "H-002"]


def test_a_plan_and_a_redo_are_judged(drafted: Pfa) -> None:
    path = str(drafted.folder / "plan.json")
    assert drafted("plan", "--session", "s", "--to", path).code == 0
    assert drafted("commit", "--plan", path).code == 7
    assert drafted("commit", "--plan", path, "--override", "as reviewed").code == 0
    assert drafted("undo").code == 0
    ran = drafted("undo", "--redo")
    assert ran.code == 7
    assert "what is committed again is over a limit" in ran.err
    assert states(drafted) == ["H-001", "H-002"]
    assert drafted("undo", "--redo", "--override", "as reviewed").code == 0
    assert states(drafted) == []


def test_limits_are_shown_and_cleared(ready: Pfa) -> None:
    shown = ready(
        "org", "set", "--max-records", "5", "--max-money", "250000.50", "-o", "json"
    ).json["data"]
    assert (shown["maxRecords"], str(shown["maxMoney"]), shown["maxPercent"]) == (
        5,
        "250000.50",
        None,
    )
    (listed,) = ready("org", "list", "-o", "json").json["data"]
    assert (listed["maxRecords"], str(listed["maxMoney"])) == (5, "250000.50")
    assert ready("org", "set", "--max-records", "none", "--max-money", "none").code == 0
    (listed,) = ready("org", "list", "-o", "json").json["data"]
    assert (listed["maxRecords"], listed["maxMoney"]) == (None, None)


# The limits of a profile.


def test_a_profile_has_limits_of_its_own_and_the_stricter_holds(drafted: Pfa) -> None:
    assert drafted("org", "set", "--max-records", "none").code == 0
    assert drafted("config", "set", "guard.max_records", "1").code == 0
    ran = drafted("commit", "--session", "s")
    assert ran.code == 7
    assert "2 records, at most 1 (profile default)" in ran.err
    assert drafted("config", "set", "guard.max_records", "2").code == 0
    assert drafted("config", "set", "guard.max_money", "0.5").code == 0
    assert drafted("draft", "set", "H-001", "monthlyRate=+5%", "--into", "s").code == 0
    ran = drafted("commit", "--session", "s", "--error-format", "json")
    (limit,) = json.loads(ran.err)["error"]["limits"]
    assert (ran.code, limit["guard"], limit["most"], limit["source"]) == (
        7,
        "money",
        0.5,
        "profile default",
    )
    assert drafted("config", "unset", "guard.max_money").code == 0
    assert drafted("commit", "--session", "s").code == 0


def test_config_knows_the_keys(ready: Pfa) -> None:
    explained = ready("config", "explain", "guard.max_percent", "-o", "json").json["data"]
    assert explained["value"] is None
    assert explained["note"] == "no limit but the organization's"
    assert ready("config", "set", "guard.max_percent", "2.5").code == 0
    assert ready("config", "get", "guard.max_percent").out == "2.5\n"
    for key, value in (
        ("guard.max_records", "-1"),
        ("guard.max_records", "1.5"),
        ("guard.most", "1"),
    ):
        assert ready("config", "set", key, value).code in (2, 78)


@pytest.mark.parametrize(
    "table",
    ["max_records = 1.5", "max_money = -1", "max_percent = 'x'", "most = 1", "max_money = nan"],
)
def test_a_limit_in_the_file_that_is_none_is_refused_before_anything_is_committed(
    drafted: Pfa, table: str
) -> None:
    path = Path(os.environ["XDG_CONFIG_HOME"]) / "pfa" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[profiles.default.guard]\n{table}\n")
    path.chmod(0o600)
    assert drafted("commit", "--id", "H-001").code == 78
    assert states(drafted) == ["H-001", "H-002"]


# A push, as of a cron job.


@pytest.mark.slow
def test_a_push_over_a_limit_sends_nothing_and_says_so(
    drafted: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert drafted("org", "set", "--max-records", "2").code == 0
    assert drafted("commit", "--session", "s").code == 0
    assert drafted("org", "set", "--max-records", "1").code == 0
    with a_pems() as pems:
        monkeypatch.setenv("PFA_PEMS_URL", pems.url)
        ran = drafted("sync", "push", "-n")
        assert (ran.code, len(ran.lines)) == (7, 2)
        ran = drafted("sync", "push")
        assert ran.code == 7
        assert ran.err.splitlines()[-1] == (
            "error: the push is over a limit: 2 records, at most 1 (organization HOLNG); nothing was sent"
            " [GUARD_EXCEEDED]"
        )
        assert pems.log == ()
        run = drafted("sync", "runs", "-o", "json").json["data"][0]
        assert (run["direction"], run["status"]) == ("push", "cancelled")
        ran = drafted("sync", "push", "--override", "cleared by phone")
        assert "over a limit (records of organization HOLNG)" in ran.err
        (entry,) = drafted("log", "--action", "override", "-o", "json").json["data"]
        assert entry["runId"] == drafted("sync", "runs", "-o", "json").json["data"][0]["runId"]
