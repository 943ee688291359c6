"""What a write did, shown: the records for programs, a line for people."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pfa_cli.framework.call import Call
from pfa_cli.render.failures import fault_document
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import InvalidData

if TYPE_CHECKING:
    from pfa_core.drafts.save import SaveResult
    from pfa_core.drafts.unset import UnsetResult

MOST_IN_TABLE = 20


def show_records(
    call: Call,
    items: list[dict[str, Any]],
    envelope: Callable[[], dict[str, Any]],
    columns: tuple[str, ...],
    all_columns: tuple[str, ...] = (),
) -> None:
    """Write the records concerned; as a table only when they are few enough to be read."""
    look = call.look(Format.TABLE)
    crowded = look.format is Format.TABLE and len(items) > MOST_IN_TABLE
    sheet = Sheet(
        id_column="pfaId",
        columns=columns,
        csv_columns=all_columns,
        items=items,
        rows=[] if crowded else items,
        document=envelope,
    )
    show(sheet, look)


def tell(call: Call, done: str) -> None:
    """Say what was done, or would have been."""
    call.say(f"dry run, rolled back: {done}" if call.dry_run else done)


def show_saved(call: Call, result: SaveResult, source: str) -> int:
    """Show saved drafts; the exit code, 3 when faulty ones were left out."""
    saved = [document(item) for item in result.saved]
    show_records(
        call,
        saved,
        lambda: {
            "sessionId": result.session_id,
            "saved": saved,
            "errors": [fault_document(fault) for fault in result.errors],
            "metadata": {"saveTime": call.milliseconds, "sessions": result.sessions},
        },
        columns=("pfaId", "version", "status"),
        all_columns=("pfaId", "modificationId", "version", "status"),
    )
    _tell_saved(call, result)
    if not result.errors:
        return 0
    place = f" in {source}" if source else ""
    problems = count(len(result.errors), "problem")
    done = "would be saved" if call.dry_run else "was saved"
    message = f"{problems}{place}, the rest {done}: {count(len(saved), 'draft')}"
    return call.partly_done(message, InvalidData.code, result.errors)


def show_unset(call: Call, result: UnsetResult) -> None:
    """Show drafts that lost fields, and those that went with their last one."""
    unset = [document(item) for item in result.unset]
    items = [
        *unset,
        *({"pfaId": pfa_id, "version": None, "status": "emptied"} for pfa_id in result.emptied),
        *({"pfaId": pfa_id, "version": None, "status": "unchanged"} for pfa_id in result.unchanged),
    ]
    show_records(
        call,
        items,
        lambda: {
            "unset": unset,
            "emptied": result.emptied,
            "unchanged": result.unchanged,
            "metadata": {"saveTime": call.milliseconds},
        },
        columns=("pfaId", "version", "status"),
    )
    changed = f"{count(len(unset), 'draft')} changed"
    tell(call, f"{changed}, {len(result.emptied):,} gone, {len(result.unchanged):,} unchanged")


def _tell_saved(call: Call, result: SaveResult) -> None:
    statuses = Counter(item.status for item in result.saved)
    details = ", ".join(f"{number:,} {status}" for status, number in sorted(statuses.items()))
    saved = count(len(result.saved), "draft")
    several = len(result.sessions) > 1
    where = f"session {result.session_id}"
    if several:
        each = (f"{name} ({number:,})" for name, number in result.sessions.items())
        where = f"the sessions they belong to, {', '.join(each)}"
    tell(call, f"{saved} saved in {where} ({details})")
    if not call.dry_run:
        call.say("next: pfa diff" + ("" if several else f" {shlex.quote(result.session_id)}"))
