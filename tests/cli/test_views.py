"""pfa view, and --view wherever filters go: what is saved is what was typed."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

import pfa_core
from pfa_cli.framework.filters import FilterOptions, spelled
from pfa_core.model.query import Filters
from tests.cli.conftest import baseline_record, six_records, write_lines
from tests.forms import every_third
from tests.model.test_view import EVERY
from tests.program import Pfa, Ran, a_stage

CRANES = ["H-002", "H-004", "H-006"]


@a_stage
def ready(pfa: Pfa) -> None:
    """Eight records, cranes with a draft of each state; a member of each role, ben an editor, vic without money."""
    six_records(pfa)
    others = [
        baseline_record(7, category='Trailer, 40" flat', description="50% off_hire", currency="EUR",
                        manufacturer="Liebherr", model="LTM", contract="C-1", isActualized=True),
        baseline_record(8, category="Pump", monthlyRate=None, forecastStart=None, forecastEnd=None,
                        source="Purchase", dor="PROJECT", isDiscontinued=True, isFundsTransferable=True),
    ]  # fmt: skip
    done(pfa, "sync", "pull", "--from", write_lines(pfa.folder / "more.jsonl", others))
    done(pfa, "draft", "set", "H-002", "model=A", "--into", "s")
    done(pfa, "draft", "set", "H-004", "model=B", "--into", "weather silo 4")
    done(pfa, "draft", "set", "H-006", "model=C", "--into", "c")
    done(pfa, "commit", "--session", "c")
    for user, words in (("ben", ()), ("vic", ("--without", "view_financials"))):
        done(pfa, "user", "grant", user, "--role", "editor", *words)
        token = pfa.folder / f"{user}.token"
        token.touch(mode=0o600)
        token.write_text(done(pfa, "auth", "issue", "--user", user).out)


def done(pfa: Pfa, *words: str) -> Ran:
    ran = pfa(*words)
    assert ran.code == 0, ran.err
    return ran


def by(pfa: Pfa, user: str, *words: str) -> Ran:
    return pfa(*words, "--token-file", str(pfa.folder / f"{user}.token"))


def ids(pfa: Pfa, *words: str) -> list[str]:
    return sorted(done(pfa, "list", "-o", "ids", *words).lines)


def answer(ran: Ran) -> object:
    """What a command answered, but for how long it took."""
    if not ran.out:
        return (ran.code, ran.err)
    found = ran.json
    found["metadata"].pop("queryTime", None)
    return (ran.code, found)


# Of every filter what is typed, with what narrows it further.
TYPED: dict[str, str] = {
    "category": "--category Crane --category 'Trailer, 40\" flat'",
    "class_": "--class Cranes",
    "source": "--source Rental",
    "dor": "--dor BEO",
    "area_silo": "--area-silo 'Silo 4'",
    "manufacturer": "--manufacturer Liebherr --manufacturer Other",
    "model": "--model A --model LTM",
    "contract": "--contract C-1",
    "currency": "--currency EUR",
    "id": "--id H-001 --id H-002 --id H-999",
    "start_from": "--start-from 2026-02-03",
    "start_to": "--start-to 2026-02-03",
    "end_from": "--end-from 2026-03-03",
    "end_to": "--end-to 2026-03-03",
    "actualized": "--no-actualized",
    "discontinued": "--discontinued",
    "transferable": "--no-transferable",
    "no_start": "--no-start",
    "no_end": "--no-end",
    "no_rate": "--no-rate",
    "no_price": "--no-price",
    "state": "--state draft --state pristine",
    "session": "--session 'weather silo 4' --session s",
    "changed": "--changed",
    "search": "--search '50% OFF_'",
    "where": "--where 'forecastStart between 2026-02-02 and 2026-02-04+1d or model is changed'",
}


def test_every_filter_is_typed_here() -> None:
    assert {item.name for item in fields(FilterOptions)} - TYPED.keys() == {"view"}


@pytest.mark.parametrize("name", every_third(EVERY))
def test_filters_are_spelled_as_they_are_typed(name: str) -> None:
    filters = Filters(**{name: EVERY[name]})
    words = spelled(filters)
    assert shlex.split(shlex.join(words)) == words
    option = get_type_hints(FilterOptions, include_extras=True)[name].__metadata__[0]
    declared = (option.default, *option.param_decls)  # typer's own order
    names = [one for names in declared for one in names.split("/")]
    values = EVERY[name] if isinstance(EVERY[name], tuple) else (EVERY[name],)
    assert set(words[:: 2 if len(words) > 1 else 1]) <= set(names)
    assert words[1::2] == ([] if isinstance(values[0], bool) else list(values))


@pytest.mark.long
def test_a_view_of_any_filter_is_the_same_as_typing_it(ready: Pfa) -> None:
    """Saved and used, used beside another filter, saved of a view, and by way of a file."""
    file = str(ready.folder / "one.view.json")
    for name, text in TYPED.items():
        typed = shlex.split(text)
        done(ready, "view", "save", name, *typed)
        expected = answer(ready("list", *typed, "-o", "json"))
        assert answer(ready("list", "--view", name, "-o", "json")) == expected, name
        beside = ["--search", "h-00"] if name != "search" else ["--category", 'Trailer, 40" flat']
        narrowed = answer(ready("list", *typed, *beside, "-o", "json"))
        assert answer(ready("list", "--view", name, *beside, "-o", "json")) == narrowed, name
        done(ready, "view", "save", "of a view", "--view", name, *beside)
        assert answer(ready("list", "--view", "of a view", "-o", "json")) == narrowed, name
        done(ready, "view", "show", name, "--to", file)
        done(ready, "view", "save", "of a file", "--from", file)
        assert answer(ready("list", "--view", "of a file", "-o", "json")) == expected, name
        shown = done(ready, "view", "show", name, "-o", "csv", "--columns", "filters").out
        assert ids(ready, *shlex.split(shown.splitlines()[1].strip('"').replace('""', '"'))) == ids(
            ready, *typed
        ), name


@pytest.mark.variants(4)
@pytest.mark.parametrize(
    "words",
    [
        ("stats", "--by", "category"),
        ("draft", "list"),
        ("diff",),
        ("diff", "--by", "category"),
        ("diff", "--top", "5"),
        ("conflict", "list"),
        ("changes", "--since", "7d"),
    ],
)
def test_every_reading_command_takes_a_view_for_its_filters(
    ready: Pfa, words: tuple[str, ...]
) -> None:
    typed = ("--category", "Crane", "--where", "forecastStart > 2026-02-02")
    done(ready, "view", "save", "late", *typed, "--columns", "pfaId", "--sort", "-pfaId")
    assert answer(ready(*words, "--view", "late", "-o", "json")) == answer(
        ready(*words, *typed, "-o", "json")
    )


def test_columns_and_order_of_a_view_are_those_of_list_unless_others_are_typed(ready: Pfa) -> None:
    layout = ("--columns", "pfaId,forecast-start", "--sort", "-forecast-start")
    done(ready, "view", "save", "late", "--category", "Crane", *layout)
    expected = ["H-006\t2026-02-06", "H-004\t2026-02-04", "H-002\t2026-02-02"]
    assert done(ready, "list", "--view", "late").lines == expected
    assert done(ready, "list", "--view", "late", "--sort", "pfaId").lines == expected[::-1]
    assert done(ready, "list", "--view", "late", "--columns", "pfaId").lines == CRANES[::-1]
    page = done(ready, "list", "--view", "late", "-o", "json", "--page-size", "2").json
    # JSON keeps its shape, whatever columns a view of someone else has.
    assert page["data"][0].keys() >= {"pfaId", "data", "syncState"}
    (line, *_) = done(ready, "list", "--view", "late", "-o", "jsonl").lines
    assert json.loads(line).keys() == page["data"][0].keys()
    after = ("--after", page["pagination"]["next"])
    assert done(ready, "list", "--view", "late", *after, "-o", "ids").lines == ["H-002"]
    assert ready("list", *after).code == 2
    sheet = ready.folder / "late.csv"
    done(ready, "list", "--view", "late", "--to", str(sheet))
    assert sheet.read_text("utf-8-sig").startswith("pfaId,forecastStart")
    done(ready, "list", "--view", "late", "--to", str(ready.folder / "late.jsonl"))
    baseline = ("--baseline", "--sort", "pfaId", "--where", "pfaId > H-002")
    assert done(ready, "list", "--view", "late", *baseline).lines == expected[1::-1]
    # Of a view without filters too.
    done(ready, "view", "save", "layout", *layout)
    assert done(ready, "list", "--view", "layout", "--category", "Crane").lines == expected
    assert ids(ready, "--view", "layout") == [f"H-{number:03}" for number in range(1, 9)]


def test_the_same_filter_twice_is_refused_where_it_says_something_else(ready: Pfa) -> None:
    done(ready, "view", "save", "cranes", "--category", "Crane", "--no-actualized")
    for words, said in (
        (
            ("--category", "Loader"),
            "--category is given and in the view cranes with another value: Crane",
        ),
        (("--category", "Crane", "--category", "Loader"), "--category is given and"),
        (
            ("--actualized",),
            "--actualized is given and in the view cranes with another value: false",
        ),
    ):
        ran = ready("list", "--view", "cranes", *words)
        assert (ran.code, ran.out, said in ran.err) == (2, "", True), ran.err
    assert ids(ready, "--view", "cranes", "--category", "Crane", "--no-actualized") == CRANES
    assert ids(ready, "--view", "cranes", "--where", "pfaId != H-004") == ["H-002", "H-006"]
    done(ready, "view", "save", "early", "--where", "forecastStart < 2026-02-04 or pfaId = H-006")
    both = ("--view", "early", "--where", "pfaId = H-001 or pfaId = H-006")
    assert ids(ready, *both) == ["H-001", "H-006"]


@pytest.mark.slow
def test_a_writing_command_says_which_filters_count(ready: Pfa) -> None:
    done(ready, "view", "save", "cranes", "--category", "Crane", "--where", "pfaId != H-006")
    say = "view cranes: --category Crane"
    ran = done(
        ready, "draft", "set", "--view", "cranes", "dor=PROJECT", "--into", "n", "--move", "-n"
    )
    assert f"{say} --where 'pfaId != H-006'" in ran.err.splitlines()
    assert ids(ready, "--where", "dor is changed") == []
    for words, key in (
        (("draft", "set", "dor=PROJECT", "--into", "n", "--move"), "saved"),
        (("draft", "shift", "7", "--into", "n"), "saved"),
        (("draft", "unset", "dor"), "unset"),
        (("commit",), "committed"),
        (("uncommit",), "uncommitted"),
    ):
        ran = done(ready, *words, "--view", "cranes", "-o", "json")
        assert sorted(one["pfaId"] for one in ran.json[key]) == ["H-002", "H-004"], words
        assert say in ran.err
    discarded = done(ready, "discard", "--view", "cranes", "--where", "pfaId = H-004", "-o", "json")
    assert discarded.json["discarded"] == ["H-004"]
    assert f"{say} --where '(pfaId != H-006) and (pfaId = H-004)'" in discarded.err
    planned = done(ready, "plan", "--view", "cranes", "-o", "json")
    assert [one["pfaId"] for one in planned.json["data"]["drafts"]] == ["H-002"]
    assert say not in planned.err
    assert say in done(ready, "list", "--view", "cranes", "-v").err
    assert say not in done(ready, "list", "--view", "cranes").err
    resolve = ready("conflict", "resolve", "--view", "cranes", "--take", "mine")
    assert (resolve.code, say in resolve.err) == (6, True)


@pytest.mark.slow
def test_a_view_that_selects_nothing_never_means_everything(ready: Pfa) -> None:
    done(ready, "view", "save", "layout", "--columns", "pfaId")
    for words in (
        ("draft", "set", "model=X"),
        ("draft", "set", "model=X", "--all"),
        ("draft", "shift", "7"),
        ("draft", "unset", "model"),
        ("commit",),
        ("commit", "--all"),
        ("uncommit",),
        ("discard",),
        ("plan",),
        ("plan", "--all"),
        ("conflict", "resolve", "--take", "mine"),
    ):
        ran = ready(*words, "--view", "layout")
        assert (ran.code, "the view layout has no filters" in ran.err) == (2, True), ran.err
    # With a filter beside it that one selects; its columns and order go to another view.
    planned = done(ready, "plan", "--view", "layout", "--where", "pfaId = H-002", "-o", "json")
    assert [one["pfaId"] for one in planned.json["data"]["drafts"]] == ["H-002"]
    done(ready, "view", "save", "copy", "--view", "layout")
    assert (
        done(ready, "view", "list", "-o", "csv", "--columns", "columns").lines[1:] == ["pfaId"] * 2
    )
    done(ready, "view", "save", "cranes", "--category", "Crane")
    for words in (("draft", "set", "model=X"), ("commit",), ("discard",), ("plan",)):
        ran = ready(*words, "--view", "cranes", "--all")
        assert (ran.code, "--all cannot be combined" in ran.err) == (2, True)
        assert ready(*words, "--view", "").code == 2
    assert ready("commit", "--plan", "x", "--view", "cranes").code == 2
    assert ids(ready, "--where", "model is changed") == CRANES


def test_sessions_and_ids_of_a_view_select_as_those_that_are_typed(ready: Pfa) -> None:
    done(ready, "view", "save", "weather", "--session", "weather silo 4")
    done(ready, "view", "save", "two", "--id", "H-002", "--id", "H-999")
    done(ready, "view", "save", "both", "--session", "s", "--session", "c")
    planned = done(ready, "plan", "--view", "weather", "-o", "json").json["data"]["drafts"]
    assert [one["pfaId"] for one in planned] == ["H-004"]
    planned = done(ready, "plan", "--view", "two", "-o", "json").json["data"]["drafts"]
    assert [one["pfaId"] for one in planned] == ["H-002"]
    assert ready("commit", "--view", "weather", "--session", "s").code == 2
    assert ready("commit", "--view", "two", "--id", "H-004").code == 2
    assert "of one session" in ready("discard", "--view", "both").err
    assert ready("draft", "set", "H-004", "dor=BEO", "--view", "two").code == 2
    named = ("discard", "--view", "weather", "--id", "H-004", "-o", "json")
    assert done(ready, *named).json["discarded"] == ["H-004"]
    assert ids(ready, "--state", "draft") == ["H-002"]


def test_an_unknown_view_ends_with_6_and_names_the_nearest(ready: Pfa) -> None:
    done(ready, "view", "save", "cranes", "--category", "Crane")
    for words in (("list",), ("commit",), ("draft", "set", "model=X"), ("stats",)):
        ran = ready(*words, "--view", "crains")
        assert ran.code == 6
        assert ran.err.splitlines()[-2:] == [
            "hint: type: pfa view list",
            "error: view not found: 'crains'; did you mean cranes? [NOT_FOUND]",
        ]
    assert ready("view", "delete", "crains").code == 6
    assert ready("view", "show", "cranes", "--shared").code == 6


def test_a_view_of_another_version_is_refused_and_listed_with_the_reason(ready: Pfa) -> None:
    done(ready, "view", "save", "cranes", "--category", "Crane")
    with pfa_core.Database(ready.url) as db:
        db.transact(
            lambda conn: conn.execute(
                'UPDATE pfa_view SET content = \'{"filters": {"category": ["Crane"], "colour": ["red"]}}\''
            )
        )
    said = "the view cranes cannot be used: this version of pfa does not know its filter 'colour'"
    for words in (("list",), ("commit",), ("draft", "set", "model=X")):
        ran = ready(*words, "--view", "cranes")
        assert (ran.code, ran.out, said in ran.err) == (9, "", True)
    (item,) = done(ready, "view", "list", "-o", "json").json["data"]
    assert item["problem"] == said
    assert item["filters"] == {"category": ["Crane"], "colour": ["red"]}
    assert said in done(ready, "view", "show", "cranes").out
    assert ready("view", "show", "cranes", "--to", str(ready.folder / "x")).code == 9
    assert not (ready.folder / "x").exists()
    done(ready, "view", "save", "cranes", "--category", "Crane")
    assert ids(ready, "--view", "cranes") == CRANES


def test_a_shared_view_is_used_by_all_and_hidden_by_an_own_one(ready: Pfa) -> None:
    assert (
        "view cranes (shared by root) saved"
        in done(ready, "view", "save", "cranes", "--category", "Crane", "--shared").err
    )
    assert by(ready, "ben", "list", "--view", "cranes", "-o", "ids").lines == CRANES
    mine = by(ready, "ben", "view", "save", "cranes", "--category", "Loader")
    assert "note: for you it hides the shared view cranes" in mine.err
    used = by(ready, "ben", "list", "--view", "cranes", "-o", "ids")
    assert used.lines == ["H-001", "H-003", "H-005"]
    assert "note: the view cranes is yours; the shared one of this name does not count" in used.err
    assert "note:" not in ready("list", "--view", "cranes").err
    shared = by(ready, "ben", "view", "show", "cranes", "--shared", "-o", "json").json["data"]
    assert (shared["filters"], shared["createdBy"]) == ({"category": ["Crane"]}, "root")
    listed = by(ready, "ben", "view", "list").lines
    assert [line.split("\t")[:3] for line in listed] == [
        ["cranes", "false", "--category Loader"],
        ["cranes", "true", "--category Crane"],
    ]
    for words in (("save", "cranes", "--dor", "BEO"), ("delete", "cranes")):
        refused = by(ready, "ben", "view", *words, "--shared")
        assert (refused.code, "is of root; ben lacks" in refused.err) == (5, True)
    assert by(ready, "ben", "view", "delete", "cranes").code == 0
    assert by(ready, "ben", "view", "delete", "cranes").code == 6
    assert by(ready, "ben", "list", "--view", "cranes", "-o", "ids").lines == CRANES
    assert done(ready, "view", "delete", "cranes", "--shared").code == 0
    assert done(ready, "view", "list").lines == []


def test_a_view_over_money_is_refused_as_if_it_were_typed(ready: Pfa) -> None:
    where = ("--where", "monthlyRate > 3000")
    done(ready, "view", "save", "dear", *where, "--shared")
    done(ready, "view", "save", "order", "--sort", "-monthlyRate", "--shared")
    for words in (("list",), ("stats",), ("diff",), ("draft", "list"), ("conflict", "list")):
        typed, used = (by(ready, "vic", *words, *how) for how in (where, ("--view", "dear")))
        assert typed.code == 5
        assert (used.code, used.out, used.err) == (5, "", typed.err)
    typed = by(ready, "vic", "list", "--sort", "-monthlyRate")
    assert typed.code == 5
    assert by(ready, "vic", "list", "--view", "order").err == typed.err
    saved = by(ready, "vic", "view", "save", "mine", *where)
    assert (saved.code, saved.err) == (5, by(ready, "vic", "list", *where).err)
    assert by(ready, "vic", "commit", "--view", "dear").code == 5


def test_a_save_says_what_it_replaces_and_a_dry_run_saves_nothing(ready: Pfa) -> None:
    first = done(ready, "view", "save", "cranes", "--category", "Crane", "-o", "json")
    assert first.json["data"]["status"] == "created"
    dry = done(ready, "view", "save", "none", "--category", "Crane", "-n")
    assert "view none saved" in dry.err
    assert "hint" not in dry.err  # what it would name is not there
    again = done(ready, "view", "save", "cranes", "--category", "Crane")
    assert "view cranes is as it was" in again.err
    dry = done(ready, "view", "save", "cranes", "--dor", "BEO", "-n")
    assert "dry run, rolled back: view cranes replaced; it was: --category Crane" in dry.err
    assert ids(ready, "--view", "cranes") == CRANES
    assert "it was: --category Crane" in done(ready, "view", "save", "cranes", "--dor", "BEO").err
    assert "deleted; it was: --dor BEO" in done(ready, "view", "delete", "cranes", "-n").err
    assert len(done(ready, "view", "list").lines) == 1


def test_a_table_of_views_shortens_long_filters_and_a_file_of_them_does_not(ready: Pfa) -> None:
    every = [f"H-{number:04}" for number in range(1000)]
    done(ready, "view", "save", "many", *(word for one in every for word in ("--id", one)))
    table = done(ready, "view", "list", "-o", "table").out
    assert ("--id H-0000" in table, "…" in table, len(table) < 2000) == (True, True, True)
    for words in (("-o", "csv"), ()):
        assert every[-1] in done(ready, "view", "list", *words).out
    assert every[-1] in done(ready, "view", "show", "many", "-o", "table").out


def test_the_log_names_the_view_and_what_it_was(ready: Pfa) -> None:
    for words in (
        ("save", "cranes", "--category", "Crane"),
        ("save", "cranes", "--dor", "BEO"),
        ("delete", "cranes"),
        ("save", "cranes", "--category", "Crane", "--shared"),
        ("save", "cranes", "--dor", "BEO", "--sort", "pfaId", "--shared"),
        ("delete", "cranes", "--shared"),
    ):
        done(ready, "view", *words)
    actions = ("--action", "view_save", "--action", "view_delete")
    ran = done(ready, "log", *actions, "--columns", "action,change", "--sort", "at")
    assert [line.split("\t") for line in ran.lines] == [
        ["view_save", "view cranes"],
        ["view_save", "view cranes"],
        ["view_delete", "view cranes deleted"],
        ["view_save", 'shared view cranes: filters={"category":["Crane"]}'],
        [
            "view_save",
            'shared view cranes: filters: {"category":["Crane"]} → {"dor":["BEO"]}, sort=pfaId',
        ],
        ["view_delete", "shared view cranes deleted"],
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("view", "save", "--category", "Crane"), "no name is given"),
        (("view", "save", "x"), "the view x would be empty"),
        (("view", "save", "x", "--where", "colour = red"), "unknown field: 'colour'"),
        (("view", "save", "x", "--sort", "colour"), "cannot sort by 'colour'"),
        (("view", "save", "x", "--columns", "colour"), "unknown column 'colour'"),
        (("view", "save", "x", "--start-from", "soon"), "must be a date"),
        (("view", "save", "x", "--state", "done"), "invalid state"),
        (("view", "save", "a\tb", "--dor", "BEO"), "text that can be seen"),
        (("view", "save", "", "--dor", "BEO"), "the name of a view has 1 to 200 characters"),
        (("view", "save", "x", "--from", "f", "--dor", "BEO"), "--from says what is saved"),
        (("view", "save", "x", "--from", "f", "--sort", "pfaId"), "--from says what is saved"),
        (("view", "save", "x", "--from", "f", "--columns", "pfaId"), "--from says what is saved"),
    ],
)
def test_what_cannot_be_used_is_refused_when_it_is_saved(
    ready: Pfa, words: tuple[str, ...], said: str
) -> None:
    ran = ready(*words)
    assert (ran.code, ran.out, said in ran.err) == (2, "", True), ran.err
    assert done(ready, "view", "list").lines == []


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (None, 6, "file not found"),
        ("", 9, "is not a view of pfa"),
        ("[]", 9, "is not a view of pfa: not a JSON object"),
        ("null", 9, "is not a view of pfa: not a JSON object"),
        ('{"data": [1]}', 9, "is not a view of pfa: not a JSON object"),
        ("{}", 9, "'name' is missing"),
        ('{"name": "x"}', 9, "filters are missing"),
        ('{"name": 1, "filters": {}}', 9, "name 1 is not a text"),
        ('{"kind": "pfa view 2", "name": "x", "filters": {}}', 9, "kind 'pfa view 2'"),
        ('{"name": "x", "filters": {"colour": ["red"]}}', 9, "does not know its filter 'colour'"),
        ('{"name": "x", "filters": {}, "groups": []}', 9, "does not know its part 'groups'"),
        ('{"name": "x", "filters": {"where": "colour = red"}}', 9, "unknown field: 'colour'"),
        ('{"name": "x", "filters": {}, "columns": ["colour"]}', 9, "unknown column 'colour'"),
        ('{"name": "x", "filters": {"dor": ["BEO"]}, "sort": 5}', 9, "sort must be a text"),
        ('{"name": "-x", "filters": {"dor": ["BEO"]}}', 9, "does not begin with -"),
        ("\xff\xfe", 9, "is not UTF-8: line 1 column 1 (it looks like UTF-16)"),
        ('{"name": "x", "filters": {"search": "%s"}}' % ("x" * 300_000), 9, "larger than"),
    ],
)
def test_a_file_that_is_not_a_view_is_refused(
    ready: Pfa, content: str | None, code: int, said: str
) -> None:
    path = ready.folder / "some.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    ran = ready("view", "save", "--from", str(path))
    assert (ran.code, ran.out, said in ran.err) == (code, "", True), ran.err
    assert done(ready, "view", "list").lines == []


def test_a_file_goes_to_another_user_and_another_name(ready: Pfa) -> None:
    where = "forecastStart < today+30y and category = Crane"
    done(ready, "view", "save", "soon", "--where", where, "--sort", "-pfaId", "--columns", "pfaId")
    path = ready.folder / "soon.view.json"
    said = done(ready, "view", "show", "soon", "--to", str(path))
    assert (said.out, f"next, there: pfa view save --from {path}" in said.err) == ("", True)
    assert json.loads(path.read_text()) == {
        "kind": "pfa view 1",
        "name": "soon",
        "filters": {"where": where},
        "columns": ["pfaId"],
        "sort": "-pfaId",
    }
    assert by(ready, "ben", "view", "save", "--from", str(path)).code == 0
    assert by(ready, "ben", "view", "save", "later", "--from", str(path)).code == 0
    for name in ("soon", "later"):
        assert by(ready, "ben", "list", "--view", name).lines == CRANES[::-1]
    # What -o json shows is a file too, indented or not.
    for more in ((), ("--compact",)):
        shown = done(ready, "view", "show", "soon", "-o", "json", *more).out
        Path(path).write_text(shown)
        assert "as it was" in done(ready, "view", "save", "--from", str(path)).err
    # Without columns and order; as an editor of Windows saves it.
    saved = done(ready, "view", "save", "plain", "--dor", "BEO", "-o", "json").out
    for shown in (saved, done(ready, "view", "show", "plain", "-o", "json").out):
        path.write_text(shown, "utf-8-sig")
        assert "as it was" in done(ready, "view", "save", "--from", str(path)).err
    assert ready("view", "save", "--from", "-").code == 2
    path.unlink()
    assert ready("view", "show", "soon", "--to", str(path), "--columns", "name").code == 2
    assert not path.exists()
    refused = ready("view", "show", "soon", "--to", "-")
    assert (refused.code, refused.out) == (2, "")
    assert "for a pipe: pfa view show NAME -o json" in refused.err
    failed = ready("view", "show", "soon", "--to", str(ready.folder / "none" / "x.json"))
    assert (failed.code, failed.out) == (74, "")
