"""`pfa auth issue`, `refresh`, `list` and `revoke`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import pfa_core as core
from pfa_cli.commands.auth.group import TOKEN_COLUMNS, auth, print_token, store_token
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import Effect, command
from pfa_cli.framework.durations import parse_duration
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.paging import sort_keys, sort_option
from pfa_cli.framework.talk import Talk
from pfa_cli.framework.text_files import require_file
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.humanize import count
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import InvalidRequest
from pfa_core.model.ordering import TOKENS

_COLUMNS = ("tokenId", "userId", "kind", "role", "issuedAt", "expiresAt", "revokedAt")
_KNOWN = ("organization", "tokenId", "userId", "kind", "role", "rights", "narrowed", "organizations",
          "keyId", "issuedAt", "issuedBy", "expiresAt", "replaces", "revokedAt", "revokedBy")  # fmt: skip
_REPLACED = ("tokenId", "userId", "organizations", "expiresAt", "replaces", "revoked", "tokenFile")
_PRINTED = ("token", *_REPLACED)

User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Tokens of this user.")]


@command(
    auth,
    "issue",
    effect=Effect.IMMEDIATE,
    examples=(
        "pfa auth issue --user anna --org HOLNG --to anna.token",
        "pfa auth issue --user ben --org HOLNG --role viewer --ttl 30d",
        "pfa auth issue --service nightly --right sync --ttl 90d --to nightly.token",
    ),
    exit_codes="5 you are not an admin; 6 the user is not a member; 7 the file holds something else than a token.",
    columns=TOKEN_COLUMNS,
)
def issue(
    call: Invocation,
    talk: Talk,
    user_id: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="The member to issue it for.")
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            "--role", metavar="ROLE", help="Limit the token to this role: viewer, editor, admin."
        ),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            "--service", metavar="NAME", help="The job to issue it for, instead of a member."
        ),
    ] = None,
    right: Annotated[
        list[str] | None,
        typer.Option("--right", metavar="RIGHT", help="A right of the job; may be repeated."),
    ] = None,
    ttl: Annotated[
        str, typer.Option("--ttl", metavar="TIME", help="Lifetime of the token: 30m, 8h, 90d.")
    ] = "8h",
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="FILE", help="Write it to this file, which only you can read (0600)."
        ),
    ] = None,
) -> None:
    """Print a token for a member or for a job, and nothing else.

    A job becomes the member service:NAME with the rights given, of read, export, view_financials,
    import, refresh_data and sync. It pulls and pushes, and has no drafts.
    """
    life = parse_duration(ttl)
    if to is not None:
        _require_file(to)
    if (user_id is None) == (service is None):
        both = "--user and --service cannot be combined"
        raise InvalidRequest(
            both if user_id is not None else "no member or job is named",
            hint="give --user NAME for a member, or --service NAME --right RIGHT for a job",
        )
    if (role and service) or (right and user_id):
        raise InvalidRequest("--role requires --user, --right requires --service")
    database, principal = call.open()
    if service is not None:
        issued = core.issue_service_token(
            database, call.settings, principal, service=service, rights=right or (), ttl=life
        )
    else:
        issued = core.issue_token(
            database, call.settings, principal, user_id=user_id or "", role=role, ttl=life
        )
    if to is None:
        print_token(call, talk, issued)
    else:
        store_token(call, issued, to)


def _require_file(path: Path) -> None:
    """Refuse a path that is not that of a file of a token, before one is issued.

    Raises:
        InvalidRequest: Not a name, or the name of a link, a directory or a device.
        IllegalTransition: The file holds something else than a token.
    """
    require_file(path, "without --to it is printed, and nothing else", secret=True)
    if not path.name or path.is_symlink() or (path.exists() and not path.is_file()):
        raise InvalidRequest(f"--to {str(path)!r} is not the name of a file")
    from pfa_core.access.tokens.stored import token_in

    token_in(path, "name another file, or move it away")


@command(
    auth,
    "refresh",
    effect=Effect.IMMEDIATE,
    examples=("pfa auth refresh", "pfa auth refresh --only HOLNG --print > holng.token"),
    exit_codes="4 the current token is no longer valid; 5 it does not hold the organization.",
)
def refresh(
    call: Invocation,
    talk: Talk,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="CODE",
            help="Limit the token to this organization; may be repeated.",
        ),
    ] = None,
    ttl: Annotated[
        str | None,
        typer.Option(
            "--ttl",
            metavar="TIME",
            help="Lifetime of the token; at most, and by default, that of the current one.",
        ),
    ] = None,
    *,
    revoke_old: Annotated[
        bool, typer.Option("--revoke-old", help="Revoke the current token.")
    ] = False,
    print_it: Annotated[
        bool, typer.Option("--print", help="Print the new token instead of storing it.")
    ] = False,
) -> None:
    """Replace the current token by a new one with your current rights.

    It is stored in the file that the current one came from.
    """
    call.require_columns(_PRINTED if print_it else _REPLACED)
    life = parse_duration(ttl) if ttl else None
    fresh = core.refresh_token(
        call.database,
        call.signed_in,
        only=only or (),
        ttl=life,
        revoke_old=revoke_old,
        keep=not print_it,
    )
    if print_it:
        print_token(call, talk, fresh)
        return
    item = document(fresh)
    del item["token"]
    show_facts(item, call.look(Format.TABLE), id_column="tokenId")


@command(
    auth,
    "list",
    examples=("pfa auth list", "pfa auth list --user anna --ended -o json"),
    exit_codes="5 tokens of another user, and you are not an admin.",
    columns=_KNOWN,
)
def list_tokens(
    call: Invocation,
    talk: Talk,
    user_id: User = None,
    *,
    ended: Annotated[bool, typer.Option("--ended", help="Also expired and revoked ones.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="Maximum number of tokens.")
    ] = 1000,
    sort: Annotated[str, sort_option(TOKENS)] = TOKENS.default,
) -> None:
    """List your active tokens, as an admin those of the organization."""
    database, principal = call.open()
    found = core.list_tokens(
        database, principal, user_id=user_id, ended=ended, limit=limit, sort=sort_keys(sort)
    )
    _show_tokens(call, talk, found)
    if not found:
        whose = f" of {user_id}" if user_id else ""
        talk.hint(
            f"no tokens{whose}" if ended else f"no active tokens{whose}; add --ended for others"
        )


@command(
    auth,
    "revoke",
    effect=Effect.WRITES,
    examples=(
        "pfa auth revoke 01a2109c-0a59-70c0-aacd-970c40143a9b",
        "pfa auth revoke --user anna --org HOLNG",
    ),
    exit_codes="5 a token of another user, and you are not an admin; 6 no such token.",
    columns=_KNOWN,
)
def revoke(
    call: Invocation,
    talk: Talk,
    token_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TOKEN_ID]...", help="As shown by `pfa auth list`."),
    ] = None,
    user_id: User = None,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="All tokens of the organization, yours too.")
    ] = False,
) -> None:
    """Revoke tokens: as an admin for the organization, your own everywhere."""
    database, principal = call.open()
    revoked = core.revoke_tokens(
        database,
        principal,
        token_ids=token_ids or (),
        user_id=user_id,
        everyone=everything,
        dry_run=call.dry_run,
    )
    _show_tokens(call, talk, revoked)
    talk.say(f"{count(len(revoked), 'token')} revoked{', rolled back' if call.dry_run else ''}")


def _show_tokens(call: Invocation, talk: Talk, found: list[Any]) -> None:
    items = [document(row) for row in found]
    sheet = Sheet(
        id_column="tokenId",
        columns=_COLUMNS,
        ranked=("tokenId", "userId", "expiresAt", "revokedAt", "role"),
        items=items,
        envelope=Data(found, metadata(call, talk)),
    )
    show(sheet, call.look(Format.TSV))
