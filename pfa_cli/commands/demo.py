"""`pfa demo`: the whole job on a bundled sample, on a server of its own that goes away after."""

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
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import Effect, command
from pfa_cli.render import streams
from pfa_core.errors import Internal, PfaError

if TYPE_CHECKING:
    from pfa_core.pems.sandbox.server import Sandbox

app = typer.Typer(rich_markup_mode=None)
_KEPT_VARIABLES = ("PFA_PG_BINDIR", "PFA_EMBEDDED_USER")


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the demo: what it is for, the command line, how it must end, and what happens in
    PEMS before it."""

    story: str
    arguments: tuple[str, ...]
    code: int = 0
    before: Callable[[Sandbox, Path], None] | None = None


def _overnight(pems: Sandbox, folder: Path) -> None:
    """Make PEMS hold the records of the next day."""
    held = {record.pfa_id: record.data for record in pems.records}
    for line in (folder / "mirror-next-day.jsonl").read_text().splitlines():
        record = core.exact_json.loads(line)
        changes = {
            name: value
            for name, value in record.items()
            if name != "pfaId" and value != held[record["pfaId"]].get(name)
        }
        if changes:
            pems.change(record["pfaId"], **changes)


def _somebody_else(pems: Sandbox, _folder: Path) -> None:
    """Change in PEMS what a commitment changes too, after the last pull."""
    pems.change(DISPUTED, forecastEnd="2027-07-31")


DISPUTED = "DEMO-0016"
STEPS = (
    Step("A newcomer's start: database, organization, a token for you.", ("init", "--org", "DEMO")),
    Step(
        "Pull the baseline from PEMS: 240 equipment lines of a small project. (Here PEMS is a sandbox"
        " that the demo runs; yours is named by PFA_PEMS_URL.)",
        ("sync", "pull"),
    ),
    Step(
        "What cranes are planned? (the first five)", ("list", "--category", "Crane", "--limit", "5")
    ),
    Step("What does it cost? Plan, forecast, actual.", ("stats",)),
    Step(
        "Rain stops Silo 4 for 14 days. Your planner sends a file of deltas; save them as drafts.",
        ("draft", "save", "delta-weather.json"),
    ),
    Step(
        "One more edit by hand: a better rate for one generator fleet.",
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
        "The rates are not agreed yet: drop them. (The audit trail keeps them.)",
        ("discard", "--session", "rates"),
    ),
    Step(
        "Overnight PEMS moved: pull what changed. Only changed records are touched; drafts stay.",
        ("sync", "pull", "--incremental"),
        before=_overnight,
    ),
    Step(
        "Commit. PEMS changed one field that you change too, so nothing is committed unseen.",
        ("commit", "--session", "weather-silo4"),
        code=7,
    ),
    Step(
        "Take PEMS's date for that one field; your other date stays.",
        ("draft", "unset", "{overtaken}", "forecastEnd"),
    ),
    Step("Now commit.", ("commit", "--session", "weather-silo4")),
    Step(
        "Push. Meanwhile somebody moved an end in PEMS that you move too: that one waits for you, all"
        " others are sent, each exactly once.",
        ("sync", "push"),
        code=3,
        before=_somebody_else,
    ),
    Step("What is the matter?", ("conflict", "list")),
    Step("You know better: your end stands.", ("conflict", "resolve", DISPUTED, "--take", "mine")),
    Step("Push again. PEMS and the mirror agree.", ("sync", "push")),
    Step("Where do I stand?", ("status",)),
)


@command(app, "demo", effect=Effect.SETTLES, examples=("pfa demo",))
def demo(call: Call) -> int:
    """Show the whole job on a bundled sample; your own data is left alone."""
    home = call.settings.embedded_dir / f"demo-{os.getpid()}"
    _say("This runs on a database of its own, which goes away at the end.\n")
    with _sample() as folder, _own_world(home), _pems(folder) as pems:
        for number, step in enumerate(STEPS, 1):
            if step.before:
                step.before(pems, folder)
            _run(number, step, folder)
    _say("\nThat was the whole job. Your own start: pfa init --org CODE\n")
    return 0


def _run(number: int, step: Step, folder: Path) -> None:
    from pfa_cli.app import main

    arguments = [_overtaken() if part == "{overtaken}" else part for part in step.arguments]
    shown = " ".join(f'"{part}"' if " " in part else part for part in arguments)
    _say(f"\n{number:2}. {step.story}\n    $ pfa {shown}\n")
    files_named = [str(folder / part) if (folder / part).is_file() else part for part in arguments]
    code = main([*files_named, "-o", "table"])
    if code != step.code:
        raise Internal(f"the demo's step {number} ended with {code} instead of {step.code}")


def _overtaken() -> str:
    """The record whose draft PEMS has moved under."""
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
    """A PEMS that holds the sample, and an environment that names it."""
    from pfa_core.pems.sandbox.server import Sandbox

    lines = (folder / "mirror.jsonl").read_text().splitlines()
    with Sandbox(organization="DEMO", records=map(core.exact_json.loads, lines)) as pems:
        os.environ["PFA_PEMS_URL"] = pems.url
        yield pems


@contextmanager
def _own_world(home: Path) -> Iterator[None]:
    """An environment in which pfa knows nothing but the demo's own place."""
    before = dict(os.environ)
    for name in list(os.environ):
        if (name.startswith("PFA_") and name not in _KEPT_VARIABLES) or name == "DATABASE_URL":
            del os.environ[name]
    os.environ["PFA_EMBEDDED_DIR"] = str(home)
    with TemporaryDirectory(prefix="pfa-demo-") as config:
        os.environ["XDG_CONFIG_HOME"] = config
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
