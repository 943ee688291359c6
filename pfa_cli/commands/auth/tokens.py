"""`pfa auth issue|refresh|list|revoke|login|status|logout`: tokens."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.auth.group import auth, print_token
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.durations import parse_duration
from pfa_cli.render import streams
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count, span
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import ConfigInvalid, DatabaseUnavailable, InvalidRequest

_COLUMNS = ("tokenId", "userId", "kind", "role", "issuedAt", "expiresAt", "revokedAt")

User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Whose tokens.")]


@command(
    auth,
    "issue",
    effect=Effect.SETTLES,
    examples=(
        "pfa auth issue --user anna --org HOLNG > anna.token",
        "pfa auth issue --user ben --org HOLNG --role viewer --ttl 30d",
        "pfa auth issue --service nightly --org HOLNG --right sync --ttl 90d > nightly.token",
    ),
    exit_codes="5 you are no admin; 6 the user is no member.",
)
def issue(
    call: Call,
    user_id: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="The member whose token it is.")
    ] = None,
    role: Annotated[
        str | None,
        typer.Option("--role", metavar="ROLE", help="viewer, editor or admin: holds no more."),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option("--service", metavar="NAME", help="A job's token, not a member's."),
    ] = None,
    right: Annotated[
        list[str] | None,
        typer.Option("--right", metavar="RIGHT", help="What the job may do. May be repeated."),
    ] = None,
    ttl: Annotated[
        str, typer.Option("--ttl", metavar="TIME", help="How long it is good: 30m, 8h, 90d.")
    ] = "8h",
) -> None:
    """Print a token for a member or for a job, and nothing else.

    A job becomes the member service:NAME with the rights given, of read, export, view_financials,
    import, refresh_data and sync. It pulls and pushes, and has no drafts.
    """
    life = parse_duration(ttl)
    if (user_id is None) == (service is None):
        raise InvalidRequest("whose token? give either --user or --service")
    if (role and service) or (right and user_id):
        raise InvalidRequest("--role goes with --user, --right with --service")
    database, principal = call.open()
    if service is not None:
        issued = core.issue_service_token(
            database, call.settings, principal, service=service, rights=right or (), ttl=life
        )
    else:
        issued = core.issue_token(
            database, call.settings, principal, user_id=user_id or "", role=role, ttl=life
        )
    print_token(call, issued)


@command(
    auth,
    "refresh",
    effect=Effect.SETTLES,
    examples=("pfa auth refresh", "pfa auth refresh --only HOLNG --print > holng.token"),
    exit_codes="4 the present token is no longer good; 5 it does not hold the organization.",
)
def refresh(
    call: Call,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="CODE", help="Hold only this organization. May be repeated."
        ),
    ] = None,
    ttl: Annotated[
        str | None,
        typer.Option(
            "--ttl",
            metavar="TIME",
            help="How long it is good: as long as the present one was made for, or less.",
        ),
    ] = None,
    *,
    revoke_old: Annotated[
        bool, typer.Option("--revoke-old", help="The present token ends now.")
    ] = False,
    print_it: Annotated[
        bool, typer.Option("--print", help="Print the new token, and keep it nowhere.")
    ] = False,
) -> None:
    """Put a new token in place of the present one, with your rights of now.

    It is kept in the file that the present one came from.
    """
    life = parse_duration(ttl) if ttl else None
    fresh = core.refresh_token(
        call.database,
        call.settings,
        only=only or (),
        ttl=life,
        revoke_old=revoke_old,
        keep=not print_it,
    )
    if print_it:
        print_token(call, fresh)
        return
    item = document(fresh)
    del item["token"]
    show_facts(call, item, id_column="tokenId")


@command(
    auth,
    "list",
    examples=("pfa auth list", "pfa auth list --user anna --ended -o json"),
    exit_codes="5 another user's, and you are no admin.",
)
def list_tokens(
    call: Call,
    user_id: User = None,
    *,
    ended: Annotated[
        bool, typer.Option("--ended", help="Also those that expired or were revoked.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="At most so many.")] = 1000,
) -> None:
    """List the tokens of the organization that are good now; of others, if you are an admin."""
    database, principal = call.open()
    found = core.list_tokens(database, principal, user_id=user_id, ended=ended, limit=limit)
    _show_tokens(call, found)
    if not found:
        whose = f"of {user_id} " if user_id else ""
        call.hint(
            f"no token {whose}" + ("was found" if ended else "is good now; --ended shows what was")
        )


@command(
    auth,
    "revoke",
    effect=Effect.WRITES,
    examples=(
        "pfa auth revoke 01a2109c-0a59-70c0-aacd-970c40143a9b",
        "pfa auth revoke --user anna --org HOLNG",
    ),
    exit_codes="5 another user's, and you are no admin; 6 no such token.",
)
def revoke(
    call: Call,
    token_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOKEN_ID]...", help="As `pfa auth list` shows them."),
    ] = None,
    user_id: User = None,
    *,
    everybody: Annotated[bool, typer.Option("--all", help="Everybody's, your own too.")] = False,
) -> None:
    """End tokens before their time. An admin ends them for the organization, one's own end everywhere."""
    database, principal = call.open()
    gone = core.revoke_tokens(
        database,
        principal,
        token_ids=token_ids or (),
        user_id=user_id,
        everybody=everybody,
        dry_run=call.dry_run,
    )
    _show_tokens(call, gone)
    call.say(f"{count(len(gone), 'token')} revoked{', rolled back' if call.dry_run else ''}")


@command(
    auth,
    "login",
    effect=Effect.SETTLES,
    examples=(
        "pfa auth login anna.token",
        "ssh admin pfa auth issue --user anna --org HOLNG | pfa auth login",
    ),
    exit_codes="4 the token is not good.",
)
def login(
    call: Call,
    file: Annotated[
        str, typer.Argument(metavar="[FILE|-]", help="The token; - is standard input.")
    ] = "-",
) -> None:
    """Keep a token for later calls, in a file that only you can read."""
    info = core.login(call.settings, _read_token(file))
    show_facts(call, _token_document(info), id_column="tokenId")


@command(
    auth,
    "status",
    examples=("pfa auth status", "pfa auth status -o json"),
    exit_codes="4 the token is no longer good.",
)
def status(call: Call) -> None:
    """Show who the present token says you are, where, and until when."""
    try:
        info = core.token_info(call.settings, db=call.database)
    except (DatabaseUnavailable, ConfigInvalid) as error:
        info = core.token_info(call.settings)
        call.hint(f"whether it was revoked is not known: {error.message}")
    show_facts(call, _token_document(info), id_column="tokenId")


@command(auth, "logout", effect=Effect.SETTLES)
def logout(call: Call) -> None:
    """Forget the kept token."""
    gone = core.logout(call.settings)
    call.say("signed out" if gone else "there was no kept token")


def _show_tokens(call: Call, found: list[Any]) -> None:
    items = [document(row) for row in found]
    sheet = Sheet(
        "tokenId",
        _COLUMNS,
        items,
        lambda: {"data": items, "metadata": call.metadata()},
        known=tuple(items[0]) if items else _COLUMNS,
    )
    show(sheet, call.look(Format.TSV))


def _read_token(file: str) -> str:
    if file != "-":
        from pfa_core.config.settings import read_secret_file

        return read_secret_file(Path(file))
    if sys.stdin is None or streams.is_terminal(sys.stdin):
        raise InvalidRequest(
            "no token came in", hint="type: pfa auth login FILE, or send it through a pipe"
        )
    token = sys.stdin.readline().strip()
    if not token:
        raise InvalidRequest("no token came in", hint="type: pfa auth login FILE")
    return token


def _token_document(info: Any) -> dict[str, Any]:
    item = document(info)
    return {**item, "valid": True, "expiresIn": span(_left(info.expires_at))}


def _left(expires_at: Any) -> timedelta:
    from pfa_core.model.ids import utc_now

    return max(expires_at - utc_now(), timedelta(0))
