"""Answers: what each word may become, how soon, and that nothing is ever an error."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pfa_cli.completion import cache
from pfa_cli.completion.answer import answer
from tests.completion.conftest import ADDRESS, ORG

ROOT = Path(__file__).resolve().parents[2]
BREAKS = " \t\n\"'@><=;|&(:"
SLOWEST = 0.150
RATIO = 3.0


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "generate_completion", ROOT / "docs" / "generate_completion.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def offered(line: str) -> list[str]:
    """What zsh is offered for a line whose words have no blanks."""
    words = line.split(" ")[1:]
    rows = answer(["zsh", *words], os.environ).splitlines()[1:]
    return [row.partition("\t")[0] for row in rows]


def test_the_tree_is_that_of_the_commands() -> None:
    generator = load_generator()
    assert generator.FILE.read_text() == generator.text(), "run: python docs/generate_completion.py"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pfa comm", ["commit"]),
        ("pfa help comm", ["commit"]),
        ("pfa draft ", ["save", "set", "unset", "shift", "list"]),
        ("pfa sync sh", ["show"]),
        ("pfa auth keys r", ["rotate", "retire"]),
        ("pfa list --dor ", ["BEO", "PROJECT"]),
        ("pfa list --state co", ["committed", "conflict"]),
        ("pfa list --STATE", ["--state"]),
        ("pfa list --output js", ["json", "jsonl"]),
        ("pfa list -oma", ["-omarkdown"]),
        ("pfa list --sort category,mon", ["category,monthlyRate"]),
        ("pfa list --sort -category,-mon", ["-category,-monthlyRate"]),
        ("pfa list --sort category,categ", []),
        ("pfa stats --by category,sour", ["category,source"]),
        ("pfa stats --columns draft_i", ["draft_impact"]),
        ("pfa log show --action com", ["commit"]),
        ("pfa log --action com", ["commit"]),
        ("pfa log ver", ["verify"]),
        ("pfa org set --rate-uom w", ["week"]),
        ("pfa user grant anna --role e", ["editor"]),
        ("pfa auth issue --service x --right sync", ["sync"]),
        ("pfa auth issue --service x --right manage", []),
        ("pfa schema run", ["run", "runs"]),
        ("pfa sync push --if-locked w", ["wait"]),
        ("pfa draft set H-1 isActualized=t", ["isActualized=true"]),
        ("pfa draft set H-1 forecastE", ["forecastEnd="]),
        ("pfa draft set H-1 pemsV", []),
        ("pfa draft unset H-1 forecastE", ["forecastEnd"]),
        ("pfa conflict resolve H-1 --take p", ["purchasePrice=", "pems"]),
        ("pfa completion z", ["zsh"]),
        ("pfa list -- --sta", []),
        ("pfa list --start-from ", []),
        ("pfa list --nonsense=x", []),
        ("pfa nonsense --cat", []),
    ],
)
def test_a_word_becomes_what_its_command_takes(line: str, expected: list[str]) -> None:
    assert sorted(offered(line)) == sorted(expected)


@pytest.mark.parametrize(
    "line",
    ["pfa sync pull --from ", "pfa draft save ", "pfa list --token-file ", "pfa auth login "],
)
def test_a_file_is_the_shell_s_to_complete(line: str) -> None:
    assert answer(["bash", line, BREAKS], os.environ) == "files\n"


@pytest.mark.usefixtures("kept")
class TestKeptValues:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("pfa list --area-silo ", ["Silo 4", "Silo 5"]),
            ("pfa list --area-silo silo", ["Silo 4", "Silo 5"]),
            ("pfa draft set HOLNG-000123 areaSilo=", ["areaSilo=Silo 4", "areaSilo=Silo 5"]),
            ("pfa show hol", ["HOLNG-000123"]),
            ("pfa list --org RIO --area-silo ", []),
            ("pfa --org RIO list --area-silo ", []),
            ("pfa list --org=RIO --area-silo ", []),
            ("pfa list --area-silo x --org HOLNG --area-silo ", ["Silo 4", "Silo 5"]),
            ("pfa list --database-url postgresql://other/pfa --area-silo ", []),
        ],
    )
    def test_they_are_those_of_the_organization_that_the_line_names(
        self, line: str, expected: list[str]
    ) -> None:
        assert sorted(offered(line)) == sorted(expected)

    def test_sessions_are_those_of_the_token_s_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        key = cache.key(ADDRESS, ORG)
        cache.keep(key, {cache.own("session", user): [f"of-{user}"] for user in ("anna", "ben")})
        assert offered("pfa diff ") == []
        # The body of a token that nothing has signed: {"sub":"ben"}
        monkeypatch.setenv("PFA_TOKEN", "eyJ.eyJzdWIiOiJiZW4ifQ.x")
        assert offered("pfa diff ") == ["of-ben"]
        assert offered("pfa commit --session ") == ["of-ben"]

    def test_bash_keeps_what_is_typed_where_case_differs_in_several(self) -> None:
        cache.keep(cache.key(ADDRESS, ORG), {"category": ["Alpha", "aLarm"]})
        assert answer(["bash", "pfa list --category al", BREAKS], os.environ) == "values\n"

    def test_profiles_are_those_of_the_file(self, home: Path) -> None:
        folder = home / "config" / "pfa"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text('[profiles.test]\n[profiles."big one"]\n')
        assert offered("pfa list --profile ") == ["test", "big one"]


def ran(*words: str, **environ: str | None) -> subprocess.CompletedProcess[bytes]:
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    return subprocess.run(
        [sys.executable, "-m", "pfa_cli", "__complete", *words],
        capture_output=True,
        env={name: value for name, value in variables.items() if value is not None},
        check=True,
    )


@pytest.mark.variants(3)
@pytest.mark.parametrize(
    "words",
    [
        (),
        ("bash",),
        ("bash", ""),
        ("bash", "pfa list --category 'x", BREAKS),
        ("tcsh", "pfa"),
        ("zsh",),
        ("fish", "\udcff"),
        ("bash", "pfa list --category \udcff\\", BREAKS),
        ("zsh", "--org", "x" * 100_000, "list", "--category", ""),
    ],
)
def test_nothing_is_said_on_stderr(words: tuple[str, ...]) -> None:
    done = ran(*words, PFA_ORG=ORG)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.variants(2)
@pytest.mark.parametrize(
    "environ",
    [
        {"HOME": None, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None, "XDG_STATE_HOME": None},
        {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null", "XDG_CONFIG_HOME": "/dev/null"},
        {"PFA_TOKEN_FILE": "/dev/zero"},
        {"PFA_DATABASE_URL": "postgresql://10.255.255.1/never"},
        {"LC_ALL": "C", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
    ],
    ids=str,
)
def test_wherever_it_runs_it_answers(environ: dict[str, str | None]) -> None:
    done = ran("bash", "pfa list --category ", BREAKS, **{"PFA_ORG": ORG, **environ})
    assert (done.returncode, done.stderr, done.stdout[:7]) == (0, b"", b"values\n")


def test_values_are_utf_8_in_any_locale(kept: None) -> None:
    done = ran("bash", "pfa list --category Ö", BREAKS, LC_ALL="C", PYTHONUTF8="0")
    assert done.stdout.decode() == "values\nÖl\\ \\&\\ Gas\n"


def test_a_reader_that_is_gone_is_no_error() -> None:
    program = f"'{sys.executable}' -m pfa_cli __complete bash 'pfa list --' | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", program], capture_output=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_it_loads_neither_typer_nor_what_opens_connections(kept: None) -> None:
    code = (
        "import sys; from pfa_cli.main import main;"
        "sys.argv[1:] = ['__complete', 'bash', 'pfa list --category ', '']; main();"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    loaded = set(done.stderr.split())
    assert "Crane" in done.stdout
    heavy = ("typer", "click", "psycopg", "jwt", "rich", "pydantic", "socket", "subprocess", "ssl")
    assert [name for name in heavy if name in loaded] == []
    assert sorted(name for name in loaded if name.startswith(("pfa_core", "pfa_cli"))) == [
        "pfa_cli", "pfa_cli.completion", "pfa_cli.completion.answer", "pfa_cli.completion.cache",
        "pfa_cli.completion.candidates", "pfa_cli.completion.line", "pfa_cli.completion.place",
        "pfa_cli.completion.quoting", "pfa_cli.exit_codes", "pfa_cli.main",
        "pfa_core", "pfa_core.config", "pfa_core.config.addresses", "pfa_core.config.choices",
    ]  # fmt: skip


QUIET = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]


@pytest.mark.long
def test_an_answer_takes_little_more_than_the_interpreter(kept: None) -> None:
    """At most 150 ms of processor as a whole process, or a multiple of what `python -c pass` takes.

    Time on the processor, because on a busy machine each also waits for others; the least of each counts.
    """
    many = {"record": [f"HOLNG-{number:06}" for number in range(1000)]}
    cache.keep(cache.key(ADDRESS, ORG), many)
    argv = [sys.executable, "-m", "pfa_cli", "__complete", "bash", "pfa show HOLNG-0009", BREAKS]
    taken, bare = [], []
    for _ in range(9):
        bare.append(seconds([sys.executable, "-c", "pass"]))
        taken.append(seconds(argv))
    assert min(taken) < max(SLOWEST, RATIO * min(bare))


def seconds(argv: list[str]) -> float:
    """Return the processor time of a process, in seconds."""
    pid = os.posix_spawn(argv[0], argv, os.environ | {"PYTHONPATH": str(ROOT)}, file_actions=QUIET)
    _, status, used = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return used.ru_utime + used.ru_stime


def test_every_option_of_the_tree_has_a_kind_that_is_known() -> None:
    tree = json.loads((ROOT / "pfa_cli" / "completion" / "tree.json").read_text())
    kept = {"category", "class", "areaSilo", "manufacturer", "model", "contract", "currency"}
    kept |= {"record", "session", "run", "user", "conflict", "organization", "profile"}
    kept |= {"view"}
    known = {*tree["values"], *kept, "flag", "text", "file", "assignment", "taking", "column"}
    kinds = [kind for _, kind, _ in tree["options"]]
    kinds += [kind for entry in tree["commands"].values() for kind, _ in entry["arguments"]]
    parts = [part for kind in kinds for part in kind.lstrip(",-").split("|")]
    assert [part for part in parts if part not in known and not part.startswith("=")] == []
