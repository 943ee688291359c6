"""Saved views in place of options."""

from __future__ import annotations

from dataclasses import replace

import pfa_core as core
from pfa_cli.framework.common import require_columns
from pfa_cli.framework.filters import spelled
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import VIEW
from pfa_cli.framework.talk import Talk
from pfa_cli.render.formats import Format
from pfa_core.model import shell
from pfa_core.model.query import Filters
from pfa_core.model.view import SavedView

_LONGEST = 1000  # characters of filters that are said


def within_view(call: Invocation, talk: Talk, name: str, filters: Filters) -> Filters:
    """Return the filters of a saved view, narrowed by others; remember the view.

    A command that writes says which filters count: what a shared view holds may have changed since.

    Raises:
        NotFound: There is no such view.
        InvalidData: It has what this version does not know.
        InvalidRequest: A filter is in both with different values.
    """
    database, principal = call.open()
    saved = core.show_view(database, principal, name)
    call.view = saved.view
    found = call.view.narrowed(filters)
    call.learn(VIEW, [saved.name])
    if call.reports or call.common.verbose:
        talk.say(f"view {described(saved)}: {shortened(shell.words(spelled(found)), _LONGEST)}")
    if saved.hides_shared:
        talk.say(
            f"note: the view {saved.name} is yours; the shared one of this name does not count"
        )
    return found


def take_columns(call: Invocation, known: tuple[str, ...], *, to: str | None) -> None:
    """Take the columns of the view that the filters name, where --columns gives none.

    JSON keeps its shape, which a program reads: the view may be another user's to change.

    Args:
        to: The file that the list goes to.

    Raises:
        InvalidRequest: It has a column that this version does not know.
    """
    if call.view is None or not call.view.columns or call.common.columns:
        return
    written = (
        Format.JSONL if (to or "").lower().endswith(".jsonl") else call.look(Format.TSV).format
    )
    if written in (Format.JSON, Format.JSONL, Format.IDS):
        return
    require_columns(call.view.columns, known, open_ended=True)
    call.common = replace(call.common, columns=",".join(call.view.columns))


def described(saved: SavedView) -> str:
    """Name a view, and of a shared one its author."""
    return f"{saved.name} (shared by {saved.created_by})" if saved.shared else saved.name


def shortened(text: str, most: int) -> str:
    """Cut a text to some characters, and show that it goes on."""
    return text if len(text) <= most else f"{text[:most]} …"
