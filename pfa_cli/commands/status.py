"""`pfa status`, `doctor` and `version`."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Annotated

import typer

import pfa_core as core
from pfa_cli import __version__
from pfa_cli.commands.doctor import examine
from pfa_cli.envelopes.base import Data
from pfa_cli.envelopes.reads import Finding
from pfa_cli.exit_codes import DIFFERS
from pfa_cli.framework.compose import command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.talk import Talk
from pfa_cli.render.escape import visible
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.humanize import ago, records_behind
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show

if TYPE_CHECKING:
    from pfa_core.status_summary import StatusReport

app = typer.Typer(rich_markup_mode=None)
_SESSION_COLUMNS = ("sessionId", "state", "records", "lastChange", "overtaken")
_CHECK_COLUMNS = ("check", "result", "finding", "cure")
_VERSION_COLUMNS = ("pfa", "python", "system")


@command(
    app,
    "status",
    examples=("pfa status", "pfa status --exit-code > /dev/null || pfa commit --all"),
    exit_codes="10 with --exit-code when some of your modifications are not in PEMS yet.",
    columns=_SESSION_COLUMNS,
)
def status(
    call: Invocation,
    talk: Talk,
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 10 when you have modifications.")
    ] = False,
) -> int:
    """Show drafts, pending changes, conflicts and the next step."""
    database, principal = call.open()
    report = core.status(database, principal)
    look = call.look(Format.TABLE)
    sheet = Sheet(
        id_column="sessionId",
        columns=_SESSION_COLUMNS,
        items=[document(session) for session in report.sessions],
        envelope=Data(report, metadata(call, talk)),
        text=lambda: _status_text(report, look),
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
    findings = examine(call)
    look = call.look(Format.TABLE)
    sheet = Sheet(
        id_column="check",
        columns=_CHECK_COLUMNS,
        items=[document(finding) for finding in findings],
        envelope=Data(findings),
        text=lambda: "\n".join(_finding_line(finding, look) for finding in findings),
    )
    show(sheet, look)
    return next((finding.exit_code for finding in findings if finding.exit_code), 0)


@command(app, "version", columns=_VERSION_COLUMNS)
def show_version(call: Invocation) -> None:
    """Show the version of this program and its dependencies."""
    versions = (__version__, platform.python_version(), platform.platform())
    item = dict(zip(_VERSION_COLUMNS, versions, strict=True))
    sheet = Sheet(
        id_column="pfa",
        columns=_VERSION_COLUMNS,
        items=[item],
        envelope=Data(item),
        text=lambda: "\n".join(f"{name} {value}" for name, value in item.items()),
    )
    show(sheet, call.look(Format.TABLE))


def _status_text(report: StatusReport, look: Look) -> str:
    from pfa_cli.render.tables import facts

    parts = [
        visible(f"{report.organization_id}, {report.user_id} ({report.role})"),
        facts(_status_facts(report)),
    ]
    if report.sessions:
        parts.append(_sessions(report, look))
    if report.runs:
        parts.append(_runs(report, look))
    if report.next_command:
        parts.append(visible(f"next: {report.next_command}"))
    return "\n\n".join(parts)


def _status_facts(report: StatusReport) -> list[tuple[str, str]]:
    pairs = [
        ("records", f"{report.record_count:,}"),
        ("last pull", ago(report.baseline_at)),
        *(
            [("behind PEMS", records_behind(report.behind, report.behind_since))]
            if report.behind
            else []
        ),
        ("drafts", f"{report.drafts:,}"),
        ("waiting to be pushed", f"{report.committed:,}"),
        ("conflicts", f"{report.conflicts:,}"),
    ]
    if report.sync_errors:
        pairs.append(("rejected by PEMS", f"{report.sync_errors:,}"))
    if report.overtaken:
        pairs.append(("overtaken by PEMS", f"{report.overtaken:,}"))
    return pairs


def _sessions(report: StatusReport, look: Look) -> str:
    from pfa_cli.render.tables import grid

    rows = [
        [
            item.session_id,
            str(item.state),
            item.records,
            ago(item.last_change),
            item.overtaken or None,
        ]
        for item in report.sessions
    ]
    return grid(("session", "state", "records", "last change", "overtaken"), rows, look)


def _runs(report: StatusReport, look: Look) -> str:
    from pfa_cli.render.tables import grid

    rows = [
        [run.direction, str(run.status), ago(run.started_at), run.user_id, run.source]
        for run in report.runs
    ]
    return grid(("last runs", "status", "started", "by", "from"), rows, look)


def _finding_line(finding: Finding, look: Look) -> str:
    mark = finding.result
    if look.colored:
        mark = typer.style(mark, fg="green" if finding.exit_code == 0 else "red")
    cure = f"\n         fix: {visible(finding.cure)}" if finding.cure else ""
    padding = " " * (9 - len(finding.result))
    return f"{mark}{padding}{finding.check}: {visible(finding.finding)}{cure}"
