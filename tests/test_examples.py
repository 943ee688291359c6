"""Every example runs as its first lines say, against a database of its own."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import pfa_core as pfa
from tests.forms import long

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


def record(number: int, **values: object) -> dict[str, object]:
    return {
        "pfaId": f"HOLNG-{number:06}",
        "category": "Crane",
        "areaSilo": "Silo 4",
        "source": "Rental",
        "monthlyRate": 3044,
        "originalStart": "2026-01-01",
        "originalEnd": "2026-01-31",
        "forecastStart": "2026-01-01",
        "forecastEnd": "2026-01-31",
    } | values


RECORDS = [
    record(1),
    record(2, category="Dozer", forecastEnd="2026-03-02"),
    record(3, isActualized=True, actualStart="2026-01-01", actualEnd="2026-01-11"),
    record(4, source="Purchase", monthlyRate=None, purchasePrice=1000.50, areaSilo="Jetty"),
    record(5, category="Pipe | Layer", areaSilo="Jetty", monthlyRate=0.10),
]


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    path = tmp_path / "mirror.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in RECORDS))
    return path


@pytest.fixture
def signed_in(database_url: str, baseline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOLNG with five records, and its admin's token kept."""
    monkeypatch.setenv("PFA_DATABASE_URL", database_url)
    settings = pfa.resolve()
    with pfa.open_database(settings) as db:
        pfa.initialize(db, settings, "HOLNG")
        pfa.pull_files(db, pfa.authenticate(pfa.resolve()), [str(baseline)])


def run(*command: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


def example(name: str, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, EXAMPLES / name, *words, cwd=cwd)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_how_it_is_run(path: Path) -> None:
    head = path.read_text().split('"""')[1]
    assert f"python examples/{path.name}" in head


@pytest.mark.slow
@pytest.mark.parametrize("path", [SCRIPTS[0], *long(SCRIPTS[1:])], ids=lambda path: path.name)
def test_a_script_ends_like_pfa_where_nobody_is_signed_in(path: Path, tmp_path: Path) -> None:
    words = {
        "weather_delay.py": ("Silo 4", 14),
        "export_merged.py": ("out.jsonl",),
        "bulk_review.py": ("Crane", 3),
        "what_changed.py": (24,),
        "spreadsheet.py": ("write", "cranes.csv"),
        "saved_view.py": ("cranes",),
        "nightly_backup.py": (".",),
    }
    done = example(path.name, *words.get(path.name, ()), cwd=tmp_path)
    assert done.returncode == 4
    assert done.stderr == "not signed in: there is no token [UNAUTHORIZED]\n"


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_weather_delay_moves_what_is_still_ahead(tmp_path: Path) -> None:
    done = example("weather_delay.py", "Silo 4", 14, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "2 of 3 records in Silo 4 move by 14 days",
        "session   weather-silo4",
        "forecast  12,000.00 → 12,000.00",
        "variance  +3,000.00, of it by your changes +0.00",
    ]


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_what_changed_prints_the_greatest_effects_and_where_a_rate_comes_from(
    tmp_path: Path, baseline: Path
) -> None:
    with baseline.open("a") as file:
        file.write(json.dumps(record(6, monthlyRate=30.44)) + "\n")
    baseline.write_text(baseline.read_text().replace("3044", "6088", 1))
    with pfa.open_database(pfa.resolve()) as db:
        principal = pfa.authenticate(pfa.resolve())
        first, run = pfa.list_runs(db, principal)[0], pfa.pull_files(db, principal, [str(baseline)])
    done = example("what_changed.py", 1, "--category", "Crane", "--top", 2, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "0 changed, 4 new, 0 missing"
    assert first.run_id != run.run_id
    assert done.stdout.splitlines()[2:] == [
        "HOLNG-000001 new +6,000.00",
        "HOLNG-000003 new +3,000.00",
        f"HOLNG-000001: monthlyRate 6088 is by PEMS, run {run.run_id}",
    ]
    later = example("what_changed.py", 0, cwd=tmp_path)
    assert later.stdout.splitlines() == ["0 changed, 0 new, 0 missing", "forecast cost +0.00"]


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_weather_delay_can_be_rehearsed(tmp_path: Path) -> None:
    done = example("weather_delay.py", "Silo 4", 14, "--dry-run", cwd=tmp_path)
    assert "session   weather-silo4 (rolled back)" in done.stdout
    assert drafted() == {}


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
@pytest.mark.parametrize("name", ["cranes.csv", *long(["cranes.xlsx"])])
def test_a_spreadsheet_goes_out_and_its_edited_cells_come_back(tmp_path: Path, name: str) -> None:
    done = example("spreadsheet.py", "write", name, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"3 records with 36 columns written to {name}\n"
    path = tmp_path / name
    if name == "cranes.csv":
        path.write_text(path.read_text().replace("3044", '"3.500,50"', 1))
    done = example("spreadsheet.py", "save", name, "--decimal", ",", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    edited = name == "cranes.csv"
    assert done.stdout == f"{int(edited)} drafts, {3 - edited} records without an edited cell\n"


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_nightly_backup_writes_both_files_for_their_owner_alone(tmp_path: Path) -> None:
    done = example("nightly_backup.py", tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("HOLNG: 5 records, anchor ")
    assert done.stdout.endswith("HOLNG: 0 drafts and changes of 1 members copied\n")
    files = sorted(tmp_path.glob("*-20*"))
    assert [file.suffix for file in files] == [".pfa", ".dump"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_export_merged_writes_merged_values_as_jsonl(tmp_path: Path) -> None:
    example("weather_delay.py", "Silo 4", 14, cwd=tmp_path)
    done = example("export_merged.py", "out.jsonl", "--category", "Crane", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "3 records written to out.jsonl\n"
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["pfaId"][-1] for line in lines] == ["1", "3", "4"]
    assert json.loads(lines[0])["forecastStart"] == "2026-01-15"
    assert '"purchasePrice": 1000.5' in lines[2]


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_project_report_writes_a_page_and_says_how_the_forecast_stands(tmp_path: Path) -> None:
    done = example("project_report.py", "r.html", "--title", "May", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "May: variance +3,000.00, 0 conflicts; written to r.html\n"
    assert "<h1><bdi>May</bdi></h1>" in (tmp_path / "r.html").read_text()
    done = example("project_report.py", "r.md", "--where", "category = Dozer", cwd=tmp_path)
    assert done.stdout.startswith("HOLNG: variance +3,000.00")
    assert "Only where: category = Dozer" in (tmp_path / "r.md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("signed_in")
def test_over_plan_lists_what_adds_up_to_the_variance(tmp_path: Path) -> None:
    done = example("over_plan.py", "--first", 2, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "HOLNG-000002  +3,000.00",
        "HOLNG-000001  +0.00",
        "all: +3,000.00, as pfa stats says",
    ]


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_saved_view_saves_narrows_and_sums_a_view(tmp_path: Path) -> None:
    assert example("saved_view.py", "cranes", cwd=tmp_path).returncode == 6
    where = ("--category", "Crane", "--where", "forecastStart > today-90y")
    done = example("saved_view.py", "cranes", *where, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "cranes (yours): 3 records, the first HOLNG-000001, HOLNG-000003, HOLNG-000004",
        "Jetty: 1,000.50",
        "Silo 4: 6,000.00",
    ]
    done = example("saved_view.py", "cranes", "--area", "Jetty", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "cranes (yours): 1 records, the first HOLNG-000004",
        "Jetty: 1,000.50",
    ]


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_export_merged_takes_an_expression_and_shows_what_is_wrong_with_one(tmp_path: Path) -> None:
    late = ("--where", "forecastEnd > originalEnd and category != Crane")
    assert example("export_merged.py", "late.csv", *late, cwd=tmp_path).returncode == 0
    with (tmp_path / "late.csv").open(newline="") as file:
        assert [row["category"] for row in csv.DictReader(file)] == ["Dozer"]
    wrong = example("export_merged.py", "late.csv", "--where", "forecastEn > today", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "did you mean forecastEnd? [INVALID_REQUEST]" in wrong.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("signed_in")
def test_export_merged_writes_csv_and_leaves_nothing_unfinished(tmp_path: Path) -> None:
    assert example("export_merged.py", "out.csv", cwd=tmp_path).returncode == 0
    with (tmp_path / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["category"] for row in rows][-1] == "Pipe | Layer"
    assert rows[3]["monthlyRate"] == ""
    assert {row["syncState"] for row in rows} == {"pristine"}
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_variance_report_puts_the_worst_first(tmp_path: Path) -> None:
    done = example("variance_report.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "# Variance of HOLNG by category"
    assert lines[2].startswith("5 records, forecast 13,000.60, variance 3,000.00 (+30.00 %)")
    assert lines[6:] == [
        "| Dozer | 1 | 3,000.00 | 6,000.00 | 3,000.00 | +100.00 |",
        "| Crane | 3 | 7,000.50 | 7,000.50 | 0.00 | +0.00 |",
        "| Pipe \\| Layer | 1 | 0.10 | 0.10 | 0.00 | +0.00 |",
        "| **total** | 5 | 10,000.60 | 13,000.60 | 3,000.00 | +30.00 |",
    ]
    first = example("variance_report.py", "--top", 1, cwd=tmp_path).stdout.splitlines()
    assert first[7:] == ["| *2 others* | 4 | 7,000.60 | 7,000.60 | 0.00 | +0.00 |", lines[9]]


@pytest.mark.slow
@pytest.mark.usefixtures("signed_in")
def test_variance_report_refuses_an_unknown_dimension(tmp_path: Path) -> None:
    done = example("variance_report.py", "--by", "colour", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "cannot group by 'colour' [INVALID_REQUEST]\n"


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_bulk_review_drafts_rounded_rates(tmp_path: Path) -> None:
    done = example("bulk_review.py", "Crane", "3.5", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "2 of 2 rates drafted, cost effect +210.00\n"
    assert {pfa_id: str(delta["monthlyRate"]) for pfa_id, delta in drafted().items()} == {
        "HOLNG-000001": "3150.54",
        "HOLNG-000003": "3150.54",
    }
    again = example("bulk_review.py", "Crane", "0", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (
        0,
        "2 of 2 rates drafted, cost effect +210.00\n",
    )


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_bulk_review_shows_the_faults_and_saves_nothing(tmp_path: Path) -> None:
    done = example("bulk_review.py", "Crane", "-200", cwd=tmp_path)
    assert done.returncode == 9
    assert [line.rpartition(" ")[2] for line in done.stderr.splitlines()] == [
        "[INVALID_RANGE]",
        "[INVALID_RANGE]",
        "[INVALID_DATA]",
    ]
    assert drafted() == {}


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_take_back_undoes_the_last_operation_and_reverts_what_is_in_pems(tmp_path: Path) -> None:
    for days in (14, 7):
        example("weather_delay.py", "Silo 4", days, cwd=tmp_path)
    done = example("take_back.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first.startswith("save of 2 records of ")
    assert second == "before it: save of 2 records; undoing it deletes 2 drafts"
    example("take_back.py", cwd=tmp_path)
    assert drafted() == {}
    early = example("take_back.py", "--session", "weather-silo4", cwd=tmp_path)
    assert (early.returncode, "[NO_DRAFTS]" in early.stderr) == (6, True)


@pytest.fixture
def with_pfa(tmp_path: Path) -> str:
    """A PATH on which `pfa` is this program, as in an installation."""
    program = tmp_path / "bin" / "pfa"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pfa_cli "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:/usr/bin:/bin"


def nightly(baseline: Path, path: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    reports = tmp_path / "reports"
    return run(
        EXAMPLES / "nightly.sh", baseline, reports, cwd=tmp_path, PATH=path, NIGHTLY_PAUSE="0"
    )


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_the_nightly_job_is_silent_when_all_is_well(
    baseline: Path, with_pfa: str, tmp_path: Path
) -> None:
    done = nightly(baseline, with_pfa, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with (tmp_path / "reports" / "stats.csv").open(newline="") as file:
        assert [row["category"] for row in csv.DictReader(file)] == [
            "Crane",
            "Dozer",
            "Pipe | Layer",
        ]
    lines = (tmp_path / "reports" / "records.jsonl").read_text().splitlines()
    assert len(lines) == len(RECORDS)
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == [
        "records.jsonl",
        "stats.csv",
    ]


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_the_nightly_job_tells_of_rejected_records_and_goes_on(
    baseline: Path, with_pfa: str, tmp_path: Path
) -> None:
    with baseline.open("a") as file:
        file.write(json.dumps(record(6, source="Lease")) + "\n")
    done = nightly(baseline, with_pfa, tmp_path)
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert "INVALID_ENUM_VALUE" in done.stderr
    assert (tmp_path / "reports" / "records.jsonl").exists()


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_the_nightly_job_stops_at_a_failure(with_pfa: str, tmp_path: Path) -> None:
    done = nightly(tmp_path / "absent.jsonl", with_pfa, tmp_path)
    assert (done.returncode, done.stdout) == (6, "")
    assert "ended with 6" in done.stderr
    assert "NOT_FOUND" in done.stderr
    assert list((tmp_path / "reports").iterdir()) == []


def test_the_nightly_job_tries_again_while_the_database_is_away(
    baseline: Path, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "pfa"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" >> "{tmp_path}/calls"\necho away >&2\nexit 69\n')
    program.chmod(0o755)
    done = nightly(baseline, f"{program.parent}:/usr/bin:/bin", tmp_path)
    assert done.returncode == 69
    assert done.stderr.splitlines()[1:] == ["away"]
    assert len((tmp_path / "calls").read_text().splitlines()) == 3


def test_the_crontab_runs_the_nightly_job_with_what_it_needs() -> None:
    lines = (EXAMPLES / "nightly.cron").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    variables = dict(line.split("=", 1) for line in lines if "=" in line.split()[0])
    (job,) = [line for line in lines if "=" not in line.split()[0]]
    assert set(variables) == {"MAILTO", "PATH", "PFA_ORG", "PFA_TOKEN_FILE"}
    assert job.split(maxsplit=5)[5].split()[0].endswith("/examples/nightly.sh")
    assert (EXAMPLES / "nightly.sh").stat().st_mode & stat.S_IXUSR


def drafted() -> dict[str, dict[str, object]]:
    """The deltas of the caller's drafts, by PFA id."""
    settings = pfa.resolve()
    with pfa.open_database(settings) as db:
        drafts = pfa.list_drafts(db, pfa.authenticate(settings), pfa.Filters())
    return {item.pfa_id: dict(item.delta) for item in drafts}


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_use_profile_shows_settings_and_their_sources(tmp_path: Path) -> None:
    pfa.add_profile("quay", {"organization": "HOLNG", "pems.retries": "7"})
    done = example("use_profile.py", "quay", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "organization = HOLNG (profile quay)" in done.stdout.splitlines()
    assert "pems.retries = 7 (profile quay)" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == "5 records"
    assert example("use_profile.py", "key", cwd=tmp_path).returncode == 78


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_review_drafts_sums_by_reason_and_shows_the_largest_effects(tmp_path: Path) -> None:
    assert example("bulk_review.py", "Crane", "50", cwd=tmp_path).returncode == 0
    done = example("review_drafts.py", "1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    records, effect = first.split(": ")[1].split(", ")
    assert (int(records) > 0, effect[0]) == (True, "+")
    assert second.split("  ")[2] == "monthlyRate"


@pytest.mark.long
@pytest.mark.usefixtures("signed_in")
def test_planned_commit_commits_what_it_showed_within_a_limit(tmp_path: Path) -> None:
    assert example("bulk_review.py", "Crane", "50", cwd=tmp_path).returncode == 0
    held = example("planned_commit.py", "1", cwd=tmp_path)
    assert held.returncode == 7
    last = held.stdout.splitlines()[-1]
    assert last.startswith("money: ")
    assert last.endswith(", at most 1 (the command line): nothing was committed")
    done = example("planned_commit.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].endswith(" committed")
    assert drafted() == {}
