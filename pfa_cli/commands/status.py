"""`pfa status`, `doctor` and `version`."""

from __future__ import annotations

import platform
import re
from contextlib import suppress
from typing import Annotated, Any

import typer

import pfa_core as core
from pfa_cli import __version__
from pfa_cli.envelopes.base import Data
from pfa_cli.exit_codes import DIFFERS
from pfa_cli.framework.compose import command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import RUN, SESSION
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_cli.render.status import status_text
from pfa_core.config.settings import CHOICE
from pfa_core.sql import newest_migration

app = typer.Typer(rich_markup_mode=None)
_SESSION_COLUMNS = ("sessionId", "state", "records", "lastChange", "overtaken")
_CHECK_COLUMNS = ("check", "result", "finding", "cure")
_VERSION_COLUMNS = ("pfa", "python", "system", "programSchema", "dependencies")
# The name at the beginning of a requirement of the package.
_REQUIRED = re.compile(r"[\w.-]+")


@command(
    app,
    "status",
    examples=("pfa status", "pfa status --exit-code > /dev/null || pfa commit --all"),
    exit_codes="10 with --exit-code when some of your changes are not in PEMS yet.",
    columns=_SESSION_COLUMNS,
)
def status(
    call: Invocation,
    talk: Talk,
    *,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code", help="Exit with 10 when some of your changes are not in PEMS yet."
        ),
    ] = False,
) -> int:
    """Show drafts, pending changes, conflicts and the next step."""
    database, principal = call.open()
    report = core.status(database, principal)
    call.learn(SESSION, (session.session_id for session in report.sessions), whole=True)
    call.learn(RUN, (run.run_id for run in report.runs))
    look = call.look(Format.TABLE)
    session = call.session
    chosen = call.settings.origin.get("organization") == CHOICE
    sheet = Sheet(
        id_column="sessionId",
        columns=_SESSION_COLUMNS,
        items=[document(session) for session in report.sessions],
        envelope=Data(
            {**document(report), "currentSession": session.session_id if session else None},
            metadata(call, talk),
        ),
        text=lambda: status_text(report, look, session=session, chosen=chosen),
    )
    show(sheet, look)
    return DIFFERS if exit_code and report.sessions else 0


@command(
    app,
    "doctor",
    examples=("pfa doctor", "pfa doctor --org HOLNG -o json"),
    exit_codes="0 no problem; else the code of the first one: 4, 5, 6, 69 or 78.",
    columns=_CHECK_COLUMNS,
)
def doctor(call: Invocation) -> int:
    """Check the setup and suggest fixes."""
    from pfa_cli.commands.doctor import examine
    from pfa_cli.render.checks import checks_text

    findings = examine(call)
    look = call.look(Format.TABLE)
    sheet = Sheet(
        id_column="check",
        columns=_CHECK_COLUMNS,
        items=[document(finding) for finding in findings],
        envelope=Data(findings),
        text=lambda: checks_text(findings, look),
    )
    show(sheet, look)
    return next((finding.exit_code for finding in findings if finding.exit_code), 0)


@command(app, "version", columns=_VERSION_COLUMNS)
def show_version(call: Invocation) -> None:
    """Show the version of this program and its dependencies."""
    from pfa_cli.render.tables import facts

    look = call.look(Format.TABLE)
    item: dict[str, Any] = {
        "pfa": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "programSchema": newest_migration(),
        "dependencies": _dependencies(),
    }
    *own, (_, dependencies) = item.items()
    sheet = Sheet(
        id_column="pfa",
        columns=_VERSION_COLUMNS,
        items=[item],
        envelope=Data(item),
        text=lambda: facts([*own, *dependencies.items()], look),
    )
    show(sheet, look)


def _dependencies() -> dict[str, str]:
    """Look up the versions of the installed libraries that the package requires."""
    from importlib.metadata import PackageNotFoundError, requires, version

    found: dict[str, str] = {}
    for line in requires("pfa") or ():
        name = _REQUIRED.match(line)
        if name and "extra ==" not in line:
            with suppress(PackageNotFoundError):  # its marker excludes this machine
                found[name[0]] = version(name[0])
    return dict(sorted(found.items()))
