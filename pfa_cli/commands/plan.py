"""`pfa plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.selection import (
    Everything,
    Given,
    Ids,
    Session,
    ViewName,
    Where,
)
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import command
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.talk import Talk
from pfa_cli.framework.text_files import require_file
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import signed, sums_text
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.model import shell

if TYPE_CHECKING:
    from pfa_core.drafts.plan import CommitPlan, PlannedDraft

app = typer.Typer(rich_markup_mode=None)
_COLUMNS = ("pfaId", "fields", "costEffect", "sessionId", "version", "mirrorVersion")


@command(
    app,
    "plan",
    examples=(
        "pfa plan --session weather-silo4 --to plan.json",
        "pfa commit --plan plan.json",
        "pfa plan --all",
    ),
    exit_codes="2 nothing selected; 6 no drafts.",
    columns=_COLUMNS,
)
def plan(
    call: Invocation,
    talk: Talk,
    *,
    session: Session = None,
    ids: Ids = None,
    where: Where = None,
    view: ViewName = None,
    everything: Everything = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Write the plan to a file that only you read."),
    ] = None,
) -> None:
    """Freeze drafts for a review: exactly these, over exactly these values of PEMS.

    pfa commit --plan commits what the file says, or nothing: a draft that was saved again or a record that PEMS
    changed since ends it with 7.
    """
    if to is not None:
        require_file(to, "for a pipe: pfa plan -o json", secret=True)
    given = Given(session=session, ids=ids, where=where, view=view, everything=everything)
    selection = given.required(call, talk, "plan")
    database, principal = call.open()
    found = core.plan_commit(database, principal, selection)
    talk.mask(found)
    if to is not None:
        _write(found, to)
        call.note_stored()
    _show(call, talk, found, is_written=to is not None)
    changed = sum(len(draft.changes) for draft in found.drafts)
    talk.say(sums_text(len(found.drafts), changed, found.cost_effect))
    if to is not None:
        talk.say(f"next: pfa commit --plan {shell.file(to)}")


def _show(call: Invocation, talk: Talk, found: CommitPlan, *, is_written: bool) -> None:
    look = call.look(Format.TSV)
    if is_written and call.common.output is None:
        return
    sheet = Sheet(
        id_column="pfaId",
        columns=_COLUMNS,
        numbers=frozenset(("costEffect",)),
        ranked=_COLUMNS,
        items=[document(found)],
        rows=[_row(draft, for_people=look.is_page) for draft in found.drafts],
        envelope=Data(found, metadata(call, talk)),
    )
    show(sheet, look)


def _row(draft: PlannedDraft, *, for_people: bool) -> dict[str, Any]:
    effect = draft.cost_effect
    return {
        **document(draft),
        "fields": ", ".join(change.field for change in draft.changes),
        "costEffect": signed(effect) if for_people and effect is not None else effect,
    }


def _write(found: CommitPlan, path: Path) -> None:
    """Write the plan, whole or not at all; it may hold money."""
    from pfa_core import exact_json
    from pfa_core.config.secret_files import write_secret_file

    write_secret_file(path, exact_json.dumps({"data": document(found)}))
