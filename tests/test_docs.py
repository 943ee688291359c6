"""The documentation says what the program does, and its links lead somewhere."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import pfa_core
from docs.generate_reference import pages
from docs.reference_pages.commands import walk
from docs.reference_pages.sections import COMMAND_PAGES, section_of
from docs.reference_pages.tables import VARIABLES
from pfa_cli.glossary.codes import FAULTS
from pfa_cli.glossary.terms import TERMS
from pfa_cli.schemas import names
from pfa_core.errors import FaultCode, PfaError
from pfa_core.model.audit import Action
from pfa_core.model.modification import State
from pfa_core.model.record import FIELDS
from pfa_core.model.rights import FIELD_NEEDS, NEEDS
from pfa_core.model.run import RunStatus

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")]
    if path.is_file()
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FAULT = re.compile(r"(?:Wrong\(|Fault\((?:[^()]|\([^()]*\))*?)FaultCode\.([A-Z]+_[A-Z_]+)")
VARIABLE = re.compile(
    r'"((?:PFA_(?!ID\b)[A-Z_]+)|DATABASE_URL|CREDENTIALS_DIRECTORY|XDG_[A-Z]+_HOME|NO_COLOR|FORCE_COLOR|CLICOLOR_FORCE|PAGER)"'
)


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


# Where pages lie that are made from the code; made when a test looks at them, for every worker collects it.
MADE = sorted(
    [*ROOT.glob("docs/reference/*"), ROOT / "docs" / "glossary.md", ROOT / "docs" / "life-cycle.md"]
)
made = cache(pages)
COMMANDS: dict[str, tuple[Any, Any]] = {
    name: (command, context) for name, command, context in walk()
}


@pytest.mark.parametrize("path", MADE, ids=place)
def test_a_page_made_from_the_code_is_up_to_date(path: Path) -> None:
    assert path.read_text() == made()[path], "run: python docs/generate_reference.py"


def test_every_command_has_help() -> None:
    assert len(COMMANDS) > 40
    assert {name: what for name in COMMANDS if (what := lacks_help(*COMMANDS[name]))} == {}


def lacks_help(command: Any, context: Any) -> list[str]:
    """The options without help, and `the command` where its own is too short or no sentence."""
    text = command.help.strip()
    good = len(text) > 10 and text.splitlines()[0].endswith(".")
    own = [param for param in command.get_params(context) if not getattr(param, "hidden", False)]
    silent = [param.name for param in own if not param.help and "filter" not in panel(param)]
    return silent if good else ["the command", *silent]


def test_every_generated_page_is_one_of_the_generator() -> None:
    assert made().keys() == set(MADE)


def test_every_command_has_a_section_and_a_line_in_the_index() -> None:
    index = (ROOT / "docs" / "reference" / "README.md").read_text()
    for name in COMMANDS:
        page = ROOT / "docs" / "reference" / COMMAND_PAGES[section_of(name)]
        anchor = name.replace(" ", "-")
        assert anchor in anchors(page)
        assert f"| [`{name}`]({page.name}#{anchor}) |" in index


def test_the_index_has_every_option_field_code_variable_and_shape() -> None:
    index = (ROOT / "docs" / "reference" / "README.md").read_text().partition("\n## Index\n")[2]
    named = set(re.findall(r"`([^`]+)`", index)) | set(re.findall(r"\[([\w-]+)\]\(json", index))
    options = {
        spelling
        for command, context in COMMANDS.values()
        for param in command.get_params(context)
        if param.param_type_name == "option"
        for spelling in (*param.opts, *param.secondary_opts)
        if param.name != "help"
    }
    wanted = {*options, *FIELDS, *FAULTS, *VARIABLES, *names(), "LEASE_HELD"}
    assert len(options) > 80
    assert wanted - named == set()


def test_every_page_is_reached_from_an_index() -> None:
    indexes = (ROOT / "docs" / "README.md", ROOT / "docs" / "reference" / "README.md")
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in indexes
        for target in LINK.findall(page.read_text())
    }
    pages = set(ROOT.glob("docs/**/*.md"))
    assert len(pages) > 25
    assert pages - linked - {indexes[0]} == set()
    assert "(docs/README.md)" in (ROOT / "README.md").read_text()


def test_the_glossary_has_every_word_of_a_set_in_one_line() -> None:
    page = ROOT / "docs" / "glossary.md"
    sets = {
        "Terms": TERMS,
        "States of a record in your list": State,
        "Statuses of a run": RunStatus,
        "Actions of the audit trail": Action,
    }
    for title, words in sets.items():
        lines = [line.split("|")[1:] for line in section(page, title).splitlines() if "|" in line]
        assert [line[0].strip() for line in lines[2:]] == sorted(
            map(str, words),
            key=str.lower if title == "Terms" else [str(word) for word in words].index,
        )
        assert [line[0] for line in lines if len(line[1]) > 120] == []


def test_the_readme_fits_and_shows_a_picture_that_is_there() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert pictures
    assert [name for name in pictures if not (ROOT / name).is_file()] == []


def test_nothing_points_to_a_page_that_is_not_there() -> None:
    sources = [*ROOT.glob("pfa_c*/**/*.py"), *ROOT.glob("*/*.py"), ROOT / "CONTRIBUTING.md"]
    named = {
        name
        for path in sources
        for name in re.findall(r"docs/[\w./-]*\w\.(?:md|py|svg)", path.read_text())
    }
    assert len(named) > 5
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_public_name_has_a_docstring() -> None:
    assert len(pfa_core.__all__) > 80
    assert [name for name in pfa_core.__all__ if not inspect.getdoc(getattr(pfa_core, name))] == []
    assert [name for name in pfa_core.__all__ if name in vars(object)] == []


def test_names_of_earlier_shapes_stay_importable() -> None:
    assert pfa_core.push_commitments is pfa_core.push_changes
    assert pfa_core.nearest_value is pfa_core.suggest_value
    assert pfa_core.wall_status is pfa_core.rls_status


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    broken = []
    for target in LINK.findall(text):
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_every_command_line_shown_is_one_that_the_program_takes(page: Path) -> None:
    wrong = [line for line in command_lines(page.read_text()) if not is_known(line)]
    assert wrong == []


def test_every_fault_code_of_the_source_is_explained() -> None:
    text = "".join(path.read_text() for path in sorted(ROOT.glob("pfa_core/**/*.py")))
    used = set(FAULT.findall(text)) | {"FOREIGN_ORGANIZATION"}
    assert len(used) > 10
    assert used - set(FAULTS) == set()
    assert set(FAULTS) <= set(FaultCode)


# Fields of PEMS's own screens that look like variables of pfa.
PEMS_FIELDS = ("PFA_ACT", "PFA_DIS", "PFA_CA_")


def test_every_environment_variable_of_the_source_is_explained() -> None:
    sources = [*ROOT.glob("pfa_core/**/*.py"), *ROOT.glob("pfa_cli/**/*.py")]
    used = {name for path in sources for name in VARIABLE.findall(path.read_text())}
    used = {name for name in used if not name.startswith(PEMS_FIELDS)}
    assert used == set(VARIABLES)


def test_decisions_are_numbered_without_gaps_and_each_has_a_status() -> None:
    _, *entries = re.split(r"(?m)^### ", (ROOT / "docs" / "decisions.md").read_text())
    assert [int(entry.split(".")[0]) for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry for entry in entries if not re.match(r".*\n\nStatus: (?!$)", entry)] == []


# A path in backticks: from the root, or as people write it, from the package.
PATH_SHOWN = re.compile(r"`((?:[\w.]+/)+(?:\w+\.(?:py|sql))?|\w+\.py)`")


@pytest.mark.parametrize(
    "name", ["docs/architecture.md", "docs/decisions.md", "CONTRIBUTING.md", "docs/security.md"]
)
def test_every_file_and_folder_that_a_page_names_is_there(name: str) -> None:
    roots = [ROOT, ROOT / "pfa_core", ROOT / "pfa_cli", ROOT / "docs"]
    named = set(PATH_SHOWN.findall((ROOT / name).read_text()))
    assert named
    lost = [path for path in named if not any((root / path).exists() for root in roots)]
    assert sorted(lost) == []


def test_the_threat_model_names_tests_that_are_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`(tests/[\w/.]+)`", text)
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_attacks_that_are_listed_are_repeated_by_tests_that_are_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    table = text.partition("| attack | repeated by |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = table.splitlines()
    assert len(rows) == 19
    for row in rows:
        named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", row)
        assert named, row
        for path, name in named:
            defined = re.compile(rf"^(?:def|class) {name}\b", re.MULTILINE)
            assert defined.search((ROOT / path).read_text()), (path, name)


def test_the_tables_of_rights_are_those_of_the_code() -> None:
    page = ROOT / "docs" / "security.md"

    def rows(title: str) -> dict[str, set[str]]:
        lines = [line.split("|")[1:3] for line in section(page, title).splitlines() if "|" in line]
        return {left.strip(): set(re.findall(r"`(\w+)`", right)) for left, right in lines[2:]}

    operations: dict[str, set[str]] = {}
    for operation, right in NEEDS.items():
        operations.setdefault(f"`{right}`", set()).add(operation)
    assert rows("Rights") == operations
    stated = {
        name: rights
        for names, rights in rows("Fields").items()
        for name in re.findall(r"`(\w+)`", names)
    }
    for name, rights in FIELD_NEEDS.items():
        assert stated.get(name, rows("Fields")["all others that can be edited"]) == rights


def test_the_readme_holds_the_two_commands_each_on_one_line() -> None:
    text = (ROOT / "README.md").read_text()
    assert command_below(text, "demo-command") == (
        "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/pfa demo"
    )
    assert command_below(text, "test-command") == (
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest"
    )


def test_the_exit_codes_of_the_automation_page_are_those_of_the_reference() -> None:
    def numbers(page: Path, title: str) -> set[int]:
        rows = [line.split("|")[1] for line in section(page, title).splitlines() if "|" in line]
        return {int(number) for row in rows for number in re.findall(r"\d+", row)}

    stated = numbers(ROOT / "docs" / "automation.md", "Act on the exit code")
    assert stated == numbers(ROOT / "docs" / "reference" / "errors.md", "Exit codes")


def test_the_library_example_runs(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PFA_DATABASE_URL", database_url)
    baseline = tmp_path / "mirror.csv"
    baseline.write_text(
        "pfaId,category,source,monthlyRate,forecastStart,forecastEnd\n"
        "HOLNG-1,Crane,Rental,3044,2026-01-01,2026-01-31\n"
    )
    settings = pfa_core.resolve()
    with pfa_core.open_database(settings) as db:
        pfa_core.initialize(db, settings, "HOLNG")
        principal = pfa_core.authenticate(pfa_core.resolve())
        pfa_core.pull_files(db, principal, [str(baseline)])
    (code,) = [
        body
        for kind, body in FENCE.findall((ROOT / "docs" / "automation.md").read_text())
        if kind == "python"
    ]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 3000.00 0.00\n", "")


def panel(param: Any) -> str:
    return str(getattr(param, "rich_help_panel", "") or "").lower()


def section(page: Path, title: str) -> str:
    """The text below a second-level heading."""
    return page.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def command_below(text: str, mark: str) -> str:
    lines = text.splitlines()
    at = lines.index(f"<!-- {mark} -->")
    assert lines[at + 1] == "```sh"
    assert lines[at + 3] == "```"
    return lines[at + 2]


def anchors(page: Path) -> set[str]:
    """The anchors that headings get."""
    found = set()
    for line in FENCE.sub("", page.read_text()).splitlines():
        if line.startswith("#"):
            words = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
            found.add(words.replace(" ", "-"))
    return found


def command_lines(text: str) -> Iterator[str]:
    """Every `pfa …` in a block for the shell, without what surrounds it there."""
    for kind, body in FENCE.findall(text):
        if kind not in ("sh", "console"):
            continue
        for line in re.sub(r"\\\n\s*", " ", body).splitlines():
            shown = line.removeprefix("$ ")
            if kind == "console" and shown == line:
                continue
            # What is quoted is one word, whatever is in it.
            words = r"""(pfa (?:'[^']*'|"[^"]*"|[^|;&)>'"])+)"""
            yield from re.findall(r"(?:^|[|;(&] ?|\$\(|then |if |do )" + words, shown)


# A group that does something by itself, and what.
IN_FULL = {"pfa log": "pfa log show"}


def is_known(line: str) -> bool:
    """Whether the program has the command, and the command every option of the line."""
    words = shlex.split(line, comments=True)
    before = [word for word in words[1:] if not word.startswith("-")]
    # `pfa auth keys` alone lists.
    meant = (before[:3], before[:2], [*before[:2], "list"] if before[1:] else [], before[:1])
    name = next((f"pfa {' '.join(some)}" for some in meant if is_command(some)), None)
    if name is None:
        return words[1] in ("--version", "--help")
    command, context = COMMANDS[IN_FULL.get(name, name)]
    taken = {
        spelling
        for param in command.get_params(context)
        for spelling in (*param.opts, *param.secondary_opts)
    }
    words = words[: words.index("--")] if "--" in words else words
    options = [word.partition("=")[0] for word in words if re.match(r"--[a-z]|-[a-z]$", word)]
    return all(option in taken for option in options)


def is_command(words: list[str]) -> bool:
    name = f"pfa {' '.join(words)}"
    return IN_FULL.get(name, name) in COMMANDS


def test_the_table_of_what_a_password_opens_has_every_table_of_an_organization() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    page = text.partition("\n### What a holder of the password can still do\n")[2].partition(
        "\n### "
    )[0]
    schema = (ROOT / "pfa_core/sql/migrations/0001_schema.sql").read_text()
    tables = re.findall(
        r"^CREATE (?:UNLOGGED )?TABLE (\w+) \(\n    organization_id", schema, re.MULTILINE
    )
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row[1])]
    assert sorted(listed) == sorted(tables)
    assert all(re.search(r"`tests/", row[-2]) for row in rows)


def error_kinds(kind: type[PfaError] = PfaError) -> list[type[PfaError]]:
    return [kind, *(each for below in kind.__subclasses__() for each in error_kinds(below))]


def test_operations_says_of_every_error_what_is_safe_and_what_to_type() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    sections = dict(re.findall(r"^### (.+)\n((?:(?!^#).*\n)*)", text, re.MULTILINE))
    for title, body in sections.items():
        parts = re.findall(r"^- \*\*(You see|Safe|Type)\*\*", body, re.MULTILINE)
        assert parts == ["You see", "Safe", "Type"], title
    exits = {
        title: int(number)
        for title, body in sections.items()
        if (number := "".join(re.findall(r"\AExit code (\d+)", body.strip())))
    }
    assert exits == {kind.code: kind.exit_code for kind in error_kinds()}


@pytest.mark.parametrize("name", ["docs/operations.md", "CHANGELOG.md"])
def test_the_commands_that_a_page_names_in_its_text_are_there(name: str) -> None:
    text = (ROOT / name).read_text()
    lines = re.findall(r"`(pfa [^`]+)`", text)
    assert len(lines) > 30
    assert [line for line in lines if not is_known(line)] == []
