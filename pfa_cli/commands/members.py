"""`pfa init`, `pfa org` and `pfa user`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import Effect, command, group
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.learning import USER
from pfa_cli.framework.metadata import metadata
from pfa_cli.framework.paging import Limit, sort_keys, sort_option
from pfa_cli.framework.talk import Talk
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.config.choices import drop_unreadable
from pfa_core.errors import InvalidRequest
from pfa_core.model import shell
from pfa_core.model.ordering import MEMBERS, ORGANIZATIONS

if TYPE_CHECKING:
    from pfa_core.store.members import Member

app = typer.Typer(rich_markup_mode=None)
org = group(
    app,
    "org",
    "Manage organizations (tenants).",
    modules={
        "add": __name__,
        "set": __name__,
        "use": __name__,
        "list": __name__,
        "export": "pfa_cli.commands.transfer",
        "import": "pfa_cli.commands.transfer",
        "reopen": "pfa_cli.commands.transfer",
    },
)
user = group(app, "user", "Manage members of an organization, their roles and rights.")

_ORGANIZATIONS = (
    "organization",
    "name",
    "status",
    "role",
    "createdAt",
    "currency",
    "rateUom",
    "foreignCurrency",
    "maxRecords",
    "maxMoney",
    "maxPercent",
)
_SETTINGS = ("organization", *_ORGANIZATIONS[5:])
# Where a terminal has no room for all: limits rather than dates.
_RANKED = (
    "organization",
    "role",
    "status",
    "currency",
    "maxRecords",
    "maxMoney",
    "maxPercent",
    "name",
)
_MEMBERS = ("userId", "role", "rights", "grantedBy", "grantedAt", "custom")

Name = Annotated[str, typer.Option("--name", metavar="TEXT", help="Its full name.")]


@command(
    app,
    "init",
    effect=Effect.IMMEDIATE,
    examples=("pfa init --org HOLNG", "pfa init --org HOLNG --name 'Hochmoor LNG'"),
    exit_codes="5 the organization exists and you are not a member; 7 the token's file holds something else than"
    " a token of yours.",
    columns=("organization", "userId", "created", "tokenFile", "keyFile", "expiresAt"),
)
def init(call: Invocation, talk: Talk, name: Name = "") -> None:
    """Create database and organization, with you as its admin, signed in.

    Idempotent: what exists is kept, the token is renewed.
    """
    code = call.settings.organization
    if not code:
        raise InvalidRequest("no organization is given", hint="type: pfa init --org CODE")
    profile = call.settings.profile
    where = f" --profile {shell.word(profile)}" if profile else ""
    result = core.initialize(call.database, call.settings, code, name=name)
    show_facts(document(result), call.look(Format.TABLE), id_column="organization")
    code = result.organization_id
    new = f"pfa sync pull --org {code}{where} --from FILE"
    talk.say(f"next: {new if result.created else f'pfa status --org {code}{where}'}")


@command(
    org,
    "add",
    effect=Effect.WRITES,
    examples=("pfa org add RIO --name 'Rio Grande'",),
    exit_codes="5 you are an admin nowhere, or not a member of it; 7 as of pfa init.",
    columns=("organization", "created", "tokenFile"),
)
def add_organization(
    call: Invocation,
    talk: Talk,
    code: Annotated[str, typer.Argument(metavar="CODE", help="The organization's code in PEMS.")],
    name: Name = "",
) -> None:
    """Add an organization with you as its admin, and renew the stored token."""
    result = core.add_organization(
        call.database, call.signed_in, code, name=name, dry_run=call.dry_run
    )
    show_facts(document(result), call.look(Format.TABLE), id_column="organization")
    talk.note_dry_run()
    if call.dry_run:
        return
    talk.hint(
        f"your token now holds several organizations; to work in this one type: pfa org use {code}"
    )


@command(
    org,
    "set",
    effect=Effect.WRITES,
    examples=(
        "pfa org set --org HOLNG --currency USD",
        "pfa org set --rate-uom week",
        "pfa org set --currency EUR --foreign-currency refuse --dry-run",
        "pfa org set --max-records 500 --max-money 250000 --max-percent 2.5",
        "pfa org set --max-money none",
    ),
    columns=_SETTINGS,
    exit_codes="5 you are not an admin.",
)
def configure_organization(
    call: Invocation,
    talk: Talk,
    currency: Annotated[
        str | None,
        typer.Option(
            "--currency",
            metavar="CODE",
            help="The currency of all sums: USD, EUR, …; none: not set.",
        ),
    ] = None,
    rate_uom: Annotated[
        str | None,
        typer.Option(
            "--rate-uom",
            metavar="UNIT",
            help="The unit of rates that name none: month, week, day, 28-day.",
        ),
    ] = None,
    foreign_currency: Annotated[
        str | None,
        typer.Option(
            "--foreign-currency",
            metavar="WHAT",
            help="Records of another currency: exclude them from sums, or refuse them in pulls.",
        ),
    ] = None,
    max_records: Annotated[
        str | None,
        typer.Option(
            "--max-records",
            metavar="N",
            help="The most records that one commit or one push may change; none: any number.",
        ),
    ] = None,
    max_money: Annotated[
        str | None,
        typer.Option(
            "--max-money",
            metavar="AMOUNT",
            help="The most forecast cost, up or down, added up record by record; none: any.",
        ),
    ] = None,
    max_percent: Annotated[
        str | None,
        typer.Option(
            "--max-percent",
            metavar="P",
            help="The same in per cent of the organization's forecast cost; none: any.",
        ),
    ] = None,
) -> None:
    """Set what costs depend on and what one commit may change, for all users.

    A record that names no currency or rate unit has the organization's. A commit or push over a limit is refused,
    unless --override gives a reason and the user has the right override_guards. What is not given stays.
    """
    database, principal = call.open()
    result = core.configure_organization(
        database,
        principal,
        currency=currency,
        rate_uom=rate_uom,
        foreign_currency=foreign_currency,
        max_records=max_records,
        max_money=max_money,
        max_percent=max_percent,
        dry_run=call.dry_run,
    )
    facts = {"organization": principal.organization_id, **document(result)}
    show_facts(facts, call.look(Format.TABLE), id_column="organization")
    talk.note_dry_run()


@command(
    org,
    "use",
    effect=Effect.IMMEDIATE,
    examples=("pfa org use RIO", "pfa org use --none"),
    columns=("organization", "source"),
    exit_codes="5 your token does not hold it; 6 it holds one of a similar name.",
)
def use_organization(
    call: Invocation,
    talk: Talk,
    code: Annotated[
        str | None, typer.Argument(metavar="[CODE]", help="One of your organizations.")
    ] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Forget the choice.")] = False,
) -> None:
    """Choose the organization that you work in.

    It is kept for your profile and database, wins over the organization of the profile, and counts on a
    terminal alone: jobs of yours go on as before. PFA_ORG and --org win over it.
    """
    if (code is None) != none:
        raise InvalidRequest(
            "give either an organization or --none", hint="type: pfa org use CODE, or --none"
        )
    if none:
        drop_unreadable(os.environ)
    core.use_organization(call.signed_in, code)
    call.note_stored()
    item = {"organization": code, "source": "pfa org use" if code else ""}
    show_facts(
        item,
        call.look(Format.TABLE),
        id_column="organization",
        without="no chosen organization",
    )
    if named := os.environ.get("PFA_ORG"):
        talk.hint(f"PFA_ORG is set to {named} and wins over it")


@command(org, "list", columns=_ORGANIZATIONS)
def list_organizations(
    call: Invocation,
    limit: Limit = None,
    sort: Annotated[str, sort_option(ORGANIZATIONS)] = ORGANIZATIONS.default,
) -> None:
    """List the organizations of your token, and your role in each."""
    found = core.list_organizations(
        call.database, call.signed_in, limit=limit, sort=sort_keys(sort)
    )
    items = [document(item) for item in found]
    sheet = Sheet(
        id_column="organization",
        columns=_ORGANIZATIONS,
        items=items,
        envelope=Data(found),
        ranked=_RANKED,
    )
    show(sheet, call.look(Format.TSV))


@command(
    user,
    "grant",
    effect=Effect.WRITES,
    examples=(
        "pfa user grant anna --org HOLNG --role editor",
        "pfa user grant anna --role editor --without view_financials",
    ),
    exit_codes="5 you are not an admin, or grant a right that you lack; 7 the organization would"
    " have no admin.",
    columns=("organization", *_MEMBERS),
)
def grant(
    call: Invocation,
    talk: Talk,
    user_id: Annotated[str, typer.Argument(metavar="USER", help="The user.")],
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="viewer, editor or admin.")],
    rights: Annotated[
        list[str] | None,
        typer.Option(
            "--right", metavar="RIGHT", help="A right in addition to the role; may be repeated."
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without", metavar="RIGHT", help="A right of the role to withhold; may be repeated."
        ),
    ] = None,
) -> None:
    """Give a user a role in the organization, in place of the former one.

    A role is a template of rights; --right and --without deviate from it. Existing tokens do not gain
    rights: to use a new right, the user needs a new token.
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
    show_facts(_member(member), call.look(Format.TABLE), id_column="userId")
    talk.note_dry_run()


@command(
    user,
    "revoke",
    effect=Effect.WRITES,
    exit_codes="6 not a member; 7 the last admin.",
    columns=("organization", *_MEMBERS),
)
def revoke(
    call: Invocation,
    talk: Talk,
    user_id: Annotated[str, typer.Argument(metavar="USER", help="The user.")],
) -> None:
    """End a user's membership; unsent changes are kept as hidden drafts."""
    database, principal = call.open()
    member = core.revoke(database, principal, user_id, dry_run=call.dry_run)
    show_facts(_member(member), call.look(Format.TABLE), id_column="userId")
    talk.done(f"{member.user_id} is no longer a member of {member.organization_id}")


@command(user, "list", columns=_MEMBERS)
def list_members(
    call: Invocation,
    talk: Talk,
    limit: Limit = None,
    sort: Annotated[str, sort_option(MEMBERS)] = MEMBERS.default,
) -> None:
    """List the members of the organization; custom: their rights differ from the role."""
    database, principal = call.open()
    found = core.list_members(database, principal, limit=limit, sort=sort_keys(sort))
    items = [_member(member) for member in found]
    call.learn(USER, (item["userId"] for item in items), whole=limit is None)
    rows = [{**item, "rights": ",".join(item["rights"])} for item in items]
    sheet = Sheet(
        id_column="userId",
        columns=_MEMBERS,
        ranked=("userId", "role", "custom", "rights"),
        items=items,
        rows=rows,
        envelope=Data(items, metadata(call, talk)),
    )
    show(sheet, call.look(Format.TSV))


def _member(member: Member) -> dict[str, Any]:
    return {**document(member), "custom": member.custom}
