"""The command line for one who may not see money: no format tells any, and each says that it is masked."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import psycopg
import pytest

from pfa_cli.render.formats import Format
from tests.cli.conftest import baseline_record, six_records, write_lines
from tests.forms import long
from tests.program import Pfa, Ran, a_stage

CANARY = "739146"
NOTE = "note: money is masked; it requires the right view_financials"
Vic = Callable[..., Ran]
TOKEN = "vic.token"

COMMANDS = {
    "list": ("list",),
    "list baseline": ("list", "--baseline"),
    "list columns": ("list", "--columns", "pfaId,monthlyRate,data.purchasePrice,data.freight"),
    "list all": ("list", "--all"),
    "show": ("show", "H-001", "H-002", "--all-fields"),
    "stats": ("stats",),
    "stats by": ("stats", "--by", "category,source"),
    "stats by month": ("stats", "--by", "month"),
    "draft list": ("draft", "list"),
    "diff": ("diff",),
    "conflict list": ("conflict", "list"),
    "conflict show": ("conflict", "show", "H-003"),
    "log": ("log", "--limit", "1000"),
    "log of a record": ("log", "H-001"),
    "plan of a push": ("sync", "push", "--dry-run"),
    "dead letters": ("sync", "retry", "--dry-run"),
}


@a_stage
def priced(pfa: Pfa) -> None:
    """Vic was an admin while drafting, committing and meeting a conflict; money is hidden now."""
    six_records(pfa)
    records = [
        baseline_record(
            n, monthlyRate=int(f"{CANARY}0"), purchasePrice=int(f"{CANARY}5"), freight=739146
        )
        for n in range(1, 7)
    ]
    file = write_lines(pfa.folder / "priced.jsonl", records)
    assert pfa("sync", "pull", "--from", file).code == 0
    assert pfa("user", "grant", "vic", "--role", "admin").code == 0
    token = pfa.folder / TOKEN
    token.write_text(pfa("auth", "issue", "--user", "vic").out)
    token.chmod(0o600)

    run = with_vics_token(pfa)
    for number, session in ((1, "one"), (2, "two"), (3, "three"), (4, "four")):
        name = f"H-00{number}"
        assert (
            run("draft", "set", name, f"monthlyRate={CANARY}{number}", "--into", session).code == 0
        )
    for session in ("two", "three", "four"):
        assert run("commit", "--session", session).code == 0
    with psycopg.connect(pfa.url) as conn:
        for session, state in (("three", "conflict"), ("four", "sync_error")):
            conn.execute(
                "UPDATE pfa_modification SET state = %s WHERE session_id = %s", (state, session)
            )
        conn.execute(
            "UPDATE pfa_modification SET attempts = 1, sync_error = 'PEMS_REJECTED: rate 7391464'"
            " WHERE session_id = 'four'"
        )
        conn.execute(
            "INSERT INTO pfa_sync_conflict (organization_id, conflict_id, modification_id, pfa_id,"
            " user_id, fields, status, created_at)"
            " SELECT organization_id, gen_random_uuid(), modification_id, pfa_id, user_id,"
            """ '[{"field": "monthlyRate", "base": 7391468, "mine": 7391463, "pems": 7391460}]',"""
            " 'unresolved', updated_at FROM pfa_modification WHERE session_id = 'three'"
        )
    granted = pfa("user", "grant", "vic", "--role", "admin", "--without", "view_financials")
    assert granted.code == 0


def with_vics_token(pfa: Pfa) -> Vic:
    return lambda *words: pfa(*words, "--token-file", str(pfa.folder / TOKEN))


@pytest.fixture
def vic(priced: Pfa) -> Vic:
    """The program as vic calls it."""
    return with_vics_token(priced)


TEXTS = [each for each in Format if each is not Format.XLSX]  # of workbooks: test_sheet_files


@pytest.mark.variants(2)
@pytest.mark.parametrize("output", [*TEXTS[:3], *long(TEXTS[3:])])
def test_no_command_shows_money_in_any_format(vic: Vic, output: Format) -> None:
    for name, words in COMMANDS.items():
        ran = vic(*words, "-o", output)
        assert (name, ran.code, CANARY in ran.out + ran.err) == (name, 0, False)
        assert (name, NOTE in ran.err.splitlines()) == (name, True)
        if output is Format.JSON:
            assert json.loads(ran.out)["metadata"]["masked"] is True
    assert NOTE not in vic("list", "-o", output, "-q").err


@pytest.mark.slow
def test_those_who_see_money_are_told_nothing_of_masks(priced: Pfa) -> None:
    for words in COMMANDS.values():
        ran = priced(*words, "-o", "json")
        assert ran.code == (6 if words[:2] == ("conflict", "show") else 0)
        assert "masked" not in ran.out + ran.err
    assert priced("list", "-o", "json").json["data"][0]["data"]["monthlyRate"] == Decimal(
        f"{CANARY}0"
    )


def test_json_shapes_keep_their_keys_with_null(vic: Vic) -> None:
    first = vic("list", "--id", "H-001", "-o", "json").json["data"][0]
    assert (first["syncState"], first["data"]["monthlyRate"]) == ("draft", None)
    stats = vic("stats", "-o", "json").json["data"]
    assert stats["cost"]["plan"] == {"rental": None, "purchase": None, "total": None}
    assert (stats["total_records"], stats["total_monthly_rental"]) == (6, None)
    assert stats["draft_impact"] is None
    diff = vic("diff", "-o", "json").json
    assert diff["summary"] == {"records": 4, "fields": 4, "costEffect": None}
    (conflict,) = vic("conflict", "list", "-o", "json").json["data"]
    assert conflict["fields"] == [
        {"field": "monthlyRate", "base": None, "mine": None, "pems": None}
    ]
    assert "masked" not in conflict


def test_reports_say_masked_in_place_of_an_amount(vic: Vic) -> None:
    report = vic("stats", "-o", "table").out
    assert "monthly rental      masked" in report
    assert "variance (+ = over plan)  masked (masked)" in report
    assert "monthlyRate masked" in vic("log", "H-001", "-o", "table").out


def test_an_order_by_money_is_refused(vic: Vic) -> None:
    for sort in ("monthlyRate", "-purchase-price", "category,-monthlyRate"):
        for output in ("table", "json", "jsonl", "csv", "ids"):
            ran = vic("list", "--sort", sort, "-o", output, "--error-format", "text")
            assert (ran.code, ran.out) == (5, "")
            assert ran.err.splitlines()[-1].endswith("[PERMISSION_DENIED]")


def test_a_price_is_not_set_and_not_committed_blind(vic: Vic) -> None:
    for words in (
        ("draft", "set", "H-005", "monthlyRate=1"),
        ("commit", "--session", "one"),
        ("conflict", "resolve", "H-003", "--take", "mine"),
    ):
        ran = vic(*words)
        assert (ran.code, CANARY in ran.out + ran.err) == (5, False)
        assert "monthlyRate: requires the right view_financials [PERMISSION_DENIED]" in ran.err
    settled = vic("conflict", "resolve", "H-003", "--take", "pems", "-o", "json")
    assert (settled.code, settled.json["metadata"]["masked"]) == (0, True)
    assert vic("discard", "--session", "one").code == 0


class TestRights:
    def test_a_member_list_shows_who_deviates_from_the_template(self, ready: Pfa) -> None:
        words = ("--role", "editor", "--right", "edit_actuals", "--without", "export")
        granted = ready("user", "grant", "edna", *words, "-o", "json").json["data"]
        assert (granted["role"], granted["custom"]) == ("editor", True)
        assert ready("user", "grant", "carl", "--role", "viewer").code == 0
        members = ready("user", "list", "-o", "json").json["data"]
        by_name = {item["userId"]: item for item in members}
        assert by_name["edna"]["rights"] == sorted(granted["rights"])
        assert {name: item["custom"] for name, item in by_name.items() if name != "vic"} | {
            "edna": True,
            "carl": False,
        } == {name: item["custom"] for name, item in by_name.items()}
        lines = {line.split("\t")[0]: line.split("\t") for line in ready("user", "list").lines}
        assert (lines["edna"][1], lines["edna"][-1]) == ("editor", "true")
        assert (lines["carl"][2], lines["carl"][-1]) == ("read", "false")

    def test_an_unknown_right_is_refused_with_the_known_ones(self, ready: Pfa) -> None:
        ran = ready("user", "grant", "edna", "--role", "editor", "--right", "fly")
        assert (ran.code, "edit_actuals" in ran.err) == (2, True)

    def test_a_dry_run_of_a_grant_changes_nothing(self, ready: Pfa) -> None:
        assert ready("user", "grant", "edna", "--role", "editor", "-n").code == 0
        assert "edna" not in ready("user", "list").out

    def test_a_denial_is_in_the_log(self, vic: Vic, priced: Pfa) -> None:
        assert vic("list", "--sort", "monthlyRate").code == 5
        first = priced("log", "--limit", "1", "-o", "json").json["data"][0]
        assert (first["userId"], first["action"]) == ("vic", "permission_denied")
        assert first["after"] == {
            "operation": "stream_records",
            "permission": "view_financials",
            "success": False,
        }
