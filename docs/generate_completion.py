"""Write pfa_cli/completion/tree.json from the commands.

    python docs/generate_completion.py

tests/completion/test_tree.py makes it again and fails when the file differs.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import typer  # noqa: E402

from pfa_cli.app import app  # noqa: E402
from pfa_cli.completion.install import SHELLS  # noqa: E402
from pfa_cli.render.kpis import GROUP_COUNT, group_columns  # noqa: E402
from pfa_cli.schemas import names  # noqa: E402
from pfa_core.access.organization_settings import FOREIGN_CURRENCY  # noqa: E402
from pfa_core.files.baseline import FORMATS  # noqa: E402
from pfa_core.files.deltas import DELTA_FORMATS  # noqa: E402
from pfa_core.model.audit import ACTIONS  # noqa: E402
from pfa_core.model.costing import RATE_UNITS  # noqa: E402
from pfa_core.model.grouping import SHORT, sort_figures  # noqa: E402
from pfa_core.model.kpi import DIMENSIONS  # noqa: E402
from pfa_core.model.modification import OVERLAYING, State  # noqa: E402
from pfa_core.model.notation import DATE_ORDERS, MARKS, SEPARATORS  # noqa: E402
from pfa_core.model.principal import SERVICE_RIGHTS, Right, Role  # noqa: E402
from pfa_core.model.record import EDITABLE, FIELDS, LIST_SORTABLE, SORTABLE, Kind  # noqa: E402

FILE = ROOT / "pfa_cli" / "completion" / "tree.json"

# What an option takes. A kind is one of values that commands keep (pfa_cli/framework/learning.py), one of `values`
# below, `file`, or choices behind "="; "," in front: a list with commas, ",-" one of orders; "|" between two:
# either. Others: any text.
OPTIONS = {
    "--action": "action",
    "--allow-emptied": "field|=all",
    "--area-silo": "areaSilo",
    "--by": ",by",
    "--category": "category",
    "--class": "class",
    "--columns": ",column",
    "--contract": "contract",
    "--currency": "currency",
    "--dates": f"={','.join(DATE_ORDERS)}",
    "--decimal": "=point,comma",
    "--dor": "field:dor",
    "--foreign-currency": "foreign",
    "--id": "record",
    "--into": "session",
    "--manufacturer": "manufacturer",
    "--model": "model",
    "--only": "organization",
    "--org": "organization",
    "--profile": "profile",
    "--rate-uom": "rate-unit",
    "--right": "right",
    "--role": "role",
    "--run": "run",
    "--separator": f"={','.join(SEPARATORS)}",
    "--session": "session",
    "--set": "assignment",
    "--sort": ",-sort",
    "--source": "field:source",
    "--state": "state",
    "--status": "=unresolved,resolved,all",
    "--take": "taking|=mine,pems",
    "--thousands": f"={','.join(MARKS)}",
    "--user": "user",
    "--view": "view",
    "--without": "right",
}
# Options that take something else in one command, and arguments, by command and name.
OF_A_COMMAND = {
    "list --sort": ",-list-sort",
    "stats --sort": ",-stats-sort",
    "auth issue --right": "service-right",
    "blame pfa_id": "record",
    "changes --since": "run",
    "completion shell": f"={','.join(SHELLS)}",
    "conflict resolve ids": "record|conflict",
    "conflict show conflict_id": "conflict",
    "diff sessions": "session",
    "draft save --format": f"={','.join(DELTA_FORMATS)}",
    "draft set words": "record|assignment",
    "draft unset words": "record|editable",
    "list --to": "file",
    "log archive --to": "file",
    "log show --from": "file",
    "log verify --archive": "file",
    "log verify more": "file",
    "report --format": "=html,md,xlsx",
    "report --to": "file",
    "log show pfa_id": "record",
    "org use code": "organization",
    "sample folder": "file",
    "schema words": "schema",
    "session use name": "session",
    "show ids": "record",
    "sync pull --format": f"={','.join(FORMATS)}",
    "sync retry run_id": "run",
    "sync show run_id": "run",
    "user grant user_id": "user",
    "user revoke user_id": "user",
    "view delete name": "view",
    "view save name": "view",
    "view show name": "view",
}
TEXT = "text"
# The help of --sort where a list has an order of its own.
_ORDER = re.compile(r"Order by ([\w, ]+);")


def text() -> str:
    """The file's content: an option or command a line, so that a change is a readable difference."""
    tree = make()
    parts = [
        f'"options": [\n{_lines(map(_json, tree["options"]))}\n]',
        f'"commands": {{\n{_lines(_pairs(tree["commands"]))}\n}}',
        f'"values": {{\n{_lines(_pairs(tree["values"]))}\n}}',
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def make() -> dict[str, Any]:
    """The tree: options, commands that name theirs by number, values of closed sets."""
    options: dict[str, int] = {}
    root = typer.main.get_command(app)
    commands = dict(_walk("", root, typer.Context(root, info_name="pfa"), options))
    return {
        "options": [json.loads(key) for key in options],
        "commands": commands,
        "values": _values(),
    }


def _walk(
    name: str, command: Any, context: Any, options: dict[str, int]
) -> Iterator[tuple[str, dict[str, Any]]]:
    entry: dict[str, Any] = {"help": _first(command.help), "options": [], "arguments": []}
    for param in command.get_params(context):
        if getattr(param, "hidden", False):
            continue
        if param.param_type_name == "argument":
            entry["arguments"].append([_kind(name, param), param.nargs < 0])
            continue
        kind = "flag" if getattr(param, "is_flag", False) else _kind(name, param)
        key = _json([[*param.opts, *param.secondary_opts], kind, _first(param.help)])
        entry["options"].append(options.setdefault(key, len(options)))
    if columns := _columns(name, command):
        entry["columns"] = list(columns)
    inner = {}
    if hasattr(command, "list_commands"):
        inner = {
            word: command.get_command(context, word) for word in command.list_commands(context)
        }
        entry["commands"] = [word for word, one in inner.items() if not one.hidden]
        if default := getattr(command, "default", ""):
            entry["default"] = default
    yield name, entry
    for word, one in inner.items():
        below = typer.Context(one, info_name=word, parent=context)
        yield from _walk(f"{name} {word}".strip(), one, below, options)


def _kind(command: str, param: Any) -> str:
    """The kind of an option or argument: by its name, else by its type or how help calls it."""
    for name in (param.name, *param.opts):
        if found := OF_A_COMMAND.get(f"{command} {name}"):
            return found
    if "FILE" in (param.metavar or ""):
        return "file"
    if keys := _ORDER.match(param.help or ""):
        return f",-={keys[1].replace(' ', '')}"
    if choices := getattr(param.type, "choices", ()):
        return f"={','.join(map(str, choices))}"
    return next((OPTIONS[name] for name in param.opts if name in OPTIONS), TEXT)


def _columns(name: str, command: Any) -> tuple[str, ...]:
    if name == "stats":
        groups = (*group_columns(timed=False), *group_columns(timed=True))
        return (*DIMENSIONS, *dict.fromkeys(groups), GROUP_COUNT, "measure", "value")
    return getattr(command.callback, "columns", ())


def _values() -> dict[str, list[str]]:
    figures = dict.fromkeys((*sort_figures(timed=False), *sort_figures(timed=True)))
    choices = {f"field:{each.name}": list(each.choices) for each in FIELDS.values() if each.choices}
    flags = {
        f"field:{each.name}": ["true", "false"]
        for each in FIELDS.values()
        if each.kind is Kind.FLAG
    }
    return {
        **choices,
        **{name: flags[name] for name in flags if name.removeprefix("field:") in EDITABLE},
        "action": list(map(str, ACTIONS)),
        "by": list(DIMENSIONS),
        "editable": list(EDITABLE),
        "field": list(FIELDS),
        "foreign": list(map(str, FOREIGN_CURRENCY)),
        "rate-unit": list(RATE_UNITS),
        "right": list(map(str, Right)),
        "role": [str(role) for role in Role if role is not Role.SERVICE],
        "schema": list(names()),
        "service-right": [str(right) for right in Right if right in SERVICE_RIGHTS],
        "sort": list(SORTABLE),
        "list-sort": list(LIST_SORTABLE),
        "stats-sort": [*DIMENSIONS, *SHORT, *figures],
        "state": [str(State.PRISTINE), *map(str, OVERLAYING)],
    }


def _first(text_: str | None) -> str:
    return " ".join((text_ or "").partition("\n\n")[0].split())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _pairs(table: dict[str, Any]) -> Iterator[str]:
    return (f"{_json(key)}: {_json(value)}" for key, value in table.items())


def _lines(lines: Iterator[str]) -> str:
    return ",\n".join(f"  {line}" for line in lines)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
