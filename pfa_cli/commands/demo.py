"""`pfa demo`, a whole example on bundled data.

It runs on a server that is removed at the end.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer

import pfa_core as core
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_cli.render import streams
from pfa_core.errors import Internal, PfaError

if TYPE_CHECKING:
    from pfa_core.pems.sandbox.server import Sandbox

app = typer.Typer(rich_markup_mode=None)
_KEPT_VARIABLES = ("PFA_PG_BINDIR", "PFA_EMBEDDED_USER")


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the demo, its expected exit code, the change in PEMS before it."""

    story: str
    arguments: tuple[str, ...]
    code: int = 0
    before: Callable[[Sandbox, Path], None] | None = None


def _overnight(pems: Sandbox, folder: Path) -> None:
    """Change the records in PEMS to those of the next day."""
    held = {record.pfa_id: record.data for record in pems.records}
    for line in (folder / "mirror-next-day.jsonl").read_text("utf-8").splitlines():
        record = core.exact_json.loads(line)
        changes = {
            name: value
            for name, value in record.items()
            if name != "pfaId" and value != held[record["pfaId"]].get(name)
        }
        if changes:
            pems.change(record["pfaId"], **changes)


def _another_user(pems: Sandbox, _folder: Path) -> None:
    """Change in PEMS, after the last pull, a field that a committed change sets too."""
    pems.change(DISPUTED, forecastEnd="2027-07-31")


_INDENT = " " * len("12. ")
DISPUTED = "DEMO-0016"
STEPS = (
    Step("Set up: database, organization, a token for you.", ("init", "--org", "DEMO")),
    Step(
        "Pull the records from PEMS: 240 equipment lines of a small project. (Here PEMS is a sandbox"
        " that the demo runs; yours is set by PFA_PEMS_URL.)",
        ("sync", "pull"),
    ),
    Step(
        "List the planned cranes (the first five).",
        ("list", "--category", "Crane", "--no-actualized", "--no-discontinued", "--limit", "5"),
    ),
    Step("Sum the cost: plan, forecast, actual.", ("stats",)),
    Step(
        "Rain stops Silo 4 for 14 days. Your planner sends a file of deltas; save them as drafts.",
        ("draft", "save", "delta-weather.json"),
    ),
    Step(
        "Edit by hand: a better rate for one generator fleet.",
        (
            "draft",
            "set",
            "--category",
            "Generator",
            "--area-silo",
            "Jetty",
            "--no-actualized",
            "--no-discontinued",
            "monthlyRate=2950.50",
            "--into",
            "rates",
            "--reason",
            "new contract",
        ),
    ),
    Step(
        "Reads are merged live: the list shows the drafted rates.",
        ("list", "--session", "rates"),
    ),
    Step("Before and after, field by field, with the cost.", ("diff", "rates")),
    Step("The KPIs with your drafts in them.", ("stats", "--by", "category")),
    Step(
        "The rates are not agreed yet: discard them. (The audit trail keeps them.)",
        ("discard", "--session", "rates"),
    ),
    Step(
        "PEMS changed overnight: pull what changed. Only changed records are written; drafts stay.",
        ("sync", "pull", "--incremental"),
        before=_overnight,
    ),
    Step(
        "Commit. PEMS changed one field that you change too, so nothing is committed.",
        ("commit", "--session", "weather-silo4"),
        code=7,
    ),
    Step(
        "Take PEMS's date for that field; your other date stays.",
        ("draft", "unset", "{overtaken}", "forecastEnd"),
    ),
    Step("Commit again.", ("commit", "--session", "weather-silo4")),
    Step(
        "Push. Meanwhile another user changed an end date in PEMS that you change too: that one becomes"
        " a conflict, all others are sent, each exactly once.",
        ("sync", "push"),
        code=3,
        before=_another_user,
    ),
    Step("List the conflicts.", ("conflict", "list")),
    Step("Resolve it: keep your end date.", ("conflict", "resolve", DISPUTED, "--take", "mine")),
    Step("Push again. PEMS and the mirror agree.", ("sync", "push")),
    Step("Check the status.", ("status",)),
)


@command(app, "demo", effect=Effect.IMMEDIATE, examples=("pfa demo",))
def demo(call: Invocation, talk: Talk) -> int:
    """Run a whole example on bundled data; your own data is not touched."""
    home = call.settings.embedded_dir / f"demo-{os.getpid()}"
    _say("This runs on a separate database, which is removed at the end.\n")
    with _sample() as folder, _isolated(home), _pems(folder) as pems:
        for number, step in enumerate(STEPS, 1):
            if step.before:
                step.before(pems, folder)
            code = _run(call, number, step, folder)
            if code != step.code:
                return _ended_early(talk, number, step, code)
    _say("\nEnd of the demo. To practise with its files: pfa sample\n")
    _say("To start with your own data: pfa init --org CODE\n")
    return 0


def _ended_early(talk: Talk, number: int, step: Step, code: int) -> int:
    """Say at which step the demo ended; the command of the step has said why.

    Raises:
        Internal: The step should have failed.
    """
    if not code:
        raise Internal(f"the demo's step {number} ended with 0 instead of {step.code}")
    talk.say(f"the demo ended at step {number}; its database is removed")
    return code


def _run(call: Invocation, number: int, step: Step, folder: Path) -> int:
    """Run the command of a step; return its exit code."""
    arguments = [_overtaken() if part == "{overtaken}" else part for part in step.arguments]
    _say(f"\n{number:2}. {_story(step)}\n{_as_typed(arguments)}\n")
    files_named = [str(folder / part) if (folder / part).is_file() else part for part in arguments]
    return call.program([*files_named, "-o", "table", "--no-pager"])


def _story(step: Step) -> str:
    """Fold the story of a step to the terminal, below its number."""
    from pfa_cli.render.cells import width
    from pfa_cli.render.folding import fold

    if not streams.is_terminal(sys.stdout):
        return step.story
    return f"\n{_INDENT}".join(fold(step.story, streams.width() - len(_INDENT), width))


def _as_typed(arguments: list[str]) -> str:
    """Show a command as it is typed, on a terminal in lines that fit."""
    lines, room = [f"{_INDENT}$ pfa"], streams.width() - len(" \\")
    for argument in arguments:
        word = f'"{argument}"' if " " in argument else argument
        if streams.is_terminal(sys.stdout) and len(lines[-1]) + 1 + len(word) > room:
            lines[-1] += " \\"
            lines.append(_INDENT + _INDENT + word)
        else:
            lines[-1] += f" {word}"
    return "\n".join(lines)


def _overtaken() -> str:
    """Return the record whose draft is stale: PEMS changed a drafted field."""
    settings = core.resolve()
    with core.open_database(settings) as db:
        drafts = core.list_drafts(db, core.authenticate(settings), core.Filters())
    return next(draft.pfa_id for draft in drafts if draft.overtaken)


@contextmanager
def _sample() -> Iterator[Path]:
    with as_file(files("pfa_cli").joinpath("sample")) as folder:
        yield folder


@contextmanager
def _pems(folder: Path) -> Iterator[Sandbox]:
    """Run a PEMS with the sample, and set the environment to it."""
    from pfa_core.pems.sandbox.server import Sandbox

    lines = (folder / "mirror.jsonl").read_text("utf-8").splitlines()
    with Sandbox(organization="DEMO", records=map(core.exact_json.loads, lines)) as pems:
        os.environ["PFA_PEMS_URL"] = pems.url
        yield pems


@contextmanager
def _isolated(home: Path) -> Iterator[None]:
    """Restrict the environment to the demo's own server and configuration."""
    before = dict(os.environ)
    for name in list(os.environ):
        if (name.startswith("PFA_") and name not in _KEPT_VARIABLES) or name == "DATABASE_URL":
            del os.environ[name]
    os.environ["PFA_EMBEDDED_DIR"] = str(home)
    with TemporaryDirectory(prefix="pfa-demo-") as config:
        for kind in ("CONFIG", "STATE", "CACHE"):
            os.environ[f"XDG_{kind}_HOME"] = config
        try:
            yield
        finally:
            with suppress(PfaError):
                core.stop_embedded(core.resolve())
            shutil.rmtree(home, ignore_errors=True)
            os.environ.clear()
            os.environ.update(before)


def _say(text: str) -> None:
    streams.write(text)
    sys.stdout.flush()
