"""Text of the audit trail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pfa_cli.render.humanize import MASKED, count
from pfa_cli.render.plain import plain
from pfa_core.model.audit import Action, Direction
from pfa_core.model.record import in_field_order
from pfa_core.model.rights import MONEY

if TYPE_CHECKING:
    from pfa_core.audit.verify import LogReport
    from pfa_core.model.audit import LogEntry

# Entries of a run itself: its start, and its end with counts. A push has one kind only.
_OF_RUNS = (Action.BEGIN, Action.PULL, Action.PUSH)


def change_text(entry: LogEntry) -> str:
    """Format the fields that differ before and after, in one line."""
    before: Mapping[str, Any] = entry.before or {}
    after: Mapping[str, Any] = entry.after or {}
    whole = {**before, **after}
    if entry.action == Action.OVERRIDE:
        return _override_text(after)
    if entry.action == Action.ARCHIVE:
        return _archive_text(after)
    if entry.action in _OF_RUNS and entry.pfa_id is None:
        return _changes(entry, {}, _of_run(after))
    if "view" not in whole:
        return _changes(entry, before, after)
    named = f"{'shared ' if whole.get('shared') else ''}view {plain(whole['view'])}"
    changes = _changes(entry, before, after, without=("view", "shared"))
    rest = f": {changes}" if changes else ""
    return f"{named}{rest}" if after else f"{named} deleted"


def _changes(
    entry: LogEntry,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    without: Sequence[str] = (),
) -> str:
    return ", ".join(
        f"{name} {MASKED}" if _hidden(entry, name) else _field_change(name, before, after)
        for name in in_field_order({**before, **after})
        if name not in without
        and (
            name not in before
            or name not in after
            or before[name] != after[name]
            or _hidden(entry, name)
        )
    )


def _of_run(after: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out empty values, counts of zero and the kind of a push."""
    of_push = after.get("direction") == Direction.PUSH
    return {
        name: value
        for name, value in after.items()
        if value is not None and value != 0 and not (of_push and name == "kind")
    }


def _override_text(after: Mapping[str, Any]) -> str:
    """Format what a commit or a push changed, each with the limit that it was over.

    A limit is the organization's where no other source is named.
    """
    parts: list[str] = []
    for name, unit in (("records", " records"), ("money", ""), ("percent", " %")):
        if after.get(name) is not None:
            limit = after.get(f"max_{name}")
            source = plain(after.get(f"max_{name}_of", ""))
            of = "" if source.startswith("organization ") else f" of {source}"
            over = "" if limit is None else f" (limit {limit:,}{of})"
            parts.append(f"{after[name]:,}{unit}{over}")
    return f"{plain(after.get('operation', ''))}: {', '.join(parts)}"


def _archive_text(after: Mapping[str, Any]) -> str:
    """Format which links an archive took, and the checksum of its file.

    Its digests are for programs: `-o json`.
    """
    first, last, kept = (plain(after.get(name)) for name in ("first", "last", "kept"))
    return f"links {first} to {last}, {kept} of them kept; sha256 {plain(after.get('sha256'))}"


def report_text(report: LogReport) -> str:
    """Format the flaws of the trail, or its size; then its anchor."""
    lines = [f"{flaw.kind}: {flaw.message}" for flaw in report.flaws]
    if report.whole:
        seen = f"{count(report.entries, 'entry', 'entries')} in {count(report.links, 'link')}"
        lines.append(f"the audit trail is intact: {seen}")
    if report.archived_links:
        older = count(report.archived_links, "older link")
        good, files = report.verified_files, len(report.files)
        how = "verified too" if good == files else f"{good} of {files} files verified"
        how = how if good else "not verified: --archive FILE..."
        lines.append(f"{older} archived in {', '.join(map(plain, report.files))}, {how}")
    return "\n".join([*lines, f"anchor {report.anchor}"])


def _hidden(entry: LogEntry, name: str) -> bool:
    return entry.masked and name in MONEY


def _field_change(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if name not in before:
        return f"{name}={plain(after[name])}"
    if name not in after:
        return f"{name} removed"
    return f"{name}: {plain(before[name])} → {plain(after[name])}"
