"""Rows of sheets in a save: what they were edited over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pfa_core.drafts.current import CurrentRecord
from pfa_core.drafts.save_faults import fault_of
from pfa_core.errors import Fault, FaultCode
from pfa_core.model.delta import Change, merge, same
from pfa_core.model.seen import Seen
from pfa_core.model.values import shorten
from pfa_core.store.mirror import MirrorRow


def shown_bases(change: Change, row: MirrorRow) -> Mapping[str, Any]:
    """Return PEMS's values that the edited cells were made over; none without a sheet.

    Where PEMS has by now what the user had changed a field to, that is not a change by PEMS.
    """
    seen = change.seen
    if seen is None:
        return {}
    return {
        name: row.data.get(name) if _is_sent(seen, name, row) else seen.pems[name]
        for name in change.delta
        if seen.shows(name)
    }


def _is_sent(seen: Seen, name: str, row: MirrorRow) -> bool:
    return name in seen.mine and same(row.data.get(name), seen.mine[name])


def is_overtaken(base: Mapping[str, Any], known: Mapping[str, Any], row: MirrorRow) -> bool:
    """Return whether PEMS has changed a value since it was the known base.

    A commit compares only drafts that were made over another version than the mirror's.
    """
    return bool(known) and any(
        name in known and not same(base[name], row.data.get(name)) for name in base
    )


def overwritten_faults(change: Change, seen: Seen, current: CurrentRecord) -> list[Fault]:
    """Refuse cells over fields that the user has changed since the sheet was written.

    Which of both values they want cannot be known: an older sheet may be saved after a newer edit.
    """
    mine = merge({}, *(item.delta for item in current.stack))
    return [
        fault_of(
            change,
            name,
            FaultCode.VERSION_CONFLICT,
            f"you have changed it since the sheet was written, to {_said(mine, name, current)};"
            " `overwrite` takes the cell's value",
        )
        for name, value in change.delta.items()
        if seen.shows(name)
        and not same(_own(mine, name), _own(seen.mine, name))
        and not same(_own(mine, name), value)
        and not (name not in mine and _is_sent(seen, name, current.row))
    ]


def moved_since(changes: Iterable[Change], records: Mapping[str, CurrentRecord]) -> list[str]:
    """List the records of rows that do not show any more what PEMS has.

    What the user had changed, and PEMS has taken since, is shown.
    """
    return [
        change.pfa_id
        for change in changes
        if change.seen
        and (current := records.get(change.pfa_id))
        and current.row.version != change.seen.version
        and _is_other(change, change.seen, current.row)
    ]


def _is_other(change: Change, seen: Seen, row: MirrorRow) -> bool:
    return any(
        not same(row.data.get(name), value) and not _is_sent(seen, name, row)
        for name, value in seen.pems.items()
    ) or any(not is_text_of(row.data.get(name), value) for name, value in change.read_only.items())


def is_text_of(known: Any, value: Any) -> bool:
    """Return whether a value, or a text that stands for none, is the record's."""
    return same(known, value) or (known is None and value in ("", "null"))


_ABSENT = object()


def _own(mine: Mapping[str, Any], name: str) -> Any:
    return mine.get(name, _ABSENT)


def _said(mine: Mapping[str, Any], name: str, current: CurrentRecord) -> str:
    if name not in mine:
        return f"PEMS's value, {shorten(current.row.data.get(name))}"
    return shorten(mine[name])
