"""`pfa init`, `org …`, `user …`: who may come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.framework.call import Call
from pfa_cli.framework.compose import Effect, command, group
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.errors import InvalidRequest

if TYPE_CHECKING:
    from pfa_core.store.members import Member

app = typer.Typer(rich_markup_mode=None)
org = group(app, "org", "Organizations, the tenants.")
user = group(app, "user", "Members of an organization, their roles and rights.")


Name = Annotated[str, typer.Option("--name", metavar="TEXT", help="Its full name.")]


@command(
    app,
    "init",
    effect=Effect.SETTLES,
    examples=("pfa init --org HOLNG", "pfa init --org HOLNG --name 'Hochmoor LNG'"),
    exit_codes="5 the organization is there and not yours.",
)
def init(call: Call, name: Name = "") -> None:
    """Start here: database, organization, you as its admin, signed in.

    May be repeated: what is there stays, the token is renewed.
    """
    code = call.settings.organization
    if not code:
        raise InvalidRequest("which organization?", hint="type: pfa init --org CODE")
    result = core.initialize(call.database, call.settings, code, name=name)
    show_facts(call, document(result), id_column="organization")
    code = result.organization_id
    new = f"pfa sync pull --org {code} --from FILE"
    call.say(f"next: {new if result.created else f'pfa status --org {code}'}")


@command(org, "add", effect=Effect.WRITES, examples=("pfa org add RIO --name 'Rio Grande'",))
def add_organization(
    call: Call,
    code: Annotated[str, typer.Argument(metavar="CODE", help="PEMS's code of the organization.")],
    name: Name = "",
) -> None:
    """Add an organization with you as its admin; the kept token is renewed."""
    result = core.add_organization(
        call.database, call.settings, code, name=name, dry_run=call.dry_run
    )
    show_facts(call, document(result), id_column="organization")
    call.hint(f"your token holds several organizations from now on: --org {code}, or set PFA_ORG")


@command(org, "list")
def list_organizations(call: Call) -> None:
    """List the organizations of the token, and your role in each."""
    found = core.list_organizations(call.database, call.settings)
    items = [document(item) for item in found]
    columns = ("organization", "name", "status", "role", "createdAt")
    sheet = Sheet("organization", columns, items, lambda: {"data": items, "metadata": {}})
    show(sheet, call.look(Format.TSV))


@command(
    user,
    "grant",
    effect=Effect.WRITES,
    examples=(
        "pfa user grant anna --org HOLNG --role editor",
        "pfa user grant anna --role editor --right edit_actuals --without view_financials",
    ),
    exit_codes="5 you are no admin, or give what you do not hold; 7 the organization would be left without one.",
)
def grant(
    call: Call,
    user_id: Annotated[str, typer.Argument(metavar="USER", help="Who.")],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="viewer, editor or admin.")],
    rights: Annotated[
        list[str] | None,
        typer.Option("--right", metavar="RIGHT", help="A right beside the role's; repeatable."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without", metavar="RIGHT", help="A right of the role's to leave out; repeatable."
        ),
    ] = None,
) -> None:
    """Give a user a role in the organization, instead of any they had.

    A role is a template of rights; --right and --without deviate from it. Tokens that the user has
    already hold what they held: a right gained needs a new one.
    """
    database, principal = call.open()
    member = core.grant(
        database,
        principal,
        user_id,
        role,
        rights=rights or (),
        without=without or (),
        dry_run=call.dry_run,
    )
    show_facts(call, _member(member), id_column="userId")


@command(user, "revoke", effect=Effect.WRITES, exit_codes="6 no member; 7 the last admin.")
def revoke(
    call: Call, user_id: Annotated[str, typer.Argument(metavar="USER", help="Who.")]
) -> None:
    """End a user's membership. Their drafts stay, unseen."""
    database, principal = call.open()
    member = core.revoke(database, principal, user_id, dry_run=call.dry_run)
    show_facts(call, _member(member), id_column="userId")
    call.say(f"{member.user_id} is no member of {member.organization_id} any more")


@command(user, "list")
def list_members(call: Call) -> None:
    """List the members of the organization; custom are those whose rights are not their role's."""
    database, principal = call.open()
    items = [_member(member) for member in core.list_members(database, principal)]
    columns = ("userId", "role", "rights", "grantedBy", "grantedAt", "custom")
    rows = [{**item, "rights": ",".join(item["rights"])} for item in items]
    sheet = Sheet(
        "userId",
        columns,
        items,
        lambda: {"data": items, "metadata": call.metadata()},
        rows=rows,
    )
    show(sheet, call.look(Format.TSV))


def _member(member: Member) -> dict[str, Any]:
    return {**document(member), "custom": member.custom}
