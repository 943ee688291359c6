"""--sort and --limit of every list: what they do, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from pfa_core.model import ordering
from tests.cli.conftest import baseline_record, write_lines
from tests.forms import forms
from tests.program import Pfa, a_stage

# Each list that has a closed set of keys of its own, and the JSON key behind each of them.
LISTS: dict[tuple[str, ...], ordering.Order] = {
    ("draft", "list", "--state=draft", "--state=committed"): ordering.DRAFTS,
    ("sync", "runs"): ordering.RUNS,
    ("log",): ordering.LOG,
    ("conflict", "list", "--status=all"): ordering.CONFLICTS,
    ("auth", "list", "--ended"): ordering.TOKENS,
    ("auth", "keys", "list"): ordering.KEYS,
    ("user", "list"): ordering.MEMBERS,
    ("org", "list"): ordering.ORGANIZATIONS,
}
LAST = {words: order.keys[-1:] for words, order in LISTS.items()}
ALL = {words: order.keys for words, order in LISTS.items()}


@a_stage
def varied(pfa: Pfa) -> None:
    """Two organizations; in the first members, tokens, keys, runs, drafts and conflicts of several kinds."""
    assert pfa("init", "--org", "RIO", "--name", "Another").code == 0
    assert pfa("org", "add", "HOLNG").code == 0
    fill(_Of(pfa, "HOLNG"))


def fill(pfa: _Of) -> None:
    """What there is to be listed, in several kinds."""
    source = write_lines(pfa.folder / "m.jsonl", [baseline_record(n) for n in range(1, 7)])
    assert pfa("sync", "pull", "--from", source).code == 0
    assert pfa("sync", "pull", "--from", source).code == 0
    for user, role in (("zoe", "viewer"), ("ann", "editor")):
        assert pfa("user", "grant", user, "--role", role).code == 0
        assert pfa("auth", "issue", "--user", user).code == 0
    assert pfa("auth", "revoke", "--user", "zoe").code == 0
    assert pfa("auth", "keys", "rotate").code == 0
    for number, session in ((3, "b"), (1, "c"), (2, "a"), (3, "b")):
        made = pfa("draft", "set", f"H-00{number}", f"model=M{number}", "--into", session)
        assert made.code == 0
    assert pfa("draft", "set", "H-003", "dor=PROJECT", "--into", "b").code == 0
    assert pfa("commit", "--session", "c").code == 0
    _open_conflicts(pfa)


class _Of:
    """The program, for one organization."""

    def __init__(self, pfa: Pfa, org: str) -> None:
        self._pfa, self._org, self.folder, self.url = pfa, org, pfa.folder, pfa.url

    def __call__(self, *words: str) -> Any:
        return self._pfa(*words, "--org", self._org)


def _open_conflicts(pfa: Any) -> None:
    import psycopg

    with psycopg.connect(pfa.url) as owner:
        owner.execute(
            "INSERT INTO pfa_sync_conflict (organization_id, conflict_id, modification_id, pfa_id, user_id,"
            " fields, status, created_at)"
            " SELECT organization_id, gen_random_uuid(), modification_id, pfa_id, user_id,"
            """ '[{"field": "model", "base": null, "mine": "A", "pems": "B"}]', 'unresolved', now()"""
            " FROM pfa_modification"
        )


def rows(pfa: Pfa, *words: str) -> list[dict[str, Any]]:
    ran = pfa(*words, "--org", "HOLNG", "-o", "json")
    assert ran.code == 0, ran.err
    found: list[dict[str, Any]] = json.loads(ran.out)["data"]
    return found


@pytest.mark.slow
@forms("keys", short=LAST, long=ALL)
def test_a_list_is_sorted_by_its_keys_in_both_directions(
    varied: Pfa, keys: dict[tuple[str, ...], tuple[str, ...]]
) -> None:
    for words, of_list in keys.items():
        for key in of_list:
            _require_sorted(varied, words, key)


def _require_sorted(varied: Pfa, words: Sequence[str], key: str) -> None:
    usual = rows(varied, *words)
    assert len(usual) > 1
    up, down = (rows(varied, *words, "--sort", sign + key) for sign in ("", "-"))
    assert sorted(map(repr, up)) == sorted(map(repr, down)) == sorted(map(repr, usual))
    for found, reverse in ((up, False), (down, True)):
        values = [row[key] for row in found]
        present = [value for value in values if value is not None]
        assert present == sorted(present, reverse=reverse)
        assert values == present + [None] * (len(values) - len(present))
    assert rows(varied, *words, "--sort", f"-{key}", "--limit", "1") == down[:1]


@pytest.mark.slow
def test_the_usual_order_is_the_one_that_help_names(varied: Pfa) -> None:
    for words, order in LISTS.items():
        assert rows(varied, *words) == rows(varied, *words, "--sort", order.default)
        command = [word for word in words if not word.startswith("-")]
        page = varied(*(command if words[0] != "log" else ("log", "show")), "--help").out
        shown = " ".join(page.split())
        assert all(key in shown for key in order.keys), words
        assert f"default: {order.default}" in shown


def test_an_unknown_key_is_refused_with_the_nearest(varied: Pfa) -> None:
    for words, order in LISTS.items():
        key = order.keys[0]
        ran = varied(*words, "--org", "HOLNG", "--sort", f"{key}x")
        assert (ran.code, f"did you mean {key}?" in ran.err) == (2, True), words
        assert varied(*words, "--org", "HOLNG", "--sort", f"{key},-{key}").code == 2
        assert varied(*words, "--org", "HOLNG", "--limit", "0").code == 2


def test_keys_may_be_spelled_with_dashes_and_narrowed_lists_are_sorted(varied: Pfa) -> None:
    words = ("draft", "list", "--sort", "-updated-at,pfa-id")
    newest = [row["pfaId"] for row in rows(varied, *words)]
    assert newest[0] == "H-003"
    assert set(newest) == {"H-002", "H-003"}
    assert [row["pfaId"] for row in rows(varied, *words, "--category", "Loader")] == ["H-003"]
    assert rows(varied, *words, "--session", "a") == rows(varied, "draft", "list", "--session", "a")
    assert rows(varied, *words, "--id", "H-004") == []


def test_outcomes_of_a_run_are_sorted_and_limited(varied: Pfa) -> None:
    bad = [baseline_record(n, monthlyRate=f"x{n}") for n in (3, 1, 2)]
    source = write_lines(varied.folder / "bad.jsonl", [*bad, baseline_record(4)])
    ran = varied("sync", "pull", "--org", "HOLNG", "--from", source, "-o", "json")
    assert ran.code == 3
    words = ("sync", "show", ran.json["runId"])
    found = varied(*words, "--org", "HOLNG", "--sort", "-pfaId", "--limit", "2", "-o", "json").json
    assert [row["pfaId"] for row in found["data"]["outcomes"]] == ["H-003", "H-002"]
    usual = varied(*words, "--org", "HOLNG", "-o", "json").json["data"]["outcomes"]
    assert [row["pfaId"] for row in usual] == ["H-003", "H-001", "H-002"]


def test_a_diff_is_sorted_by_fields_of_the_records_and_sums_what_it_shows(varied: Pfa) -> None:
    words = ("diff", "--org", "HOLNG", "-o", "json")
    by_start = varied(*words, "--sort", "-forecastStart").json
    assert [row["pfaId"] for row in by_start["data"]] == ["H-003", "H-002", "H-001"]
    first = varied(*words, "--sort", "-forecastStart", "--limit", "1").json
    assert first["data"] == by_start["data"][:1]
    assert (first["summary"]["records"], by_start["summary"]["records"]) == (1, 3)
    assert varied(*words, "--sort", "forecastStrat").code == 2


def test_an_order_by_money_is_refused_to_whom_it_is_masked(varied: Pfa) -> None:
    words = ("user", "grant", "max", "--role", "editor", "--without", "view_financials")
    assert varied(*words, "--org", "HOLNG").code == 0
    token = varied.folder / "max.token"
    made = varied("auth", "issue", "--org", "HOLNG", "--user", "max", "--to", str(token))
    assert made.code == 0
    words = ("diff", "--token-file", str(token), "--org", "HOLNG", "--sort")
    assert (varied(*words, "monthlyRate").code, varied(*words, "pfaId").code) == (5, 0)


def test_a_followed_log_has_no_other_order(varied: Pfa) -> None:
    ran = varied("log", "--org", "HOLNG", "--follow", "--sort", "at", "-o", "jsonl")
    assert ran.code == 2
    assert "--follow and --sort cannot be combined" in ran.err


def test_what_is_in_memory_is_sorted_with_nulls_last() -> None:
    items = [(1, "b"), (2, None), (1, "a"), (3, "b")]
    values = {"number": lambda item: item[0], "text": lambda item: item[1]}

    def ordered(text: str) -> list[Any]:
        return ordering.in_order(items, ordering.parse_keys(text, values), values)

    assert ordered("text,-number") == [(1, "a"), (3, "b"), (1, "b"), (2, None)]
    assert ordered("-text") == [(1, "b"), (3, "b"), (1, "a"), (2, None)]
    assert ordered("number,text") == [(1, "a"), (1, "b"), (2, None), (3, "b")]
