"""`pfa log` and `pfa log verify`: the audit trail, and whether it is whole."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import command, takes_common
from pfa_cli.framework.durations import parse_duration
from pfa_cli.framework.help import Group
from pfa_cli.render import streams
from pfa_cli.render.escape import plain
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.humanize import MASKED, count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import Internal, InvalidRequest
from pfa_core.model.rights import MONEY

if TYPE_CHECKING:
    from pfa_core.audit.verify import LogReport
    from pfa_core.model.audit import LogEntry

PAUSE_SECONDS = 1.0
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_COLUMNS = ("at", "userId", "action", "pfaId", "sessionId", "change", "reason")
_CSV = ("at", "entryId", "userId", "action", "pfaId", "sessionId", "runId", "before", "after",
        "reason")  # fmt: skip

app = typer.Typer(rich_markup_mode=None)


class LogGroup(Group):
    """`pfa log` shows the trail by itself; only `pfa log verify` is a command below it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command that shows in front, unless another one is named."""
        return super().parse_args(ctx, args if self._names_command(ctx, args) else ["show", *args])

    def _names_command(self, ctx: Any, args: list[str]) -> bool:
        """Whether the first word that is neither an option nor its value is a command."""
        with_value = {
            name
            for param in self.get_params(ctx)
            if param.param_type_name == "option" and not getattr(param, "is_flag", False)
            for name in param.opts
        }
        words = iter(args)
        for word in words:
            if not word.startswith("-"):
                return word in self.commands
            if word in with_value:
                next(words, None)
        return False


@takes_common
def _read_common(ctx: typer.Context) -> None:
    """The common options, before a command of the group."""


log = typer.Typer(
    cls=LogGroup,
    help="Show the audit trail, or verify it.",
    rich_markup_mode=None,
    callback=_read_common,
)
app.add_typer(log, name="log")


@command(
    log,
    "show",
    examples=(
        "pfa log HOLNG-000123",
        "pfa log --session weather-silo4 -o jsonl",
        "pfa log --user anna --since 24h --action commit",
        "pfa log --follow -o jsonl",
    ),
    exit_codes="5 the entries of others, without the right to manage users; 130 --follow was ended.",
)
def show_log(
    call: Call,
    pfa_id: Annotated[
        str | None, typer.Argument(metavar="[PFA_ID]", help="Only this record.")
    ] = None,
    *,
    session: Annotated[
        str | None, typer.Option("--session", metavar="NAME", help="Only this session.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="Only what this user did.")
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN_ID", help="Only this pull or push.")
    ] = None,
    actions: Annotated[
        list[str] | None,
        typer.Option("--action", metavar="ACTION", help="Only this action; may be repeated."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="From then on: a day, an instant, or 24h."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Until then: a day, all of it, or as above."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="How many, the newest; 100.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Then show what is added, until interrupted."),
    ] = False,
) -> None:
    """Show the audit trail, the newest first: who changed what, when, why, from which run.

    With --follow the last ten come first, the newest at the end, then each new entry when its
    transaction is committed.
    """
    now = datetime.now(UTC)
    filters = core.LogFilter(
        user_id=user,
        pfa_id=pfa_id,
        session_id=session,
        run_id=run,
        since=_instant(since, now) if since else None,
        until=_instant(until, now, whole_day=True) if until else None,
        actions=tuple(actions or ()),
    )
    database, principal = call.open()
    if follow:
        look = _flowing(call.look(Format.TSV))
        history = 10 if limit is None else limit
        new = core.follow_log(database, principal, filters, history=history, wait=_wait)
        show(_sheet(_masking(new, call), call), look)
        return
    entries = core.list_log(database, principal, filters, limit=limit or 100)
    call.mask(*entries)
    show(_sheet(entries, call), call.look(Format.TSV))
    if not entries:
        call.hint(
            "no entry matches" if filters != core.LogFilter() else "nothing is written here yet"
        )


@command(
    log,
    "verify",
    examples=(
        "pfa log verify",
        'pfa log verify --anchor "$ANCHOR"',
        "pfa log verify -o ids > /srv/anchors/HOLNG",
    ),
    exit_codes="0 whole; 1 something was removed, altered, added or moved.",
)
def verify(
    call: Call,
    *,
    anchor: Annotated[
        str | None,
        typer.Option(
            "--anchor", metavar="NUMBER:DIGEST", help="What an earlier check printed as anchor."
        ),
    ] = None,
) -> int:
    """Check that the audit trail is what was written, all of it and in its order.

    Prints the anchor of the chain's end. Keep it where the database's owner cannot write: given to a
    later check it also finds a trail that was cut off or written anew.
    """
    database, principal = call.open()
    report = core.verify_log(database, principal, anchor=anchor)
    item = {**document(report), "whole": report.whole}
    show(
        Sheet(
            id_column="anchor",
            columns=("whole", "links", "entries", "flawCount", "anchor"),
            items=[item],
            document=lambda: {"data": item, "metadata": call.metadata()},
            text=lambda: _verified(report),
        ),
        call.look(Format.TABLE),
    )
    if report.whole:
        return 0
    call.say(f"the audit trail is not whole: {count(report.flaw_count, 'flaw')}")
    return Internal.exit_code


def _sheet(entries: Iterable[LogEntry], call: Call) -> Sheet:
    """Entries to show, all at once or one by one as they come."""
    return Sheet(
        id_column="entryId",
        columns=_COLUMNS,
        csv_columns=_CSV,
        items=(document(entry) for entry in entries),
        rows=({**document(entry), "change": _change(entry)} for entry in entries),
        document=lambda: {
            "data": [document(entry) for entry in entries],
            "metadata": call.metadata(),
        },
    )


def _masking(entries: Iterable[LogEntry], call: Call) -> Iterator[LogEntry]:
    """The same, and the call hears of the first one in which money is masked."""
    for entry in entries:
        call.mask(entry)
        yield entry


def _flowing(look: Look) -> Look:
    """The format of a stream without an end."""
    from dataclasses import replace

    if look.format is Format.TABLE:
        return replace(look, format=Format.TSV)
    if look.format in (Format.JSON, Format.MARKDOWN):
        raise InvalidRequest(
            f"--follow has no end, {look.format} needs one", hint="formats: jsonl, csv, tsv, ids"
        )
    return look


def _wait() -> bool:
    streams.flush()
    time.sleep(PAUSE_SECONDS)
    return True


def _instant(text: str, now: datetime, *, whole_day: bool = False) -> datetime:
    """A day (UTC), an instant, or a length of time before now.

    Args:
        whole_day: A day means its end.
    """
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            return now - parse_duration(text)
        except (InvalidRequest, OverflowError):
            raise InvalidRequest(
                f"{text!r} is no time",
                hint="spell it 2026-03-09, 2026-03-09T14:00:00Z, or 30m, 24h, 7d ago",
            ) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at + timedelta(days=1) if whole_day and _DAY.fullmatch(text.strip()) else at


def _verified(report: LogReport) -> str:
    lines = [f"{flaw.kind}: {flaw.message}" for flaw in report.flaws]
    if report.whole:
        seen = f"{count(report.entries, 'entry', 'entries')} in {count(report.links, 'link')}"
        lines.append(f"the audit trail is whole: {seen}")
    return "\n".join([*lines, f"anchor {report.anchor}"])


def _change(entry: LogEntry) -> str:
    """Before and after in one line: only what differs, and money that may not be seen."""
    before: Mapping[str, Any] = entry.before or {}
    after: Mapping[str, Any] = entry.after or {}
    return ", ".join(
        f"{name} {MASKED}" if _hidden(entry, name) else _field_change(name, before, after)
        for name in {**before, **after}
        if name not in before
        or name not in after
        or before[name] != after[name]
        or _hidden(entry, name)
    )


def _hidden(entry: LogEntry, name: str) -> bool:
    return entry.masked and name in MONEY


def _field_change(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    if name not in before:
        return f"{name}={plain(after[name])}"
    if name not in after:
        return f"{name} gone"
    return f"{name}: {plain(before[name])} → {plain(after[name])}"
