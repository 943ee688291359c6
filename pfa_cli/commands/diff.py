"""`pfa diff`: what my modifications change, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.exit_codes import DIFFERS
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import command
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count, signed
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.drafts.diff import DiffEntry, DiffReport

app = typer.Typer(rich_markup_mode=None)


@command(
    app,
    "diff",
    examples=(
        "pfa diff",
        "pfa diff weather-silo4 -o csv > what-changes.csv",
        "pfa diff --category Crane --exit-code",
    ),
    exit_codes="10 with --exit-code when something differs.",
)
def diff(
    call: Call,
    filters: Filters,
    *,
    session_id: Annotated[
        str | None, typer.Argument(metavar="[SESSION]", help="Only this session.")
    ] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="End with 10 when something differs.")
    ] = False,
) -> int:
    """Show each drafted field before and after, with the effect on the forecast cost.

    The effect of a record stands in the line of its first field; all lines add up.
    """
    database, principal = call.open()
    report = core.diff(database, principal, filters, session_id=session_id)
    call.mask(report)
    sheet = Sheet(
        id_column="pfaId",
        columns=("pfaId", "field", "before", "after", "costEffect", "sessionId", "state"),
        csv_columns=(
            "pfaId",
            "field",
            "before",
            "after",
            "costEffect",
            "sessionId",
            "state",
            "version",
            "changeReason",
            "modificationId",
        ),
        numbers=frozenset(("costEffect",)),
        items=[document(entry) for entry in report.entries],
        rows=[row for entry in report.entries for row in _rows(entry)],
        document=lambda: _document(call, report, filters),
    )
    show(sheet, call.look(Format.TSV))
    _tell(call, report)
    if not report.entries:
        call.nothing_found(filters, "")
    return DIFFERS if exit_code and report.entries else 0


def _rows(entry: DiffEntry) -> list[Mapping[str, Any]]:
    same = {
        "pfaId": entry.pfa_id,
        "sessionId": entry.session_id,
        "state": str(entry.state),
        "version": entry.version,
        "changeReason": entry.change_reason,
        "modificationId": entry.modification_id,
    }
    changes = entry.changes
    if not changes:
        return [{**same, "costEffect": entry.cost_effect}]
    return [
        {**same, **document(change), "costEffect": None if index else entry.cost_effect}
        for index, change in enumerate(changes)
    ]


def _document(call: Call, report: DiffReport, filters: Filters) -> dict[str, Any]:
    summary = {
        "records": report.record_count,
        "fields": report.field_count,
        "costEffect": report.cost_effect,
    }
    data = [document(entry) for entry in report.entries]
    return {"data": data, "summary": summary, "metadata": call.metadata(filters=filters.given())}


def _tell(call: Call, report: DiffReport) -> None:
    if not report.entries:
        call.say("nothing differs from the baseline")
        return
    call.say(
        f"{count(report.record_count, 'record')}, {count(report.field_count, 'field')},"
        f" cost effect {signed(report.cost_effect)}"
    )
