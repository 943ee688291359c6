"""Lists that go out and come back: only what was edited becomes a draft."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from pfa_cli.render.plain import plain
from pfa_core import exact_json
from pfa_core.model.formulas import guarded
from pfa_core.model.keys import invisible_in, normal_key
from pfa_core.model.record import FIELDS
from tests.cli.conftest import baseline_record, six_records, write_lines
from tests.forms import drawn
from tests.program import Pfa, a_stage

IDS = ("H-001", "H-002", "H-003")
# Beside what any text has: what begins a formula, ends a cell or a line, and what escapes it.
texts = st.text(
    st.sampled_from("'=+-@\t\r\n\\\"',;|ab5 é\u00a0\uff1d")
    | st.characters(exclude_categories=["Cs", "Cc"]),
    max_size=8,
).filter(lambda text: text.strip() != "null")  # in a cell it clears the field
keys = texts.map(normal_key).filter(lambda text: not invisible_in(text))
money = st.sampled_from([None, 0, 5, Decimal("1200.50"), Decimal("0.000000000001")])
days = st.sampled_from([None, "2026-03-01", "2027-01-31"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "model": keys,
    "category": keys,
    "equipment": st.none() | texts,
    "description": texts,
    "purchasePrice": money,
    "monthlyRate": money,
    "forecastEnd": days,
    "actualStart": days,
    "isFundsTransferable": st.booleans(),
}
records = st.fixed_dictionaries(VALUES)
ways = st.sampled_from(["csv", "csv --csv-safe", "tsv", "json", "jsonl"])


@a_stage
def ready(pfa: Pfa) -> None:
    """The organization HOLNG with the records H-001 to H-006."""
    six_records(pfa)


def listed(pfa: Pfa, way: str, *more: str) -> str:
    output, *safe = way.split()
    ran = pfa("list", "-o", output, "--limit", "0", *safe, *more)
    assert ran.code == 0
    return ran.out


def save(pfa: Pfa, text: str, way: str, *more: str) -> dict[str, Any]:
    path = pfa.folder / f"sheet.{way.split()[0]}"
    path.write_bytes(text.encode())
    ran = pfa("draft", "save", str(path), "-o", "json", *more)
    assert (ran.code, ran.err if ran.code else "") == (0, "")
    return ran.json


def items(pfa: Pfa, *words: str) -> list[dict[str, Any]]:
    """The lines of a list as JSON."""
    return [exact_json.loads(line) for line in pfa(*words, "-o", "jsonl").lines]


def pull(pfa: Pfa, given: list[dict[str, Any]]) -> None:
    rows = [baseline_record(number, **values) for number, values in enumerate(given, 1)]
    path = pfa.folder / "more.jsonl"
    path.write_text("".join(f"{exact_json.dumps(row)}\n" for row in rows))
    assert pfa("sync", "pull", "--from", str(path)).code == 0


def edited_csv(text: str, edits: dict[str, dict[str, Any]], write: Callable[[str], str]) -> str:
    """The table with the cells of some records replaced, as a spreadsheet saves it."""
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    for row in rows:
        row.update(
            {name: write(cell(value)) for name, value in edits.get(row["pfaId"], {}).items()}
        )
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def cell(value: Any) -> str:
    return "null" if value is None else plain(value)


def few(examples: int) -> settings:
    """So many examples on one database; to shrink a failing one there would take minutes."""
    return settings(
        max_examples=examples,
        phases=(Phase.explicit, Phase.generate),
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@pytest.mark.slow
@drawn("examples", short=3, long=15, night=400)
def test_what_comes_back_as_it_left_is_no_change(ready: Pfa, examples: int) -> None:
    @few(examples)
    @given(st.lists(records, min_size=3, max_size=3), ways)
    def check(given: list[dict[str, Any]], way: str) -> None:
        pull(ready, given)
        found = save(ready, listed(ready, way), way)
        assert (found["saved"], len(found["unchanged"]), found["errors"]) == ([], 6, [])

    check()


@drawn("examples", short=3, long=15, night=400)
def test_exactly_what_was_edited_becomes_drafts(ready: Pfa, examples: int) -> None:
    @few(examples)
    @given(
        st.lists(records, min_size=3, max_size=3),
        st.dictionaries(
            st.sampled_from(IDS),
            st.fixed_dictionaries(
                {},
                optional={
                    "model": st.sampled_from(["=A1", "'=A1", "'a", "-5", 'B, "c"', "\\N", "Ü"]),
                    "equipment": st.sampled_from(["=A1", " b ", "a\nb", None]),
                    "purchasePrice": money,
                    "forecastEnd": days,
                },
            ),
        ),
        st.booleans(),
    )
    def check(given: list[dict[str, Any]], edits: dict[str, dict[str, Any]], safe: bool) -> None:
        pull(ready, given)
        way = "csv --csv-safe" if safe else "csv"
        write = guarded if safe else lambda text: guarded(text) if text[:1] == "'" else text
        found = save(ready, edited_csv(listed(ready, way), edits, write), way)
        rows = {row["pfaId"]: row["data"] for row in items(ready, "list", "--baseline")}
        expected = {
            pfa_id: {name: value for name, value in new.items() if rows[pfa_id][name] != value}
            for pfa_id, new in edits.items()
        }
        expected = {pfa_id: delta for pfa_id, delta in expected.items() if delta}
        drafts = items(ready, "draft", "list")
        assert {item["pfaId"]: item["delta"] for item in drafts} == expected
        assert {item["pfaId"] for item in found["saved"]} == expected.keys()
        if drafts:  # the drafts go out with the list, and come back as nothing
            again = save(ready, listed(ready, way), way, "--session", "other")
            assert {item["status"] for item in again["saved"]} == {"unchanged"}
            assert ready("discard", "--all").code == 0

    check()


SPELT = st.sampled_from([str, str.upper, str.lower, "{}_".format, "{} ".format, "pfs_{}".format])
NAMES = st.sampled_from(sorted(FIELDS)) | st.sampled_from(
    ["monthly_rate", "purchase_price", "area_silo", "has_plan", "pfs_f_rental", "grid:monthlyRate"]
)
ALIASES = st.builds(lambda write, name: write(name), SPELT, NAMES)
TRANSFORMS = """[transforms]
monthlyRate = { multiply = "4" }
purchasePrice = { multiply = "4" }
category = "uppercase"
isFundsTransferable = "equals_y"
[defaults]
model = "unknown"
contract = "none"
"""


@st.composite
def field_maps(draw: st.DrawFn) -> str:
    """A valid field map whose aliases are names of fields, spellings of them and others."""
    fields = ["pfaId", *draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=3, unique=True))]
    named = [*dict.fromkeys(fields)]
    aliases = draw(st.lists(ALIASES, min_size=len(named), max_size=len(named), unique=True))
    lines = [
        f"{exact_json.dumps(alias)} = {exact_json.dumps(name)}"
        for alias, name in zip(aliases, named, strict=True)
    ]
    return "\n".join(["[fields]", *lines, TRANSFORMS])


@pytest.mark.slow
@drawn("examples", short=5, long=30, night=800)
def test_a_list_is_pulled_again_under_any_field_map(ready: Pfa, examples: int) -> None:
    pull(ready, [{"category": "Crane", "monthlyRate": 5, "purchasePrice": 7, "model": None}])
    lists = {
        way.split()[0]: listed(ready, way, "--baseline")
        for way in ("csv", "tsv --header", "json", "jsonl")
    }

    @few(examples)
    @given(field_maps(), st.sampled_from(sorted(lists)))
    @example('[fields]\npfs_id = "pfaId"\nmonthly_rate = "monthlyRate"\n' + TRANSFORMS, "csv")
    @example(
        '[fields]\npfs_id = "pfaId"\ncategory = "class"\nclass = "category"\n' + TRANSFORMS, "json"
    )
    def check(field_map: str, way: str) -> None:
        path = write(ready, "map.toml", field_map)
        again = write(ready, f"again.{way}", lists[way])
        ran = ready("sync", "pull", "--from", again, "--field-map", path, "-o", "json")
        assert (ran.code, ran.err if ran.code else "") == (0, "")
        found = ran.json
        assert (found["unchanged"], found["updated"], found["inserted"]) == (6, 0, 0)

    check()


@pytest.mark.parametrize("safe", [(), ("--csv-safe",)], ids=["plain", "safe"])
def test_a_list_that_is_pulled_again_touches_nothing(ready: Pfa, safe: tuple[str, ...]) -> None:
    names = ["=A1", "'=A1", "'a", "-5", "'-5", "@x"]
    pull(ready, [{"model": name, "equipment": f"{name} "} for name in names])
    text = ready("list", "--baseline", "-o", "csv", "--limit", "0", *safe).out
    assert ("''=A1" in text, "'@x" in text) == (True, bool(safe))
    pulled = ready("sync", "pull", "--from", write(ready, "again.csv", text), "-o", "json")
    assert (pulled.code, pulled.json["unchanged"], pulled.json["updated"]) == (0, 6, 0)


def test_a_sheet_with_one_edited_cell_saves_one_draft(ready: Pfa) -> None:
    text = listed(ready, "csv").replace("3044", "3045", 1)
    found = ready("draft", "save", "--reason", "dearer", write(ready, "sheet.csv", text))
    assert (found.code, found.out.split()[-3:]) == (0, ["H-001", "1", "created"])
    assert "1 draft saved in session" in found.err
    assert "(1 created), 5 unchanged" in found.err


def test_a_sheet_without_an_edit_says_so_and_ends_with_0(ready: Pfa) -> None:
    found = ready("draft", "save", write(ready, "sheet.csv", listed(ready, "csv")))
    assert (found.code, found.out) == (0, "")
    assert found.err == "nothing to save: no value given differs from the record's (6 records)\n"
    as_json = ready("draft", "set", "H-001", "monthlyRate=3044.00", "-o", "json").json
    assert (as_json["sessionId"], as_json["saved"], as_json["unchanged"]) == (None, [], ["H-001"])
    kept = ready("draft", "set", "H-001", "monthlyRate=3044", "--keep-equal", "-o", "json").json
    assert [item["status"] for item in kept["saved"]] == ["created"]
    back = ready("draft", "set", "H-001", "monthlyRate=3044", "-o", "json").json
    assert [item["status"] for item in back["saved"]] == ["unchanged"]


def test_a_draft_that_is_set_back_is_removed_and_the_message_says_so(ready: Pfa) -> None:
    ready("draft", "set", "H-001", "monthlyRate=1")
    found = ready("draft", "set", "H-001", "monthlyRate=3044")
    assert (found.code, found.out) == (0, "")
    assert found.err == "1 draft removed (nothing left to change): H-001\n"
    assert ready("draft", "list").out == ""


def test_a_list_that_is_older_than_a_draft_does_not_take_it_back(ready: Pfa) -> None:
    """A cell that was not edited looks like one that was set back."""
    text = listed(ready, "csv")
    assert ready("draft", "set", "H-001", "monthlyRate=1", "--into", "mine").code == 0
    sheet = write(ready, "sheet.csv", text.replace("2026-03-02", "2026-04-02"))
    refused = ready("draft", "save", sheet, "--session", "mine")
    assert refused.code == 7
    assert "H-001 monthlyRate: your changes of it are not those of the list" in refused.err
    assert "leave the row out" in refused.err
    assert [item["delta"] for item in items(ready, "draft", "list")] == [{"monthlyRate": 1}]
    partly = ready("draft", "save", sheet, "--partial", "-o", "json")
    assert (partly.code, [one["pfaId"] for one in partly.json["saved"]]) == (3, ["H-002"])


def test_a_list_that_is_older_than_a_commit_does_not_take_it_back(ready: Pfa) -> None:
    text = listed(ready, "csv")
    assert ready("draft", "set", "H-001", "monthlyRate=1", "--into", "mine").code == 0
    assert ready("commit", "--session", "mine").code == 0
    sheet = write(ready, "sheet.csv", text.replace("2026-03-02", "2026-04-02"))
    refused = ready("draft", "save", sheet, "--session", "more")
    assert refused.code == 7
    assert "H-001 monthlyRate: your changes of it are not those of the list" in refused.err
    assert ready("draft", "list").out == ""


def test_a_list_that_shows_a_discarded_draft_does_not_bring_it_back(ready: Pfa) -> None:
    assert ready("draft", "set", "H-001", "monthlyRate=1", "--into", "mine").code == 0
    text = listed(ready, "csv")
    assert ready("discard", "--session", "mine").code == 0
    refused = ready("draft", "save", write(ready, "sheet.csv", text))
    assert (refused.code, ready("draft", "list").out) == (7, "")
    assert "H-001 monthlyRate" in refused.err


def test_a_list_that_is_older_than_a_draft_may_add_to_it(ready: Pfa) -> None:
    text = listed(ready, "csv").replace("3044", "3045", 1)
    first = ready("draft", "save", write(ready, "sheet.csv", text), "--session", "mine")
    again = text.replace("2026-03-01", "2026-04-01")
    second = ready("draft", "save", write(ready, "sheet.csv", again), "--session", "mine")
    assert (first.code, second.code) == (0, 0)
    drafts = {item["pfaId"]: item["delta"] for item in items(ready, "draft", "list")}
    assert drafts == {"H-001": {"monthlyRate": 3045, "forecastEnd": "2026-04-01"}}


def test_an_unknown_column_is_refused_once(ready: Pfa) -> None:
    text = listed(ready, "csv").replace("monthlyRate", "montlyRate", 1)
    refused = ready("draft", "save", write(ready, "sheet.csv", text))
    assert refused.code == 9
    assert refused.err.count("montlyRate: unknown field; did you mean monthlyRate?") == 1


def test_a_read_only_cell_that_was_edited_is_named(ready: Pfa) -> None:
    text = listed(ready, "csv").replace("2026-01-31", "2026-01-30", 1)
    found = ready("draft", "save", write(ready, "sheet.csv", text))
    assert found.code == 9
    assert "H-001 originalEnd: cannot be edited here" in found.err


def test_standard_input_is_told_by_its_first_line_or_by_the_option(
    ready: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    def piped(text: str, *more: str) -> Any:
        stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
        monkeypatch.setattr("sys.stdin", stdin)
        return ready("draft", "save", "-", "-n", "-o", "json", *more)

    for text in (
        "pfaId,model\nH-001,A\n",
        "pfaId\tmodel\nH-001\tA\n",
        "\nPFA_ID,Model\nH-001,A\n",
        "pfaId;model\nH-001;A\n",
    ):
        assert [item["pfaId"] for item in piped(text).json["saved"]] == ["H-001"]
    as_tsv = piped("pfaId\nH-001\n", "--format", "tsv")
    assert (as_tsv.code, as_tsv.json["unchanged"]) == (0, ["H-001"])
    assert piped("pfaId,model\nH-001,A\n", "--format", "json").code == 9
    assert piped("pfaId,model\nH-001,A\n", "--format", "tsv").code == 9
    assert piped("pfaId,model\nH-001,A\n", "--format", "xlsx").code == 9
    assert piped("pfaId,model\nH-001,A\n", "--format", "ods").code == 2


def test_leftovers_of_a_spreadsheet_are_passed_over_and_counted(ready: Pfa) -> None:
    text = "pfaId,forecastEnd,model,,\n,,,,\nH-001,2026-03-15 00:00:00,NULL,,\nH-002,2026-03-15T00:00,,,\n,,\n"
    found = ready("draft", "save", write(ready, "sheet.csv", text))
    assert found.code == 0
    assert found.err.startswith("note: 2 empty rows and 2 columns without a name passed over in ")
    assert "H-001" in found.out
    assert [item["delta"] for item in items(ready, "draft", "list")] == [
        {"forecastEnd": "2026-03-15", "model": "NULL"},
        {"forecastEnd": "2026-03-15"},
    ]
    ready("draft", "save", write(ready, "sheet.csv", text), "--null", "NULL", "--null", "\\N")
    assert items(ready, "draft", "list")[0]["delta"] == {"forecastEnd": "2026-03-15", "model": None}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (
            b"PK\x03\x04\x14\0\x06\0" + b"\0" * 22 + b"[Content_Types].xml",
            "a damaged Excel workbook (.xlsx)",
        ),
        ("pfaId,model\nH-001,A\n".encode("utf-32"), "UTF-32"),
        (b"id;model\nH-001;A\n", "separated by ';'"),
    ],
)
def test_what_is_no_table_of_ours_is_named_as_what_it_is(
    ready: Pfa, content: bytes, what: str
) -> None:
    path = ready.folder / "sheet.csv"
    path.write_bytes(content)
    found = ready("draft", "save", str(path))
    assert found.code == 9
    assert what in found.err
    assert "nothing was saved" in found.err


def write(pfa: Pfa, name: str, text: str) -> str:
    path = pfa.folder / name
    path.write_bytes(text.encode())
    return str(path)


@pytest.mark.slow
def test_pulling_one_s_own_partial_export_says_which_fields_it_would_empty(pfa: Pfa) -> None:
    assert pfa("init", "--org", "HOLNG").code == 0
    more = {"freight": 7, "parts": {"hook": 1}}
    records = [baseline_record(number, model="M", **more) for number in range(1, 7)]
    whole = write_lines(pfa.folder / "mirror.jsonl", records)
    assert pfa("sync", "pull", "--from", whole).code == 0
    before = pfa("list", "--all", "-o", "jsonl").out
    own, some = pfa.folder / "own.csv", pfa.folder / "some.csv"
    own.write_text(pfa("list", "--all", "-o", "csv").out)
    some.write_text(pfa("list", "--all", "-o", "csv", "--columns", "pfaId,category,model").out)

    refused = pfa("sync", "pull", "--from", str(some))
    assert refused.code == 9
    for name in ("areaSilo", "class", "monthlyRate", "forecastStart"):
        assert f"{name}: would be emptied in 6 records" in refused.err
    assert pfa("list", "--all", "-o", "jsonl").out == before

    tried = pfa("sync", "pull", "--from", str(own), "--dry-run")
    assert "fields unknown to pfa are gone from 6 records: freight, parts" in tried.err
    assert pfa("list", "--all", "-o", "jsonl").out == before
