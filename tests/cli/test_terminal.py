"""The program in a terminal: width, colours, frames, pager; and what a pipe does not load."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest
from rich.cells import cell_len

from pfa_cli.commands.doctor import Finding
from pfa_cli.render import streams
from pfa_cli.render.bars import balance, bar
from pfa_cli.render.chart import chart
from pfa_cli.render.checks import checks_text
from pfa_cli.render.conflicts import conflict_page
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.palette import of_sign
from pfa_cli.render.streams import Color
from pfa_core.conflicts.views import ConflictView
from pfa_core.model.decision import ConflictStatus
from pfa_core.model.delta import FieldConflict
from tests import citus
from tests.cli.conftest import baseline_record, write_lines
from tests.forms import LONG, long
from tests.program import Pfa, Ran, a_stage
from tests.terminals import begun, on_terminal, terminal

# What a progress line wrote and wiped, on a machine slow enough to show one.
WIPED = re.compile(r"\r[^\n\r]*\x1b\[K")
WIDE = {"category": "起重机 Kran", "areaSilo": "ע\u05b4ברית é 区域 with a long name"}


@a_stage
def drafted(pfa: Pfa) -> None:
    """Six records, one in foreign letters, two of them with drafts in one session."""
    assert pfa("init", "--org", "HOLNG").code == 0
    records = [baseline_record(number) for number in range(1, 6)]
    records.append(baseline_record(6, **WIDE, monthlyRate=1234567.89))
    source = write_lines(pfa.folder / "mirror.jsonl", records)
    assert pfa("sync", "pull", "--from", source).code == 0
    made = pfa("draft", "set", "H-001", "H-006", "monthlyRate=99.50", "--into", "rates")
    assert made.code == 0


EVERYDAY = (
    ("list",),
    ("list", "--limit", "2"),
    ("show", "H-006"),
    ("stats",),
    ("stats", "--by", "category"),
    ("stats", "--by", "month", "--chart"),
    ("status",),
    ("doctor",),
    ("diff",),
    ("draft", "list"),
    ("log",),
    ("sync", "runs"),
    ("conflict", "list"),
    ("auth", "list"),
    ("auth", "status"),
    ("auth", "keys"),
    ("user", "list"),
    ("org", "list"),
    ("db", "status"),
)


@dataclass(frozen=True)
class InTerminal:
    """Runs command lines in this process as in a terminal; every line of a result must fit."""

    pfa: Pfa

    def __call__(self, *words: str, cells: int, **environ: str) -> Ran:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(streams, "is_terminal", lambda stream: stream is not None)
            for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
                patch.delenv(name, raising=False)
            usual = {"TERM": "xterm", "PFA_PAGER": "cat", "COLUMNS": str(cells), "LINES": "60"}
            for name, value in (usual | environ).items():
                patch.setenv(name, value)
            ran = self.pfa(*words)
        too_long = [line for line in bare(ran.out).splitlines() if cell_len(line) > cells]
        assert (ran.code, too_long) == (0, []), words
        return ran


@pytest.fixture
def drawn(drafted: Pfa) -> InTerminal:
    """The program in a terminal, on the stage `drafted`."""
    return InTerminal(drafted)


def bare(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_in_a_real_terminal_the_table_has_its_width(drafted: Pfa) -> None:
    screen = on_terminal("list", cells=60)
    assert screen.code == 0
    assert max(map(cell_len, screen.lines)) in range(50, 75)  # stderr has one longer line
    assert "\x1b[1m" in screen.raw


@pytest.mark.parametrize("cells", [80, *long([40, 60, 100, 120, 200])])
def test_no_line_of_an_everyday_command_is_wider_than_the_terminal(
    drawn: InTerminal, cells: int
) -> None:
    for words in EVERYDAY:
        drawn(*words, cells=cells)


def test_a_list_at_80_has_id_category_area_dates_and_rate(drawn: InTerminal) -> None:
    screen = drawn("list", "--limit", "0", cells=80)
    for fact in ("H-006", "2026-02-06", "2026-03-06", "99.50", "3044"):
        assert fact in bare(screen.out)
    header = " ".join(bare(screen.out).split("──")[0].split())
    for name in (
        "pfaId",
        "category",
        "area",
        "Silo",
        "forecast",
        "Start",
        "End",
        "monthly",
        "Rate",
    ):
        assert name in header


@pytest.mark.parametrize("cells", [80, *long([100, 200])])
def test_a_run_says_what_it_did(drawn: InTerminal, cells: int) -> None:
    screen = bare(drawn("sync", "runs", cells=cells).out)
    for fact in ("pull", "completed", "inserted 6", "20"):
        assert fact in screen
    assert "total" not in screen
    assert screen.split()[:2] == ["runId", "run"]
    assert "total 6, inserted 6" in drawn.pfa("sync", "runs", "-o", "csv").out


@pytest.mark.parametrize("cells", [80, *long([40])])
def test_sizes_have_a_unit_for_people_and_are_bytes_in_json(drawn: InTerminal, cells: int) -> None:
    screen = bare(drawn("db", "status", cells=cells).out)
    assert re.search(r"^size +\d[\d.]* MB$", screen, re.MULTILINE), screen
    if not citus.is_named:  # where the trail's size is not counted
        assert re.search(r"^trail +\d[\d.]* [kM]B$", screen, re.MULTILINE), screen
    data = drawn.pfa("db", "status", "-o", "json").json["data"]
    assert data["sizeBytes"] > 1_000_000
    assert "sizeBytes" not in screen


def test_columns_without_room_are_named_unless_quiet(drawn: InTerminal) -> None:
    named = [
        line
        for line in drawn("list", cells=60).err.splitlines()
        if line.startswith("no room for: ")
    ]
    assert len(named) == 1
    assert "source" in named[0]
    assert "no room" not in drawn("list", "-q", cells=60).err
    assert "no room" not in drawn("list", cells=200).err


def test_a_column_that_a_filter_or_the_order_names_gives_way_last(drawn: InTerminal) -> None:
    assert "sync\n" not in bare(drawn("list", "--limit", "0", cells=60).out)
    screen = drawn("list", "--state", "draft", cells=60)
    assert "State" in bare(screen.out).split("──")[0]
    assert bare(screen.out).count("draft") == 2
    screen = drawn("list", "--sort", "-source", cells=60)
    assert "source" in bare(screen.out).split("──")[0]


def test_a_cost_effect_of_nothing_is_shown_where_it_fits(drawn: InTerminal) -> None:
    long_name = "weather-silo4-second-half"
    assert drawn.pfa("draft", "set", "H-002", "model=B", "--into", long_name).code == 0
    screen = bare(drawn("diff", "--id", "H-002", cells=80).out)
    assert "costEffect" in screen
    assert "0.00" in screen


def test_people_read_the_cost_effect_with_sign_and_separators_and_programs_the_number(
    drafted: Pfa,
) -> None:
    for name, shown in (
        ("table", "-2,708.48"),
        ("markdown", "-2,708.48"),
        ("tsv", "-2708.48"),
        ("csv", "-2708.48"),
    ):
        assert shown in drafted("diff", "--id", "H-001", "-o", name).out


def test_without_a_plan_there_is_no_percentage_of_it(drawn: InTerminal) -> None:
    unplanned = baseline_record(9, originalStart=None, originalEnd=None, category="New")
    source = write_lines(drawn.pfa.folder / "more.jsonl", [unplanned])
    assert drawn.pfa("sync", "pull", "--from", source).code == 0
    words = ("stats", "--id", "H-009", "--by", "category")
    screen = bare(drawn(*words, cells=120).out)
    assert "(no plan)" in screen
    assert "%" not in screen.split("(no plan)")[1].splitlines()[-1].replace("100.0 %", "")
    assert "0.00 %" not in screen
    piped = drawn.pfa(*words)
    assert "(no plan)" in piped.out
    assert "0.00 %" not in piped.out
    planned = bare(drawn("stats", "--id", "H-003", cells=120).out)
    assert "no plan" not in planned
    assert " %)" in planned


def test_a_footer_says_which_records_are_shown(drawn: InTerminal) -> None:
    all_of_them = "--limit 0 shows all, -o csv or -o jsonl streams them"
    for words, footer in (
        (["--limit", "2"], f"2 of 6 records; {all_of_them}"),
        (["--page", "1", "--page-size", "4"], "1 to 4 of 6 records; next: --page 2"),
        (["--page", "2", "--page-size", "4"], "5 to 6 of 6 records; this is the last page"),
    ):
        assert drawn("list", *words, cells=120).err.splitlines()[-1] == footer
    cursor = drawn.pfa("list", "-o", "json", "--limit", "2").json["pagination"]["next"]
    said = drawn("list", "--after", cursor, "--page-size", "2", cells=120).err
    assert said.splitlines()[-1].startswith("2 of 6 records; ")


def test_a_narrow_terminal_gets_a_field_a_line(drawn: InTerminal) -> None:
    lines = bare(drawn("list", "--limit", "1", cells=30).out).splitlines()
    assert lines[0].split() == ["pfaId", "H-001"]
    assert ["monthlyRate", "99.50"] in [line.split() for line in lines]


def test_before_is_red_after_green_and_cost_has_sign_and_colour(drawn: InTerminal) -> None:
    raw = drawn("diff", cells=120).out
    assert "\x1b[31m3044\x1b[0m" in raw
    assert "\x1b[32m99.50\x1b[0m" in raw
    assert re.search(r"\x1b\[32m-[\d,]+\.\d\d\x1b\[0m", raw)
    assert "\x1b[33mdraft\x1b[0m" in raw


def test_a_record_has_pems_yours_and_merged_side_by_side(drawn: InTerminal) -> None:
    screen = drawn("show", "H-001", cells=80)
    (line,) = [line for line in bare(screen.out).splitlines() if "monthlyRate" in line]
    assert line.split() == ["*", "monthlyRate", "3044", "99.50", "99.50"]
    assert "\x1b[31m3044\x1b[0m" in screen.out
    assert "\x1b[32m99.50\x1b[0m" in screen.out


def test_status_and_doctor_are_framed_with_the_next_command(drawn: InTerminal) -> None:
    status = bare(drawn("status", cells=80).out)
    assert status.startswith("╭─ HOLNG, ")
    assert "╭─ next ──" in status
    assert "│ pfa commit --session rates │" in status
    doctor = bare(drawn("doctor", cells=80).out)
    assert doctor.startswith("╭─ ready")
    assert "│ ok       python" in doctor


def test_the_costs_of_a_report_are_whole_in_a_narrow_terminal(drawn: InTerminal) -> None:
    narrow = bare(drawn("stats", cells=34).out).split()
    wide = bare(drawn("stats", cells=100).out).split("cost ")[1].split()
    assert {word for word in wide if word.endswith((".00", ".89"))} <= {*narrow}


def test_groups_have_bars_for_share_and_variance(drawn: InTerminal) -> None:
    text = bare(drawn("stats", "--by", "category", cells=200).out)
    assert re.search(r"Loader .*\d+\.\d % █+", text)
    assert "under|over" in text
    assert re.search(r"█│|│█", text)


@pytest.mark.parametrize(
    "environ", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}]
)
def test_dumb_terminals_and_no_color_get_no_escape_sequence(
    drawn: InTerminal, environ: dict[str, str]
) -> None:
    for words in (("status",), ("diff",), ("stats", "--by", "category")):
        screen = drawn(*words, cells=100, **environ)
        assert "\x1b" not in screen.out
        assert bool(set("─╭│█") & set(screen.out)) is ("TERM" not in environ)


def test_color_wins_over_the_environment(drawn: InTerminal) -> None:
    assert "\x1b[" in drawn("diff", "--color", "always", cells=80, NO_COLOR="1").out
    assert "\x1b[" not in drawn("diff", "--color", "never", cells=80, FORCE_COLOR="1").out


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "0"}, False),
        ({"FORCE_COLOR": ""}, False),
        ({"CLICOLOR_FORCE": "1"}, True),
        ({"CLICOLOR_FORCE": "0"}, False),
        ({"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, False),
    ],
)
def test_a_pipe_is_coloured_where_it_is_forced(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], expected: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert streams.colored(None, Color.AUTO) is expected
    assert streams.colored(None, Color.ALWAYS) is True
    assert streams.colored(None, Color.NEVER) is False


def test_a_forced_colour_in_a_pipe_draws_without_a_width(
    drafted: Pfa, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    ran = drafted("diff", "-o", "table")
    assert "\x1b[31m3044\x1b[0m" in ran.out
    assert "no room" not in ran.err
    for form in ("json", "jsonl", "csv", "tsv", "ids"):
        assert "\x1b" not in drafted("diff", "-o", form).out


def test_a_chart_in_a_pipe_has_plain_characters(drafted: Pfa) -> None:
    text = drafted("stats", "--by", "month", "--chart").out
    assert text.isascii()
    assert re.search(r"2026-02  plan +[\d,]+\.\d\d", text)
    assert re.search(r"forecast +[\d,]+\.\d\d  #+\n", text)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--chart",), "--chart needs groups"),
        (("--chart", "--by", "month", "-o", "json"), "--chart cannot be combined with -o json"),
        (("--chart", "--by", "month", "--columns", "month"), "combined with --columns"),
    ],
)
def test_a_chart_of_nothing_or_for_programs_is_refused(
    drafted: Pfa, words: tuple[str, ...], message: str
) -> None:
    ran = drafted("stats", *words)
    assert ran.code == 2
    assert message in ran.err


# --- the pager

READS = "import sys, pathlib; pathlib.Path({!r}).write_text(sys.stdin.read())"
QUITS = "import sys; sys.stdin.readline()"


def a_pager(folder: Path, source: str) -> str:
    path = folder / "pager.py"
    path.write_text(source)
    return f"{sys.executable} {path}"


@pytest.mark.slow
def test_what_is_longer_than_the_terminal_goes_through_the_pager(
    drafted: Pfa, tmp_path: Path
) -> None:
    paged = tmp_path / "paged"
    pager = a_pager(tmp_path, READS.format(str(paged)))
    short = on_terminal("list", lines=40, PFA_PAGER=pager)
    assert "H-001" in short.text
    assert not paged.exists()
    long_one = on_terminal("list", lines=6, PFA_PAGER="", PAGER=pager)
    assert "H-001" in long_one.text  # an empty PFA_PAGER wins over PAGER
    long_one = on_terminal("list", lines=6, PFA_PAGER=pager)
    assert long_one.code == 0
    assert "H-001" not in long_one.text
    assert "H-006" in paged.read_text()
    assert "\x1b[1m" in paged.read_text()


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize(
    "words", [("list", "--no-pager"), ("list", "-o", "csv"), ("log", "-o", "jsonl")]
)
def test_no_pager_for_programs_nor_where_it_is_refused(
    drafted: Pfa, tmp_path: Path, words: tuple[str, ...]
) -> None:
    paged = tmp_path / "paged"
    pager = a_pager(tmp_path, READS.format(str(paged)))
    assert "H-001" in on_terminal(*words, lines=4, PFA_PAGER=pager).text
    assert not paged.exists()


@pytest.mark.long
def test_a_pager_that_is_quit_early_is_no_error_and_sums_are_whole(
    drafted: Pfa, tmp_path: Path
) -> None:
    many = [
        baseline_record(number % 28 + 1) | {"pfaId": f"M-{number:05}"} for number in range(2500)
    ]
    source = write_lines(tmp_path / "many.jsonl", many)
    assert drafted("sync", "pull", "--from", source).code == 0
    assert drafted("draft", "shift", "1", "--search", "M-", "--into", "all").code == 0
    screen = on_terminal("diff", "--exit-code", lines=6, PFA_PAGER=a_pager(tmp_path, QUITS))
    assert screen.code == 10
    assert "2,502 records, 5,002 fields" in screen.text
    assert "error" not in screen.text
    listed = on_terminal("list", "--limit", "0", lines=6, PFA_PAGER=a_pager(tmp_path, QUITS))
    assert (listed.code, "error" in listed.text) == (0, False)


@pytest.mark.slow
def test_a_pager_that_does_not_start_is_left_out(drafted: Pfa) -> None:
    screen = on_terminal("list", lines=4, PFA_PAGER="/nowhere/less -R")
    assert screen.code == 0
    assert "note: the pager '/nowhere/less' does not start" in screen.text
    assert "H-006" in screen.text


@pytest.mark.long
def test_ctrl_c_belongs_to_the_pager_once_all_is_written(drafted: Pfa, tmp_path: Path) -> None:
    waits = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "sys.stdin.read()\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "(folder / 'read').touch()\n"
        "while not (folder / 'quit').exists(): time.sleep(0.02)\n"
    )
    environ = {"PFA_PAGER": a_pager(tmp_path, waits)}
    with terminal(80, 5) as (_, follower), begun(("list",), follower, environ) as process:
        os.close(follower)
        _until(lambda: (tmp_path / "read").exists())
        os.killpg(process.pid, signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        (tmp_path / "quit").touch()
        assert process.wait(20) == 0


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


# --- what is loaded

LOADED = """
import sys
from pfa_cli.app import main
code = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


# What no read in a pipe loads.
UNREAD = {
    "platformdirs", "tomllib", "pfa_cli.commands.doctor", "pfa_cli.envelopes.failures", "pfa_cli.envelopes.groups",
    "pfa_cli.render.failures", "pfa_cli.render.folding", "pfa_cli.render.planner",
    "pfa_core.admin.row_level_security", "pfa_core.model.life_cycle", "pfa_core.sql.composition",
    "pfa_core.sql.functions", "pfa_core.store.leases", "pfa_core.store.migrations", "pfa_core.store.outcome",
    "pfa_core.store.prerelease", "pfa_core.store.suggestions",
}  # fmt: skip
TRAIL = {"pfa_core.store.audit", "pfa_core.store.audit_chain"}
CONTENT = {
    "pfa_core.model.audit", "pfa_core.model.delta", "pfa_core.model.values", "pfa_core.store.mirror",
    "pfa_core.store.modifications",
}  # fmt: skip
WRITES = {
    "pfa_cli.commands.drafts.save", "pfa_cli.commands.drafts.saving", "pfa_cli.commands.drafts.set_fields",
    "pfa_cli.commands.drafts.shift", "pfa_cli.commands.drafts.unset", "pfa_cli.envelopes.drafts",
}  # fmt: skip


def loaded_by(words: tuple[str, ...]) -> set[str]:
    """The modules that a command line in a pipe loads."""
    ran = subprocess.run(
        [sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=True
    )
    return set(ran.stderr.splitlines()[-1].split())


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize(
    ("words", "unread"),
    [
        (("list",), TRAIL | CONTENT | {"pfa_cli.envelopes.records", "pfa_cli.render.record"}),
        (("draft", "list"), TRAIL | WRITES),
        *long(
            [
                (("show", "H-001"), TRAIL),
                (("stats", "--by", "category"), TRAIL | CONTENT),
                (("status",), TRAIL),
                (("diff",), TRAIL),
                (("log",), CONTENT - {"pfa_core.model.audit"}),
            ]
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_read_in_a_pipe_loads_nothing_that_only_others_need(
    drafted: Pfa, words: tuple[str, ...], unread: set[str]
) -> None:
    loaded = loaded_by(words)
    assert "pfa_core.operation" in loaded
    assert (UNREAD | unread) & loaded == set()


def test_what_is_not_loaded_is_there() -> None:
    named = UNREAD | TRAIL | CONTENT | WRITES
    assert [name for name in sorted(named) if find_spec(name) is None] == []


@LONG
def test_a_dry_run_of_a_draft_loads_what_writes_and_no_other_command(drafted: Pfa) -> None:
    loaded = loaded_by(("draft", "set", "H-002", "model=X", "-n"))
    assert TRAIL | {"pfa_core.store.outcome", "pfa_cli.commands.drafts.set_fields"} <= loaded
    others = {f"pfa_cli.commands.drafts.{name}" for name in ("save", "shift", "unset", "view")}
    assert loaded & (others | {"pfa_core.store.leases", "pfa_core.store.suggestions"}) == set()


@pytest.mark.variants(1)
@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("list",),
        ("list", "-o", "table"),
        *long([(("--help",),), (("diff",),), (("stats", "--by", "category"),), (("status",),)]),
    ],
)
def test_a_pipe_loads_neither_rich_nor_pydantic_nor_pyjwt(
    drafted: Pfa, words: tuple[str, ...]
) -> None:
    loaded = loaded_by(words)
    assert "pfa_cli.app" in loaded
    heavy = {"rich", "pydantic", "pydantic_core", "jwt", "http.client"}
    assert heavy & loaded == set()
    tables = {"pfa_cli.render.terminal", "pfa_cli.render.drawn", "pfa_cli.render.pager"}
    assert loaded & tables == set()
    assert ("tabulate" in loaded) is (words in [("list", "-o", "table"), *TABULATED])


TABULATED = [("stats", "--by", "category"), ("status",)]


@pytest.mark.slow
def test_a_terminal_loads_rich_and_not_tabulate(drafted: Pfa) -> None:
    """The pty's output would be mixed with the list; colours forced in a pipe draw the same way."""
    ran = subprocess.run(
        [sys.executable, "-c", LOADED, "list", "-o", "table", "--color", "always"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(ran.stderr.splitlines()[-1].split())
    assert "rich" in loaded
    assert {"tabulate", "pydantic"} & loaded == set()


def test_money_is_whole_in_every_width(drawn: InTerminal) -> None:
    amount = Decimal("1234567.89")
    for cells in (30, 45, 80):
        assert str(amount) in drawn("list", "--baseline", cells=cells).out


# --- pages


def in_conflict(**changes: object) -> ConflictView:
    values: dict[str, object] = {
        "conflict_id": "01a229a7-a321-74d9-a037-9d9d0a0535f4",
        "pfa_id": "H-001",
        "fields": (FieldConflict("forecastEnd", "2027-03-01", "2027-03-15", "2027-04-30"),),
        "status": ConflictStatus.OPEN,
        "modified_by": "anna",
        "created_at": datetime.now(UTC),
        "modification_id": "m",
        "session_id": "weather",
        "change_reason": "Silo 4 stopped",
        "pems_now": {},
        "resolution": None,
        "settlement": None,
        "resolved_at": None,
        "resolved_by": None,
    }
    return ConflictView(**(values | changes))


def test_a_conflict_has_former_pems_yours_and_merged_side_by_side() -> None:
    look = Look(Format.TABLE, terminal=True, colored=True, width=80)
    raw = conflict_page(in_conflict(), look)
    lines = bare(raw).splitlines()
    assert lines[0].startswith("╭─ H-001: unresolved ──")
    assert [line.split() for line in lines[-3::2]] == [
        ["field", "base", "pems", "mine", "merged"],
        ["forecastEnd", "2027-03-01", "2027-04-30", "2027-03-15", "2027-03-15"],
    ]
    assert "\x1b[31m2027-04-30\x1b[0m" in raw
    assert "\x1b[32m2027-03-15\x1b[0m" in raw


def test_a_conflict_that_moved_or_is_settled_shows_pems_value_of_now_and_what_was_taken() -> None:
    look = Look(Format.TABLE, terminal=True, width=100)
    moved = conflict_page(in_conflict(pems_now={"forecastEnd": "2027-05-01"}), look)
    assert "PEMS changed again since: forecastEnd 2027-05-01" in moved
    assert moved.splitlines()[-3].split()[1:5] == [
        "2027-03-01",
        "2027-04-30",
        "2027-05-01",
        "2027-03-15",
    ]
    settled = in_conflict(
        status=ConflictStatus.RESOLVED,
        resolution="pems",
        settlement={"forecastEnd": {"take": "pems", "value": "2027-04-30"}},
        resolved_by="anna",
    )
    last = conflict_page(settled, look).splitlines()[-1].split()
    assert last[4:7] == ["2027-04-30", "pems", "2027-04-30"]


@pytest.mark.parametrize("cells", [20, 40, 80])
def test_a_conflict_fits_any_terminal(cells: int) -> None:
    page = conflict_page(
        in_conflict(change_reason="起重机 stopped " * 5),
        Look(Format.TABLE, terminal=True, width=cells),
    )
    assert max(map(cell_len, page.splitlines())) <= cells
    for value in ("2027-03-01", "2027-04-30", "2027-03-15", "H-001"):
        assert value in page


def test_the_first_cure_that_is_a_command_is_the_next_step() -> None:
    checks = [
        Finding("python", "ok", "3.11"),
        Finding("pull", "notice", "old", cure="type: pfa sync pull"),
        Finding("key", "problem", "gone", cure="type: pfa init --org X, or set Y", exit_code=78),
    ]
    look = Look(Format.TABLE, terminal=True, colored=True, width=80)
    raw = checks_text(checks, look)
    assert bare(raw).startswith("╭─ not ready ──")
    assert bare(raw).splitlines()[-2] == "│ pfa init --org X │"
    assert "\x1b[1;31mproblem" in raw
    plain = checks_text(checks, Look(Format.TABLE))
    assert plain.splitlines()[1:3] == ["notice   pull: old", "         fix: type: pfa sync pull"]


@pytest.mark.parametrize("drawn", [True, False], ids=["drawn", "plain"])
def test_a_cure_of_several_lines_is_read_line_by_line(*, drawn: bool) -> None:
    cure = "make room in /srv/pfa\n/srv/pfa/postgres.log:\n\x1b[31mPANIC"
    check = Finding("database", "problem", "the disk is full", cure=cure, exit_code=74)
    page = checks_text([check], Look(Format.TABLE, terminal=drawn, width=60 if drawn else 0))
    lines = [line.strip("│ ") for line in bare(page).splitlines()]
    assert "fix: make room in /srv/pfa" in lines
    assert lines[lines.index("fix: make room in /srv/pfa") + 1 :][:2] == [
        "/srv/pfa/postgres.log:",
        r"\x1b[31mPANIC",
    ]


@pytest.mark.parametrize(("text", "style"), [("+1", "red"), ("-1", "green"), ("0", ""), ("-", "")])
def test_the_sign_of_an_amount_is_coloured_a_dash_for_none_is_not(text: str, style: str) -> None:
    assert of_sign(text) == style


def test_bars_are_as_long_as_their_part_and_something_is_never_invisible() -> None:
    one = Decimal(1)
    assert bar(one, Decimal(2), 8, unicode=True) == "████"
    assert bar(Decimal("0.001"), one, 8, unicode=True) == "▏"
    assert bar(Decimal("0.001"), one, 8, unicode=False) == "#"
    assert bar(Decimal(0), one, 8, unicode=True) == ""
    assert bar(Decimal(-5), one, 8, unicode=True) == ""
    assert bar(Decimal(5), one, 8, unicode=False) == "########"
    assert balance(Decimal(-2), Decimal(4), 4, unicode=False) == "  ##|    "
    assert balance(Decimal(4), Decimal(4), 4, unicode=True) == "    │████"
    assert balance(Decimal(0), Decimal(0), 2, unicode=True) == "  │  "


@pytest.mark.parametrize("cells", [30, 40, 80, 200])
def test_a_chart_has_every_amount_in_any_width(cells: int) -> None:
    groups = [
        ("2026-01 · " + "起重机" * 6, [Decimal("1234567.89"), Decimal(5), None]),
        ("undated", [Decimal(0), Decimal("0.01"), Decimal("-3.50")]),
    ]
    look = Look(Format.TABLE, terminal=True, width=cells)
    text = chart(groups, ("plan", "forecast", "actual"), look)
    assert max(map(cell_len, text.splitlines())) <= cells
    for amount in ("1,234,567.89", "5.00", "masked", "0.00", "0.01", "-3.50", "undated"):
        assert amount in text


@pytest.mark.slow
@pytest.mark.variants(1)
@pytest.mark.parametrize("cells", [40, 80])
def test_messages_fit_the_terminal_and_keep_every_word(
    cells: int, drafted: Pfa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("delta.json").write_text(
        '[{"pfaId": "H-002", "delta": {"forecastEnd": "2020-01-01"}},'
        ' {"pfaId": "H-003", "delta": {"monthlyrat": 1}, "changeReason": "a reason"}]'
    )
    words = ("draft", "save", "delta.json", "--org", "HOLNG")
    piped = drafted(*words)
    screen = on_terminal(*words, cells=cells)
    assert (screen.code, piped.code) == (9, 9)
    assert "forecastEnd: 2020-01-01 is before" in piped.err
    assert [line for line in screen.lines if cell_len(line) > cells] == []
    kept = WIPED.sub("", screen.text)
    assert "".join(kept.split()) == "".join(piped.err.split())
    assert max(map(len, piped.err.splitlines())) > cells

    raw = on_terminal(*words, "--error-format", "json", cells=cells).text
    assert WIPED.sub("", raw) == drafted(*words, "--error-format", "json").err
