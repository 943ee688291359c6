"""`pfa view`: saved views of records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.envelopes.views import ViewShown
from pfa_cli.framework.common import require_columns
from pfa_cli.framework.compose import Effect, command, group
from pfa_cli.framework.filters import FilterOptions, spelled
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import VIEW
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.paging import sort_keys
from pfa_cli.framework.talk import Talk
from pfa_cli.framework.text_files import read_text, require_file
from pfa_cli.framework.views import described, shortened
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_cli.render.records import KNOWN_COLUMNS
from pfa_core.errors import InvalidData, InvalidRequest
from pfa_core.files.descriptors import descriptor_of
from pfa_core.model import shell
from pfa_core.model.query import Filters

if TYPE_CHECKING:
    from pfa_core.model.view import SavedView, View
    from pfa_core.views import SavedViewResult

app = typer.Typer(rich_markup_mode=None)
view = group(app, "view", "Manage saved views: filters under a name, for --view of other commands.")
_COLUMNS = ("name", "shared", "filters", "updatedBy", "updatedAt")
_CSV = ("name", "shared", "filters", "columns", "sort", "updatedBy", "updatedAt", "createdBy", "createdAt",
        "hidesShared", "problem")  # fmt: skip
_RANKED = ("name", "filters", "shared", "updatedBy", "updatedAt")
_LARGEST = 1 << 20  # bytes of a file
_LONGEST = 120  # characters of filters in a table of views

Name = Annotated[str, typer.Argument(metavar="NAME", help="The view.")]


@command(
    view,
    "save",
    effect=Effect.WRITES,
    examples=(
        "pfa view save cranes --category Crane --where 'monthlyRate > 10000'",
        "pfa view save soon --where 'forecastStart < today+30d' --sort forecastStart",
        "pfa view save cranes --category Crane --shared",
        "pfa view save dear-cranes --view cranes --where 'monthlyRate > 20000'",
        "pfa view save --from cranes.view.json",
    ),
    exit_codes="5 --shared without the right to draft, or over the view of another author; 9 the file is not"
    " a view.",
    columns=KNOWN_COLUMNS,
    open_ended=True,
)
def save(
    call: Invocation,
    talk: Talk,
    filters: Annotated[Filters, FilterOptions],
    *,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="The view; with --from the name of the file counts."),
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="For all members of the organization.")
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="FIELD,-FIELD", help="Sort order of pfa list --view."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="What pfa view show --to wrote, not options."),
    ] = None,
) -> None:
    """Save filters under a name, in place of a view that has it.

    --view NAME then gives them to every command that takes filters, and columns and order to pfa list. The text
    of --where is kept, so that today+30d counts from the day of each use. A view is yours alone; a shared one is
    every member's to use, and its author's or an administrator's to change.
    """
    given = (
        _of_options(call, filters, name, sort)
        if file is None
        else _of_file(call, filters, file, name, sort)
    )
    call.common = replace(call.common, columns=None)
    database, principal = call.open()
    result = core.save_view(database, principal, given, shared=shared, dry_run=call.dry_run)
    if not call.dry_run:
        call.learn(VIEW, [result.saved.name])
    _show(call, result.saved, _shown(result.saved, status=str(result.status)))
    _say_saved(talk, result, dry_run=call.dry_run)


@command(view, "list", examples=("pfa view list", "pfa view list -o json"), columns=_CSV)
def list_views(call: Invocation, talk: Talk) -> None:
    """List your saved views and the shared ones, by name."""
    database, principal = call.open()
    found = core.list_views(database, principal)
    call.learn(VIEW, dict.fromkeys(one.name for one in found), whole=True)
    items = [_shown(one) for one in found]
    rows = [_row(one, item) for one, item in zip(found, items, strict=True)]
    look = call.look(Format.TSV)
    if look.format is Format.TABLE:  # one of a thousand ids would fill many pages
        rows = [{**row, "filters": shortened(row["filters"], _LONGEST)} for row in rows]
    sheet = Sheet(
        id_column="name",
        columns=_COLUMNS,
        csv_columns=_CSV,
        ranked=_RANKED,
        items=map(document, items),
        rows=rows,
        envelope=Data(items, metadata(call, talk)),
    )
    show(sheet, look)
    if not found:
        talk.hint("no views; save one: pfa view save NAME --category NAME")


@command(
    view,
    "show",
    examples=(
        "pfa view show cranes",
        "pfa view show cranes --to cranes.view.json",
        "pfa view show cranes --shared -o json",
    ),
    exit_codes="6 there is no such view.",
    columns=_CSV,
)
def show_view(
    call: Invocation,
    talk: Talk,
    name: Name,
    *,
    shared: Annotated[
        bool, typer.Option("--shared", help="The shared view, not yours of this name.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="FILE", help="Write it to a file for pfa view save --from, anywhere."
        ),
    ] = None,
) -> None:
    """Show a saved view: its filters as they are typed, columns and order."""
    if to is not None:
        require_file(to, "for a pipe: pfa view show NAME -o json")
        if call.common.columns and call.common.output is None:
            raise InvalidRequest("a file has the whole view: --columns is of -o")
    database, principal = call.open()
    found = core.show_view(database, principal, name, shared=True if shared else None)
    call.learn(VIEW, [found.name])
    if to is not None:
        _write(found.view, to)
        call.note_stored()
        talk.say(f"view {described(found)} written to {to}")
        if descriptor_of(to) is None:
            talk.say(f"next, there: pfa view save --from {shell.file(to)}")
        if call.common.output is None:
            return
    _show(call, found, _shown(found), answers=True)
    _say_hidden(talk, found)


@command(
    view,
    "delete",
    effect=Effect.WRITES,
    examples=("pfa view delete cranes", "pfa view delete cranes --shared"),
    exit_codes="5 --shared and it is another author's; 6 there is no such view.",
    columns=_CSV,
)
def delete(
    call: Invocation,
    talk: Talk,
    name: Name,
    *,
    shared: Annotated[bool, typer.Option("--shared", help="The view of the organization.")] = False,
) -> None:
    """Delete a saved view of yours, or a shared one; no record is touched."""
    database, principal = call.open()
    found = core.delete_view(database, principal, name, shared=shared, dry_run=call.dry_run)
    if call.learns:
        left = core.list_views(database, principal)
        call.learn(VIEW, dict.fromkeys(one.name for one in left), whole=True)
    _show(call, found, _shown(found))
    talk.done(f"view {described(found)} deleted; it was: {_typed(found)}")


def _of_options(call: Invocation, filters: Filters, name: str | None, sort: str | None) -> View:
    """Make a view of the options, with columns and order of a view that they name."""
    if name is None:
        raise InvalidRequest("no name is given", hint="type: pfa view save NAME, with filters")
    base = call.view
    columns = call.common.chosen_columns or (base.columns if base else ())
    order = sort_keys(sort) if sort else base.sort if base else None
    return core.View(name=name, filters=filters, columns=columns, sort=order)


def _of_file(
    call: Invocation, filters: Filters, path: Path, name: str | None, sort: str | None
) -> View:
    """Read a view that is a file's, with no options beside it."""
    if filters.given() or call.view or sort or call.common.columns:
        raise InvalidRequest(
            "--from says what is saved; no filters, columns or order beside it",
            hint=f"type: pfa view save --from {shell.file(path)}",
        )
    text = read_text(path, "a view", _LARGEST)
    found = core.read_view(text, str(path), name=name)
    try:
        require_columns(found.columns, KNOWN_COLUMNS, open_ended=True)
    except InvalidRequest as error:
        raise InvalidData(f"{path} cannot be used: {error.message}", hint=error.hint) from None
    return found


def _write(found: View, path: str) -> None:
    from pfa_core.files.replacing import replacing

    with replacing(path) as file:
        file.write(core.view_file(found).encode())


def _shown(found: SavedView, *, status: str | None = None) -> ViewShown:
    content, problem = found.content, None
    try:
        content = found.view.content()
    except InvalidData as error:
        problem = error.message
    return ViewShown(
        name=found.name,
        shared=found.shared,
        hides_shared=found.hides_shared,
        filters=content.get("filters", {}),
        columns=content.get("columns", ()),
        sort=content.get("sort"),
        created_by=found.created_by,
        created_at=found.created_at,
        updated_by=found.updated_by,
        updated_at=found.updated_at,
        problem=problem,
        status=status,
    )


def _row(found: SavedView, item: ViewShown) -> dict[str, Any]:
    """Make a row: the filters as they are typed."""
    return {
        "problem": None,
        **document(item),
        "filters": _typed(found),
        "columns": ",".join(map(str, _texts(item.columns))),
    }


def _texts(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _typed(found: SavedView) -> str:
    """Write the filters as options; of a view that cannot be used that it cannot."""
    try:
        return shell.words(spelled(found.view.filters))
    except InvalidData:
        return "cannot be used by this version of pfa"


def _show(call: Invocation, found: SavedView, item: ViewShown, *, answers: bool = False) -> None:
    """Show one view, for people as a page.

    Args:
        answers: It was asked for, and is not the report of a change.
    """
    look = call.look(Format.TABLE, answers=answers)
    row = _row(found, item)

    def page() -> str:
        from pfa_cli.render.tables import facts

        usual = ("name", "shared", "filters")
        names = _CSV if answers else (*usual, "columns", "sort")
        return facts([(key, row[key]) for key in names if key in usual or row[key]], look)

    sheet = Sheet(
        id_column="name",
        columns=_CSV,
        items=[document(item)],
        rows=[row],
        envelope=Data(item),
        text=page,
    )
    show(sheet, look)


def _say_saved(talk: Talk, result: SavedViewResult, *, dry_run: bool) -> None:
    name, before = described(result.saved), result.before
    if before is None:
        talk.done(f"view {name} saved")
        if not dry_run:
            talk.say(f"next: pfa list --view {shell.word(result.saved.name)}")
    elif result.status == "unchanged":
        talk.say(f"view {name} is as it was")
    else:
        talk.done(f"view {name} replaced; it was: {_typed(before)}")
    _say_hidden(talk, result.saved)


def _say_hidden(talk: Talk, found: SavedView) -> None:
    if found.hides_shared:
        talk.say(f"note: for you it hides the shared view {found.name}")
