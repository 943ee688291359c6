"""`pfa profile`: the profiles of the configuration file, and the one in use."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.exit_codes import INTERRUPTED
from pfa_cli.framework.compose import Effect, command, group
from pfa_cli.framework.consent import may_write
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.config.choices import drop_unreadable
from pfa_core.config.settings import PROFILE_CHOICE
from pfa_core.errors import InvalidRequest
from pfa_core.model import shell

app = typer.Typer(rich_markup_mode=None)
profile = group(app, "profile", "Manage profiles: settings of one database and PEMS by name.")
_COLUMNS = ("profile", "current", "protected", "organization", "databaseUrl", "pemsUrl")
_USED = ("profile", "source")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile.")]


@command(profile, "list", examples=("pfa profile list",), columns=_COLUMNS)
def list_profiles(call: Invocation, talk: Talk) -> None:
    """List the profiles of the configuration file; current: the one that counts."""
    found = core.list_profiles(call.flags, stored=call.is_attended)
    sheet = Sheet(
        id_column="profile",
        columns=_COLUMNS,
        ranked=("profile", "current", "protected", "organization", "pemsUrl", "databaseUrl"),
        items=[document(item) for item in found],
        envelope=Data(found),
    )
    show(sheet, call.look(Format.TSV, lenient=True))
    if not found:
        talk.hint("no profiles; add one: pfa profile add NAME --database-url URL")


@command(
    profile,
    "show",
    examples=("pfa profile show", "pfa profile show rio"),
    exit_codes="6 there is no such profile.",
    columns=_COLUMNS,
)
def show_profile(
    call: Invocation,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The profile; without it the current.")
    ] = None,
) -> None:
    """Show a profile; its settings one by one: pfa config list --profile NAME."""
    found = core.show_profile(name, call.flags, stored=call.is_attended)
    show_facts(
        document(found), call.look(Format.TABLE, answers=True, lenient=True), id_column="profile"
    )


@command(
    profile,
    "add",
    effect=Effect.WRITES,
    asks=False,  # no profile that there is changes, the current one least of all
    examples=(
        "pfa profile add rio --org RIO",
        "pfa profile add prod --database-url postgresql://db/pfa --protected",
        "pfa profile add test --set pems.url=http://127.0.0.1:8080",
    ),
    exit_codes="7 there is such a profile.",
    columns=_COLUMNS,
)
def add(
    call: Invocation,
    talk: Talk,
    name: Name,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of it; may be repeated."),
    ] = None,
    *,
    protected: Annotated[
        bool,
        typer.Option("--protected", help="Writes ask on a terminal and need --yes in scripts."),
    ] = False,
) -> None:
    """Add a profile to the configuration file.

    It takes the values of --org, --database-url and --token-file, where they are given, and of --set.
    """
    common = call.common
    given = {
        "organization": common.org,
        "database_url": common.database_url,
        "token_file": os.path.abspath(common.token_file) if common.token_file else None,
        "protected": "true" if protected else None,
    }
    values = {key: value for key, value in given.items() if value}
    for assignment in settings or ():
        key, equals, value = assignment.partition("=")
        if not equals:
            raise InvalidRequest(f"--set {assignment}: not KEY=VALUE")
        values[key.strip()] = value
    found = core.add_profile(name, values, dry_run=call.dry_run)
    if not call.dry_run:
        call.note_stored()
    _show(call, document(found))
    talk.done(f"profile {name} added")
    used = shell.command("pfa profile use", [name])
    talk.hint(f"to work with it type: {used}, or add --profile {shell.word(name)}")


@command(
    profile,
    "remove",
    effect=Effect.WRITES,
    examples=("pfa profile remove rio",),
    exit_codes="6 there is no such profile; 130 it is protected, and you said no.",
    columns=_COLUMNS,
)
def remove(call: Invocation, talk: Talk, name: Name) -> int | None:
    """Remove a profile from the configuration file; its database is not touched."""
    # The current profile has been asked about already, as before any write.
    asked = call.dry_run or core.show_profile(name, call.flags, stored=call.is_attended).current
    if not asked and not may_write(call, "pfa profile remove", profile=name):
        talk.say("nothing was changed")
        return INTERRUPTED
    found = core.remove_profile(name, dry_run=call.dry_run)
    if not call.dry_run:
        call.note_stored()
    _show(call, document(found))
    talk.done(f"profile {name} removed")
    return None


@command(
    profile,
    "use",
    effect=Effect.IMMEDIATE,
    examples=("pfa profile use rio", "pfa profile use --none"),
    exit_codes="6 there is no such profile.",
    columns=_USED,
)
def use(
    call: Invocation,
    talk: Talk,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A profile of the file.")
    ] = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Forget the choice.")] = False,
) -> None:
    """Choose the profile that you work with.

    It counts on a terminal alone: jobs of yours go on as before. PFA_PROFILE and --profile win over it.
    """
    if (name is None) != none:
        raise InvalidRequest(
            "give either a profile or --none", hint="type: pfa profile use NAME, or --none"
        )
    if none:
        drop_unreadable(os.environ)
    core.use_profile(name)
    call.note_stored()
    item = {"profile": name, "source": PROFILE_CHOICE if name else ""}
    _show(call, item, without="no chosen profile")
    if named := os.environ.get("PFA_PROFILE"):
        talk.hint(f"PFA_PROFILE is set to {named} and wins over it")


def _show(call: Invocation, item: dict[str, Any], without: str = "") -> None:
    show_facts(item, call.look(Format.TABLE, lenient=True), id_column="profile", without=without)
