"""`pfa log`: the audit trail shown, verified, and archived by a module of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import command, read_common
from pfa_cli.framework.help import Group
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.moments import parse_moment
from pfa_cli.framework.paging import sort_keys, sort_option
from pfa_cli.framework.talk import Talk
from pfa_cli.render import streams
from pfa_cli.render.audit import change_text, report_text
from pfa_cli.render.formats import Format, Look
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import Internal, InvalidRequest, NotFound
from pfa_core.model import shell
from pfa_core.model.archives import named
from pfa_core.model.ordering import LOG
from pfa_core.model.suggest import nearest

if TYPE_CHECKING:
    from pfa_core.model.archives import LogArchive
    from pfa_core.model.audit import LogEntry

PAUSE_SECONDS = 1.0
FOLLOWED_HISTORY = 10
NEWEST = 100
_VERIFIED = ("whole", "links", "entries", "flawCount", "anchor")
_COLUMNS = ("at", "userId", "action", "pfaId", "sessionId", "change", "reason")
# As of `pems_log`, which the trail does not load.
_PEMS_CSV = (
    "at",
    "pfaId",
    "event",
    "change",
    "costEffect",
    "direction",
    "userId",
    "version",
    "runId",
    "by",
)
_CSV = ("at", "entryId", "userId", "action", "pfaId", "sessionId", "runId", "before", "after",
        "reason")  # fmt: skip

app = typer.Typer(rich_markup_mode=None)


class LogGroup(Group):
    """`pfa log`: shows the trail unless another of its commands is named."""

    default = "show"
    modules: Mapping[str, str] = {
        "show": __name__,
        "verify": __name__,
        "archive": "pfa_cli.commands.log_archive",
    }

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `show` in front, unless a command is named."""
        return super().parse_args(ctx, args if self._names_command(ctx, args) else ["show", *args])

    def _names_command(self, ctx: Any, args: list[str]) -> bool:
        """Tell whether the first word beside options and their values is a command."""
        show = self.get_command(ctx, "show")
        with_value = {
            name
            for param in [*self.get_params(ctx), *(show.params if show else ())]
            if param.param_type_name == "option" and not getattr(param, "is_flag", False)
            for name in param.opts
        }
        words = iter(args)
        for word in words:
            if not word.startswith("-"):
                return word in self.modules
            if word in with_value:
                next(words, None)
        return False


log = typer.Typer(
    cls=LogGroup,
    help="Show the audit trail, verify it, archive its oldest entries.",
    rich_markup_mode=None,
    callback=read_common,
)
LogGroup.home = log
app.add_typer(log, name="log")


@command(
    log,
    "show",
    examples=(
        "pfa log HOLNG-000123",
        "pfa log --session weather-silo4 -o jsonl",
        "pfa log --user anna --since 24h --action commit",
        "pfa log --follow -o jsonl",
        "pfa log --pems --since 24h",
        "pfa log --from trail-2024.jsonl.gz --user anna",
    ),
    exit_codes="5 entries of other users without the right to manage users; 130 --follow was ended.",
    columns=tuple(dict.fromkeys((*_COLUMNS, *_CSV, *_PEMS_CSV))),
)
def show_log(
    call: Invocation,
    talk: Talk,
    pfa_id: Annotated[
        str | None, typer.Argument(metavar="[PFA_ID]", help="Only this record.")
    ] = None,
    *,
    session: Annotated[
        str | None, typer.Option("--session", metavar="NAME", help="Only this session.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="Only actions of this user.")
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
        typer.Option("--since", metavar="TIME", help="From this time: a day, an instant, or 24h."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="TIME", help="Until this time: a day (to its end), or as above."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", min=1, help=f"Maximum number of entries; default {NEWEST}."
        ),
    ] = None,
    sort: Annotated[str, sort_option(LOG)] = LOG.default,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Then show new entries, until interrupted."),
    ] = False,
    pems: Annotated[
        bool,
        typer.Option("--pems", help="What changed in PEMS instead, each change of a record."),
    ] = False,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE", help="Archived entries, of pfa log archive."),
    ] = None,
) -> None:
    """Show the audit trail, newest first: who changed what, when, why, in which run.

    With --follow the last ten come first, the newest at the end, then each new entry when its
    transaction is committed. With --pems each line is a change that a pull found in PEMS or a push brought
    there; `pfa changes` sums them up. With --from the entries of an archive are shown, which is verified meanwhile.
    """
    if pems:
        given = {"--session": session, "--user": user, "--action": actions, "--follow": follow,
                 "--sort": sort != LOG.default, "--from": source}  # fmt: skip
        from pfa_cli.commands.pems_log import refuse_with_pems, show_pems_log

        refuse_with_pems(given)
        show_pems_log(call, talk, pfa_id, since=since, until=until, run=run, limit=limit or NEWEST)
        return
    changed = sort != LOG.default
    if follow:
        _refuse_with("--follow", {"--until": until, "--sort": changed, "--from": source})
    if source is not None:
        _refuse_with("--from", {"--sort": changed})
    now = datetime.now(UTC)
    filters = core.LogFilter(
        user_id=user,
        pfa_id=pfa_id,
        session_id=session,
        run_id=run,
        since=parse_moment(since, now) if since else None,
        until=parse_moment(until, now, whole_day=True) if until else None,
        actions=tuple(actions or ()),
    )
    database, principal = call.open()
    if follow:
        look = _endless(call.look(Format.TSV))
        history = FOLLOWED_HISTORY if limit is None else limit
        new = core.follow_log(database, principal, filters, history=history, wait=_wait)
        show(_sheet(_masking(new, talk)), look)
        return
    most = limit or NEWEST
    try:
        found = core.stream_log(
            database, principal, filters, limit=most, sort=sort_keys(sort), archive=source
        )
    except NotFound as error:
        raise _not_found(error, pfa_id) from None
    shown = _Shown(_masking(found, talk))
    entries = iter(shown)
    sheet = replace(_sheet(entries), envelope=Data(entries, lambda: metadata(call, talk)))
    show(sheet, call.look(Format.TSV))
    if limit is None and shown.number == most:
        which = "newest" if sort == LOG.default else "first"
        talk.say(f"the {which} {most:,} entries; --limit N shows more")
    if not shown.number:
        filtered = source is not None or filters != core.LogFilter()
        talk.hint("no entry matches" if filtered else "the audit trail is empty")
    if source is None and shown.number < most:
        _note_archived(talk, core.list_archives(database, principal), filters)


def _refuse_with(option: str, given: Mapping[str, object]) -> None:
    for other, value in given.items():
        if value:
            raise InvalidRequest(f"{option} and {other} cannot be combined")


def _note_archived(talk: Talk, archives: Sequence[LogArchive], filters: core.LogFilter) -> None:
    """Say that older entries are in files, where they could match."""
    if archives and (filters.since is None or filters.since < archives[-1].before):
        last = archives[-1]
        talk.say(f"entries of before {last.day} are archived in {named(archives)}")
        talk.hint(f"type: pfa log --from {shell.file(last.file)}")


def _not_found(error: NotFound, pfa_id: str | None) -> NotFound:
    """Name the command that was meant, where an id is almost one."""
    meant = nearest(pfa_id or "", ("verify", "archive"))
    return NotFound(error.message, hint=f"type: pfa log {meant}") if meant else error


@command(
    log,
    "verify",
    examples=(
        "pfa log verify",
        'pfa log verify --anchor "$ANCHOR"',
        "pfa log verify -o ids > /srv/anchors/HOLNG",
        "pfa log verify --archive trail-2023.jsonl.gz trail-2024.jsonl.gz",
    ),
    exit_codes="0 intact; 1 an entry was removed, altered, added or moved, or a file is not what was archived.",
    columns=_VERIFIED,
)
def verify(
    call: Invocation,
    talk: Talk,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="More files, after --archive FILE."),
    ] = None,
    *,
    anchor: Annotated[
        str | None,
        typer.Option(
            "--anchor", metavar="NUMBER:DIGEST", help="Anchor printed by an earlier check."
        ),
    ] = None,
    archive: Annotated[
        list[str] | None,
        typer.Option("--archive", metavar="FILE", help="File of archived entries; all of them."),
    ] = None,
) -> int:
    """Verify that the audit trail is complete, unaltered and in order.

    Prints the anchor of the chain's end. Keep it where the database's owner cannot write: given to a
    later check it also detects a trail that was truncated or rewritten. Where entries are archived the check begins
    behind them; with their files it begins with the first entry of all.
    """
    if more and not archive:
        raise InvalidRequest("files come after --archive", hint="pfa log verify --archive FILE...")
    database, principal = call.open()
    files = [*(archive or ()), *(more or ())]
    report = core.verify_log(database, principal, anchor=anchor, files=files)
    item = {**document(report), "whole": report.whole}
    sheet = Sheet(
        id_column="anchor",
        columns=_VERIFIED,
        items=[item],
        envelope=Data(item, metadata(call, talk)),
        text=lambda: report_text(report),
    )
    show(sheet, call.look(Format.TABLE))
    if report.whole:
        return 0
    talk.say(f"the audit trail is not intact: {count(report.flaw_count, 'flaw')}")
    return Internal.exit_code


def _sheet(entries: Iterable[LogEntry]) -> Sheet:
    """Make a sheet of entries, complete or as they arrive."""
    return Sheet(
        id_column="entryId",
        columns=_COLUMNS,
        csv_columns=_CSV,
        ranked=("at", "pfaId", "action", "change", "userId", "reason"),
        items=(document(entry) for entry in entries),
        rows=({**document(entry), "change": change_text(entry)} for entry in entries),
        envelope=None,  # a stream without end has none
    )


class _Shown:
    """Entries, counted as they are read once."""

    def __init__(self, entries: Iterable[LogEntry]) -> None:
        self._entries, self.number = entries, 0

    def __iter__(self) -> Iterator[LogEntry]:
        for entry in self._entries:
            self.number += 1
            yield entry


def _masking(entries: Iterable[LogEntry], talk: Talk) -> Iterator[LogEntry]:
    """Yield the entries, and remember whether money is masked in one of them."""
    for entry in entries:
        talk.mask(entry)
        yield entry


def _endless(look: Look) -> Look:
    """Choose the format of a stream without end."""
    if look.format is Format.TABLE:
        return replace(look, format=Format.TSV)
    if look.format in (Format.JSON, Format.MARKDOWN, Format.XLSX):
        raise InvalidRequest(
            f"--follow cannot be combined with -o {look.format}",
            hint="formats: jsonl, csv, tsv, ids",
        )
    return look


def _wait() -> bool:
    streams.flush()
    time.sleep(PAUSE_SECONDS)
    return True
