"""Start-up: help, version, and what they must not load."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys

import pytest
import typer

from pfa_cli import __version__
from pfa_cli.app import COMMANDS, Program, app, main
from pfa_cli.framework.other_names import OTHER_NAMES
from pfa_core.sql import newest_migration

HEAVY = (
    "psycopg",
    "simplejson",
    "msgspec",
    "tabulate",
    "rich",
    "jwt",
    "platformdirs",
    "pydantic",
    "asyncio",
)
# Beside typer, `--version` and `--help` load these and nothing else.
OF_THE_START = {
    "dataclasses",
    "typer._click._textwrap",
    "typer._click.decorators",
    "pfa_cli",
    "pfa_cli.app",
    "pfa_cli.commands",
    "pfa_cli.commands.catalog",
    "pfa_cli.exit_codes",
    "pfa_cli.framework",
    "pfa_cli.framework.common",
    "pfa_cli.framework.compose",
    "pfa_cli.framework.help",
    "pfa_cli.framework.invocation",
    "pfa_cli.framework.kept_values",
    "pfa_cli.framework.loading",
    "pfa_cli.framework.options",
    "pfa_cli.framework.signals",
    "pfa_cli.framework.talk",
    "pfa_cli.render",
    "pfa_cli.render.escape",
    "pfa_cli.render.formats",
    "pfa_cli.render.names",
    "pfa_cli.render.streams",
    "pfa_core",
    "pfa_core.errors",
    "pfa_core.model",
    "pfa_core.model.secret",
}
LOADED = (
    "import sys, typer; before = set(sys.modules);"
    "from pfa_cli.app import main; code = main(sys.argv[1:]);"
    "print(*sorted(set(sys.modules) - before), file=sys.stderr); sys.exit(code)"
)
GROUPS = {
    "draft": ("save", "set", "unset", "shift", "list"),
    "sync": ("pull", "runs", "show"),
    "auth": ("issue", "login", "status", "logout"),
    "org": ("add", "list"),
    "user": ("grant", "revoke", "list"),
    "db": ("upgrade", "status", "stop", "url", "psql"),
}
EVERY_COMMAND = [
    *((name,) for name in COMMANDS if name not in GROUPS),
    *((group, name) for group, names in GROUPS.items() for name in names),
]


def loaded(*words: str) -> list[str]:
    """The modules that a command line loads beside typer."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words], capture_output=True, text=True, check=True
    )
    return done.stderr.split()


@pytest.mark.parametrize("words", [["--version"], ["--help"], []], ids=" ".join)
def test_the_start_loads_these_modules_beside_typer_and_no_other(words: list[str]) -> None:
    assert [name for name in loaded(*words) if name not in OF_THE_START] == []


@pytest.mark.variants(2)
@pytest.mark.parametrize(
    ("words", "modules"),
    [
        (("list", "--help"), ["records"]),
        (("stats", "--help"), ["stats"]),
        (("draft", "set", "--help"), ["drafts"]),
        (("conflict", "list", "--help"), ["conflict"]),
        (("sync", "pull", "--help"), ["sync"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_only_the_module_of_the_named_command_is_loaded(
    words: tuple[str, ...], modules: list[str]
) -> None:
    below = "pfa_cli.commands."
    found = {name.removeprefix(below).split(".")[0] for name in loaded(*words) if below in name}
    assert sorted(found - {"catalog"}) == modules


@pytest.mark.parametrize("name", COMMANDS)
def test_the_catalog_says_of_a_command_what_its_own_help_says(name: str) -> None:
    program = typer.main.get_command(app)
    assert isinstance(program, Program)
    command = program.get_command(typer.Context(program), name)
    first_line = inspect.cleandoc(command.help).splitlines()[0]
    assert COMMANDS[name].summary == first_line


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_a_name_from_another_tool_leads_to_a_command(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    meant = OTHER_NAMES[name]
    assert main(name.split()) == 2
    assert f"hint: type: {meant}\n" in capsys.readouterr().err
    words = [word for word in meant.split()[1:] if word.islower() and not word.startswith("-")]
    assert main([*name.split(), "--help"]) == 2
    assert f"hint: type: pfa help {' '.join(words)}\n" in capsys.readouterr().err
    assert main(["help", *words]) == 0
    options = {word for word in meant.split() if word.startswith("--")}
    assert options <= set(capsys.readouterr().out.replace(",", " ").split())


def test_of_an_unknown_command_of_a_group_the_nearest_is_named_or_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["draft", "sav", "x.json"]) == 2
    assert capsys.readouterr().err == (
        "hint: type: pfa draft save\nerror: unknown command 'draft sav' [INVALID_REQUEST]\n"
    )
    assert main(["auth", "keys", "turn"]) == 2
    assert capsys.readouterr().err == (
        "hint: type: pfa auth keys --help; its commands: list, rotate, retire\n"
        "error: unknown command 'auth keys turn' [INVALID_REQUEST]\n"
    )


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["list", "--help"], []])
def test_help_and_version_load_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys; from pfa_cli.app import main; code = main(sys.argv[1:]);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[] 0\n"


def test_versions_name_the_schema_and_every_dependency(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["version", "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["data"]
    assert (found["pfa"], found["programSchema"]) == (__version__, newest_migration())
    dependencies = found["dependencies"]
    assert dependencies["typer"] == typer.__version__
    assert {"psycopg", "rich", "pydantic", "pyjwt", "urllib3"} <= set(dependencies)
    assert "pytest" not in dependencies  # an extra
    assert main(["version"]) == 0
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["psycopg"] == dependencies["psycopg"]
    assert lines["pfa"] == __version__


def test_the_version_is_printed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pfa {__version__}\n"


def test_the_program_alone_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Usage: pfa")
    assert printed.err == ""


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    printed = capsys.readouterr().out
    assert [name for name in COMMANDS if f"\n  {name} " not in printed] == []


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
def test_every_command_has_help_with_its_options_in_sections(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--help"]) == 0
    printed = capsys.readouterr().out
    first_line = printed.split("\n\n")[1].strip()
    assert first_line
    assert printed.endswith("\nOptions of every command: pfa help options\n")
    assert "--error-format" not in printed
    assert max(map(len, printed.splitlines())) <= 100
    assert help_of(capsys, *words) == printed


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["help", *words]) == 0
    return capsys.readouterr().out


def test_the_options_of_every_command_have_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    printed = help_of(capsys, "options")
    assert printed.startswith("Options everywhere, before or after the command:\n")
    for option in ("--org", "--profile", "--output", "--error-format", "--dry-run", "--color"):
        assert option in printed


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_lists_its_commands(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([group, "--help"]) == 0
    printed = capsys.readouterr().out
    assert main([group]) == 0
    assert capsys.readouterr().out == printed
    assert [name for name in GROUPS[group] if f"\n  {name} " not in printed] == []


@pytest.mark.parametrize(
    "words",
    [("commit",), ("draft", "save"), ("sync", "pull"), ("discard",), ("uncommit",)],
    ids=" ".join,
)
def test_writes_offer_a_dry_run(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    main([*words, "--help"])
    assert "--dry-run" in capsys.readouterr().out


def test_reads_do_not_offer_a_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "--help"])
    assert "--dry-run" not in capsys.readouterr().out


def test_the_module_runs_like_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pfa_cli", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"pfa {__version__}\n")


@pytest.mark.parametrize("words", [["--version"], ["list", "--help"], ["list", "--no-such"]])
def test_a_start_searches_no_object_for_cycles(words: list[str]) -> None:
    script = (
        "import gc, sys\n"
        "searched = lambda: sum(one['collections'] for one in gc.get_stats())\n"
        "before = searched()\n"
        "from pfa_cli.main import main\n"
        "code = main()\n"
        "left = sum(len(gc.get_objects(generation)) for generation in range(3))\n"
        "print(code, searched() - before, left < 100 < gc.get_freeze_count(), file=sys.stderr)\n"
    )
    env = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(2):  # the first one may have to compile what the second loads
        done = subprocess.run(
            [sys.executable, "-c", script, *words],
            capture_output=True,
            text=True,
            check=True,
            env=env,
        )
    code = 2 if words[-1] == "--no-such" else 0
    # The last line: an error of the command line comes before it.
    assert done.stderr.splitlines()[-1] == f"{code} 0 True"


def test_an_interrupt_while_the_program_is_loaded_is_quiet() -> None:
    script = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'pfa_cli.app':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from pfa_cli.main import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
