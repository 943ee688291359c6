"""`pfa config`: the settings in effect, where they come from, and their edits."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import pfa_core as core
from pfa_cli.envelopes.base import Data
from pfa_cli.framework.compose import Effect, command, group
from pfa_cli.framework.invocation import Invocation
from pfa_cli.framework.talk import Talk
from pfa_cli.render.facts import show_facts
from pfa_cli.render.formats import Format
from pfa_cli.render.json import document
from pfa_cli.render.output import Sheet, show
from pfa_core.config.edit import ConfigEdit
from pfa_core.errors import InvalidRequest

app = typer.Typer(rich_markup_mode=None)
config = group(app, "config", "Show and change settings: what counts, and where it comes from.")
_COLUMNS = ("key", "value", "source")
_ALL = ("key", "value", "source", "must", "unit", "meaning")
_EDIT = ("profile", "key", "before", "after", "path")
_PLACES = ("source", "value", "counts")

Key = Annotated[
    str, typer.Argument(metavar="KEY", help="Its name, such as organization or pems.url.")
]


@command(
    config,
    "list",
    examples=("pfa config list", "pfa config list --profile rio -o json"),
    columns=_ALL,
)
def list_config(call: Invocation) -> None:
    """List every setting: its value in effect and what that comes from.

    Sources are an option, a variable of the environment, a choice of yours, the profile, a default. Passwords
    are left out.
    """
    found = core.list_settings(call.flags, stored=call.is_attended)
    items = [document(item) for item in found]
    sheet = Sheet(
        id_column="key",
        columns=_COLUMNS,
        csv_columns=_ALL,
        ranked=_COLUMNS,
        items=items,
        rows=[{**item, "value": _shown(item)} for item in items],
        envelope=Data(found),
    )
    show(sheet, call.look(Format.TSV, lenient=True))


@command(
    config,
    "get",
    examples=("pfa config get organization", "pfa config get pems.url --profile rio"),
    exit_codes="6 it is not set.",
    columns=_ALL,
)
def get(call: Invocation, name: Key) -> None:
    """Print the value in effect of one setting.

    Without a value and a default it ends with 6.
    """
    setting = core.explain_setting(name, call.flags, stored=call.is_attended)
    value = core.setting_value(setting)
    item = document(setting)
    sheet = Sheet(
        id_column="key",
        columns=("value",),
        csv_columns=_ALL,
        items=[item],
        rows=[{**item, "value": _text(value)}],
        envelope=Data(setting),
        text=lambda: _text(value),
    )
    show(sheet, call.look(Format.TSV, answers=True, lenient=True))


@command(
    config,
    "explain",
    examples=("pfa config explain organization", "pfa config explain pems.retries"),
    columns=_PLACES,
)
def explain(call: Invocation, talk: Talk, name: Key) -> None:
    """Show every place that a setting may come from, and which one counts.

    The first one with a value counts.
    """
    setting = core.explain_setting(name, call.flags, stored=call.is_attended)
    first = next((at for at, place in enumerate(setting.places) if place.counts), None)
    rows = [
        {
            "source": place["source"],
            "value": _shown(place),
            "counts": "yes" if number == first else "",
        }
        for number, place in enumerate(document(setting)["places"])
    ]
    unit = f" ({setting.unit})" if setting.unit else ""
    talk.say(f"{setting.key}: {setting.meaning}; {setting.must}{unit}")
    sheet = Sheet(
        id_column="source",
        columns=_PLACES,
        items=[document(setting)],
        rows=rows,
        envelope=Data(setting),
    )
    show(sheet, call.look(Format.TSV, lenient=True))


@command(
    config,
    "set",
    effect=Effect.WRITES,
    examples=(
        "pfa config set organization RIO",
        "pfa config set pems.url https://pems.example --profile rio",
        "pfa config set protected true --profile production",
    ),
    exit_codes="6 there is no such profile.",
    columns=_EDIT,
)
def set_(
    call: Invocation,
    talk: Talk,
    name: Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its new value.")],
) -> None:
    """Set a setting of the profile in the configuration file; comments stay.

    The file is made where there is none. It never holds a password.
    """
    if name == "output":
        _require_format(value)
    edit = core.set_setting(name, value, call.flags, stored=call.is_attended, dry_run=call.dry_run)
    _show(call, talk, edit, f"{edit.key} is {_text(edit.after)} in profile {edit.profile}")


@command(
    config,
    "unset",
    effect=Effect.WRITES,
    examples=("pfa config unset organization", "pfa config unset pems.tenant --profile rio"),
    columns=_EDIT,
)
def unset(call: Invocation, talk: Talk, name: Key) -> None:
    """Remove a setting of the profile from the configuration file; comments stay."""
    edit = core.unset_setting(name, call.flags, stored=call.is_attended, dry_run=call.dry_run)
    was = "is not set any more" if edit.changed else "was not set"
    _show(call, talk, edit, f"{edit.key} {was} in profile {edit.profile}")


def _show(call: Invocation, talk: Talk, edit: ConfigEdit, done: str) -> None:
    if not call.dry_run:
        call.note_stored()
    show_facts(document(edit), call.look(Format.TABLE, lenient=True), id_column="key")
    talk.done(done)
    if edit.after is None:
        return
    setting = core.explain_setting(edit.key, call.flags, stored=call.is_attended)
    if setting.source and not setting.source.startswith("profile ") and not call.dry_run:
        talk.hint(f"{setting.source} is set to {_text(setting.value)} and wins over it")


def _shown(item: dict[str, Any]) -> str:
    """Return a value as text, or what holds instead, in parentheses."""
    return f"({item['note']})" if item["note"] else _text(item["value"])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _require_format(value: str) -> None:
    if value not in list(Format):
        raise InvalidRequest(
            f"invalid output format {value!r}", hint=f"formats: {', '.join(Format)}"
        )
